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

from tasks.corpus.signals.buffers import buffers, stretches
from tasks.corpus.signals.scan import code_point_bits, kernels, lower_case

Hashes = NDArray[np.uint64]
Positions = NDArray[np.int64]

_STRETCH = 1 << 20  # bytes read together
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
    texts, book = texts.fill_null(""), _Numbering()
    counts, ids = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    hashes, vocabulary = [np.zeros(0, np.uint64)], [pl.Series(dtype=pl.String)]
    for part in stretches(texts, _STRETCH):
        data, offsets = buffers(normalised(texts[part]))
        found, values, begins, ends = read(data, offsets)
        numbers, firsts = book.number(values)
        counts.append(found)
        ids.append(numbers)
        hashes.append(values)
        vocabulary.append(_strings(data, begins[firsts], ends[firsts]))
    starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    words = pl.concat(vocabulary).str.to_lowercase().str.replace_all("’", "'", literal=True)
    return Words(starts, np.concatenate(ids), words, np.concatenate(hashes))


def read(
    data: NDArray[np.uint8], offsets: Positions, *, places: bool = True
) -> tuple[Positions, Hashes, Positions, Positions]:
    """The words of texts: how many each has, and each one's hash, first byte and byte after the last.

    Args:
        data: UTF-8, normalised.
        offsets: Where each text begins in it, and the end: (n + 1,).
        places: Whether to say where the words are; otherwise the last two are empty.
    """
    room = len(data) if places else 0
    hashes, counts = np.empty(len(data), np.uint64), np.zeros(len(offsets) - 1, np.int64)
    begins, ends = np.empty(room, np.int64), np.empty(room, np.int64)
    tables = code_point_bits(), lower_case()
    total = kernels().words.read_words(data, offsets, *tables, hashes, begins, ends, counts)
    return counts, hashes[:total].copy(), begins[:total], ends[:total]


def normalised(texts: pl.Series) -> pl.Series:
    """Texts in NFC; those in which that takes more than a look, in lower case too."""
    moving = np.zeros(len(texts), np.bool_)
    kernels().words.mark_moving(*buffers(texts), code_point_bits(), moving)
    rows = np.flatnonzero(moving)
    if not len(rows):
        return texts
    return texts.scatter(rows, texts.gather(rows).str.normalize("NFC").str.to_lowercase())


class _Numbering:
    """Numbers of different words, in the order in which they first come."""

    def __init__(self) -> None:
        self._keys: Hashes = np.empty(0, np.uint64)
        self._table: NDArray[np.int32] = np.empty(0, np.int32)
        self._count = 0

    def number(self, hashes: Hashes) -> tuple[Positions, Positions]:
        """Each word's number, and the places of the words that are new."""
        compiled, room = kernels().words, self._count + len(hashes)
        if len(self._keys) < room:
            self._keys = np.concatenate([self._keys[: self._count], np.empty(room, np.uint64)])
        if len(self._table) < 2 * room:
            self._table = np.full(1 << (2 * room).bit_length(), -1, np.int32)
            compiled.refill(self._keys, self._count, self._table)
        ids, firsts = np.empty(len(hashes), np.int64), np.empty(len(hashes), np.int64)
        before = self._count
        self._count = compiled.number_words(hashes, self._keys, before, self._table, ids, firsts)
        return ids, firsts[: self._count - before]


def _strings(data: NDArray[np.uint8], begins: Positions, ends: Positions) -> pl.Series:
    """Some stretches of bytes as strings."""
    import pyarrow as pa

    out, offsets = (
        np.empty(int((ends - begins).sum()), np.uint8),
        np.zeros(len(begins) + 1, np.int64),
    )
    kernels().words.copy_words(data, begins, ends, out, offsets)
    array = pa.LargeStringArray.from_buffers(len(begins), pa.py_buffer(offsets), pa.py_buffer(out))
    return pl.Series(pl.from_arrow(array), dtype=pl.String)


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
