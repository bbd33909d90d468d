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

from expectations.divergence import MIN_ROWS, partition
from expectations.engine import build, evaluate
from expectations.rules import is_row_rule, read_suite, require_columns
from expectations.sentences import finding, requirement

_COLUMN_KWARGS = ("column", "column_A", "column_B")
_MAY_BE_ABSENT = {"expect_column_to_exist"}
_EXCERPT = 120


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
    references: Mapping[str, pl.DataFrame] | None = None,
    worst: int = 5,
) -> Judged:
    """Judge a frame.

    Args:
        frame: One row per document, with `row_id`, `split` and every column the suite names; its
            `text`, if there, gives the excerpts of the worst rows.
        suite: A suite from `load_suite`.
        strict: After cleaning: every row must meet every row rule, and a breach is critical.
        references: The rows that a `{"$PARAMETER": "<name>"}` partition is made of, by name.
        worst: How many rows to name per expectation that is not met, worst first.

    Returns:
        The records and Great Expectations' result.

    Raises:
        SuiteError: A column is not in the frame, or an expectation cannot be judged on it.
    """
    asked: list[tuple[dict[str, Any], str | None]] = []
    for item in suite.expectations:
        asked.extend(_resolve(item, suite, frame, strict, references or {}))
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
    references: Mapping[str, pl.DataFrame],
) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Make a suite's line concrete: its columns, its reference, its strictness, or why not."""
    if strict and is_row_rule(item):
        item = {**item, "severity": "critical", "kwargs": {**item["kwargs"], "mostly": 1.0}}
    columns = _columns(item, suite, frame)
    if not columns:
        yield item, f"the data has no column {item['kwargs']['column']}"
    needs = suite.meta.get("needs")
    absent = f"the data has no {needs}" if needs and _empty(frame, needs) else None
    for column in columns:
        kwargs = {**item["kwargs"], **({} if column is None else {"column": column})}
        kwargs, skipped = _fill_partition(kwargs, references)
        yield {**item, "kwargs": kwargs}, absent or skipped


def _fill_partition(
    kwargs: dict[str, Any], references: Mapping[str, pl.DataFrame]
) -> tuple[dict[str, Any], str | None]:
    """Replace a `{"$PARAMETER": "<reference>"}` by its bins and weights, or say why not."""
    given = kwargs.get("partition")
    if not isinstance(given, dict) or "$PARAMETER" not in given:
        return kwargs, None
    name, column = str(given["$PARAMETER"]), str(kwargs["column"])
    rows = references.get(name)
    made = None if rows is None else partition(rows[column].to_list())
    filled = {**kwargs, "partition": {"reference": name, **(made or {})}}
    if rows is None or rows.is_empty():
        return filled, f"there are no {name} rows"
    few = f"too few of the {rows.height:,} {name} rows have a value of {column}"
    return filled, None if made else few


def _columns(item: dict[str, Any], suite: Suite, frame: pl.DataFrame) -> list[str | None]:
    kwargs = item["kwargs"]
    column = kwargs.get("column")
    if isinstance(column, str) and column.endswith("*"):
        return [name for name in frame.columns if name.startswith(column[:-1])]
    if item["type"] not in _MAY_BE_ABSENT:
        named = [kwargs[key] for key in _COLUMN_KWARGS if key in kwargs]
        named += [*kwargs.get("column_list", []), *_conditional(item)]
        require_columns(named, frame.columns, f"suite {suite.name!r}: {item['type']}")
    return [column]


def _empty(frame: pl.DataFrame, column: str) -> bool:
    return column not in frame.columns or frame[column].null_count() == frame.height


def _for_pandas(frame: pl.DataFrame, items: list[dict[str, Any]]) -> Any:
    """The columns that the expectations name, as the engine wants them."""
    named = {
        item["kwargs"][key] for item in items for key in _COLUMN_KWARGS if key in item["kwargs"]
    }
    named |= {column for item in items for column in item["kwargs"].get("column_list", [])}
    named |= {"row_id", "split", *(column for item in items for column in _conditional(item))}
    return frame.select([c for c in frame.columns if c in named]).to_pandas()


def _conditional(item: dict[str, Any]) -> list[str]:
    """The column that an expectation's condition reads, if it has one."""
    match item["kwargs"].get("row_condition"):
        case {"column": {"name": str(column)}}:
            return [column]
    return []


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
    if one is not None and observed is None and "partition" in kwargs:
        skipped = f"fewer than {MIN_ROWS} of the rows judged have a value of {kwargs['column']}"
    success = skipped is not None or bool(one.success)
    found = f"not judged, {skipped}" if skipped else finding(kind, result, observed, met=success)
    return {
        "suite": suite,
        "expectation": kind,
        "rule": item["meta"].get("rule"),
        "column": kwargs.get("column"),
        "kwargs": kwargs,
        "severity": item["severity"],
        "success": success,
        "skipped": skipped,
        "observed": observed,
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
