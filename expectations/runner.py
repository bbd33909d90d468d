"""Runs suites on a frame: loads them strictly, judges once, and says what was found.

A suite that cannot be run whole is refused by name, before any of it is run. What an expectation
finds becomes one JSON object with a sentence, which is what the rest of the project reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from expectations.by_language import LANGUAGE, counts_by_language, lines, weak
from expectations.comparing import expand
from expectations.engine import build, evaluate
from expectations.rules import is_row_rule, require_columns
from expectations.sentences import finding, in_languages, requirement, silence
from expectations.suite_files import read_suite

_COLUMN_KWARGS = ("column", "column_A", "column_B", "sides", "by")
_MAY_BE_ABSENT = {"expect_column_to_exist"}
_EXCERPT = 120
_FALSE_ALARM = 0.05  # of a suite of comparisons that states no other `false_alarm`
_LEVEL = {"$PARAMETER": "level"}


@dataclass(frozen=True)
class Suite:
    """A suite file that can be run: every expectation in it is known and has its arguments."""

    name: str
    expectations: tuple[dict[str, Any], ...]
    meta: Mapping[str, Any]


@dataclass(frozen=True)
class Judged:
    """What a suite found.

    Attributes:
        suite: Its name.
        records: One JSON object per expectation, in suite order, those left out included.
        result: Great Expectations' own result, for Data Docs; None if nothing could be judged.
    """

    suite: str
    records: list[dict[str, Any]]
    result: Any = field(repr=False)


def load_suite(path: Path) -> Suite:
    """Read a suite and make sure that all of it can be run.

    Raises:
        SuiteError: The file is no suite, an expectation's type is unknown (named, with the
            nearest one), or one of its arguments is missing, misspelt or out of bounds.
    """
    content = read_suite(path)
    items = tuple(
        {"kwargs": {}, "meta": {}, "severity": "critical", **item}
        for item in content["expectations"]
    )
    build(content["name"], items)
    return Suite(content["name"], items, content.get("meta") or {})


def run_suite(
    frame: pl.DataFrame,
    suite: Suite,
    *,
    strict: bool = False,
    absent: str | None = None,
    worst: int = 5,
) -> Judged:
    """Judge a frame.

    Args:
        frame: One row per document, with `row_id`, `split` and every column the suite names; its
            `text`, if there, gives the excerpts of the worst rows.
        suite: A suite from `load_suite`.
        strict: After cleaning: every row must meet every row rule, and a breach is critical.
        absent: Why there is nothing that the suite could be judged on, if so.
        worst: How many rows to name per expectation that is not met, worst first.

    Returns:
        The records and Great Expectations' result.

    Raises:
        SuiteError: A column is not in the frame, or an expectation cannot be judged on it.
    """
    asked: list[tuple[dict[str, Any], str | None]] = []
    for item in suite.expectations:
        if absent:
            asked.append((item, absent))
            continue
        for line in _lines(item, suite, frame):
            asked.extend(_resolve(line, suite, frame, strict))
    asked = _share_level(asked, suite)
    runnable = [item for item, skipped in asked if skipped is None]
    result = None
    if runnable:
        result = evaluate(build(suite.name, runnable), _for_pandas(frame, runnable))
    found = iter(result.results if result is not None else ())
    records = []
    for item, skipped in asked:
        one = None if skipped is not None else next(found)
        records.append(_record(suite.name, item, one, skipped, frame, worst))
    return Judged(suite.name, records, result)


def _resolve(
    item: dict[str, Any],
    suite: Suite,
    frame: pl.DataFrame,
    strict: bool,
) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Make a suite's line concrete: its columns, its sides, its strictness, or why not."""
    if strict and is_row_rule(item):
        item = {**item, "severity": "critical", "kwargs": {**item["kwargs"], "mostly": 1.0}}
    needs = item["meta"].get("needs")
    if needs and _empty(frame, needs):
        yield item, f"the data has no {needs}"
        return
    needs = suite.meta.get("needs")
    absent = f"the data has no {needs}" if needs and _empty(frame, needs) else item.get("absent")
    meant = _meant(item, frame)
    if not meant:
        kwargs = item["kwargs"]
        wanted = [name for name in (kwargs.get("column"), kwargs.get("by")) if name]
        yield item, f"the data has no column {' by '.join(map(str, wanted))}"
    for kwargs in meant:
        if item["type"] not in _MAY_BE_ABSENT:
            named = [kwargs[key] for key in _COLUMN_KWARGS if kwargs.get(key)]
            named += kwargs.get("column_list", [])
            require_columns(named, frame.columns, f"suite {suite.name!r}: {item['type']}")
        yield {**item, "kwargs": kwargs}, absent or _lacks_side(kwargs, frame)


def _lines(item: dict[str, Any], suite: Suite, frame: pl.DataFrame) -> list[dict[str, Any]]:
    """A line of a suite, once for each group of languages that it holds to other bounds."""
    if not {"languages", "only_languages"} & set(item["meta"]):
        return [item]
    require_columns([LANGUAGE], frame.columns, f"suite {suite.name!r}: {item['type']}")
    return lines(item, set(frame[LANGUAGE].drop_nulls().unique()))


def _lacks_side(kwargs: dict[str, Any], frame: pl.DataFrame) -> str | None:
    """Why two sides cannot be compared, if one of them has no rows."""
    if "sides" not in kwargs:
        return None
    present = set(frame[kwargs["sides"]].unique())
    lacking = [kwargs[side] for side in ("judged", "reference") if kwargs[side] not in present]
    return f"there are no {lacking[0]} rows" if lacking else None


