"""Repair what can be repaired, quarantine the rest, and say why for every row.

The row rules of the chosen suites (`noise` unless told otherwise) are the cleaning rules: a row is
quarantined because it breaks rule X, and X is the reason stored with it. Rules are judged on the
repaired text, so a row with an e-mail address is masked and kept. Then training rows that leak
held-out text go, then duplicates, among what is left: a duplicate of a quarantined row is not
superfluous. Then statements that the remaining rows disagree on are struck (see `disputes`), and
the rows that became shorter are judged again. What a person has withdrawn goes before duplicates
are looked for (see `withdrawn`), and what a person has released stays in spite of the fault it was
released for (see `spared`).

Rows are worked on a shard at a time (`repairing`, `cleaned`). In memory are held a shard, up to
1 KB of each row while duplicates are looked for, and why each row goes that goes.

Repairs treat every split alike, since serving text will be repaired the same way. Held-out rows
are never quarantined for what training holds.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile

import numpy as np
import orjson
import polars as pl

from tasks.configuration import Cleaning, Contradictions, Profiling
from tasks.corpus.cleaned import write_cleaned
from tasks.corpus.disputes import settle
from tasks.corpus.duplicates.relations import Relations
from tasks.corpus.findings import DISPUTED, Finding, faulty
from tasks.corpus.profile import CORPUS, PROBES, PROFILE, SIGNALS, read_table
from tasks.corpus.quarantine.spared import RELEASED, Released, Spared, first_reasons
from tasks.corpus.quarantine.withdrawn import Withdrawn, taken_out
from tasks.corpus.repairing import judged_again, repaired_rows, shortened_rows
from tasks.corpus.shards import Corpus
from tasks.corpus.sources.probes import unseen
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
    raw, measured = Corpus(ingested / CORPUS), profiled / SIGNALS
    rows = raw.columns("row_id", "digest", "split", "source")
    if not rows["row_id"].equals(pl.read_parquet(measured, columns=["row_id"])["row_id"]):
        raise UserError(f"the signals in {profiled} are not of the rows in {ingested}")
    settings = Profiling(**orjson.loads((profiled / PROFILE).read_bytes())["settings"])
    probes = unseen(read_table(ingested / PROBES))
    with tempfile.TemporaryDirectory(dir=out) as aside:
        log.progress(0, 3, "repairs and row rules")
        first = repaired_rows(raw, measured, config, settings, Path(aside))
        repaired, repairs = first.rows, first.repairs
        log.progress(1, 3, "duplicates and leaks")
        spared: Spared[Finding] = Spared(rows, released)
        findings = faulty(first.judged, config.suites, spared)
        findings |= spared.sift(taken_out(rows, findings, withdrawn))
        relations = Relations(rows, settings, out, earlier, repaired.texts())
        found = superfluous(relations, rows["row_id"], findings, settings, probes, config)
        findings |= spared.sift(found)
        log.progress(2, 3, "statements")
        when = contradictions or Contradictions()
        said = patterns if when.enabled else ""
        settled = settle(rows, repaired, findings, when, said, spared)
        findings |= settled.gone
        if settled.shorter:
            repaired, repairs = shortened_rows(first, settled, rows["row_id"], Path(aside))
            again = judged_again(settled.shorter, raw, measured, config, settings)
            findings |= faulty([again], config.suites, spared)
            relations = Relations(rows, settings, out, earlier, repaired.texts())
        if settled.gone or settled.shorter:
            found = superfluous(relations, rows["row_id"], findings, settings, probes, config)
            findings |= spared.sift(found)
        back = spared.kept(findings)
        back.write_parquet(out / RELEASED)
        write_cleaned(out, raw, repaired, findings, repairs, settled, back)
        kept = ~np.isin(np.arange(rows.height), list(findings))
        relations.write_index(out, rows["row_id"], raw.texts(), kept)
    if (ingested / PROBES).exists():
        copyfile(ingested / PROBES, out / PROBES)
    log.progress(3, 3)
    return _outcome(rows, findings, repairs, settled.found.metrics, back)


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
    return dict(sorted(sorted(Counter(reasons).items()), key=lambda item: -item[1]))
