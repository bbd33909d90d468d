"""Why rows are quarantined: the reasons, and those that a row has on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from expectations.by_language import LANGUAGE
from expectations.rules import RowRule, chosen_rules, failing_rows
from expectations.suite_files import SuiteError
from tasks.corpus.quarantine.spared import Spared
from tasks.errors import UserError

EMPTY, LEAK, EXACT, NEAR = "empty_after_repair", "test_leak", "exact_duplicate", "near_duplicate"
PROBE, SEEN, NEAR_SEEN = "probe_leak", "seen_before", "near_seen_before"
CONTRADICTION, DISPUTED = "contradiction", "disputed_statement"  # the row goes, or a sentence of it


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a row is quarantined.

    Attributes:
        reason: One of those above, or the name of a row rule.
        detail: A sentence for the person who looks at the row.
    """

    reason: str
    detail: str


@dataclass(frozen=True)
class Judged:
    """What the row rules find in some rows.

    Attributes:
        blank: Places of the rows without text.
        broken: One line per row and rule that it breaks: `place`, `row_id`, `rule` (its number),
            `reason`, `column`, `value`, `language`.
    """

    blank: list[int]
    broken: pl.DataFrame


def judged(
    texts: pl.Series, signals: pl.DataFrame, places: Sequence[int], suites: Sequence[str]
) -> Judged:
    """Judge some rows, each on its own.

    Args:
        texts: Their texts.
        signals: What was measured of these.
        places: Where the rows are in the corpus.
        suites: Whose row rules count.

    Raises:
        UserError: A suite cannot be used, or asks for a signal that was not measured.
    """
    rules = _rules(suites)
    try:
        broken = failing_rows(signals, rules)
    except SuiteError as error:
        raise _unusable(error) from error
    language = signals[LANGUAGE] if LANGUAGE in signals.columns else pl.lit(None, pl.String)
    named = signals.select("row_id", language.alias(LANGUAGE), pl.Series("place", places, pl.Int64))
    numbers = {rule.name: number for number, rule in enumerate(rules)}
    number = pl.col("reason").replace_strict(numbers, return_dtype=pl.Int64).alias("rule")
    broken = broken.join(named, on="row_id", how="left", maintain_order="left").select(
        "place", "row_id", number, "reason", "column", "value", LANGUAGE
    )
    blank = (texts.str.strip_chars() == "").fill_null(False).arg_true()
    return Judged([places[row] for row in blank], broken)


def faulty(
    parts: Sequence[Judged], suites: Sequence[str], spared: Spared[Finding]
) -> dict[int, Finding]:
    """Rows without text, and rows that break row rules: the first rule is the reason.

    Args:
        parts: What was found in all rows, part by part.
        suites: Whose row rules were counted.
        spared: Takes out what people have released.
    """
    findings = {
        place: Finding(EMPTY, "nothing was left of the text")
        for part in parts
        for place in part.blank
    }
    broken = spared.lift(pl.concat([part.broken for part in parts]).sort("rule", "place"))
    by_name = {rule.name: rule for rule in _rules(suites)}
    said: dict[int, list[str]] = {}
    for place, reason, value, language in broken.select(
        "place", "reason", "value", LANGUAGE
    ).iter_rows():
        said.setdefault(place, []).append(_sentence(by_name[reason], value, language))
        findings.setdefault(place, Finding(reason, ""))
    return {
        row: found if found.reason == EMPTY else Finding(found.reason, "; ".join(said[row]))
        for row, found in findings.items()
    }


def _rules(suites: Sequence[str]) -> list[RowRule]:
    try:
        return chosen_rules(suites)
    except SuiteError as error:
        raise _unusable(error) from error


def _unusable(error: SuiteError) -> UserError:
    return UserError(str(error), "Suites are the files under expectations/suites/.")


def _sentence(rule: RowRule, value: float, language: str | None) -> str:
    where = f" for {language}" if language in rule.languages.own else ""
    allowed = rule.allowed_in(language)
    return f"{rule.name}: {rule.column} is {value:.4g}, allowed is {allowed}{where}"
