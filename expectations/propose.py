"""A suite drawn up from a corpus that somebody trusts, for that person to edit.

Each line says what the trusted rows are like, and tolerates what chance does to a further corpus of
as many such rows:

- numbers: an interval from quantiles of the trusted rows, rounded outward to two figures, so that a
  person can read and move it;
- categories: the values seen, and for the label the share of each;
- how many rows may lie outside, and how far a share may move: if k of n trusted rows do, the share
  is with 99.5 % confidence at most the Clopper-Pearson limit p = Beta(k + 1, n - k)^-1(0.995)
  (Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404), and of n further rows with share p at most
  Binomial(n, p)^-1(0.995) do. Both must fail for a false alarm: at most 1 %, by the normal
  approximation about 1 in 10,000, per line.

Not covered: a corpus with fewer rows than the trusted one, whose shares move further; columns of
which more than `MOST_VALUES` different values were seen; how columns depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import polars as pl

from expectations.suite_files import SuiteError

LEAST_ROWS = 100
MOST_VALUES = 50  # different values up to which a column is taken for a category
_MOST_SHARES = 20  # labels of which each is given its share
_SURE = 0.995
_FIGURES = 2
_CLOSED = ("split", "label", "group_")  # columns whose values the user gives, not a measurement
_IDENTITY = "row_id"

Item = dict[str, Any]


@dataclass(frozen=True)
class Trusted:
    """What a suite is made of, and how.

    Attributes:
        frame: One row per document: `row_id`, and the columns the suite is to speak of.
        low: Quantile of the lower bounds.
        high: Quantile of the upper bounds.
        row_rules: Whether the intervals are rules that cleaning can quarantine single rows by.
        left_out: Filled with the columns that nothing is said of, and why.
    """

    frame: pl.DataFrame
    low: float
    high: float
    row_rules: bool = False
    left_out: dict[str, str] = field(default_factory=dict)


def propose(trusted: Trusted, name: str, origin: str) -> dict[str, Any]:
    """A suite in Great Expectations' format, the same for the same rows, in the frame's order.

    Args:
        trusted: The rows and the quantiles.
        name: The suite's name.
        origin: What the rows are, in a few words for the suite's notes.

    Raises:
        SuiteError: There are too few rows for the quantiles; the message says how many it takes.
    """
    rows, needed = trusted.frame.height, rows_needed(trusted.low, trusted.high)
    if rows < needed:
        share = outward(1 / max(rows, 1), up=True)
        nearer = (
            f"; with so many, ask for {share:g} and {1 - share:g}" if rows >= LEAST_ROWS else ""
        )
        raise SuiteError(
            f"{origin} has {rows:,} rows, and the quantiles {trusted.low:g} and {trusted.high:g} "
            f"need {needed:,}, so that at least one row lies beyond each{nearer}"
        )
    items = [item for column in trusted.frame.columns for item in _column(trusted, column)]
    return {
        "name": name,
        "meta": {
            "notes": f"Proposed from {rows:,} rows of {origin}, to be edited: intervals are the "
            f"{_percent(trusted.low)} and {_percent(trusted.high)} quantiles, rounded outward.",
            "proposed": {
                "rows": rows, "low": trusted.low, "high": trusted.high,
                "left_out": dict(sorted(trusted.left_out.items())),
            },
        },
        "expectations": items,
    }  # fmt: skip


def rows_needed(low: float, high: float) -> int:
    """The rows of which at least one lies beyond each quantile, and never fewer than a hundred."""
    tails = [tail for tail in (low, 1 - high) if tail > 1e-12]
    return max([LEAST_ROWS, *(math.ceil(1 / tail - 1e-9) for tail in tails)])


def outward(value: float, up: bool) -> float:
    """A value rounded up or down to two significant figures; whole numbers below 100 stay."""
    exact = Decimal(repr(float(value)))
    if not exact:
        return 0.0
    step = Decimal(1).scaleb(exact.adjusted() - _FIGURES + 1)
    return float(exact.quantize(step, rounding=ROUND_CEILING if up else ROUND_FLOOR))


def most(count: int, rows: int) -> int:
    """How many of as many further rows may be like the count of the trusted ones."""
    from scipy.stats import beta, binom

    share = 1.0 if count >= rows else float(beta.ppf(_SURE, count + 1, rows - count))
    return int(binom.ppf(_SURE, rows, share))


def _column(trusted: Trusted, column: str) -> Iterator[Item]:
    values, kind = trusted.frame[column], trusted.frame.schema[column]
    if kind.is_float():
        values = values.fill_nan(None)
    present = values.drop_nulls()
    if column == _IDENTITY:
        yield _item("expect_column_values_to_not_be_null", {"column": column}, "Names a row.")
        note = f"Each of {len(values):,} rows has its own."
        yield _item("expect_column_values_to_be_unique", {"column": column}, note)
    elif column.endswith("_cluster") or not (kind.is_numeric() or kind in (pl.Boolean, pl.String)):
        trusted.left_out[column] = "places or times, which another corpus has others of"
    elif len(present) < LEAST_ROWS:
        trusted.left_out[column] = f"{len(present)} rows have a value"
    else:
        yield from _nulls(column, values)
        if kind == pl.Boolean:
            yield from _flag(column, present)
        elif kind == pl.String:
            yield from _category(trusted, column, present)
        else:
            yield from _number(trusted, column, present)


def _nulls(column: str, values: pl.Series) -> Iterator[Item]:
    """The share without a value; said of a measured number only where some rows have none."""
    count = values.null_count()
    if not count and values.dtype != pl.String:
        return
    kwargs: Item = {"column": column, **_mostly(count, len(values))}
    yield _item(
        "expect_column_values_to_not_be_null", kwargs,
        f"Of {len(values):,} rows {count:,} have none.",
    )  # fmt: skip


def _number(trusted: Trusted, column: str, values: pl.Series) -> Iterator[Item]:
    if len(values) < rows_needed(trusted.low, trusted.high):
        trusted.left_out[column] = f"{len(values):,} rows have a value, too few for the quantiles"
        return
    ends = [
        float(values.quantile(trusted.low, interpolation="lower")),  # type: ignore[arg-type]
        float(values.quantile(trusted.high, interpolation="higher")),  # type: ignore[arg-type]
    ]
    low, high = outward(ends[0], up=False), outward(ends[1], up=True)
    whole = values.dtype.is_integer()
    bounds: Item = {"min_value": low, "max_value": high}
    if low == 0 and values.min() == 0:
        del bounds["min_value"]  # nothing measured is negative
    if whole:
        bounds = {name: int(bound) for name, bound in bounds.items()}
    outside = int(((values < low) | (values > high)).sum())
    kwargs = {"column": column, **bounds, **_mostly(outside, len(values))}
    note = (
        f"From {len(values):,} rows: the {_percent(trusted.low)} quantile is {ends[0]:.4g}, the "
        f"{_percent(trusted.high)} quantile {ends[1]:.4g}; {outside:,} rows lie outside."
    )
    meta = {"rule": f"{column}_unusual", "row_rule": True} if trusted.row_rules else {}
    yield _item("expect_column_values_to_be_between", kwargs, note, meta)


def _flag(column: str, values: pl.Series) -> Iterator[Item]:
    usual = int(values.sum()) * 2 > len(values)
    other = int((values != usual).sum())
    kwargs = {"column": column, "value_set": [usual], **_mostly(other, len(values))}
    note = f"From {len(values):,} rows: {other:,} are {str(not usual).lower()}."
    yield _item("expect_column_values_to_be_in_set", kwargs, note)


def _category(trusted: Trusted, column: str, values: pl.Series) -> Iterator[Item]:
    counts = dict(sorted(values.value_counts().iter_rows()))
    if len(counts) > MOST_VALUES:
        trusted.left_out[column] = f"{len(counts):,} different values, more than {MOST_VALUES}"
        return
    closed = column.startswith(_CLOSED)
    kwargs = {"column": column, "value_set": list(counts)}
    if not closed:
        kwargs |= _mostly(0, len(values))
    note = f"The {_some(counts)} seen in {len(values):,} rows."
    yield _item("expect_column_values_to_be_in_set", kwargs, note)
    if column == "label" and 2 <= len(counts) <= _MOST_SHARES:
        for value, count in counts.items():
            yield from _share(column, value, count, len(values))


def _share(column: str, value: str, count: int, rows: int) -> Iterator[Item]:
    """A share's interval as two lines, at least and at most, that the core understands."""
    least = outward((rows - most(rows - count, rows)) / rows, up=False)
    highest = outward(most(count, rows) / rows, up=True)
    note = (
        f"{value!r} has {count:,} of {rows:,} labelled rows, {_percent(count / rows)}; the share "
        f"of as many further rows lies between {_percent(least)} and {_percent(highest)}."
    )
    named = {"column": column, "value_set": [value]}
    if least > 0:
        yield _item("expect_column_values_to_be_in_set", {**named, "mostly": least}, note)
    if highest < 1:
        rest = {**named, "mostly": round(1 - highest, 6)}
        yield _item("expect_column_values_to_not_be_in_set", rest, note)


def _mostly(outside: int, rows: int) -> Item:
    """The share of rows that must meet a line which so many of the trusted rows do not meet."""
    tolerated = outward(most(outside, rows) / rows, up=True)
    return {"mostly": round(max(0.0, 1 - tolerated), 6)}


def _item(kind: str, kwargs: Item, notes: str, meta: Item | None = None) -> Item:
    return {
        "type": kind, "kwargs": kwargs, "severity": "warning", "notes": notes, "meta": meta or {},
    }  # fmt: skip


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _some(values: Sequence[str] | dict[str, int]) -> str:
    return f"{len(values)} value{'s' * (len(values) != 1)}"
