"""How much each training document counts in pretraining, from the weights of its row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.training.streams import batches

WEIGHTS = "weights.parquet"


def document_weights(tokenized: Path, corrected: Path | None) -> NDArray[np.float32] | None:
    """A weight for each training document, or None where all would be the same.

    Rows that the correction says nothing of (without a label, or of earlier nights) weigh 1. The
    mean over the tokens is brought to 1, so that the weights leave the learning rate its meaning.

    Args:
        tokenized: What `tokenize` wrote.
        corrected: Folder with `weights.parquet` (row_id, weight), if there is one.

    Returns:
        float32 (documents,), in the order of the tokenized training split.
    """
    if corrected is None:
        return None
    given = pl.read_parquet(corrected / WEIGHTS).select("row_id", "weight")
    if given.is_empty() or given["weight"].n_unique() == 1:
        return None
    found = [np.zeros(0)]
    for batch in batches(tokenized / "row_ids_train.parquet", ("row_id",)):
        joined = batch.join(given, on="row_id", how="left", maintain_order="left")
        found.append(joined["weight"].fill_null(1.0).to_numpy())
    weights = np.concatenate(found)
    sizes = np.diff(np.load(tokenized / "offsets_train.npy"))
    total = float((weights * sizes).sum())
    return (weights * (sizes.sum() / total)).astype(np.float32) if total > 0 else None
