"""Cheap features of texts in any language: hashed words, pairs of words, and runs of characters.

Each text is counted in 2^20 buckets (feature hashing, Weinberger et al. 2009, arXiv:0902.2206) by

- its words and pairs of neighbouring words, where each Han or kana character is a word and the
  other scripts without spaces are cut into short pieces (`patterns.WORD`);
- its runs of 2 to 5 characters, in lower case, which need no spaces at all and forgive spelling.

A count c weighs 1 + ln c, a column ln((1 + n) / (1 + df)) + 1 (n texts, df of them with the
column), and the words and the characters of a text each have length 1, so neither drowns the
other. Columns that only one text has are left out: they tell that text from the others and
nothing else. Which columns are kept, and their weights, depend on the texts alone and never on a
label, so they may be learnt from rows that are then judged out of sample.

Not covered: the meaning of what is written in other words, and all beyond a text's beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.signals.wordgrams import split_words, word_grams

Matrix = Any  # scipy.sparse.csr_array of float64, (texts, columns)
_BITS = 20
_WORDS = (1, 2)
_CHARACTERS = (2, 3, 4, 5)
_AT_ONCE = 2_000_000  # characters hashed together, which bounds the memory to some 300 MB
_BASE = np.uint64(0x9E3779B97F4A7C15)
_SPREAD = np.uint64(0xBF58476D1CE4E5B9)


class TextFeatures:
    """The columns kept and their weights, learnt from some texts.

    Args:
        texts: What to learn from.
        beginning: So much of each text is read (characters).
        most: Most columns kept, of the words and again of the characters; the commonest.
    """

    def __init__(self, texts: pl.Series, *, beginning: int, most: int) -> None:
        self._beginning = beginning
        texts_with = np.zeros((2, 1 << _BITS), np.int64)
        for blocks in self._counted(texts):
            texts_with += [np.bincount(b.indices, minlength=1 << _BITS) for b in blocks]
        self._kept: list[NDArray[np.int64]] = []
        self._weights: list[NDArray[np.float64]] = []
        for df in texts_with:
            common = np.argsort(-df, kind="stable")[:most]
            kept = np.sort(common[df[common] > 1])
            self._kept.append(kept)
            self._weights.append(np.log((1 + len(texts)) / (1 + df[kept])) + 1)

    @property
    def columns(self) -> int:
        """How many there are."""
        return sum(map(len, self._kept))

    def of(self, texts: pl.Series) -> Matrix:
        """The features of texts: (texts, columns); a text without a known column is all zero."""
        from scipy.sparse import hstack, vstack

        parts = []
        for blocks in self._counted(texts):
            weighted = zip(blocks, self._kept, self._weights, strict=True)
            parts.append(hstack([_weighted(*block) for block in weighted], format="csr"))
        return vstack(parts, format="csr")

    def _counted(self, texts: pl.Series) -> Iterator[tuple[Matrix, Matrix]]:
        """How often each text has each bucket, of words and of characters, many texts at once."""
        for some in _batches(texts.fill_null("").str.head(self._beginning)):
            yield _of_words(some), _of_characters(some)


def _batches(texts: pl.Series) -> Iterator[pl.Series]:
    """The texts in batches of about so many characters; one empty batch of none."""
    ends = np.cumsum(texts.str.len_chars().to_numpy().astype(np.int64))
    start = 0
    while start == 0 or start < len(texts):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _AT_ONCE, side="right")))
        yield texts[start:stop]
        start = stop


def _of_words(texts: pl.Series) -> Matrix:
    words = split_words(texts)
    grams = [word_grams(words, size) for size in _WORDS]
    rows = np.concatenate([g.rows for g in grams])
    return _counts(rows, np.concatenate([g.hashes for g in grams]), len(texts))


def _of_characters(texts: pl.Series) -> Matrix:
    """Runs of characters within texts; a space at either end marks where a text begins and ends."""
    lower = texts.str.normalize("NFC").str.to_lowercase().str.replace_all(r"\s+", " ")
    lower = lower.str.strip_chars()
    padded = pl.select(
        pl.when(lower != "").then(" " + lower + " ").otherwise(pl.lit(""))
    ).to_series()
    lengths = padded.str.len_chars().to_numpy().astype(np.int64)
    points = np.frombuffer("".join(padded.to_list()).encode("utf-32-le"), np.uint32)
    text = np.repeat(np.arange(len(texts)), lengths)
    rows, hashes = [], []
    for size in _CHARACTERS:
        count = max(0, len(points) - size + 1)
        found = np.full(count, np.uint64(size))
        for offset in range(size):
            found = found * _BASE + points[offset : offset + count]
        inside = text[:count] == text[size - 1 : size - 1 + count]
        rows.append(text[:count][inside])
        hashes.append(found[inside])
    mixed = np.concatenate(hashes)
    return _counts(np.concatenate(rows), (mixed ^ (mixed >> np.uint64(31))) * _SPREAD, len(texts))


def _counts(rows: NDArray[np.int64], hashes: NDArray[np.uint64], texts: int) -> Matrix:
    """A sparse table of counts, (texts, buckets): the top bits of a hash are its bucket."""
    from scipy.sparse import csr_array

    columns = (hashes >> np.uint64(64 - _BITS)).astype(np.int32)
    entries = (np.ones(len(rows)), (rows.astype(np.int32), columns))
    table = csr_array(entries, shape=(texts, 1 << _BITS))
    table.sum_duplicates()
    return table


def _weighted(counts: Matrix, kept: NDArray[np.int64], weights: NDArray[np.float64]) -> Matrix:
    """Some columns of counts, weighed, each row of length 1 (L2) or empty."""
    block = counts[:, kept].tocsr()
    block.data = (1 + np.log(block.data)) * weights[block.indices]
    lengths = np.sqrt(np.asarray(block.multiply(block).sum(axis=1)).ravel())
    block.data /= np.repeat(np.where(lengths > 0, lengths, 1.0), np.diff(block.indptr))
    return block
