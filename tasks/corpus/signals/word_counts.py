"""How often each different word of a corpus occurs, counted part by part."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.signals.wordgrams import Words

_MERGED = 2_000_000  # words of parts that are counted before they are merged
_COUNTED = {"hash": pl.UInt64, "word": pl.String, "count": pl.Int64}


class WordCounts:
    """How often each different word of a corpus occurs in some rows, counted part by part.

    In memory are held some 50 bytes for each different word, and no text.
    """

    def __init__(self) -> None:
        self._parts: list[pl.DataFrame] = [pl.DataFrame(schema=_COUNTED)]
        self._waiting = 0

    def add(self, words: Words, among: NDArray[np.bool_]) -> None:
        """Count a part.

        Args:
            words: Of all its texts: also words that do not count are judged later.
            among: Which texts count.
        """
        found = {
            "hash": hashes_of(words),
            "word": words.vocabulary,
            "count": _counts(words, among),
        }
        self._parts.append(pl.DataFrame(found, schema=_COUNTED))
        self._waiting += len(words.vocabulary)
        if self._waiting > _MERGED:
            self.table()

    def table(self) -> pl.DataFrame:
        """`hash`, `word`, `count` of each different word, in the order in which they first came."""
        merged = pl.concat(self._parts)
        if len(self._parts) > 2:  # an empty one comes first, and one part alone is merged
            word, count = pl.col("word").first(), pl.col("count").sum()
            merged = merged.group_by("hash", maintain_order=True).agg(word, count)
        self._parts, self._waiting = [merged.clear(), merged], 0
        return merged


def hashes_of(words: Words) -> NDArray[np.uint64]:
    """The hash of each different word: (vocabulary,)."""
    hashes = np.zeros(len(words.vocabulary), np.uint64)
    hashes[words.ids] = words.hashes
    return hashes


def _counts(words: Words, among: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Occurrences of each different word in some rows: (vocabulary,)."""
    inside = np.repeat(among, words.counts)
    return np.bincount(words.ids[inside], minlength=len(words.vocabulary))
