"""Measure every row once; suites judge the numbers, cleaning filters on them, the page plots them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from tasks.configuration import Profiling
from tasks.corpus.duplicates.relations import Relations
from tasks.corpus.signals.measure import help_lines, row_signals
from tasks.corpus.signals.registry import Signal, load_signals
from tasks.corpus.signals.times import time_signals
from tasks.corpus.signals.trusted import relative_signals
from tasks.corpus.signals.wordgrams import split_words
from tasks.corpus.sources.probes import unseen
from tasks.log import Log
from tasks.records import Outcome, Rows
from tasks.stage import stage

CORPUS = "corpus.parquet"
SIGNALS = "signals.parquet"
PROFILE = "profile.json"
PROBES = "probes.parquet"
_QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
_CLUSTERS = ("exact_cluster", "near_cluster")


@stage
def profile(
    corpus: Path,
    earlier: Path | None = None,
    *,
    config: Profiling,
    own_signals: str = "",
    out: Path,
    log: Log,
) -> Outcome:
    """Write one row of signals per row of a corpus, in its order, and their distribution.

    Args:
        corpus: A folder with `corpus.parquet`, and `probes.parquet` if there are fact probes.
        earlier: An earlier night's clean corpus to look rows up in, if there is one.
        config: How duplicates and leaks are found, and where the user's own signals are.
        own_signals: Digest of those modules (`registry.signals_digest`), part of the stage's key.
        out: Receives `signals.parquet` and `profile.json`.
        log: Progress.

    Raises:
        UserError: A signal of the user's cannot be loaded or fails.
    """
    own = load_signals(config.signals)
    rows = pl.read_parquet(corpus / CORPUS)
    kept = [c for c in rows.columns if c.startswith("group_")]
    log.progress(0, 2, "signals")
    words = split_words(rows["text"])
    measured = row_signals(rows["text"], words, own)
    log.progress(1, 2, "duplicates and leaks")
    related = related_signals(rows, config, out, earlier, unseen(read_table(corpus / PROBES)))
    times = time_signals(rows, config.oldest_time, config.newest_time)
    signals = pl.concat(
        [rows.select("row_id", "split", "source", "label", *kept), measured, related, times],
        how="horizontal",
    )
    relative = relative_signals(rows["text"], words, signals)
    signals = pl.concat([signals, relative], how="horizontal")
    signals.write_parquet(out / SIGNALS)
    summary = summarise(signals, config, own)
    (out / PROFILE).write_bytes(
        orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    )
    log.progress(2, 2)
    found = summary["duplicates"]
    return Outcome(
        summary=f"{rows.height:,} rows: {found['exact_duplicates']:,} exact and "
        f"{found['near_duplicates']:,} near duplicates, {found['test_leaks']:,} leaks",
        rows=Rows(entered=rows.height, kept=rows.height),
        metrics={"rows": float(rows.height), **{k: float(v) for k, v in found.items()}},
        artifacts=(PROFILE,),
    )


def related_signals(
    rows: pl.DataFrame,
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
    relations, everyone = Relations(rows, config, folder, earlier), np.ones(rows.height, bool)
    leaks = relations.leaks(everyone)
    own = pl.DataFrame(
        {
            "leak_overlap": leaks.overlap,
            "is_test_leak": leaks.leaked,
            "is_probe_leak": relations.stated(everyone, probes) >= 0,
            "repeated_span_ratio": relations.repeated_spans(),
        }
    )
    others = [relations.duplicates(everyone), own, relations.spread(rows["source"])]
    return pl.concat([*others, relations.seen(everyone)], how="horizontal")


def read_table(path: Path) -> pl.DataFrame | None:
    """A parquet file, if it is there."""
    return pl.read_parquet(path) if path.exists() else None


def summarise(
    signals: pl.DataFrame, config: Profiling, own: Sequence[Signal] = ()
) -> dict[str, Any]:
    """Totals and quantiles for the page, and the settings that the signals were found with."""
    numeric = [
        name for name, kind in signals.schema.items() if kind.is_numeric() and name not in _CLUSTERS
    ]
    train = signals.filter(pl.col("split") == "train")
    return {
        "rows": signals.height,
        "settings": config.model_dump(mode="json"),
        "signals": help_lines(own),
        "own_signals": [name for one in own for name in one.help],
        "splits": _counted(signals, "split"),
        "labels": {
            split: _counted(signals.filter(pl.col("split") == split), "label")
            for split in sorted(signals["split"].unique())
        },
        "languages": _counted(signals, "language"),
        "quantiles": {
            name: {f"{q:g}": _quantile(signals[name], q) for q in _QUANTILES} for name in numeric
        },
        "means": {name: _finite(signals[name].cast(pl.Float64).mean()) for name in numeric},
        "duplicates": {
            "exact_duplicates": int(signals["is_exact_duplicate"].sum()),
            "exact_clusters": _clusters(train, "exact_cluster"),
            "near_duplicates": int(signals["is_near_duplicate"].sum()),
            "near_clusters": _clusters(train.filter(~pl.col("is_exact_duplicate")), "near_cluster"),
            "test_leaks": int(signals["is_test_leak"].sum()),
            "probe_leaks": int(signals["is_probe_leak"].sum()),
            "rows_alike_in_other_splits": int((signals["duplicate_splits"] > 1).sum()),
            "rows_alike_in_other_sources": int((signals["duplicate_sources"] > 1).sum()),
            "rows_with_repeated_passages": int((signals["repeated_span_ratio"] > 0).sum()),
            "seen_before": int(signals["seen_before"].sum()),
            "near_seen_before": int(signals["near_seen_before"].sum()),
        },
    }


def _counted(signals: pl.DataFrame, column: str) -> dict[str, int]:
    counts = signals.group_by(pl.col(column).fill_null("(none)")).len().sort(column)
    return {str(value): int(count) for value, count in counts.iter_rows()}


def _clusters(rows: pl.DataFrame, column: str) -> int:
    """How many clusters have more than one row."""
    return rows.group_by(column).len().filter(pl.col("len") > 1).height


def _quantile(values: pl.Series, q: float) -> float | None:
    return _finite(values.quantile(q, interpolation="nearest"))


def _finite(value: Any) -> float | None:
    return None if value is None else round(float(value), 6)
