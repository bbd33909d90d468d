"""Measure every row once; suites judge the numbers, cleaning filters on them, the page plots them.

The rows are worked on a shard at a time (`shards`). What depends on a row alone is measured shard by
shard, by several workers if that is asked for, and kept: a later night measures only shards that it
has not seen. What depends on the other rows is found in further passes over the shards, from counts
that are added up before any row is judged, so no result depends on where the shards are cut.

In memory are held a shard, and of each row up to 1 KB while duplicates are looked for: its id, what
duplicates and leaks are found by, and the signals that rows are compared by. Texts, words and all
signals are on disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from tasks.configuration import Profiling
from tasks.corpus.duplicates.relations import Relations
from tasks.corpus.profile_summary import summarise
from tasks.corpus.shards import Corpus, Shard, TableWriter
from tasks.corpus.signals import shard as unit
from tasks.corpus.signals.registry import load_signals
from tasks.corpus.signals.times import time_signals
from tasks.corpus.signals.trusted import COMPARED, relative_signals, trusted_rows
from tasks.corpus.sources.probes import unseen
from tasks.log import Log
from tasks.parts import SHARDS, Parts, listed
from tasks.records import Outcome, Rows
from tasks.stage import stage

CORPUS = "corpus.parquet"
SIGNALS = "signals.parquet"
PROFILE = "profile.json"
PROBES = "probes.parquet"


@stage
def profile(
    corpus: Path,
    earlier: Path | None = None,
    *,
    config: Profiling,
    own_signals: str = "",
    out: Path,
    log: Log,
    parts: Parts = Parts(),
) -> Outcome:
    """Write one row of signals per row of a corpus, in its order, and their distribution.

    Args:
        corpus: A folder with `corpus.parquet`, and `probes.parquet` if there are fact probes.
        earlier: An earlier night's clean corpus to look rows up in, if there is one.
        config: How duplicates and leaks are found, and where the user's own signals are.
        own_signals: Digest of those modules (`registry.signals_digest`), part of the stage's key.
        out: Receives `signals.parquet`, `profile.json` and `shards.json`.
        log: Progress.
        parts: Who measures the shards, and where they are kept.

    Raises:
        UserError: A signal of the user's cannot be loaded or fails.
    """
    rows, own = Corpus(corpus / CORPUS), load_signals(config.signals)
    pieces = unit.shard_parts(rows, config.signals, own_signals)
    with tempfile.TemporaryDirectory(dir=out) as aside:
        made = parts.map(unit.shard_signals, pieces, folder=Path(aside), log=log)
        log.progress(0, 2, "duplicates and leaks")
        probes = unseen(read_table(corpus / PROBES))
        related = related_signals(rows, config, out, earlier, probes)
        log.progress(1, 2, "signals of rows among others")
        known = _Known(rows, [folder / unit.FILE for folder in made.folders], related, config)
        relative = relative_signals(rows.texts, *known.compared())
        known.write(out / SIGNALS, relative)
    (out / SHARDS).write_bytes(listed(pieces))
    summary = summarise(out / SIGNALS, config, own)
    (out / PROFILE).write_bytes(
        orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    )
    log.progress(2, 2)
    found = summary["duplicates"]
    return Outcome(
        summary=f"{rows.height:,} rows: {found['exact_duplicates']:,} exact and "
        f"{found['near_duplicates']:,} near duplicates, {found['test_leaks']:,} leaks{made.summary}",
        rows=Rows(entered=rows.height, kept=rows.height),
        metrics={"rows": float(rows.height), **{k: float(v) for k, v in found.items()}},
        artifacts=(PROFILE,),
    )


def related_signals(
    rows: Corpus,
    config: Profiling,
    folder: Path,
    earlier: Path | None = None,
    probes: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """What is measured of each row by comparison with the others: see `relations`.

    Args:
        rows: With `text`, `split` and `source`.
        config: How duplicates and leaks are found.
        folder: Where files are put that are too large for memory.
        earlier: An earlier night's clean corpus.
        probes: Fact probes.
    """
    named = rows.columns("split", "source")
    relations = Relations(named, config, folder, earlier, rows.texts())
    everyone = np.ones(rows.height, bool)
    leaks = relations.leaks(everyone)
    own = pl.DataFrame(
        {
            "leak_overlap": leaks.overlap,
            "is_test_leak": leaks.leaked,
            "is_probe_leak": relations.stated(everyone, probes) >= 0,
            "repeated_span_ratio": relations.repeated_spans(),
        }
    )
    others = [relations.duplicates(everyone), own, relations.spread(named["source"])]
    return pl.concat([*others, relations.seen(everyone)], how="horizontal")


def read_table(path: Path) -> pl.DataFrame | None:
    """A parquet file, if it is there."""
    return pl.read_parquet(path) if path.exists() else None


class _Known:
    """The signals of all rows, put together a shard at a time.

    Args:
        rows: The corpus.
        measured: A file of signals for each shard.
        related: What was found by comparison, for all rows.
        config: The limits of times.
    """

    def __init__(
        self, rows: Corpus, measured: Sequence[Path], related: pl.DataFrame, config: Profiling
    ) -> None:
        self._rows, self._measured, self._related, self._config = rows, measured, related, config
        groups = [name for name in rows.schema if name.startswith("group_")]
        self._named = ["row_id", "split", "source", "label", *groups]
        times = [name for name in ("timestamp", "time_lost") if name in rows.schema]
        self._read = [*self._named, *times]
        # A signal of the user's may have whole numbers in one shard and others in the next.
        kinds = [pl.DataFrame(schema=pl.read_parquet_schema(path)) for path in measured]
        self._kinds = pl.concat(kinds, how="vertical_relaxed").schema

    def each(self) -> Iterator[tuple[Shard, pl.DataFrame]]:
        """Each shard with what is known of its rows alone and from their comparison."""
        config = self._config
        for (shard, rows), path in zip(self._rows.each(*self._read), self._measured, strict=True):
            yield (
                shard,
                pl.concat(
                    [
                        rows.select(self._named),
                        pl.read_parquet(path).cast(self._kinds),
                        self._related[shard.begin : shard.end],
                        time_signals(rows, config.oldest_time, config.newest_time),
                    ],
                    how="horizontal",
                ),
            )

    def compared(self) -> tuple[pl.DataFrame, Any]:
        """The signals that rows are compared by, of all rows; and which rows are trusted."""
        parts, trusted = [], [np.zeros(0, np.bool_)]
        for _, known in self.each():
            parts.append(known.select(name for name in COMPARED if name in known.columns))
            trusted.append(trusted_rows(known))
        return pl.concat(parts), np.concatenate(trusted)

    def write(self, path: Path, relative: pl.DataFrame) -> None:
        """Write all signals, those among them that were found last."""
        writer = None
        for shard, known in self.each():
            some = relative[shard.begin : shard.end]
            table = pl.concat([known, some], how="horizontal")
            writer = writer or TableWriter(path, table.schema)
            writer.write(table)
        if writer is not None:
            writer.close()