def _share_level(
    asked: list[tuple[dict[str, Any], str | None]], suite: Suite
) -> list[tuple[dict[str, Any], str | None]]:
    """Give each comparison its part of the false alarms that the suite may raise (Bonferroni)."""
    open_ = [why is None and item["kwargs"].get("level") == _LEVEL for item, why in asked]
    level = float(suite.meta.get("false_alarm", _FALSE_ALARM)) / max(sum(open_), 1)
    return [
        ({**item, "kwargs": {**item["kwargs"], "level": level}} if fill else item, why)
        for (item, why), fill in zip(asked, open_, strict=True)
    ]


def _meant(item: dict[str, Any], frame: pl.DataFrame) -> list[dict[str, Any]]:
    """The arguments of a suite's line, once for each column that it means."""
    kwargs = item["kwargs"]
    column = kwargs.get("column")
    if "sides" in kwargs:
        require_columns([kwargs["sides"]], frame.columns, str(item["type"]))
        return list(expand(kwargs, frame)) if column else [kwargs]
    if isinstance(column, str) and column.endswith("*"):
        wanted = [name for name in frame.columns if name.startswith(column[:-1])]
        return [{**kwargs, "column": name} for name in wanted]
    return [kwargs]


def _empty(frame: pl.DataFrame, column: str) -> bool:
    return column not in frame.columns or frame[column].null_count() == frame.height


def _for_pandas(frame: pl.DataFrame, items: list[dict[str, Any]]) -> Any:
    """The columns that the expectations name, as the engine wants them."""
    if any("sides" in item["kwargs"] and "column" not in item["kwargs"] for item in items):
        return frame.to_pandas()  # columns themselves are compared
    named = {
        item["kwargs"][key] for item in items for key in _COLUMN_KWARGS if item["kwargs"].get(key)
    }
    named |= {column for item in items for column in item["kwargs"].get("column_list", [])}
    named |= {"row_id", "split", LANGUAGE}
    return frame.select([c for c in frame.columns if c in named]).to_pandas()


def _record(
    suite: str,
    item: dict[str, Any],
    one: Any,
    skipped: str | None,
    frame: pl.DataFrame,
    worst: int,
) -> dict[str, Any]:
    """The JSON object of one expectation; a skipped one counts as met and says why."""
    kind, kwargs = item["type"], item["kwargs"]
    result = {} if one is None else one.to_json_dict()["result"]
    observed = _observed(result)
    if one is not None and observed is None and "statistic" in kwargs:
        skipped = silence(result["details"]["slices"], kwargs)
    success = skipped is not None or bool(one.success)
    found = f"not judged, {skipped}" if skipped else finding(kind, result, observed, met=success)
    counts = counts_by_language(frame, kwargs, result)
    poor = weak(counts, kwargs) if success and is_row_rule(item) else {}
    if poor:
        # Data Docs show the same verdict.
        success = one.success = False
        found += f"; {in_languages(poor)}"
    return {
        "suite": suite,
        "expectation": kind,
        "rule": item["meta"].get("rule"),
        "language": item.get("language"),
        "by_language": counts,
        "column": kwargs.get("column"),
        "kwargs": kwargs,
        "severity": item["severity"],
        "success": success,
        "skipped": skipped,
        "observed": observed,
        "details": result.get("details"),
        "unexpected_count": result.get("unexpected_count"),
        "unexpected_percent": result.get("unexpected_percent"),
        "worst_rows": [] if success else _worst_rows(result, kwargs, frame, worst),
        "sentence": f"{requirement(kind, kwargs)}: {found}.",
        "notes": item.get("notes"),
    }


def _observed(result: Mapping[str, Any]) -> Any:
    """The observed value, the share of the rows that meet it, or the values that are missing."""
    if "partial_missing_list" in result:
        return sorted(result["partial_missing_list"], key=str)
    if "unexpected_count" not in result:
        return result.get("observed_value")
    judged = result["element_count"] - (result.get("missing_count") or 0)
    return round(1 - result["unexpected_count"] / judged, 6) if judged else None


def _worst_rows(
    result: Mapping[str, Any], kwargs: Mapping[str, Any], frame: pl.DataFrame, worst: int
) -> list[dict[str, Any]]:
    """The rows farthest outside the allowed interval; in the frame's order if there is none."""
    rows = [
        {"row_id": row["row_id"], "value": _plain(row.get(kwargs["column"]))}
        for row in result.get("unexpected_index_list") or []
    ]
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if low is not None or high is not None:
        rows.sort(key=lambda row: -_distance(row["value"], low, high))
    rows = rows[:worst]
    if "text" in frame.columns and rows:
        wanted = frame.filter(pl.col("row_id").is_in([row["row_id"] for row in rows]))
        texts = dict(zip(wanted["row_id"], wanted["text"], strict=True))
        rows = [{**row, "text_excerpt": _excerpt(texts.get(row["row_id"]))} for row in rows]
    return rows


def _plain(value: Any) -> Any:
    """A numpy scalar as Python's; a missing number as None."""
    value = value.item() if hasattr(value, "item") else value
    return None if value != value else value


def _distance(value: float, low: float | None, high: float | None) -> float:
    below = 0.0 if low is None else low - value
    above = 0.0 if high is None else value - high
    return max(below, above)


def _excerpt(text: str | None) -> str:
    line = " ".join((text or "").split())
    return line if len(line) <= _EXCERPT else line[: _EXCERPT - 1] + "…"
