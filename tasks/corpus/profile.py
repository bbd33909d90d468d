"""Measure every row once; suites judge the numbers, cleaning filters on them, the page plots them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from tasks.configuration import Profiling
from tasks.corpus.duplicates import Flags, exact_clusters, near_clusters, repeats
from tasks.corpus.leaks import find_leaks
from tasks.corpus.signals import row_signals
from tasks.corpus.wordgrams import split_words
from tasks.log import Log
from tasks.records import Outcome, Rows
from tasks.stage import stage

CORPUS = "corpus.parquet"
SIGNALS = "signals.parquet"
PROFILE = "profile.json"
_QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
_CLUSTERS = ("exact_cluster", "near_cluster")


@stage
def profile(corpus: Path, *, config: Profiling, out: Path, log: Log) -> Outcome:
    """Write one row of signals per row of a corpus, in its order, and their distribution.

    Args:
        corpus: A folder with `corpus.parquet`.
        config: How duplicates and leaks are found.
        out: Receives `signals.parquet` and `profile.json`.
        log: Progress.
    """
    rows = pl.read_parquet(corpus / CORPUS)
    kept = [c for c in rows.columns if c.startswith("group_")]
    log.progress(0, 2, "signals")
    measured = row_signals(rows["text"])
    log.progress(1, 2, "duplicates and leaks")
    related = Relations(rows, config).among(np.ones(rows.height, bool)).drop("first_exact")
    signals = pl.concat(
        [rows.select("row_id", "split", "source", "label", *kept), measured, related],
        how="horizontal",
    )
    signals.write_parquet(out / SIGNALS)
    summary = summarise(signals, config)
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

    Args:
        rows: Rows with `text` and `split`.
        config: The thresholds.
    """

    def __init__(self, rows: pl.DataFrame, config: Profiling) -> None:
        self._splits = rows["split"]
        self._config = config
        self._words = split_words(rows["text"])
        self._exact = exact_clusters(rows["text"])

    def among(self, counted: Flags) -> pl.DataFrame:
        """Compare some of the rows; the others are neither compared nor marked.

        Returns:
            `exact_cluster` and `near_cluster` (the place of a cluster's first row),
            `is_exact_duplicate`, `is_near_duplicate` (training rows that an earlier one makes
            superfluous; never both), `leak_overlap`, `is_test_leak`; and `first_exact`, the place
            of the training row that an exact duplicate repeats.
        """
        train = (self._splits == "train").to_numpy() & counted
        repeated, first = repeats(self._exact, train)
        leaks = find_leaks(
            self._words, self._exact, self._splits, counted,
            size=self._config.leak_ngram, share=self._config.leak_share,
            threshold=self._config.near_duplicate_similarity,
        )  # fmt: skip
        near = near_clusters(
            self._words,
            train & ~repeated,
            self._config.near_duplicate_similarity,
            self._config.permutations,
        )
        is_near = near != np.arange(len(near))
        near[repeated] = near[first[repeated]]
        return pl.DataFrame(
            {
                "exact_cluster": self._exact,
                "is_exact_duplicate": repeated,
                "near_cluster": near,
                "is_near_duplicate": is_near,
                "leak_overlap": leaks.overlap,
                "is_test_leak": leaks.leaked,
                "first_exact": first,
            }
        )


def summarise(signals: pl.DataFrame, config: Profiling) -> dict[str, Any]:
    """Totals and quantiles for the page, and the settings that the signals were found with."""
    numeric = [
        name for name, kind in signals.schema.items() if kind.is_numeric() and name not in _CLUSTERS
    ]
    train = signals.filter(pl.col("split") == "train")
    return {
        "rows": signals.height,
        "settings": config.model_dump(mode="json"),
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
