"""What the suites asked of the data, as it arrived and as it was cleaned."""

from __future__ import annotations

from typing import Any

import orjson

from tasks.promotion.page import numbers
from tasks.promotion.page.read import Shelf

_RUNS = ("validate", "validate_clean")
_WORST = 4
# Worst first: broken and critical, broken, put right by cleaning, broken by fewer rows than are
# tolerated, never broken, never judged.
_ORDER = {"critical": 0, "warning": 1, "repaired": 2, "tolerated": 3, "passed": 4, "skipped": 5}


def expectations(shelf: Shelf) -> dict[str, Any]:
    """Every expectation once, with both results side by side, failures first."""
    merged: dict[bytes, dict[str, Any]] = {}
    for run in _RUNS:
        for found in _results(shelf, run):
            merged.setdefault(_identity(found), {})[run] = found
    rows = [_row(found) for found in merged.values()]
    rows.sort(key=lambda r: (_ORDER[r["state"]], r["suite"], r["sentence"]))
    counts = {state: sum(r["state"] == state for r in rows) for state in _ORDER}
    return {
        "failing": [r for r in rows if _ORDER[r["state"]] <= _ORDER["tolerated"]],
        "passing": [r for r in rows if _ORDER[r["state"]] > _ORDER["tolerated"]],
        "counts": counts,
        "why": "" if rows else shelf.why_not("validate") or "No expectation was asked.",
    }


def _results(shelf: Shelf, title: str) -> list[dict[str, Any]]:
    found = shelf.json(title, "validation.json")
    if isinstance(found, dict):
        found = found.get("results", [])
    return list(found or [])


def _identity(found: dict[str, Any]) -> bytes:
    """What makes two results the same question: strictness and the level of a test do not."""
    told = found.get("kwargs") or {}
    kwargs = {k: v for k, v in told.items() if k not in ("mostly", "level")}
    parts = [found.get(k) for k in ("suite", "expectation", "rule", "column")]
    return orjson.dumps([parts, kwargs], option=orjson.OPT_SORT_KEYS)


def _row(found: dict[str, Any]) -> dict[str, Any]:
    results = [found.get(run) for run in _RUNS]
    last = next(r for r in reversed(results) if r)
    failing = [r for r in results if r and not r.get("success", True)]
    shown = failing[-1] if failing else last
    severity = str(last.get("severity", "warning"))
    if last in failing:
        state = severity if severity in _ORDER else "warning"
    elif failing:
        state = "repaired"
    elif any(r and r.get("unexpected_count") for r in results):
        state = "tolerated"
    else:
        state = "skipped" if last.get("skipped") else "passed"
    requirement = str(last.get("sentence") or last.get("expectation", "")).partition(": ")[0]
    return {
        "suite": str(last.get("suite", "")),
        "sentence": requirement.rstrip("."),
        "notes": str(last.get("notes") or ""),
        "severity": severity,
        "state": state,
        "raw": _cell(results[0]),
        "clean": _cell(results[1]),
        "worst": [_worst(w) for w in (shown.get("worst_rows") or [])[:_WORST]],
        "worst_of": "cleaned" if shown is results[1] else "raw",
    }


def _cell(result: dict[str, Any] | None) -> dict[str, str]:
    if result is None:
        return {"style": "none", "word": "not asked", "found": ""}
    if result.get("skipped"):
        return {"style": "none", "word": "not judged", "found": str(result["skipped"])}
    held = bool(result.get("success"))
    finding = str(result.get("sentence") or "").partition(": ")[2].rstrip(".")
    return {
        "style": "good" if held else "bad",
        "word": "holds" if held else "fails",
        "found": numbers.cut(finding or _observed(result.get("observed")), 160)
        + (_tolerance(result) if held else ""),
    }


def _tolerance(result: dict[str, Any]) -> str:
    """How many rows may break a rule that some rows break and that holds nevertheless."""
    mostly = (result.get("kwargs") or {}).get("mostly")
    if not result.get("unexpected_count") or mostly is None:
        return ""
    return f"; {numbers.percent(1 - mostly, 0)} are tolerated"


def _observed(value: Any) -> str:
    if value is None or isinstance(value, dict) and not value:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return numbers.plain(value) if isinstance(value, float) else numbers.count(value)
    if isinstance(value, str):
        return numbers.cut(value, 80)
    return numbers.cut(orjson.dumps(value).decode(), 80)


def _worst(row: dict[str, Any]) -> dict[str, str]:
    return {
        "row_id": str(row.get("row_id", "")),
        "value": _observed(row.get("value")),
        "text": numbers.cut(row.get("text_excerpt") or "", 160),
    }
