"""Which labelled rows are judged, and which of these are learnt from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tasks.configuration import Labels
from tasks.corpus.labels.confident import Codes, Flags

_MOST_NUMBERS = 50_000_000  # rows x classes of the probabilities, 400 MB


@dataclass(frozen=True)
class Sample:
    """A choice of rows.

    Attributes:
        classes: Names of the classes that can be judged, in the order of their codes.
        judged: Places of the rows that are judged.
        given: Codes of their labels.
        learnt: Which of them are learnt from.
    """

    classes: list[str]
    judged: Codes
    given: Codes
    learnt: Flags


def draw_sample(rows: pl.DataFrame, config: Labels, seed: int) -> Sample:
    """The rows of classes large enough; of more training rows than `config.rows`, a random part.

    The part holds at least `config.min_class` rows of each class. Rows whose probabilities would
    not fit in memory are left out, training rows last.
    """
    sizes = rows.filter(pl.col("split") == "train").group_by("label").len()
    classes = sizes.filter(pl.col("len") >= config.min_class)["label"].sort().to_list()
    codes = {name: code for code, name in enumerate(classes)}
    drawn = np.random.default_rng(seed).permutation(rows.height)
    frame = rows.select(
        pl.col("label").replace_strict(codes, default=-1, return_dtype=pl.Int64).alias("code"),
        (pl.col("split") == "train").alias("training"),
        pl.Series("drawn", drawn),
    ).with_row_index("place")
    frame = frame.filter(pl.col("code") >= 0)
    within = pl.col("drawn").rank("ordinal").over("training", "code") <= config.min_class
    order = frame.sort([~pl.col("training"), ~within, "drawn"])
    learnt = min(config.rows, int(frame["training"].sum()))
    order = order.with_columns(pl.int_range(pl.len()).lt(learnt).alias("learnt"))
    order = order.head(max(learnt, _MOST_NUMBERS // len(classes))).sort("place")
    return Sample(
        classes,
        order["place"].cast(pl.Int64).to_numpy(),
        order["code"].to_numpy(),
        order["learnt"].to_numpy(),
    )
