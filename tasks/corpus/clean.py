"""Repair what can be repaired, quarantine the rest, and say why for every row.

The row rules of the chosen suites (`noise` unless told otherwise) are the cleaning rules: a row is
quarantined because it breaks rule X, and X is the reason stored with it. Rules are judged on the
repaired text, so a row with an e-mail address is masked and kept. Then training rows that leak
held-out text go, then duplicates, among what is left: a duplicate of a quarantined row is not
superfluous. Last go statements that enough of the remaining rows contradict. What a person has
released stays in spite of the fault it was released for (see `spared`).

Repairs treat every split alike, since serving text will be repaired the same way. Held-out rows
are never quarantined for what training holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import orjson
import polars as pl

from expectations.by_language import LANGUAGE
from expectations.rules import RowRule, SuiteError, chosen_rules, failing_rows
from tasks.configuration import Cleaning, Contradictions, Profiling
from tasks.corpus.cleaning_report import report
from tasks.corpus.contradictions import REASON, TABLE, Contradicted, find_contradictions
from tasks.corpus.duplicates import Flags
from tasks.corpus.profile import CORPUS, PROBES, PROFILE, SIGNALS, read_table
from tasks.corpus.registry import load_signals
from tasks.corpus.relations import Relations
from tasks.corpus.repair import repair
from tasks.corpus.rows import QUARANTINE, digest
from tasks.corpus.signals import row_signals
from tasks.corpus.spared import RELEASED, Released, Spared, first_reasons
from tasks.errors import UserError
from tasks.log import Log
from tasks.records import Outcome, Rows
from tasks.stage import stage

EMPTY, LEAK, EXACT, NEAR = "empty_after_repair", "test_leak", "exact_duplicate", "near_duplicate"
PROBE, SEEN, NEAR_SEEN = "probe_leak", "seen_before", "near_seen_before"
_NAMED = 4
_ROUNDS = 3


@dataclass(frozen=True)
class _Finding:
    """Why a row is quarantined."""

    reason: str
    detail: str


@stage
def clean(
    ingested: Path,
    profiled: Path,
    earlier: Path | None = None,
    *,
    config: Cleaning,
    contradictions: Contradictions | None = None,
    patterns: str = "",
    own_signals: str = "",
    released: Released | None = None,
    out: Path,
    log: Log,
) -> Outcome:
    """Repair and quarantine.

    Args:
        ingested: Folder of the rows.
        profiled: Folder of their signals, and the settings duplicates were found with.
        earlier: An earlier night's clean corpus, whose rows need not be compared again.
        config: Which repairs to make, and the suites whose row rules judge.
        contradictions: When statements that disagree go; left out, by the default settings.
        patterns: The lines of the pattern file that statements are recognised by, if any.
        own_signals: Digest of the modules of the user's own signals, part of the stage's key.
        released: What people have released from quarantine, part of the key by its contents.
        out: Receives `corpus.parquet`, `quarantine.parquet`, `repairs.parquet`, `released.parquet`,
            `clean.json`, `duplicates.parquet` for later nights, and with patterns
            `contradictions.parquet`.
        log: Progress.

    Raises:
        UserError: The signals are of other rows, a suite cannot be used, a signal of the user's
            fails, or no training row is left.
    """
    rows = pl.read_parquet(ingested / CORPUS)
    signals = pl.read_parquet(profiled / SIGNALS)
    if rows["row_id"].to_list() != signals["row_id"].to_list():
        raise UserError(f"the signals in {profiled} are not of the rows in {ingested}")
    settings = Profiling(**orjson.loads((profiled / PROFILE).read_bytes())["settings"])
    log.progress(0, 3, "repairs")
    repaired, repairs = _repaired(rows, config)
    log.progress(1, 3, "row rules")
    spared: Spared[_Finding] = Spared(rows, released)
    measured = _remeasured(rows, repaired, signals, settings)
    findings = _noise(repaired, measured, config.suites, spared)
    log.progress(2, 3, "duplicates and leaks")
    relations = Relations(repaired, settings, out, earlier)
    probes = read_table(ingested / PROBES)
    found = _superfluous(relations, repaired["row_id"], findings, settings, probes)
    findings |= spared.sift(found)
    when = contradictions or Contradictions()
    found, disputed = _contradicted(relations, repaired, findings, when, patterns)
    findings |= spared.sift(found)
    back = spared.kept(findings)
    back.write_parquet(out / RELEASED)
    _write(out, rows, repaired, findings, repairs, disputed, back)
    kept = ~np.isin(np.arange(rows.height), list(findings))
    relations.write_index(out, rows["row_id"], rows["text"], kept)
    if (ingested / PROBES).exists():
        copyfile(ingested / PROBES, out / PROBES)
    log.progress(3, 3)
    return _outcome(rows, findings, repairs, disputed.metrics, back)


def _repaired(rows: pl.DataFrame, config: Cleaning) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows with repaired text, and what was repaired: row, row_id, rule, count."""
    texts, repairs = repair(rows["text"].fill_null(""), config)
    digests = rows["digest"].to_list()
    for row in repairs["row"].unique():
        digests[row] = digest(texts[row])
    repairs = repairs.with_columns(rows["row_id"].gather(repairs["row"]).alias("row_id"))
    repaired = rows.with_columns(texts.alias("text"), pl.Series("digest", digests, pl.String))
    return repaired, repairs.sort("row", "rule", maintain_order=True)


