"""Training rows that state a fact probe word for word, with its answer in the blank.

A probe asks whether the model knows a fact. A row that has the very sentence lets it recite
instead, so that what the probe measures is no longer knowledge. The fact in other words is no
leak: it is what the model is to learn from.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.duplicates.hashing import hash_texts
from tasks.corpus.duplicates.minhash import Hashes
from tasks.corpus.duplicates.shared_grams import gram_blocks, table
from tasks.corpus.sources.probes import MASK

_ANCHOR = 3
_SHORTEST = 4  # words; shorter statements are phrases that any row may use


def statements(probes: pl.DataFrame) -> pl.Series:
    """The probes' statements with their answers in the blank."""
    pairs: Iterable[tuple[str, str]] = probes.select("statement", "answer").iter_rows()
    return pl.Series([text.replace(MASK, answer) for text, answer in pairs], dtype=pl.String)


def stated(
    words: Hashes, among: NDArray[np.bool_], probes: pl.DataFrame | None
) -> NDArray[np.int64]:
    """The place of a probe that each row states, -1 for none: (rows,).

    Args:
        words: The texts' words.
        among: The rows that are judged.
        probes: With `statement` and `answer`; None if there are none.
    """
    from tasks.corpus.duplicates import kernels_shared as kernels

    found = np.full(len(among), -1, np.int64)
    if probes is None or not probes.height:
        return found
    told = hash_texts(statements(probes))
    long = np.flatnonzero(told.counts >= _SHORTEST)
    anchors = np.concatenate(
        [block.grams[block.bounds[:-1][told.counts[block.begin : block.end] >= _SHORTEST]]
         for block in gram_blocks(told, _ANCHOR)]
    )  # fmt: skip
    order = np.argsort(anchors, kind="stable")
    marked, shift = table(len(long))
    marked[anchors >> shift] = 1
    for block in gram_blocks(words, _ANCHOR):
        kernels.stated(
            block.grams, block.bounds, words.hashes, words.starts, block.begin, among,
            told.hashes, told.starts, anchors[order], long[order], shift, marked, found,
        )  # fmt: skip
    return found
