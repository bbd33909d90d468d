"""What cleaning leaves: the rows that are kept, the others with their reasons, and what was done."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from tasks.corpus.cleaning_report import report
from tasks.corpus.disputes import Settled
from tasks.corpus.findings import Finding
from tasks.corpus.profile import CORPUS
from tasks.corpus.rows import QUARANTINE, QUARANTINE_FILE, STRUCK_FILE
from tasks.corpus.shards import Corpus, ShardWriter, TableWriter, within
from tasks.corpus.statements.listing import TABLE

Reasons = Mapping[int, Finding]


def write_cleaned(
    out: Path,
    raw: Corpus,
    repaired: Corpus,
    findings: Reasons,
    repairs: pl.DataFrame,
    settled: Settled,
    back: pl.DataFrame,
) -> None:
    """Write everything but the index of duplicates.

    Args:
        out: Receives the files.
        raw: The rows as they arrived.
        repaired: The same rows with repaired texts.
        findings: Why rows go, by place.
        repairs: `row` (place), `row_id`, `rule`, `count`.
        settled: Disputed statements.
        back: `row_id`, `reason`, `column` of what people released.
    """
    _write_kept(out / CORPUS, repaired, findings)
    _write_listed(out / QUARANTINE_FILE, raw, findings)
    repairs.select("row_id", "rule", "count").write_parquet(out / "repairs.parquet")
    ids = raw.columns("row_id")
    gone = _reasons(findings, ids["row_id"])
    summary = report(ids, gone, repairs, back, raw.texts_of, repaired.texts_of)
    if settled.found.summary:
        summary["contradictions"] = settled.found.summary
        settled.found.table.write_parquet(out / TABLE)
        struck = {row: finding for row, (finding, _) in settled.struck.items()}
        kept = {row: finding for row, finding in struck.items() if row not in findings}
        _write_listed(out / STRUCK_FILE, raw, kept)
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    (out / "clean.json").write_bytes(orjson.dumps(summary, option=options))


def _write_kept(path: Path, repaired: Corpus, findings: Reasons) -> None:
    gone = np.zeros(repaired.height, bool)
    gone[list(findings)] = True
    with ShardWriter(path, repaired.schema) as writer:
        for shard, rows in repaired.each():
            writer.write(rows.filter(~pl.Series(gone[shard.begin : shard.end])))


def _write_listed(path: Path, raw: Corpus, findings: Reasons) -> None:
    """The rows of some findings as they were read, in their order: `QUARANTINE`."""
    with TableWriter(path, QUARANTINE) as writer:
        for shard, places in within(raw.shards, np.array(sorted(findings), np.int64)):
            rows = raw.read(shard, ["row_id", "text", "split", "source"])[places - shard.begin]
            some = _reasons({row: findings[row] for row in places.tolist()}, raw_ids=None)
            listed = rows.with_columns(some["reason"], some["detail"], stage=pl.lit("clean"))
            writer.write(listed.select(list(QUARANTINE)))


def _reasons(findings: Reasons, raw_ids: pl.Series | None) -> pl.DataFrame:
    """`row` (place), `reason`, `detail` of some findings in the order of the rows, and `row_id`."""
    places = sorted(findings)
    columns: dict[str, Any] = {
        "row": pl.Series(places, dtype=pl.Int64),
        "reason": pl.Series([findings[row].reason for row in places], dtype=pl.String),
        "detail": pl.Series([findings[row].detail for row in places], dtype=pl.String),
    }
    if raw_ids is not None:
        columns["row_id"] = raw_ids.gather(places)
    return pl.DataFrame(columns)