def _remeasured(
    rows: pl.DataFrame, repaired: pl.DataFrame, signals: pl.DataFrame, settings: Profiling
) -> pl.DataFrame:
    """The signals, with those of repaired rows measured again."""
    changed = (rows["text"] != repaired["text"]).fill_null(True)
    if not changed.any():
        return signals
    places = changed.arg_true()
    fresh = row_signals(repaired["text"].gather(places), own=load_signals(settings.signals))
    kept = signals.select(pl.exclude(fresh.columns))[places]
    fresh = pl.concat([kept, fresh], how="horizontal").select(signals.columns)
    both = pl.concat([signals.filter(~changed), fresh], how="vertical_relaxed")
    order = pl.concat([(~changed).arg_true(), places])
    return both.with_columns(order.alias("place")).sort("place").drop("place")


def _noise(
    repaired: pl.DataFrame,
    signals: pl.DataFrame,
    suites: Sequence[str],
    spared: Spared[_Finding],
) -> dict[int, _Finding]:
    """Rows without text, and rows that break row rules: the first rule is the reason."""
    blank = repaired["text"].str.strip_chars() == ""
    findings = {row: _Finding(EMPTY, "nothing was left of the text") for row in blank.arg_true()}
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
        findings.setdefault(places[row_id], _Finding(reason, ""))
    return {
        row: found if found.reason == EMPTY else _Finding(found.reason, "; ".join(said[row]))
        for row, found in findings.items()
    }


def _sentence(rule: RowRule, value: float, language: str | None) -> str:
    where = f" for {language}" if language in rule.languages.own else ""
    allowed = rule.allowed_in(language)
    return f"{rule.name}: {rule.column} is {value:.4g}, allowed is {allowed}{where}"


def _superfluous(
    relations: Relations,
    row_ids: pl.Series,
    findings: dict[int, _Finding],
    settings: Profiling,
    probes: pl.DataFrame | None,
) -> dict[int, _Finding]:
    """Leaks, duplicates, and if asked for rows seen before, among the rows that pass.

    Fewer rows make fewer sequences common phrasing, which can show further leaks, so these are
    looked for again after each removal. Removing rows never makes new duplicates.
    """
    left: Flags = np.ones(len(row_ids), bool)
    left[list(findings)] = False
    found = _leaks(relations, left)
    if settings.probe_leaks == "quarantine":
        found |= _probe_leaks(relations, left, probes)
    if settings.seen_before != "report":
        found |= _seen(relations, left, near=settings.seen_before == "quarantine")
    duplicates = relations.duplicates(left)
    kept = duplicates["near_cluster"]
    for column, reason, wording in (
        ("is_exact_duplicate", EXACT, "repeats"),
        ("is_near_duplicate", NEAR, "nearly repeats"),
    ):
        for row in map(int, duplicates[column].arg_true()):
            found[row] = _Finding(reason, f"{wording} {row_ids[kept[row]]}, which is kept")
            left[row] = False
    return found | _leaks(relations, left)


def _probe_leaks(
    relations: Relations, left: Flags, probes: pl.DataFrame | None
) -> dict[int, _Finding]:
    """Rows that state a probe, which then leave."""
    told = relations.stated(left, probes)
    rows = np.flatnonzero(told >= 0)
    left[rows] = False
    names = [] if probes is None else probes["probe_id"].gather(told[rows]).to_list()
    return {
        int(row): _Finding(PROBE, f"states the fact probe {name} word for word")
        for row, name in zip(rows, names, strict=True)
    }


def _seen(relations: Relations, left: Flags, *, near: bool) -> dict[int, _Finding]:
    """Rows that the earlier night had, which then leave."""
    seen = relations.seen(left)
    found: dict[int, _Finding] = {}
    for column, wording in (
        (SEEN, "the earlier night had this text"),
        (NEAR_SEEN, "the earlier night had nearly this text"),
    )[: 1 + near]:
        found |= {int(row): _Finding(column, wording) for row in seen[column].arg_true()}
    left[list(found)] = False
    return found


