"""What a person is given to review: suspects and contradictions, with their texts and the reason."""

from __future__ import annotations

from typing import Any

import polars as pl

from tasks.corpus.labels.balance import share_of

REVIEW = "label_review.csv"
_BEGINNING = 200  # characters of a text that are shown
_SHOWN = 10  # rows, and contradictions, on the page


def review(
    found: pl.DataFrame, rows: pl.DataFrame, contradicted: pl.DataFrame, most: int
) -> pl.DataFrame:
    """The review list: contradictions first, since one of their labels is wrong for certain.

    Args:
        found: The rows of `labels.parquet`.
        rows: Their texts.
        contradicted: What `label_conflicts.conflicts` found.
        most: Longest list.
    """
    listed = found.filter(pl.col("is_suspect") | pl.col("conflicting")).sort(
        [~pl.col("conflicting"), pl.col("rank"), pl.col("row_id")], nulls_last=True
    )
    listed = listed.head(most).join(
        contradicted.select("row_id", "how", "labels"),
        on="row_id",
        how="left",
        maintain_order="left",
    )
    listed = listed.join(
        _beginnings(rows), on="row_id", how="left", maintain_order="left"
    ).with_columns(_why().alias("why"))
    return listed.select(
        "rank", "row_id", "split", "label", "suggested", "score", "probability", "is_suspect",
        "conflicting", "why", "text",
    )  # fmt: skip


def shown(found: pl.DataFrame, rows: pl.DataFrame) -> list[dict[str, Any]]:
    """The first suspects, for the page."""
    first = found.filter("is_suspect").sort("rank").head(_SHOWN)
    told = first.join(_beginnings(rows), on="row_id", how="left", maintain_order="left")
    columns = ("row_id", "split", "label", "suggested", "score", "probability", "text", "rank")
    return told.select(columns).to_dicts()


def conflict_facts(contradicted: pl.DataFrame, rows: pl.DataFrame) -> dict[str, Any]:
    """How many texts have several labels, and the first of them that are still in the corpus.

    Returns:
        `texts` and `rows` before cleaning, by `how`; `kept`, the share of the labelled rows left
        whose text has, or had, another label too; `examples`.
    """
    counts = contradicted.group_by("how").agg(
        pl.len().alias("rows"), pl.col("cluster").n_unique().alias("texts")
    )
    left = rows.join(contradicted, on="row_id", how="inner", maintain_order="left")
    firsts = left.unique(["how", "cluster"], keep="first", maintain_order=True).head(_SHOWN)
    return {
        "texts": int(counts["texts"].sum()),
        "rows": contradicted.height,
        "how": counts.sort("how").to_dicts(),
        "kept": share_of(left.height, rows.height) if rows.height else None,
        "examples": firsts.select("row_id", "label", "labels", "how", _beginning()).to_dicts(),
    }


def _why() -> pl.Expr:
    percent = [
        (100 * pl.col(name)).round(0).cast(pl.Int64).cast(pl.String)
        for name in ("probability", "suggested_probability")
    ]
    doubted = pl.concat_str(
        "label", pl.lit(" is given "), percent[0], pl.lit(" % by models that did not see the row, "),
        "suggested", pl.lit(" "), percent[1], pl.lit(" %"),
    )  # fmt: skip
    clash = pl.concat_str(
        pl.col("how"), pl.lit(" texts have the labels "), pl.col("labels"), ignore_nulls=False
    )
    return pl.concat_str(
        clash, pl.when("is_suspect").then(doubted), separator="; ", ignore_nulls=True
    )


def _beginning() -> pl.Expr:
    return pl.col("text").str.replace_all(r"\s+", " ").str.strip_chars().str.head(_BEGINNING)


def _beginnings(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select("row_id", _beginning())
