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


@dataclass(frozen=True)
class Finding:
    """Why a row is quarantined.

    Attributes:
        reason: One of those above, or the name of a row rule.
        detail: A sentence for the person who looks at the row.
    """

    reason: str
    detail: str


def faulty(
    repaired: pl.DataFrame,
    signals: pl.DataFrame,
    suites: Sequence[str],
    spared: Spared[Finding],
) -> dict[int, Finding]:
    """Rows without text, and rows that break row rules: the first rule is the reason.

    Raises:
        UserError: A suite cannot be used, or asks for a signal that was not measured.
    """
    blank = repaired["text"].str.strip_chars() == ""
    findings = {row: Finding(EMPTY, "nothing was left of the text") for row in blank.arg_true()}
    try:
        rules = chosen_rules(suites)
        broken = spared.lift(failing_rows(signals, rules))
    except SuiteError as error:
        raise UserError(str(error), "Suites are the files under expectations/suites/.") from error
    by_name = {rule.name: rule for rule in rules}
    places = {row_id: place for place, row_id in enumerate(signals["row_id"])}
    said: dict[int, list[str]] = {}
    for row_id, reason, _, value in broken.iter_rows():
        language = signals[LANGUAGE][places[row_id]] if LANGUAGE in signals.columns else None
        sentence = _sentence(by_name[reason], value, language)
        said.setdefault(places[row_id], []).append(sentence)
        findings.setdefault(places[row_id], Finding(reason, ""))
    return {
        row: found if found.reason == EMPTY else Finding(found.reason, "; ".join(said[row]))
        for row, found in findings.items()
    }


def _sentence(rule: RowRule, value: float, language: str | None) -> str:
    where = f" for {language}" if language in rule.languages.own else ""
    allowed = rule.allowed_in(language)
    return f"{rule.name}: {rule.column} is {value:.4g}, allowed is {allowed}{where}"