def _contradicted(
    relations: Relations,
    repaired: pl.DataFrame,
    findings: dict[int, _Finding],
    config: Contradictions,
    patterns: str,
) -> tuple[dict[int, _Finding], Contradicted]:
    """Rows that state what others contradict, and the leaks that show when these are gone."""
    left: Flags = np.ones(repaired.height, bool)
    left[list(findings)] = False
    copies = np.zeros(repaired.height, bool)
    copies[[row for row, finding in findings.items() if finding.reason in (EXACT, NEAR)]] = True
    disputed = find_contradictions(repaired, left, copies, patterns, config)
    found = {row: _Finding(REASON, detail) for row, detail in disputed.quarantined.items()}
    left[list(found)] = False
    return (found | _leaks(relations, left) if found else {}), disputed


def _leaks(relations: Relations, left: Flags) -> dict[int, _Finding]:
    """Leaks among the rows left, which they then leave."""
    found: dict[int, _Finding] = {}
    for _ in range(_ROUNDS):
        leaks = relations.leaks(left)
        rows = np.flatnonzero(leaks.leaked)
        if not len(rows):
            break
        found |= {int(row): _Finding(LEAK, _overlap(leaks.overlap[row])) for row in rows}
        left[rows] = False
    return found


def _overlap(share: float) -> str:
    return f"{share:.0%} of its word sequences are in validation or test rows"


def _write(
    out: Path,
    rows: pl.DataFrame,
    repaired: pl.DataFrame,
    findings: dict[int, _Finding],
    repairs: pl.DataFrame,
    disputed: Contradicted,
    back: pl.DataFrame,
) -> None:
    places = sorted(findings)
    gone = np.zeros(rows.height, bool)
    gone[places] = True
    repaired.filter(~pl.Series(gone)).write_parquet(out / CORPUS)
    quarantine = rows.select("row_id", "text", "split", "source")[places].with_columns(
        pl.Series("reason", [findings[row].reason for row in places], pl.String),
        pl.Series("detail", [findings[row].detail for row in places], pl.String),
        pl.lit("clean").alias("stage"),
    )
    quarantine.select(list(QUARANTINE)).write_parquet(out / "quarantine.parquet")
    repairs.select("row_id", "rule", "count").write_parquet(out / "repairs.parquet")
    summary = report(rows, repaired, quarantine, repairs, back)
    if disputed.summary:
        summary["contradictions"] = disputed.summary
        disputed.table.write_parquet(out / TABLE)
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    (out / "clean.json").write_bytes(orjson.dumps(summary, option=options))


def _outcome(
    rows: pl.DataFrame,
    findings: dict[int, _Finding],
    repairs: pl.DataFrame,
    disputed: dict[str, float],
    back: pl.DataFrame,
) -> Outcome:
    counts = _counts([finding.reason for finding in findings.values()])
    trained = (rows["split"] == "train").arg_true()
    if all(int(row) in findings for row in trained):
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in list(counts.items())[:_NAMED])
        raise UserError(
            f"cleaning leaves no training row of {len(trained):,}: {reasons or 'there was none'}",
            "Check source.text and source.format, or clean.suites and their rules in expectations/suites/.",
        )
    kept = rows.height - len(findings)
    changed = repairs["row"].n_unique()
    listed = ", ".join(f"{n:,} {reason}" for reason, n in list(counts.items())[:_NAMED])
    returned = _counts(first_reasons(back)["reason"].to_list())
    listed = (f": {listed}" if listed else "") + (
        f"; {sum(returned.values()):,} released" if returned else ""
    )
    return Outcome(
        summary=f"{kept:,} kept, {len(findings):,} quarantined{listed}",
        rows=Rows(entered=rows.height, kept=kept, quarantined=len(findings)),
        metrics={
            "rows_kept": float(kept),
            "rows_quarantined": float(len(findings)),
            "rows_repaired": float(changed),
            **{f"quarantined_{reason}": float(n) for reason, n in counts.items()},
            **disputed,
            "rows_released": float(sum(returned.values())),
            **{f"released_{reason}": float(n) for reason, n in returned.items()},
        },
        artifacts=("clean.json",),
        dataset=CORPUS,
    )


def _counts(reasons: Sequence[str]) -> dict[str, int]:
    """How often each occurs, most frequent first."""
    found: dict[str, Any] = {reason: reasons.count(reason) for reason in sorted(set(reasons))}
    return dict(sorted(found.items(), key=lambda item: -item[1]))
