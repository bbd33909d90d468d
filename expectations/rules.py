"""The row rules: what a single row must meet, read from a suite without Great Expectations.

Cleaning quarantines by these rules and validation judges by the same lines of the same file, so
noise has one definition. A rule is an `expect_column_values_to_be_between` whose meta says
`{"rule": "<reason>", "row_rule": true}`; the reason is what a quarantined row is filed under. Its
`mostly` (the share of rows that must pass before anyone is warned) does not concern a single row.

A rule may judge languages apart: see `expectations.by_language`.

Thresholds follow Gopher (Rae et al. 2021, arXiv:2112.11446) and FineWeb (Penedo et al. 2024,
arXiv:2406.17557), loosened for single sentences; each expectation states its own reason.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from expectations.by_language import LANGUAGE, Bounds, Languages, languages_of
from expectations.suite_files import SuiteError, read_suite, suite_path

ROW_RULE_TYPE = "expect_column_values_to_be_between"
_ROW_RULE_KWARGS = {"column", "min_value", "max_value", "mostly", "row_condition"}


@dataclass(frozen=True)
class RowRule:
    """One rule over one signal; a row passes within the closed interval, or without a value.

    Attributes:
        name: The reason that a failing row is filed under.
        column: The signal.
        minimum: Smallest value allowed, None for no bound.
        maximum: Largest value allowed, None for no bound.
        splits: The splits judged, None for all.
        languages: Where the interval is another, and which languages are judged.
    """

    name: str
    column: str
    minimum: float | None
    maximum: float | None
    splits: tuple[str, ...] | None = None
    languages: Languages = Languages()

    @property
    def allowed(self) -> str:
        """The interval in words, such as `at least 3`."""
        return interval_in_words(self.minimum, self.maximum)

    def allowed_in(self, language: str | None) -> str:
        """The interval that rows in a language are held to, in words."""
        return interval_in_words(*self.languages.bounds(language, (self.minimum, self.maximum)))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that judging takes."""
        return (self.column,) if self.languages.alike else (self.column, LANGUAGE)

    def fails(self) -> pl.Expr:
        """True where a row breaks the rule; a row without a value passes."""
        value = pl.col(self.column).cast(pl.Float64).fill_nan(None)
        broken = _outside(value, (self.minimum, self.maximum))
        for language, bounds in self.languages.own.items():
            own = pl.col(LANGUAGE) == language
            broken = pl.when(own).then(_outside(value, bounds)).otherwise(broken)
        if self.languages.only is not None:
            broken = broken & pl.col(LANGUAGE).is_in(self.languages.only)
        if self.splits is not None:
            broken = broken & pl.col("split").is_in(self.splits)
        return broken.fill_null(False)


def _outside(value: pl.Expr, bounds: Bounds) -> pl.Expr:
    low, high = bounds
    below = pl.lit(False) if low is None else value < low
    return below if high is None else below | (value > high)


def row_rules(suite: str = "noise") -> list[RowRule]:
    """The row rules of a suite, in its order.

    Args:
        suite: A name under `expectations/suites/`.

    Raises:
        SuiteError: The suite does not exist or one of its rules cannot be read.
    """
    path = suite_path(suite)
    rules = [_rule(item, path) for item in read_suite(path)["expectations"] if is_row_rule(item)]
    names = [rule.name for rule in rules]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SuiteError(f"{path.name}: the row rule {twice[0]!r} is there twice")
    return rules


def chosen_rules(suites: Sequence[str]) -> list[RowRule]:
    """The row rules of several suites, in their order.

    Raises:
        SuiteError: A suite does not exist, cannot be read or has no row rule, or two of them call a
            rule by one name.
    """
    chosen: dict[str, RowRule] = {}
    for suite in dict.fromkeys(suites):
        rules = row_rules(suite)
        if not rules:
            raise SuiteError(f"the suite {suite!r} has no row rules, so no row can be judged by it")
        for rule in rules:
            if rule.name in chosen:
                raise SuiteError(f"the row rule {rule.name!r} is in two of {', '.join(suites)}")
            chosen[rule.name] = rule
    return list(chosen.values())


