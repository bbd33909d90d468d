"""What the model is worth on labelled test rows: quality, calibration, groups."""

from __future__ import annotations

from typing import Any

import polars as pl

from tasks.promotion.page import numbers
from tasks.promotion.page.figures import figures
from tasks.promotion.page.gauges import interval_gauge
from tasks.promotion.page.plots import reliability
from tasks.promotion.page.read import Shelf, figure

_MOST_CLASSES = 12


def quality(shelf: Shelf) -> dict[str, Any]:
    """Per-class report and confusion matrix, the largest classes where there are many."""
    found = shelf.facts("quality", "quality.json")
    report = _as_rows(found.get("report"))
    report.sort(key=lambda r: (-float(r.get("support", 0)), str(r["class"])))
    return {
        "why": shelf.why_not("quality") or ("" if found else "No result was written."),
        "figures": figures(
            found, ("accuracy", "macro_f1", "mlm_accuracy", "majority_share"), "share"
        )
        + figures(found, ("mlm_loss",), "nats per token")
        + figures(found, ("mlm_bits_per_character",), "bits per character"),
        "rows": numbers.count(shelf.count("quality", "predictions.parquet")),
        "report": [
            {
                "class": str(r["class"]),
                "support": numbers.count(r.get("support")),
                **{k: numbers.plain(r.get(k), 3) for k in ("precision", "recall", "f1")},
            }
            for r in report[:_MOST_CLASSES]
        ],
        "left_out": max(len(report) - _MOST_CLASSES, 0),
        "confusion": confusion(shelf.frame("quality", "predictions.parquet")),
    }


def _as_rows(report: Any) -> list[dict[str, Any]]:
    """The per-class report as rows, whether it was written as a list or by class."""
    if isinstance(report, dict):
        return [{"class": k, **v} for k, v in report.items() if isinstance(v, dict)]
    return [{"class": r.get("class", r.get("label", "")), **r} for r in report or []]


def confusion(predictions: pl.DataFrame) -> dict[str, Any]:
    """Rows by true and predicted class; shade is the share of the true class."""
    if not {"label", "predicted"} <= set(predictions.columns) or not predictions.height:
        return {"classes": [], "rows": []}
    counts = predictions.group_by("label", "predicted").len()
    sizes = predictions.group_by("label").len().sort(["len", "label"], descending=[True, False])
    classes = sizes["label"].head(_MOST_CLASSES).to_list()
    classes.sort(key=str)
    held = {(a, b): n for a, b, n in counts.iter_rows()}
    rows = []
    for true in classes:
        total = sum(n for (a, _), n in held.items() if a == true)
        cells = [(held.get((true, p), 0), p == true) for p in classes]
        rows.append(
            {
                "class": str(true), "total": numbers.count(total),
                "cells": [
                    {
                        "rows": numbers.count(n), "shade": round(n / max(total, 1), 3),
                        "right": right, "share": numbers.percent(n / max(total, 1), 0),
                    }
                    for n, right in cells
                ],
            }
        )  # fmt: skip
    return {"classes": [str(c) for c in classes], "rows": rows}


def calibration(shelf: Shelf) -> dict[str, Any]:
    """The reliability diagram and its summary figures."""
    found = shelf.facts("calibration", "calibration.json")
    return {
        "why": shelf.why_not("calibration") or ("" if found else "No result was written."),
        "plot": reliability(found.get("bins") or []),
        "figures": figures(found, ("ece",), "share") + figures(found, ("brier",), "0 to 2"),
        "selective": _selective(found.get("selective") or {}),
    }


def _selective(found: dict[str, Any]) -> str:
    """From which confidence on the served model answers, and how that ends, in sentences."""
    if not found:
        return ""
    scale = (
        f"At the temperature {numbers.plain(found['temperature'], 2)}, fitted on "
        f"{numbers.count(found['validation_rows'])} validation rows, the calibration error is "
        f"{numbers.percent(found['ece']['value'])}."
    )
    allowed = numbers.percent(found["risk_allowed"], 0)
    level = numbers.percent(found["level"], 0)
    if found["threshold"] is None:
        return (
            f"{scale} No confidence was shown, at a level of {level}, to keep wrong answers to "
            f"{allowed}; the served model answers always."
        )
    risk = found["risk"]
    wrong = (
        f"{numbers.percent(risk['value'])} ({numbers.span(figure(risk))}) of them wrong"
        if risk
        else "none"
    )
    return (
        f"{scale} To keep wrong answers to {allowed} (level {level}), the served model answers from "
        f"a confidence of {numbers.percent(found['threshold'])}: "
        f"{numbers.percent(found['coverage']['value'], 0)} of the test rows, {wrong}."
    )


def by_group(shelf: Shelf) -> dict[str, Any]:
    """Accuracy by group with intervals, beside the overall accuracy."""
    rows = shelf.frame("group_metrics", "groups.parquet")
    found = shelf.facts("group_metrics", "group_metrics.json")
    overall = figure(shelf.facts("quality", "quality.json").get("accuracy"))
    tables = []
    if {"group", "value", "accuracy", "low", "high"} <= set(rows.columns):
        known = rows.filter(pl.col("accuracy").is_not_null())
        low = float(known["low"].min() or 0.0) if known.height else 0.0  # type: ignore[arg-type]
        for column in sorted(known["group"].unique().to_list()):
            of_column = known.filter(pl.col("group") == column).sort("value")
            of_column = of_column.unique("value", keep="first", maintain_order=True)
            lines = [_group_line(r, low, overall) for r in of_column.to_dicts()]
            tables.append({"name": numbers.words(column), "lines": lines})
    return {
        "why": shelf.why_not("group_metrics") or ("" if found else "No result was written."),
        "figures": _gaps(found),
        "too_small": [
            f"{numbers.words(str(t['group']))}: {t['value']} ({t['rows']} rows)"
            for t in found.get("too_small") or []
        ],
        "tables": tables,
    }


def _group_line(
    row: dict[str, Any], low: float, overall: dict[str, float] | None
) -> dict[str, Any]:
    found = {"value": row["accuracy"], "low": row["low"] or 0.0, "high": row["high"] or 1.0}
    return {
        "value": str(row["value"]),
        "rows": numbers.count(row.get("rows")),
        "judged": bool(row.get("judged", True)),
        "accuracy": numbers.percent(found["value"]),
        "span": numbers.span(found),
        "gauge": interval_gauge(
            found, (max(low - 0.02, 0.0), 1.0), mark=overall["value"] if overall else None
        ),
    }


def _gaps(found: dict[str, Any]) -> list[dict[str, str]]:
    """Every gap that the stage reports with an interval."""
    names = tuple(sorted(n for n in found if "gap" in n and figure(found[n])))
    rows = figures(found, names, "points")
    for row, name in zip(rows, names, strict=True):
        where = found[name].get("group")
        row["name"] += f", by {numbers.words(str(where))}" if where else ""
    return rows
