"""Bounds that differ by language, and findings counted by language.

An expectation of a suite may say in its meta

    "languages": {"zh": {"min_value": 3}}    other bounds for rows in Chinese
    "only_languages": ["en"]                 rows in other languages are not judged

A bound that a language does not name is the expectation's own. The runner makes one line of each
group of languages with its own bounds, by a row condition, so that Great Expectations judges and
Data Docs show what the row rules decide. Languages are ISO 639-1 codes, and `und`.

Mixed corpora are judged by language: if a row rule's `mostly` is met by all rows together but not
by those in one language, the rule is not met. Languages with fewer than `MIN_ROWS` rows are
counted and not judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from expectations.divergence import MIN_ROWS

LANGUAGE = "language"
_LEAST_LANGUAGES = 2
_BOUNDS = ("min_value", "max_value")

Bounds = tuple[float | None, float | None]
Counts = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Languages:
    """What a rule makes of a row's language.

    Attributes:
        own: Bounds by language, where they differ.
        only: The languages judged, None for all.
    """

    own: Mapping[str, Bounds] = field(default_factory=dict)
    only: tuple[str, ...] | None = None

    @property
    def alike(self) -> bool:
        """Whether all languages are judged, and by the same bounds."""
        return not self.own and self.only is None

    def bounds(self, language: str | None, others: Bounds) -> Bounds:
        """The bounds of a language."""
        return self.own.get(language or "", others)


def languages_of(item: Mapping[str, Any]) -> Languages:
    """Read `languages` and `only_languages` of an expectation's meta.

    Raises:
        ValueError: They are not of that form; the message goes on from the expectation's name.
    """
    meta, kwargs = item.get("meta") or {}, item.get("kwargs") or {}
    given, only = meta.get("languages", {}), meta.get("only_languages")
    if not isinstance(given, dict) or not all(isinstance(part, dict) for part in given.values()):
        raise ValueError('has `languages` that are not of the form {"zh": {"min_value": 3}}')
    for code, part in given.items():
        for name, bound in part.items():
            if name not in _BOUNDS:
                raise ValueError(f"has {name!r} for language {code!r}; known are {_BOUNDS}")
            if not isinstance(bound, int | float | None) or isinstance(bound, bool):
                raise ValueError(f"has the bound {bound!r} for language {code!r}, not a number")
    if only is not None and not (isinstance(only, list) and only and _texts(only)):
        raise ValueError('has `only_languages` that are not of the form ["en"]')
    unjudged = sorted(set(given) - set(only)) if only is not None else []
    if unjudged:
        raise ValueError(f"has bounds for language {unjudged[0]!r}, which it does not judge")
    own = {
        code: (part.get("min_value", kwargs.get("min_value")),
               part.get("max_value", kwargs.get("max_value")))
        for code, part in sorted(given.items())
    }  # fmt: skip
    return Languages(own, None if only is None else tuple(only))


def lines(item: dict[str, Any], present: set[str]) -> list[dict[str, Any]]:
    """An expectation once for each group of languages with bounds of its own, by row condition.

    Args:
        item: The expectation.
        present: The languages that occur; lines of others are left out.
    """
    languages = languages_of(item)
    others = _others(languages, present)
    judged = present if languages.only is None else present & set(languages.only)
    made = [{**item, "kwargs": _conditioned(item["kwargs"], others)}] if others else [item]
    if not judged - set(languages.own):
        only = languages.only or ("another language",)
        made = [{**made[0], "absent": f"there are no rows in {', '.join(only)}"}]
    for code in sorted(set(languages.own) & present):
        low, high = languages.own[code]
        kwargs = {**item["kwargs"], "min_value": low, "max_value": high}
        kwargs = {name: value for name, value in kwargs.items() if value is not None}
        condition = _comparison("IN", [code])
        made.append({**item, "kwargs": _conditioned(kwargs, condition), "language": code})
    return made


def counts_by_language(
    frame: pl.DataFrame, kwargs: Mapping[str, Any], result: Mapping[str, Any]
) -> Counts | None:
    """How many rows of each language are judged and break an expectation on single values.

    Returns:
        `rows` and `broken` by language, the most frequent first; None where rows are not judged
        one by one, there is one language, or the rows judged are not known from the condition.
    """
    column, judged = kwargs.get("column"), _matching(kwargs.get("row_condition"))
    if "unexpected_index_list" not in result or judged is None or LANGUAGE not in frame.columns:
        return None
    if column not in frame.columns or frame[LANGUAGE].n_unique() < _LEAST_LANGUAGES:
        return None
    broken = [row["row_id"] for row in result["unexpected_index_list"] or []]
    value = frame[column].fill_nan(None) if frame[column].dtype.is_float() else frame[column]
    counts = (
        frame.select(LANGUAGE, "row_id", *({"split"} & set(frame.columns)))
        .filter(judged & value.is_not_null())
        .group_by(LANGUAGE)
        .agg(
            pl.len().alias("rows"),
            pl.col("row_id").is_in(pl.Series(broken, dtype=pl.String).implode()).sum()
            .alias("broken"),
        )
        .sort(["rows", LANGUAGE], descending=[True, False])
    )  # fmt: skip
    return {str(code): {"rows": rows, "broken": bad} for code, rows, bad in counts.iter_rows()}


def weak(counts: Counts | None, kwargs: Mapping[str, Any]) -> Counts:
    """The languages with rows enough of which too few meet the rule."""
    mostly = kwargs.get("mostly", 1.0)
    return {
        code: n
        for code, n in (counts or {}).items()
        if n["rows"] >= MIN_ROWS and n["broken"] > (1 - mostly) * n["rows"]
    }


def _texts(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _others(languages: Languages, present: set[str]) -> dict[str, Any] | None:
    """The condition of the rows that the expectation's own bounds hold for; None for all rows."""
    if languages.only is not None:
        return _comparison("IN", [code for code in languages.only if code not in languages.own])
    own = sorted(set(languages.own) & present)
    return _comparison("NOT_IN", own) if own else None


def _comparison(operator: str, codes: list[str]) -> dict[str, Any]:
    return {
        "type": "comparison", "column": {"name": LANGUAGE}, "operator": operator,
        "parameter": codes,
    }  # fmt: skip


def _conditioned(kwargs: Mapping[str, Any], condition: dict[str, Any]) -> dict[str, Any]:
    given = kwargs.get("row_condition")
    both = condition if given is None else {"type": "and", "conditions": [given, condition]}
    return {**kwargs, "row_condition": both}


def _matching(condition: Any) -> pl.Expr | None:
    """A row condition for Polars, None for one that is not of ours."""
    parts = list(_comparisons(condition))
    known = [part for part in parts if part is not None]
    return pl.all_horizontal(pl.lit(True), *known) if len(known) == len(parts) else None


def _comparisons(condition: Any) -> Iterator[pl.Expr | None]:
    match condition:
        case None:
            return
        case {"type": "and", "conditions": [*conditions]}:
            for part in conditions:
                yield from _comparisons(part)
        case {
            "column": {"name": "split" | "language" as name},
            "operator": "IN" | "NOT_IN" as operator,
            "parameter": [*values],
        }:
            found = pl.col(name).is_in(values)
            yield found if operator == "IN" else ~found
        case _:
            yield None
