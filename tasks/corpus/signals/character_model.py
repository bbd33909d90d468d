"""A model of the characters of a text: interpolated Kneser-Ney over classes of characters.

What it is and why: see `perplexity`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

Flags = NDArray[np.bool_]

# (classes, order), and the share of the characters that single classes must cover for the first.
_FINE, _COARSE = (48, 4), (160, 3)
_COVERED = 0.97
_BOUNDARY, _DIGIT, _RARE = 0, 1, 2  # classes; the other ones are single characters
_CODES = 0x110000
_UNSEEN = 1 << 17  # characters that a rare one is told apart from
_UNITS = 1024  # of a bit
_PIECE = 2_000_000  # characters held at once


@dataclass(frozen=True)
class CharacterModel:
    """The probabilities of characters after those before them.

    Attributes:
        classes: The class of each code point: (code points,).
        inside: Bits by which a code point is told apart in its class, in 1/1024: (code points,).
        table: Bits of a class after the classes before it, in 1/1024: (classes,) * order.
    """

    classes: NDArray[np.uint8]
    inside: NDArray[np.uint16]
    table: NDArray[np.uint16]

    @classmethod
    def of(cls, texts: pl.Series) -> CharacterModel:
        """Count texts, in lower case."""
        counts = np.zeros(_CODES, np.int64)
        for points, _ in _pieces(texts, 0):
            counts += np.bincount(points, minlength=_CODES)
        (size, order), classes = _classes(counts)
        inside = _inside(classes, counts)
        grams = np.zeros(size**order, np.int64)
        for points, starts in _pieces(texts, order - 1):
            places = _indices(classes[points], size, order)
            grams += np.bincount(places[_in_rows(starts, order, len(points))], minlength=len(grams))
        table = kneser_ney(grams.reshape((size,) * order))
        return cls(classes, inside, _units(-np.log2(table)))

    def bits(self, texts: pl.Series) -> NDArray[np.float64]:
        """Mean bits per character of texts in lower case, NaN for empty ones: (texts,)."""
        order, size = self.table.ndim, self.table.shape[0]
        flat, found = self.table.ravel(), []
        for points, starts in _pieces(texts, order - 1):
            places = _indices(self.classes[points], size, order)
            cost = flat[places].astype(np.int64) + self.inside[points]
            total = np.concatenate([[0], np.cumsum(cost)])
            lengths = np.diff(starts) - (order - 1)
            sums = total[starts[1:]] - total[starts[1:] - lengths]
            found.append(np.where(lengths > 0, sums / np.maximum(lengths, 1) / _UNITS, np.nan))
        return np.concatenate([np.zeros(0), *found])


def kneser_ney(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Interpolated probabilities of the last axis after the ones before it.

    Args:
        counts: How often each n-gram came: (classes,) * order.

    Returns:
        The same shape; the last axis sums to 1.
    """
    adjusted = [counts]
    while adjusted[0].ndim > 1:
        adjusted.insert(0, (adjusted[0] > 0).sum(axis=0))
    chances: NDArray[np.float32] = np.full(counts.shape[-1], 1 / counts.shape[-1], np.float32)
    for seen in adjusted:
        once, twice = (int((seen == n).sum()) for n in (1, 2))
        discount = np.clip(once / (once + 2 * twice) if once else 0.5, 0.1, 0.95)
        total = seen.sum(axis=-1, keepdims=True)
        kinds = (seen > 0).sum(axis=-1, keepdims=True)
        own = np.maximum(seen - discount, 0) / np.maximum(total, 1)
        passed = np.where(total > 0, discount * kinds / np.maximum(total, 1), 1.0)
        chances = (own + passed * chances).astype(np.float32)
    return chances


def _classes(counts: NDArray[np.int64]) -> tuple[tuple[int, int], NDArray[np.uint8]]:
    """The size of the table and the class of each code point."""
    classes = np.full(_CODES, _RARE, np.uint8)
    digits = np.arange(ord("0"), ord("9") + 1)
    others = counts.copy()
    others[digits] = others[0] = 0
    often = np.argsort(-others, kind="stable")
    single = _FINE[0] - _RARE - 1
    enough = others[often[:single]].sum() >= _COVERED * others.sum()
    shape = _FINE if enough else _COARSE
    kept = often[: shape[0] - _RARE - 1]
    kept = kept[others[kept] > 0]
    classes[kept] = np.arange(len(kept)) + _RARE + 1
    classes[digits] = _DIGIT
    classes[0] = _BOUNDARY
    return shape, classes


def _inside(classes: NDArray[np.uint8], counts: NDArray[np.int64]) -> NDArray[np.uint16]:
    """Bits of a code point among those of its class, each counted once more than it came."""
    inside = np.zeros(_CODES, np.uint16)
    for shared, kinds in ((_DIGIT, 10), (_RARE, _UNSEEN)):
        of = classes == shared
        inside[of] = _units(-np.log2((counts[of] + 1) / (counts[of].sum() + kinds)))
    return inside


def _units(bits: NDArray[np.floating]) -> NDArray[np.uint16]:
    return np.asarray(np.clip(np.rint(bits * _UNITS), 0, 65_535), np.uint16)


def _pieces(
    texts: pl.Series, padding: int
) -> Iterator[tuple[NDArray[np.uint32], NDArray[np.int64]]]:
    """Code points of some texts at a time, each behind boundaries, and where each begins and ends."""
    lengths = texts.str.len_chars().to_numpy().astype(np.int64) + padding
    ends = np.cumsum(lengths)
    start = 0
    while start < len(texts):
        before = ends[start] - lengths[start]
        stop = max(start + 1, int(np.searchsorted(ends, before + _PIECE, side="right")))
        joined = "".join("\0" * padding + text for text in texts[start:stop])
        points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
        yield points, np.concatenate([[0], ends[start:stop] - before])
        start = stop


def _indices(classes: NDArray[np.uint8], size: int, order: int) -> NDArray[np.int64]:
    """The place in the flat table of each character with the ones before it: (characters,)."""
    padded = np.concatenate([np.zeros(order - 1, np.uint8), classes]).astype(np.int64)
    places = np.zeros(len(classes), np.int64)
    for back in range(order):
        places += padded[order - 1 - back : len(padded) - back] * size**back
    return places


def _in_rows(starts: NDArray[np.int64], order: int, count: int) -> Flags:
    """Which characters are text and no boundary before it: (characters,)."""
    inside = np.ones(count, bool)
    for back in range(order - 1):
        inside[starts[:-1] + back] = False
    return inside
