"""Fairness of the data: who is in it, whether labels go with groups, and what was done about it."""

from __future__ import annotations

from typing import Any

import polars as pl

from tasks.promotion.page import numbers
from tasks.promotion.page.difference import changes
from tasks.promotion.page.gauges import interval_gauge
from tasks.promotion.page.read import Shelf, figure

_MOST_GROUPS = 12
_MOST_LABELS = 4
_MOST_EXAMPLES = 3  # of each kind


def groups(shelf: Shelf) -> dict[str, Any]:
    """Training rows by group: size, label rates with intervals, and the rates after reweighting."""
    rows = shelf.frame("audit", "groups.parquet")
    report = shelf.facts("audit", "audit.json")
    corrected = shelf.facts("correct", "correct.json")
    if "split" in rows.columns:
        rows = rows.filter(pl.col("split") == "train")
    if not rows.height:
        return {"tables": [], "why": shelf.why_not("audit") or "No groups were found."}
    summaries = {str(s["group"]): s for s in report.get("groups", []) if "group" in s}
    changed = {str(t["group"]): t for t in corrected.get("groups", [])}
    after = _after(corrected)
    tables = []
    for column in sorted(rows["group"].unique().to_list()):
        of_column = rows.filter(pl.col("group") == column)
        table = _table(of_column, column, after)
        gap = figure(summaries.get(column, {}).get("label_rate_gap"))
        change = changed.get(column, {})
        table["gap"] = f"{_points(gap['value'])} ({numbers.span(gap, 'points')})" if gap else ""
        table["gap_before"] = _points(change.get("gap_before"))
        table["gap_after"] = _points(change.get("gap_after"))
        tables.append(table)
    return {
        "tables": tables,
        "why": "",
        "correction": shelf.why_not("correct") or _weights_in_words(shelf),
        "min_group": report.get("min_group"),
    }


def _points(share: float | None) -> str:
    return "" if share is None else numbers.of_unit(share, "points")


def _after(corrected: dict[str, Any]) -> dict[tuple[str, str, str], float]:
    """Weighted label rate by group column, value and label."""
    return {
        (str(t["group"]), str(r["value"]), str(r["label"])): float(r["after"])
        for t in corrected.get("groups", [])
        for r in t.get("label_rates", [])
        if r.get("after") is not None
    }


def _table(
    rows: pl.DataFrame, column: str, after: dict[tuple[str, str, str], float]
) -> dict[str, Any]:
    sizes = rows.group_by("value").agg(pl.col("rows").max(), pl.col("share").max())
    sizes = sizes.sort(["rows", "value"], descending=[True, False])
    labels = sorted({str(v) for v in rows["label"].drop_nulls()})
    shown = labels[-1:] if len(labels) == 2 else labels[:_MOST_LABELS]
    known = rows.filter(pl.col("label").is_in(shown) & pl.col("low").is_not_null())
    bounds = _bounds(known, [v for (g, _, _), v in after.items() if g == column])
    lines = []
    for value, count, share in sizes.head(_MOST_GROUPS).iter_rows():
        of_value = rows.filter(pl.col("value") == value).to_dicts()
        cells = [
            _cell(next((r for r in of_value if str(r["label"]) == label), {}), bounds,
                  after.get((column, str(value), label)))
            for label in shown
        ]  # fmt: skip
        lines.append(
            {
                "value": str(value), "rows": numbers.count(count),
                "share": numbers.percent(share), "cells": cells,
            }
        )  # fmt: skip
    return {
        "name": numbers.words(column),
        "mentions": column.startswith("mention_"),
        "labels": shown,
        "lines": lines,
        "left_out": max(len(sizes) - _MOST_GROUPS, 0),
        "labels_left_out": len(labels) - len(shown) if len(labels) > 2 else 0,
    }


def _bounds(rows: pl.DataFrame, others: list[float]) -> tuple[float, float]:
    """An axis that all rows of a table share, a little wider than what it shows."""
    shown = [*rows["low"].to_list(), *rows["high"].to_list(), *others]
    low, high = min(shown, default=0.0), max(shown, default=1.0)
    return max(low - 0.05, 0.0), min(high + 0.05, 1.0)


def _cell(row: dict[str, Any], bounds: tuple[float, float], after: float | None) -> dict[str, Any]:
    if row.get("label_rate") is None or row.get("low") is None:
        return {"rate": "too few", "span": "", "gauge": None, "after": ""}
    found = {"value": row["label_rate"], "low": row["low"], "high": row["high"]}
    return {
        "rate": numbers.percent(found["value"]),
        "span": numbers.span(found),
        "gauge": interval_gauge(found, bounds, other=after),
        "after": numbers.percent(after) if after is not None else "",
    }


def _weights_in_words(shelf: Shelf) -> str:
    found = shelf.facts("correct", "correct.json")
    if "weight_min" not in found:
        return ""
    left = numbers.percent(found.get("effective_rows"), 0)
    return (
        f"Training rows weigh {found['weight_min']:.2f} to {found['weight_max']:.2f} (mean 1); "
        f"the effective sample is {left} of the rows."
    )


def made_up(shelf: Shelf) -> dict[str, Any]:
    """Augmented rows: how many of each kind, and pairs to read."""
    rows = shelf.frame("augment", "corpus.parquet", ("origin",))
    kinds = []
    if "origin" in rows.columns:
        counts = rows.group_by("origin").len().sort("len", descending=True)
        kinds = [{"kind": k, "rows": numbers.count(n)} for k, n in counts.iter_rows()]
    pairs = shelf.json("augment", "examples.json") or []
    shown: dict[str, list[dict[str, Any]]] = {}
    for pair in pairs:
        of_kind = shown.setdefault(str(pair["origin"]), [])
        if len(of_kind) < _MOST_EXAMPLES:
            old, new = changes(pair["before"], pair["after"])
            of_kind.append({"kind": pair["origin"], "before": old, "after": new})
    examples = [example for kind in sorted(shown) for example in shown[kind]]
    return {"kinds": kinds, "examples": examples, "why": shelf.why_not("augment")}