def failing_rows(signals: pl.DataFrame, rules: Sequence[RowRule]) -> pl.DataFrame:
    """Each row's broken rules.

    Args:
        signals: One row per document, with `row_id` and the rules' columns.
        rules: The rules, in the order in which their findings are wanted.

    Returns:
        `row_id`, `reason`, `column`, `value`; one row per failing (row, rule), sorted by rule and
        then as the rows come. A row's first finding is the first rule it breaks.

    Raises:
        SuiteError: A rule's column is not among the signals.
    """
    found = [
        pl.DataFrame(schema={"row_id": pl.String, "reason": pl.String, "column": pl.String,
                             "value": pl.Float64})
    ]  # fmt: skip
    for rule in rules:
        require_columns(rule.columns, signals.columns, f"the row rule {rule.name!r}")
        found.append(
            signals.filter(rule.fails()).select(
                pl.col("row_id").cast(pl.String),
                pl.lit(rule.name).alias("reason"),
                pl.lit(rule.column).alias("column"),
                pl.col(rule.column).cast(pl.Float64).alias("value"),
            )
        )
    return pl.concat(found)


def is_row_rule(item: dict[str, Any]) -> bool:
    """Whether an expectation of a suite file judges single rows."""
    return bool(item.get("meta", {}).get("row_rule"))


def require_columns(wanted: Iterable[str], present: Sequence[str], who: str) -> None:
    """Refuse a column that is not there, naming the one it was probably meant to be.

    Raises:
        SuiteError: A wanted column is not present.
    """
    for column in wanted:
        if column not in present:
            near = difflib.get_close_matches(column, present, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(present)}"
            raise SuiteError(f"{who} asks for column {column!r}, which is not there{hint}")


def interval_in_words(minimum: float | None, maximum: float | None) -> str:
    """`at least 3`, `at most 0.5`, `between 1 and 4`, `exactly 0`, `anything`."""
    low, high = (None if bound is None else f"{bound:,.10g}" for bound in (minimum, maximum))
    if low is not None and high is not None:
        return f"exactly {low}" if low == high else f"between {low} and {high}"
    if low is not None:
        return f"at least {low}"
    return "anything" if high is None else f"at most {high}"


def _rule(item: dict[str, Any], path: Path) -> RowRule:
    name, kwargs = item["meta"].get("rule"), item.get("kwargs", {})
    if not isinstance(name, str) or not name:
        raise SuiteError(f"{path.name}: a row rule over {kwargs.get('column')!r} has no meta.rule")
    if item["type"] != ROW_RULE_TYPE:
        raise SuiteError(
            f"{path.name}: the row rule {name!r} is a {item['type']}; row rules are {ROW_RULE_TYPE}"
        )
    strange = sorted(set(kwargs) - _ROW_RULE_KWARGS)
    if strange or not isinstance(kwargs.get("column"), str):
        what = f"has {strange[0]!r}, which row rules do not know" if strange else "names no column"
        raise SuiteError(f"{path.name}: the row rule {name!r} {what}")
    return RowRule(
        name=name,
        column=kwargs["column"],
        minimum=_bound(kwargs.get("min_value"), name, path),
        maximum=_bound(kwargs.get("max_value"), name, path),
        splits=_splits(kwargs.get("row_condition"), name, path),
        languages=languages_of(item),
    )


def _bound(value: Any, name: str, path: Path) -> float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise SuiteError(f"{path.name}: a bound of the row rule {name!r} is {value!r}, not a number")


def _splits(condition: Any, name: str, path: Path) -> tuple[str, ...] | None:
    """The splits of a `split IN [...]` condition, as Great Expectations writes it."""
    if condition is None:
        return None
    match condition:
        case {"column": {"name": "split"}, "operator": "IN", "parameter": [*splits]}:
            return tuple(str(split) for split in splits)
    raise SuiteError(f"{path.name}: the row rule {name!r} may only be conditional on `split`")
