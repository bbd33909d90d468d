"""The first pass of cleaning over the shards: texts are repaired, measured again and judged.

What is repaired lies on disk, a shard of it at a time in memory; what every repair was, and which
rules a row breaks, is held for all rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tasks.configuration import Cleaning, Profiling
from tasks.corpus.disputes import Settled
from tasks.corpus.findings import DISPUTED, Judged, judged
from tasks.corpus.repair import repair
from tasks.corpus.rows import digest
from tasks.corpus.shards import Corpus, Shard, TableWriter, read_rows, within
from tasks.corpus.signals.measure import row_signals
from tasks.corpus.signals.registry import Signal, load_signals

REPAIRS: dict[str, Any] = {
    "row": pl.Int64, "rule": pl.String, "count": pl.Int64, "row_id": pl.String,
}  # fmt: skip


@dataclass(frozen=True)
class Repaired:
    """Repaired rows.

    Attributes:
        rows: With the shards' bounds of the rows as they arrived.
        repairs: `row` (place), `rule`, `count` (places in the text), `row_id` of every repair.
        judged: What the row rules say of the repaired texts, shard by shard.
    """

    rows: Corpus
    repairs: pl.DataFrame
    judged: list[Judged]


def repaired_rows(
    raw: Corpus, signals: Path, config: Cleaning, settings: Profiling, folder: Path
) -> Repaired:
    """Repair all rows, and judge them by their repaired texts.

    Args:
        raw: The rows as they arrived.
        signals: The file of their signals.
        config: Which repairs to make, and the suites whose row rules judge.
        settings: With the user's own signals.
        folder: Receives `repaired.parquet`.

    Raises:
        UserError: A suite cannot be used, or a signal of the user's fails.
    """
    own = load_signals(settings.signals)
    made, found = [pl.DataFrame(schema=REPAIRS)], []
    path = folder / "repaired.parquet"
    with TableWriter(path, raw.schema) as writer:
        for shard, rows in raw.each():
            after, repairs = _repaired(rows, config, shard.begin)
            writer.write(after)
            made.append(repairs)
            before = read_rows(signals, shard.begin, shard.end)
            measured = _remeasured(rows, after, before, own)
            places = range(shard.begin, shard.end)
            found.append(judged(after["text"], measured, places, config.suites))
    return Repaired(Corpus(path, raw.shards), pl.concat(made), found)


def _repaired(
    rows: pl.DataFrame, config: Cleaning, begin: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows with repaired text, and what was repaired: `REPAIRS`."""
    texts, repairs = repair(rows["text"].fill_null(""), config)
    changed = repairs["row"].unique()
    digests = pl.Series([digest(text) for text in texts.gather(changed)], dtype=pl.String)
    named = rows["row_id"].gather(repairs["row"]).alias("row_id")
    repairs = repairs.with_columns(named, pl.col("row") + begin)
    after = rows.with_columns(texts.alias("text"), rows["digest"].scatter(changed, digests))
    return after, repairs.sort("row", "rule", maintain_order=True)


def _remeasured(
    rows: pl.DataFrame, repaired: pl.DataFrame, signals: pl.DataFrame, own: list[Signal]
) -> pl.DataFrame:
    """The signals of a shard, with those of repaired rows measured again."""
    changed = (rows["text"] != repaired["text"]).fill_null(True)
    if not changed.any():
        return signals
    places = changed.arg_true()
    fresh = _measured_again(repaired["text"].gather(places), signals[places], own)
    both = pl.concat([signals.filter(~changed), fresh], how="vertical_relaxed")
    order = pl.concat([(~changed).arg_true(), places])
    return both.with_columns(order.alias("place")).sort("place").drop("place")


def _measured_again(texts: pl.Series, signals: pl.DataFrame, own: list[Signal]) -> pl.DataFrame:
    """Signals of rows with other texts."""
    fresh = row_signals(texts, own=own)
    kept = signals.select(pl.exclude(fresh.columns))
    return pl.concat([kept, fresh], how="horizontal").select(signals.columns)


def shortened_rows(
    before: Repaired, settled: Settled, ids: pl.Series, folder: Path
) -> tuple[Corpus, pl.DataFrame]:
    """The rows without their struck sentences, and the repairs with these among them.

    Args:
        before: The repaired rows.
        settled: What is struck.
        ids: Of all rows.
        folder: Receives `shortened.parquet`.
    """
    places = np.array(sorted(settled.shorter), np.int64)
    some = {shard.begin: mine for shard, mine in within(before.rows.shards, places)}
    path = folder / "shortened.parquet"
    with TableWriter(path, before.rows.schema) as writer:
        for shard, rows in before.rows.each():
            mine = some.get(shard.begin)
            writer.write(rows if mine is None else _cut(rows, shard, mine, settled.shorter))
    made = pl.DataFrame(
        [(row, DISPUTED, settled.struck[row][1], ids[row]) for row in map(int, places)],
        REPAIRS,
        orient="row",
    )
    repairs = pl.concat([before.repairs, made]).sort("row", "rule", maintain_order=True)
    return Corpus(path, before.rows.shards), repairs


def _cut(
    rows: pl.DataFrame, shard: Shard, places: np.ndarray[Any, Any], shorter: Mapping[int, str]
) -> pl.DataFrame:
    """The rows of a shard, some of them with shorter texts."""
    texts = [shorter[place] for place in places.tolist()]
    local = places - shard.begin
    return rows.with_columns(
        rows["text"].scatter(local, texts),
        rows["digest"].scatter(local, [digest(text) for text in texts]),
    )


def judged_again(
    shorter: Mapping[int, str],
    raw: Corpus,
    signals: Path,
    config: Cleaning,
    settings: Profiling,
) -> Judged:
    """What the row rules say of texts that became shorter.

    Args:
        shorter: The texts by place.
        raw: The rows as they arrived.
        signals: The file of their signals.
        config: The suites.
        settings: With the user's own signals.
    """
    places = np.array(sorted(shorter), np.int64)
    known = [
        read_rows(signals, shard.begin, shard.end)[some - shard.begin]
        for shard, some in within(raw.shards, places)
    ]
    texts = pl.Series([shorter[place] for place in places.tolist()], dtype=pl.String)
    measured = _measured_again(texts, pl.concat(known), load_signals(settings.signals))
    return judged(texts, measured, places.tolist(), config.suites)
