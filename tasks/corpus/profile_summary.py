"""Totals and quantiles of a corpus' signals, read from their file a few columns at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tasks.configuration import Profiling, aside
from tasks.corpus.signals.measure import help_lines
from tasks.corpus.signals.registry import Signal

_QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
_CLUSTERS = ("exact_cluster", "near_cluster")
_COUNTED = (
    "split", "label", "language", *_CLUSTERS, "is_exact_duplicate", "is_near_duplicate",
    "is_test_leak", "is_probe_leak", "duplicate_splits", "duplicate_sources", "repeated_span_ratio",
    "seen_before", "near_seen_before",
)  # fmt: skip


def summarise(path: Path, config: Profiling, own: Sequence[Signal] = ()) -> dict[str, Any]:
    """Totals and quantiles for the page, and the settings that the signals were found with.

    Args:
        path: The file of the signals.
        config: The settings, of which those that change no result are left out.
        own: Signals of the user's.
    """
    signals = pl.read_parquet(path, columns=list(_COUNTED))
    train = signals.filter(pl.col("split") == "train")
    quantiles, means = _distributions(path)
    return {
        "rows": signals.height,
        "settings": config.model_dump(mode="json", exclude=aside(Profiling)),
        "signals": help_lines(own),
        "own_signals": [name for one in own for name in one.help],
        "splits": _counted(signals, "split"),
        "labels": {
            split: _counted(signals.filter(pl.col("split") == split), "label")
            for split in sorted(signals["split"].unique())
        },
        "languages": _counted(signals, "language"),
        "quantiles": quantiles,
        "means": means,
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


def _distributions(path: Path) -> tuple[dict[str, dict[str, float | None]], dict[str, Any]]:
    """Quantiles and mean of every signal that is a number, one signal at a time."""
    quantiles, means = {}, {}
    for name, kind in pl.read_parquet_schema(path).items():
        if kind.is_numeric() and name not in _CLUSTERS:
            # In one piece, since a mean's last bits depend on how the values are parted.
            values = pl.read_parquet(path, columns=[name])[name].rechunk()
            quantiles[name] = {f"{q:g}": _quantile(values, q) for q in _QUANTILES}
            means[name] = _finite(values.cast(pl.Float64).mean())
    return quantiles, means


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
