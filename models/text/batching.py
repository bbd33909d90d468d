"""Rows of like length together, padded to one of a few lengths.

A row's padded length depends on the row alone, so its result does not depend on which rows it
was batched with, up to the rounding of the matrix products.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Packed = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]

_SHORTEST = 16


def padded_length(length: int, longest: int) -> int:
    """The length a row is padded to: 16, 24, 32, 48, 64, 96, ... and at most `longest`.

    Steps of alternately 1/2 and 1/3 waste a sixth of the positions on average, and leave the
    backend only about two shapes per doubling to prepare for.
    """
    size = _SHORTEST
    while size < length:
        size += size // 2 if size & (size - 1) == 0 else size // 3
    return min(size, max(longest, length))


def pad(rows: Sequence[Sequence[int]], length: int) -> Packed:
    """One document per row: tokens, segments (1, or 0 for padding) and positions, int32 (B, L)."""
    tokens = np.zeros((len(rows), length), np.int32)
    segments = np.zeros((len(rows), length), np.int32)
    for place, row in enumerate(rows):
        tokens[place, : len(row)] = row
        segments[place, : len(row)] = 1
    positions = np.arange(length, dtype=np.int32) * segments
    return tokens, segments, positions


def batches(
    lengths: Sequence[int], longest: int, positions_at_once: int = 4096
) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Row numbers to compute together, shortest first, with the length to pad them to.

    Args:
        lengths: Length of each row.
        longest: Upper end of the padded lengths.
        positions_at_once: Most positions, padding included, in a batch of more than one row.
    """
    padded = np.array([padded_length(n, longest) for n in lengths], np.int64)
    for length in np.unique(padded).tolist():
        rows = np.flatnonzero(padded == length)
        size = max(1, positions_at_once // length)
        for start in range(0, len(rows), size):
            yield rows[start : start + size], length
