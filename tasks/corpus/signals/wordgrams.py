"""Words and word n-grams of many texts as flat arrays of 64-bit hashes.

One split into words serves repetition, duplicates and leaks. A hash stands for a word, and a
polynomial over hashes for an n-gram; among 10^8 different n-grams the chance that any two
collide is about 3e-4 (birthday bound), and no result rests on one n-gram alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.signals.patterns import WORD

Hashes = NDArray[np.uint64]
Positions = NDArray[np.int64]

_BASE = np.uint64(0x9E3779B97F4A7C15)
_SPREAD = np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True)
class Words:
    """The words of n texts, end to end.

    Attributes:
        starts: Where each text's words begin, and the end: (n + 1,).
        ids: Each word's number in the vocabulary: (words,).
        vocabulary: Each different word once, in lower case.
        hashes: Each word's hash: (words,).
    """

    starts: Positions
    ids: Positions
    vocabulary: pl.Series
    hashes: Hashes

    @property
    def counts(self) -> Positions:
        """Words per text: (n,)."""
        return np.diff(self.starts)

    def sums(self, values: NDArray[np.generic]) -> NDArray[np.float64]:
        """Sum over each text's words of a value given per vocabulary word: (n,)."""
        total = np.concatenate([[0.0], np.cumsum(values.astype(np.float64)[self.ids])])
        return np.asarray(total[self.starts[1:]] - total[self.starts[:-1]])


@dataclass(frozen=True)
class Grams:
    """The n-grams of n texts, end to end, repeated ones included.

    Attributes:
        starts: Where each text's n-grams begin, and the end: (n + 1,).
        hashes: (n-grams,).
    """

    starts: Positions
    hashes: Hashes

    @property
    def rows(self) -> Positions:
        """The text that each n-gram belongs to: (n-grams,)."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def of(self, row: int) -> Hashes:
        """The different n-grams of one text."""
        return np.unique(self.hashes[self.starts[row] : self.starts[row + 1]])

    def distinct(self) -> Positions:
        """How many different n-grams each text has: (n,)."""
        frame = pl.DataFrame({"row": self.rows, "gram": self.hashes})
        found = frame.group_by("row").agg(pl.col("gram").n_unique())
        counts = np.zeros(len(self.starts) - 1, np.int64)
        counts[found["row"].to_numpy()] = found["gram"].to_numpy()
        return counts


def split_words(texts: pl.Series) -> Words:
    """Split texts into words: NFC, lower case, straight apostrophes.

    Args:
        texts: The texts; null counts as empty.
    """
    lower = texts.fill_null("").str.normalize("NFC").str.to_lowercase().str.replace_all("’", "'")
    words = lower.str.extract_all(WORD)
    starts = np.concatenate([[0], np.cumsum(words.list.len().to_numpy().astype(np.int64))])
    flat = words.filter(words.list.len() > 0).explode()
    hashes = flat.hash(seed=0).to_numpy()
    _, first, ids = np.unique(hashes, return_index=True, return_inverse=True)
    return Words(starts, ids.astype(np.int64), flat.gather(first), hashes)


def word_grams(words: Words, size: int) -> Grams:
    """Each text's n-grams; a text of fewer than `size` words is one n-gram as a whole."""
    counts = words.counts
    kept = np.where(counts >= size, counts - size + 1, np.minimum(counts, 1))
    starts = np.concatenate([[0], np.cumsum(kept)])
    hashes = np.zeros(starts[-1], np.uint64)
    for length in range(1, size + 1):
        rows = np.flatnonzero(counts >= size if length == size else counts == length)
        if len(rows):
            wanted = _ranges(words.starts[rows], kept[rows])
            hashes[_ranges(starts[rows], kept[rows])] = _polynomial(words.hashes, wanted, length)
    return Grams(starts, hashes)


def _polynomial(hashes: Hashes, begins: Positions, length: int) -> Hashes:
    """The hash of the `length` words from each beginning; order matters."""
    total = np.full(len(begins), np.uint64(length))
    for offset in range(length):
        total = total * _BASE + hashes[begins + offset]
    total ^= total >> np.uint64(31)
    return total * _SPREAD


def _ranges(begins: Positions, lengths: Positions) -> Positions:
    """The integers begins[i], ..., begins[i] + lengths[i] - 1, one range after the other."""
    ends = np.cumsum(lengths)
    return np.asarray(np.arange(ends[-1]) + np.repeat(begins - (ends - lengths), lengths))
