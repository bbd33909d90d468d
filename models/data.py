"""Packed rows in memory-mapped files, and which of them each training step reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]
Batch = tuple[Int32, Int32, Int32]  # tokens, segments, positions, each (B, L)


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
        return self.tokens[which], self.segments[which], self.positions[which]

    def padded(self, start: int, count: int) -> Batch:
        """Rows from `start` on, filled up to `count` with rows of padding."""
        found = [
            array[start : start + count] for array in (self.tokens, self.segments, self.positions)
        ]
        missing = ((0, count - len(found[0])), (0, 0))
        return np.pad(found[0], missing), np.pad(found[1], missing), np.pad(found[2], missing)

    def sample(self, most: int) -> Rows:
        """At most so many rows, evenly spread, read into memory."""
        count = min(most, len(self))
        which = np.linspace(0, max(len(self) - 1, 0), count).astype(np.int64)
        return Rows(*self.take(which))


def rows_of_step(step: int, count: int, available: int, seed: int) -> npt.NDArray[np.int64]:
    """Which rows a step reads: every epoch all of them once, each time in another order.

    A pure function of its arguments, so that a resumed run goes on where the killed one stopped.

    Args:
        step: From 0.
        count: Rows of a batch, possibly more than there are.
        available: Rows there are.
        seed: Decides the orders.
    """
    places = step * count + np.arange(count)
    epochs = places // available
    chosen = np.empty(count, np.int64)
    for epoch in np.unique(epochs).tolist():
        here = epochs == epoch
        chosen[here] = _order(epoch, available, seed)[places[here] % available]
    return chosen


@lru_cache(maxsize=2)
def _order(epoch: int, available: int, seed: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng((seed, epoch)).permutation(available)
