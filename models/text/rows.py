"""Packed rows in memory-mapped files, as a training step takes them.

On disk a row is its tokens and its documents' numbers, three bytes a position for a vocabulary
below 65 536; positions and weights are derived when a row is taken.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.text.order import Order
from models.text.packing import positions

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]

PACKING = "packing.json"


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
    """The packed rows of one split, N rows of L positions.

    Attributes:
        tokens: Integers (N, L).
        segments: Integers (N, L), as `packing` makes them.
        first: int64 (N,), where a row's documents begin in the flat arrays below.
        weights: float32 (P,), of every packed document; None where all weigh 1.
        follows: int8 (P,), likewise; None where there are no pairs.
        padding: Token of unused positions.
    """

    tokens: npt.NDArray[Any]
    segments: npt.NDArray[Any]
    first: Int64 | None = None
    weights: Float32 | None = None
    follows: npt.NDArray[np.int8] | None = None
    padding: int = 0

    @classmethod
    def open(cls, folder: Path, split: str) -> Rows:
        """Map a split's files into memory."""

        def mapped(name: str) -> Any:
            path = folder / f"packed_{split}_{name}.npy"
            return np.load(path, mmap_mode="r") if path.exists() else None

        tokens = np.load(folder / f"packed_{split}_tokens.npy", mmap_mode="r")
        segments = np.load(folder / f"packed_{split}_segments.npy", mmap_mode="r")
        return cls(
            tokens, segments, mapped("first"), mapped("weights"), mapped("follows"),
            _packing(folder).get("padding", 0),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def length(self) -> int:
        """Positions of a row."""
        return int(self.tokens.shape[1])

    def take(self, which: Int64) -> Batch:
        """Copies of the chosen rows."""
        tokens = np.asarray(self.tokens[which]).astype(np.int32)
        segments = np.asarray(self.segments[which]).astype(np.int32)
        places = positions(segments)
        used = segments > 0
        weights, follows = used.astype(np.float32), np.full_like(tokens, -1)
        if self.first is not None:
            # Padding looks a document up as well, and what it finds is not used.
            documents = self.first[which][:, None] + np.maximum(segments - 1, 0)
            if self.weights is not None:
                weights *= self.weights[documents]
            if self.follows is not None:
                begins = used & (places == 0)
                follows[begins] = self.follows[documents[begins]]
        return Batch(tokens, segments, places, weights, follows)

    def padded(self, start: int, count: int) -> Batch:
        """Rows from `start` on, filled up to `count` with rows of padding."""
        found = self.take(np.arange(start, max(start, min(start + count, len(self)))))
        missing = ((0, count - len(found.tokens)), (0, 0))
        fills = (self.padding, 0, 0, 0, -1)
        return Batch(
            *(np.pad(a, missing, constant_values=f) for a, f in zip(found, fills, strict=True))
        )

    def sample(self, most: int) -> Rows:
        """At most so many rows, evenly spread, read into memory."""
        count = min(most, len(self))
        which = np.linspace(0, max(len(self) - 1, 0), count).astype(np.int64)
        first = None if self.first is None else self.first[which]
        return replace(self, tokens=self.tokens[which], segments=self.segments[which], first=first)


def open_order(folder: Path, split: str, seed: int) -> Order:
    """The order in which a packed split's rows are presented: mixed, if the packing says so.

    Args:
        folder: What the packing stage wrote.
        split: Name of the split.
        seed: Decides the orders.
    """
    told = _packing(folder)[split]
    ranges = told.get("ranges")
    if not ranges:
        return Order(told["sequences"], seed)
    spans = [(part["first"], part["sequences"]) for part in ranges]
    return Order.mixed(spans, [part["share"] for part in ranges], seed)


def _packing(folder: Path) -> dict[str, Any]:
    """What the packing stage said of itself; empty for arrays that were made without it."""
    path = folder / PACKING
    return json.loads(path.read_text()) if path.exists() else {}
