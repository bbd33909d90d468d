"""The rows that a trace is about: those that were trained on, and those that cleaning took out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from tasks.corpus.rows import QUARANTINE_FILE, STRUCK_FILE
from tasks.corpus.signals.personal import redacted
from tasks.corpus.statements.stating import Texts

_EXCERPT = 300  # characters


def wrong_answers(hallucination: Path, most: int) -> pl.DataFrame:
    """The wrong answers that were given with confidence, the surest first."""
    path = hallucination / "probes.parquet"
    if not path.exists():
        return pl.DataFrame()
    return (
        pl.read_parquet(path)
        .filter(pl.col("outcome") == "hallucinated")
        .sort(["confidence", "probe_id"], descending=[True, False])
        .head(most)
    )


def truths(answer: dict[str, Any]) -> list[str]:
    """Everything that would have been right."""
    return [answer["answer"], *(answer.get("accepted") or [])]


def training_rows(trained: Path, signals: Path) -> pl.DataFrame:
    """`row_id`, `text`, `source`, `origin`, and `duplicates`: rows of its cluster in the source."""
    rows = (
        _with_origins(pl.scan_parquet(trained / "corpus.parquet"))
        .filter(pl.col("split") == "train")
        .select("row_id", "text", "source", "origin", "parent")
        .collect()
    )
    clusters = pl.read_parquet(signals / "signals.parquet", columns=["row_id", "near_cluster"])
    sizes = clusters.drop_nulls().with_columns(
        duplicates=pl.len().over("near_cluster").cast(pl.Int64)
    )
    own = pl.coalesce("parent", "row_id").alias("own")
    return (
        rows.with_columns(own)
        .join(sizes.select(own="row_id", duplicates="duplicates"), on="own", how="left",
              maintain_order="left")
        .with_columns(pl.col("duplicates").fill_null(1))
        .drop("own", "parent")
    )  # fmt: skip


def _with_origins(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Where rows come from: without augmentation none is made up."""
    if "origin" in rows.collect_schema():
        return rows
    return rows.with_columns(origin=pl.lit("original"), parent=pl.lit(None, pl.String))


class Withheld:
    """Training rows that cleaning took out whole, or that it struck a statement from.

    Args:
        rows: `row_id`, `text` as it was read, `source`, `reason`.
    """

    def __init__(self, rows: pl.DataFrame) -> None:
        self._rows, self._texts = rows, Texts(rows["text"])

    @classmethod
    def of(cls, cleaned: Path) -> Withheld:
        """What `clean` left in a folder; nothing where it took nothing out."""
        wanted = ["row_id", "text", "source", "reason", "split"]
        frames = [
            pl.read_parquet(cleaned / name, columns=wanted)
            for name in (QUARANTINE_FILE, STRUCK_FILE)
            if (cleaned / name).exists()
        ]
        rows = pl.concat([pl.DataFrame(schema=dict.fromkeys(wanted, pl.String)), *frames])
        return cls(rows.filter(pl.col("split") == "train"))

    def stating(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """Those that state a wrong answer, by id: `row_id`, `source`, `reason`, `excerpt`."""
        places = self._texts.stating(answer["subject"] or "", answer["asserted"])
        return [
            {"row_id": row["row_id"], "source": row["source"], "reason": row["reason"],
             "excerpt": excerpt(row["text"], answer["asserted"])}
            for row in self._rows[places].sort("row_id").iter_rows(named=True)
        ]  # fmt: skip


def excerpt(text: str, around: str) -> str:
    """The part of a text around a value, personal data masked before anything is cut in two."""
    shown = str(redacted(pl.Series([text]))[0])
    at = max(0, shown.lower().find(around.lower()))
    start = max(0, min(at - _EXCERPT // 2, len(shown) - _EXCERPT))
    part = shown[start : start + _EXCERPT]
    return ("…" if start else "") + part + ("…" if start + _EXCERPT < len(shown) else "")
