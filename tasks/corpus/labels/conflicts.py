"""Labels that contradict each other: the same text, or nearly, under different ones.

Of two labels of one text at most one is right, whatever a model says. The clusters are those of
the signals before cleaning, since cleaning keeps one row of a cluster, and with it one label as if
it were certain. Near duplicates are found among training rows only; identical texts in all splits.
"""

from __future__ import annotations

import polars as pl

KINDS = (("exact_cluster", "identical"), ("near_cluster", "nearly identical"))
SCHEMA = {"row_id": pl.String, "how": pl.String, "labels": pl.String, "cluster": pl.Int64}


def conflicts(signals: pl.DataFrame) -> pl.DataFrame:
    """Rows whose text has several labels: `row_id`, `how`, `labels` as "yes 3, no 1", `cluster`.

    A row with an identical text under another label is not told again as nearly identical.

    Args:
        signals: `row_id`, `label` and the clusters, of the rows before cleaning.
    """
    labelled = signals.filter(pl.col("label").is_not_null())
    found = [pl.DataFrame(schema=SCHEMA)]
    for column, how in KINDS:
        if column in signals.columns:
            found.append(_of(labelled, column, how))
    return pl.concat(found).unique("row_id", keep="first", maintain_order=True)


def _of(rows: pl.DataFrame, column: str, how: str) -> pl.DataFrame:
    counts = rows.group_by(column, "label").len()
    counts = counts.sort([column, "len", "label"], descending=[False, True, False])
    told = pl.concat_str("label", pl.lit(" "), "len").str.join(", ").alias("labels")
    several = counts.group_by(column, maintain_order=True).agg(told, pl.len().alias("different"))
    several = several.filter(pl.col("different") > 1)
    return rows.join(several, on=column, how="inner", maintain_order="left").select(
        "row_id", pl.lit(how).alias("how"), "labels", pl.col(column).cast(pl.Int64).alias("cluster")
    )
