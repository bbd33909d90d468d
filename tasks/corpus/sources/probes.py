"""Fact probes: masked statements with a known answer, and what every stage may expect of them."""

from __future__ import annotations

from typing import Any

import polars as pl

MASK = "[MASK]"
# How a probe is phrased: as the one that counts, otherwise, or as training rows phrase it.
MAIN, PARAPHRASE, SEEN = "main", "paraphrase", "seen"
SCHEMA: dict[str, Any] = {
    "probe_id": pl.String, "statement": pl.String, "answer": pl.String,
    "accepted": pl.List(pl.String), "subject": pl.String, "relation": pl.String, "split": pl.String,
    "fact": pl.String, "phrasing": pl.String,
}  # fmt: skip


def completed(probes: pl.DataFrame) -> pl.DataFrame:
    """Probes with the columns that some of them lack: each a fact of its own, and main."""
    missing = {
        "accepted": pl.lit([], dtype=pl.List(pl.String)),
        "fact": pl.col("probe_id"),
        "phrasing": pl.lit(MAIN),
    }
    return probes.with_columns(
        **{name: value for name, value in missing.items() if name not in probes.columns}
    )


def unseen(probes: pl.DataFrame | None) -> pl.DataFrame | None:
    """Those that no training row may state word for word."""
    if probes is None or "phrasing" not in probes.columns:
        return probes
    return probes.filter(pl.col("phrasing") != SEEN)
