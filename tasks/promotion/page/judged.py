"""What the model is worth: quality, calibration, hallucination, groups, robustness."""

from __future__ import annotations

from typing import Any

import polars as pl

from tasks.promotion.page import numbers
from tasks.promotion.page.difference import changes
from tasks.promotion.page.gauges import interval_gauge
from tasks.promotion.page.plots import Line, line_chart, reliability
from tasks.promotion.page.read import Shelf, figure

_MOST_CLASSES = 12
_MOST_RELATIONS = 14
_WORST = 10
_ATTACKS = 6
_NAMES = {
    "macro_f1": "Macro F1",
    "mlm_loss": "Masked-token loss",
    "mlm_accuracy": "Masked words guessed",
    "mlm_bits_per_character": "Masked-text surprise",
    "majority_share": "Largest class",
    "ece": "Calibration error (ECE)",
    "brier": "Brier score",
    "aurc": "Area under risk-coverage",
    "clean_accuracy": "Accuracy before the attack",
    "attack_success": "Right answers turned",
}
_OUTCOMES = (("correct", "good"), ("abstained", "quiet"), ("hallucinated", "bad"))


def quality(shelf: Shelf) -> dict[str, Any]:
    """Per-class report and confusion matrix, the largest classes where there are many."""
    found = shelf.facts("quality", "quality.json")
    report = _as_rows(found.get("report"))
    report.sort(key=lambda r: (-float(r.get("support", 0)), str(r["class"])))
    return {
        "why": shelf.why_not("quality") or ("" if found else "No result was written."),
        "figures": _figures(
            found, ("accuracy", "macro_f1", "mlm_accuracy", "majority_share"), "share"
        )
        + _figures(found, ("mlm_loss",), "nats per token")
        + _figures(found, ("mlm_bits_per_character",), "bits per character"),
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


def _figures(found: dict[str, Any], names: tuple[str, ...], unit: str) -> list[dict[str, str]]:
    made = []
    for name in names:
        value = found.get(name)
        known = figure(value)
        if known:
            shown = (numbers.of_unit(known["value"], unit), numbers.span(known, unit))
        elif isinstance(value, int | float):
            shown = (numbers.of_unit(value, unit), "")
        else:
            continue
        label = _NAMES.get(name, numbers.words(name).capitalize())
        unit_shown = "" if unit in ("share", "points") else unit
        made.append({"name": label, "value": shown[0], "span": shown[1], "unit": unit_shown})
    return made


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
        "figures": _figures(found, ("ece",), "share") + _figures(found, ("brier",), "0 to 2"),
    }


def hallucination(shelf: Shelf) -> dict[str, Any]:
    """Shares of the three outcomes, the risk-coverage curve, and the surest errors."""
    found = shelf.facts("hallucination", "hallucination.json")
    curve = found.get("risk_coverage") or []
    theirs = shelf.facts("champion_hallucination", "hallucination.json")
    bars = [("candidate", found), ("champion", theirs)]
    lines = [
        Line(name, [(p["coverage"], p["risk"]) for p in f.get("risk_coverage") or []], style)
        for name, f, style in (("candidate", found, "c1"), ("champion", theirs, "c0"))
    ]
    return {
        "why": shelf.why_not("hallucination") or ("" if found else "No result was written."),
        "tau": numbers.plain(found.get("tau"), 2),
        "probes": numbers.count(found.get("probes")),
        "bars": [_outcome_bar(name, f) for name, f in bars if _is_judged(f)],
        "figures": _figures(found, ("correct", "abstained", "hallucinated", "accuracy"), "share")
        + _figures(found, ("aurc",), "0 to 1"),
        "relations": [
            _outcome_bar(numbers.words(str(r["relation"])), r)
            for r in _by_relation(found)[:_MOST_RELATIONS]
        ],
        "curve": line_chart(lines, "coverage (share of probes answered)", "wrong share", zero=True)
        if curve
        else "",
        "worst": [
            {
                "statement": numbers.cut(w.get("statement"), 160),
                "answer": numbers.cut(w.get("answer"), 60),
                "asserted": numbers.cut(w.get("asserted"), 60),
                "confidence": numbers.percent(w.get("confidence"), 0),
            }
            for w in (found.get("worst") or [])[:_WORST]
        ],
    }


def _by_relation(found: dict[str, Any]) -> list[dict[str, Any]]:
    rows = [r for r in found.get("by_relation") or [] if _is_judged(r)]
    return sorted(rows, key=lambda r: (-r["hallucinated"]["value"], str(r["relation"])))


def _is_judged(found: dict[str, Any]) -> bool:
    return all(figure(found.get(name)) for name, _ in _OUTCOMES)


def _outcome_bar(name: str, found: dict[str, Any]) -> dict[str, Any]:
    shares = [(style, 100 * found[outcome]["value"]) for outcome, style in _OUTCOMES]
    return {
        "name": name,
        "probes": numbers.count(found.get("probes")),
        "bar": shares,
        "hallucinated": numbers.percent(found["hallucinated"]["value"]),
        "span": numbers.span(figure(found["hallucinated"])),
    }


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
    rows = _figures(found, names, "points")
    for row, name in zip(rows, names, strict=True):
        where = found[name].get("group")
        row["name"] += f", by {numbers.words(str(where))}" if where else ""
    return rows


def robustness(shelf: Shelf) -> dict[str, Any]:
    """What an attack with typing errors leaves standing, and what the edits look like."""
    found = shelf.facts("robustness", "robustness.json")
    examples = []
    for row in (found.get("examples") or [])[:_ATTACKS]:
        old, new = changes(str(row["original"]), str(row["perturbed"]))
        examples.append(
            {
                "before": old, "after": new, "label": str(row["label"]),
                "predicted": str(row.get("predicted_after", "")),
                "queries": numbers.count(row.get("queries")),
                "confidence": [
                    numbers.percent(row.get(name), 0)
                    for name in ("confidence_before", "confidence_after")
                ],
            }
        )  # fmt: skip
    budget = found.get("budget") or {}
    return {
        "why": shelf.why_not("robustness") or ("" if found else "No result was written."),
        "attack": str(found.get("attack", "")),
        "rows": numbers.count(found.get("rows")),
        "figures": _figures(
            found, ("clean_accuracy", "accuracy_under_attack", "attack_success"), "share"
        ),
        "budget": numbers.count(budget.get("queries_per_row")) if isinstance(budget, dict) else "",
        "queries_mean": numbers.plain(found.get("queries_mean"), 1),
        "note": str(found.get("note", "")),
        "examples": examples,
    }
