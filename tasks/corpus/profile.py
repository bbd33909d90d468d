"""Measure every row once; suites judge the numbers, cleaning filters on them, the page plots them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from tasks.configuration import Profiling
from tasks.corpus.duplicates import Flags, exact_clusters, near_clusters, repeats
from tasks.corpus.leaks import Leaks, find_leaks
from tasks.corpus.registry import Signal, load_signals
from tasks.corpus.signals import help_lines, row_signals
from tasks.corpus.wordgrams import Words, split_words
from tasks.log import Log
from tasks.records import Outcome, Rows
from tasks.stage import stage

CORPUS = "corpus.parquet"
SIGNALS = "signals.parquet"
PROFILE = "profile.json"
_QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
_CLUSTERS = ("exact_cluster", "near_cluster")


@stage
def profile(
    corpus: Path, *, config: Profiling, own_signals: str = "", out: Path, log: Log
) -> Outcome:
    """Write one row of signals per row of a corpus, in its order, and their distribution.

    Args:
        corpus: A folder with `corpus.parquet`.
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
    relations, everyone = Relations(rows, words, config), np.ones(rows.height, bool)
    leaks = relations.leaks(everyone)
    related = relations.duplicates(everyone).with_columns(
        pl.Series("leak_overlap", leaks.overlap), pl.Series("is_test_leak", leaks.leaked)
    )
    signals = pl.concat(
        [rows.select("row_id", "split", "source", "label", *kept), measured, related],
        how="horizontal",
    )
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


class Relations:
    """The signals that depend on other rows: duplicates and leaks.

    Both take the rows that count; the others are neither compared nor marked.

    Args:
        rows: Rows with `text` and `split`.
        words: The words of their texts.
        config: The thresholds.
    """

    def __init__(self, rows: pl.DataFrame, words: Words, config: Profiling) -> None:
        self._splits = rows["split"]
        self._config = config
        self._words = words
        self._exact = exact_clusters(rows["text"])

    def leaks(self, counted: Flags) -> Leaks:
        """Overlaps with held-out rows, and which training rows are leaks."""
        return find_leaks(
            self._words, self._exact, self._splits, counted,
            size=self._config.leak_ngram, share=self._config.leak_share,
            threshold=self._config.near_duplicate_similarity,
        )  # fmt: skip

    def duplicates(self, counted: Flags) -> pl.DataFrame:
        """Training rows that an earlier training row makes superfluous.

        Returns:
            `exact_cluster` (place of the first row of any split with the same text),
            `is_exact_duplicate`, `near_cluster` (place of the row that is kept in a row's stead,
            its own if there is none), `is_near_duplicate` (never also exact).
        """
        train = (self._splits == "train").to_numpy() & counted
        repeated, first = repeats(self._exact, train)
        threshold, length = self._config.near_duplicate_similarity, self._config.permutations
        near = near_clusters(self._words, train & ~repeated, threshold, length)
        is_near = near != np.arange(len(near))
        near[repeated] = near[first[repeated]]
        return pl.DataFrame(
            {
                "exact_cluster": self._exact,
                "is_exact_duplicate": repeated,
                "near_cluster": near,
                "is_near_duplicate": is_near,
            }
        )


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
