"""Packed rows in memory-mapped files, and which of them each training step reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]
Float32 = npt.NDArray[np.float32]


class Batch(NamedTuple):
    """Some packed rows as a training step takes them; all arrays (B, L).

    Attributes:
        tokens: int32, token ids.
        segments: int32; 1, 2, ... for a row's documents, 0 for padding.
        positions: int32, counted from 0 in each document.
        weights: float32, how much the document of a position counts in the loss.
        follows: int32; at the first token of a sentence pair whether its second part follows
            the first one (1) or is of another document (0); -1 everywhere else.
    """

    tokens: Int32
    segments: Int32
    positions: Int32
    weights: Float32
    follows: Int32


@dataclass(frozen=True)
class Rows:
    """The packed rows of one split; int32 arrays (N, L), as `packing` makes them."""

    tokens: Int32
    segments: Int32
    positions: Int32

    @classmethod
    def open(cls, folder: Path, split: str) -> Rows:
        """Map a split's files into memory."""
        names = ("tokens", "segments", "positions")
        return cls(*(np.load(folder / f"packed_{split}_{n}.npy", mmap_mode="r") for n in names))

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def length(self) -> int:
        """Positions of a row."""
        return int(self.tokens.shape[1])

    def take(self, which: npt.NDArray[np.int64]) -> Batch:
        """Copies of the chosen rows."""
        arrays = (self.tokens, self.segments, self.positions)
        return _batch(*(array[which] for array in arrays))

    def padded(self, start: int, count: int) -> Batch:
        """Rows from `start` on, filled up to `count` with rows of padding."""
        found = [
            array[start : start + count] for array in (self.tokens, self.segments, self.positions)
        ]
        missing = ((0, count - len(found[0])), (0, 0))
        return _batch(*(np.pad(array, missing) for array in found))

    def sample(self, most: int) -> Rows:
        """At most so many rows, evenly spread, read into memory."""
        count = min(most, len(self))
        which = np.linspace(0, max(len(self) - 1, 0), count).astype(np.int64)
        return Rows(self.tokens[which], self.segments[which], self.positions[which])


def _batch(tokens: Int32, segments: Int32, positions: Int32) -> Batch:
    weights = (segments > 0).astype(np.float32)
    return Batch(tokens, segments, positions, weights, np.full_like(tokens, -1))


class Order:
    """In which order rows are presented: every epoch all of them once, each time in another order.

    A pure function of its arguments, so that a resumed run goes on where the killed one stopped.

    Args:
        available: Rows there are.
        seed: Decides the orders.
    """

    def __init__(self, available: int, seed: int) -> None:
        self.available = available
        self.seed = seed

    def at(self, first: int, count: int) -> npt.NDArray[np.int64]:
        """The rows of presentations `first` to `first + count - 1`, counted from 0."""
        places = first + np.arange(count)
        epochs = places // self.available
        chosen = np.empty(count, np.int64)
        for epoch in np.unique(epochs).tolist():
            here = epochs == epoch
            order = _permutation(epoch, self.available, self.seed)
            chosen[here] = order[places[here] % self.available]
        return chosen


@lru_cache(maxsize=2)
def _permutation(epoch: int, available: int, seed: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng((seed, epoch)).permutation(available)
