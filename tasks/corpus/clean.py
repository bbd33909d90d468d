"""Repair what can be repaired, quarantine the rest, and say why for every row.

The row rules of the chosen suites (`noise` unless told otherwise) are the cleaning rules: a row is
quarantined because it breaks rule X, and X is the reason stored with it. Rules are judged on the
repaired text, so a row with an e-mail address is masked and kept. Then training rows that leak
held-out text go, then duplicates, among what is left: a duplicate of a quarantined row is not
superfluous. Then statements that the remaining rows disagree on are struck (see `disputes`), and
the rows that became shorter are judged again. What a person has withdrawn goes before duplicates
are looked for (see `withdrawn`), and what a person has released stays in spite of the fault it was
released for (see `spared`).

Repairs treat every split alike, since serving text will be repaired the same way. Held-out rows
are never quarantined for what training holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import orjson
import polars as pl

from tasks.configuration import Cleaning, Contradictions, Profiling
from tasks.corpus.cleaning_report import report
from tasks.corpus.disputes import Settled, settle
from tasks.corpus.duplicates.relations import Relations
from tasks.corpus.findings import DISPUTED, Finding, faulty
from tasks.corpus.profile import CORPUS, PROBES, PROFILE, SIGNALS, read_table
from tasks.corpus.quarantine.spared import RELEASED, Released, Spared, first_reasons
from tasks.corpus.quarantine.withdrawn import Withdrawn, taken_out
from tasks.corpus.repair import repair
from tasks.corpus.rows import QUARANTINE, QUARANTINE_FILE, STRUCK_FILE, digest
from tasks.corpus.signals.measure import row_signals
from tasks.corpus.signals.registry import load_signals
from tasks.corpus.sources.probes import unseen
from tasks.corpus.statements.listing import TABLE
from tasks.corpus.superfluous import superfluous
from tasks.errors import UserError
from tasks.log import Log
from tasks.records import Outcome, Rows
from tasks.stage import stage

_NAMED = 4


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
    withdrawn: Withdrawn | None = None,
    out: Path,
    log: Log,
) -> Outcome:
    """Repair and quarantine.

    Args:
        ingested: Folder of the rows.
        profiled: Folder of their signals, and the settings duplicates were found with.
        earlier: An earlier night's clean corpus, whose rows need not be compared again.
        config: Which repairs to make, and the suites whose row rules judge.
        contradictions: What becomes of statements that disagree; left out, the default settings.
        patterns: The lines of the pattern file that statements are recognised by, if any.
        own_signals: Digest of the modules of the user's own signals, part of the stage's key.
        released: What people have released from quarantine, part of the key by its contents.
        withdrawn: What people have withdrawn from training, likewise.
        out: Receives `corpus.parquet`, `quarantine.parquet`, `repairs.parquet`, `released.parquet`,
            `clean.json`, `duplicates.parquet` for later nights, and with patterns
            `contradictions.parquet` and `struck.parquet`: rows that were kept without some sentences.
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
    spared: Spared[Finding] = Spared(rows, released)
    measured = _remeasured(rows, repaired, signals, settings)
    findings = faulty(repaired, measured, config.suites, spared)
    findings |= spared.sift(taken_out(rows, findings, withdrawn))
    log.progress(2, 3, "duplicates and leaks")
    relations = Relations(repaired, settings, out, earlier)
    probes = unseen(read_table(ingested / PROBES))
    found = superfluous(relations, repaired["row_id"], findings, settings, probes, config)
    findings |= spared.sift(found)
    when = contradictions or Contradictions()
    settled = settle(repaired, findings, when, patterns if when.enabled else "", spared)
    findings |= settled.gone
    if settled.shorter:
        before = repaired
        repaired, repairs = _shortened(before, repairs, settled)
        measured = _remeasured(before, repaired, measured, settings)
        findings |= _judged_again(repaired, measured, list(settled.shorter), config, spared)
        relations = Relations(repaired, settings, out, earlier)
    if settled.gone or settled.shorter:
        found = superfluous(relations, repaired["row_id"], findings, settings, probes, config)
        findings |= spared.sift(found)
    back = spared.kept(findings)
    back.write_parquet(out / RELEASED)
    _write(out, rows, repaired, findings, repairs, settled, back)
    kept = ~np.isin(np.arange(rows.height), list(findings))
    relations.write_index(out, rows["row_id"], rows["text"], kept)
    if (ingested / PROBES).exists():
        copyfile(ingested / PROBES, out / PROBES)
    log.progress(3, 3)
    return _outcome(rows, findings, repairs, settled.found.metrics, back)


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


