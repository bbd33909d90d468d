"""Contradicted facts as tables: every statement with what speaks against it, and the worst facts."""

from __future__ import annotations

from typing import Any

import polars as pl

TABLE = "contradictions.parquet"
MAJORITY, FLAGGED, QUARANTINED = "majority", "flagged", "quarantined"
STRUCK, UNDECIDED = "struck", "undecided"  # outvoted, and on a side of a fact that no version wins
FACT = ["relation", "subject_key"]
VERSION = [*FACT, "version"]
_TOP = 20
_VOICE = pl.Struct({"value": pl.String, "texts": pl.Int64})
SCHEMA: dict[str, Any] = {
    "row_id": pl.String, "source": pl.String, "relation": pl.String, "subject": pl.String,
    "value": pl.String, "sentence": pl.String, "texts": pl.Int64, "voices": pl.Float64,
    "rows": pl.Int64, "sources": pl.Int64, "others": pl.List(_VOICE), "ratio": pl.Float64,
    "verdict": pl.String, "detail": pl.String,
}  # fmt: skip


def listed(disputed: pl.DataFrame, versions: pl.DataFrame, row_ids: pl.Series) -> pl.DataFrame:
    """`SCHEMA` and `row` for every statement of a row that is left, in the order of the rows."""
    voices = versions.select(*FACT, pl.col("version").alias("other"), "value", "texts")
    others = (
        versions.select(VERSION)
        .join(voices, on=FACT)
        .filter(pl.col("other") != pl.col("version"))
        .sort("texts", "other", descending=[True, False])
        .group_by(VERSION, maintain_order=True)
        .agg(pl.struct("value", "texts").alias("others"))
    )
    told = disputed.filter("left").select("row", *VERSION, "source", "sentence")
    table = told.join(versions, on=VERSION, maintain_order="left")
    table = table.join(others, on=VERSION, maintain_order="left")
    details = [_detail(line) for line in table.iter_rows(named=True)]
    return table.with_columns(
        row_ids.gather(table["row"]).alias("row_id"), pl.Series("detail", details, pl.String)
    )


def _detail(line: dict[str, Any]) -> str:
    """One statement and what speaks against it, as a sentence."""
    of = "" if line["subject"].lower() in line["sentence"].lower() else f" of {line['subject']}"
    own = "1 row does" if line["texts"] == 1 else f"{line['texts']} rows do"
    against = ", ".join(
        f"{other['texts']} say{'s' if other['texts'] == 1 else ''} {other['value']}"
        for other in line["others"]
    )
    return f'says "{line["sentence"]}"{of}, as {own}; {against}'


def most_texts(versions: pl.DataFrame) -> list[dict[str, Any]]:
    """The contradicted facts with the most texts, each with its versions, most texts first."""
    shown = versions.with_columns(pl.col("texts").sum().over(FACT).alias("all"))
    order = ["all", *FACT, "texts", "version"]
    shown = shown.sort(order, descending=[True, False, False, True, False])
    return [
        {
            "relation": part["relation"][0],
            "subject": part["subject"][0],
            "versions": part.select(
                "value", "texts", "voices", "rows", "sources", "ratio", "verdict"
            ).to_dicts(),
        }
        for _, part in list(shown.group_by(FACT, maintain_order=True))[:_TOP]
    ]