def _shortened(
    repaired: pl.DataFrame, repairs: pl.DataFrame, settled: Settled
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows without their struck sentences, and the repairs with these among them."""
    places = list(settled.shorter)
    texts = repaired["text"].scatter(places, list(settled.shorter.values()))
    digests = repaired["digest"].scatter(
        places, [digest(text) for text in settled.shorter.values()]
    )
    made = pl.DataFrame(
        [
            (row, DISPUTED, settled.struck[row][1], repaired["row_id"][row])
            for row in places
        ],
        repairs.schema,
        orient="row",
    )  # fmt: skip
    repairs = pl.concat([repairs, made]).sort("row", "rule", maintain_order=True)
    return repaired.with_columns(texts, digests), repairs


def _judged_again(
    repaired: pl.DataFrame,
    measured: pl.DataFrame,
    places: list[int],
    config: Cleaning,
    spared: Spared[Finding],
) -> dict[int, Finding]:
    """Those of some rows that now break a row rule, by place."""
    places = sorted(places)
    found = faulty(repaired[places], measured[places], config.suites, spared)
    return {places[row]: finding for row, finding in found.items()}


def _write(
    out: Path,
    rows: pl.DataFrame,
    repaired: pl.DataFrame,
    findings: dict[int, Finding],
    repairs: pl.DataFrame,
    settled: Settled,
    back: pl.DataFrame,
) -> None:
    places = sorted(findings)
    gone = np.zeros(rows.height, bool)
    gone[places] = True
    repaired.filter(~pl.Series(gone)).write_parquet(out / CORPUS)
    quarantine = _listed(rows, findings)
    quarantine.write_parquet(out / QUARANTINE_FILE)
    repairs.select("row_id", "rule", "count").write_parquet(out / "repairs.parquet")
    summary = report(rows, repaired, quarantine, repairs, back)
    if settled.found.summary:
        summary["contradictions"] = settled.found.summary
        settled.found.table.write_parquet(out / TABLE)
        struck = {row: finding for row, (finding, _) in settled.struck.items()}
        kept = {row: finding for row, finding in struck.items() if row not in findings}
        _listed(rows, kept).write_parquet(out / STRUCK_FILE)
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    (out / "clean.json").write_bytes(orjson.dumps(summary, option=options))


def _listed(rows: pl.DataFrame, findings: dict[int, Finding]) -> pl.DataFrame:
    """The rows of some findings as they were read, in their order: `QUARANTINE`."""
    places = sorted(findings)
    listed = rows.select("row_id", "text", "split", "source")[places].with_columns(
        pl.Series("reason", [findings[row].reason for row in places], pl.String),
        pl.Series("detail", [findings[row].detail for row in places], pl.String),
        pl.lit("clean").alias("stage"),
    )
    return listed.select(list(QUARANTINE))


def _outcome(
    rows: pl.DataFrame,
    findings: dict[int, Finding],
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
    cut = [row for row in repairs.filter(rule=DISPUTED)["row"] if row not in findings]
    shortened = f" ({len(cut):,} without a disputed sentence)" if cut else ""
    return Outcome(
        summary=f"{kept:,} kept{shortened}, {len(findings):,} quarantined{listed}",
        rows=Rows(entered=rows.height, kept=kept, quarantined=len(findings)),
        metrics={
            "rows_kept": float(kept),
            "rows_quarantined": float(len(findings)),
            "rows_repaired": float(changed),
            **{f"quarantined_{reason}": float(n) for reason, n in counts.items()},
            **disputed,
            "rows_shortened": float(len(cut)),
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
