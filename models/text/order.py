"""Which row each presentation of a training run shows: a pure function, so that a run can resume.

Sources are mixed by stated shares without drawing lots. Of the first p presentations, source 1 has
floor(p s1); of the others, the next has its share of what is left, and so on, in whole numbers. So
every prefix has the stated shares to within a few rows, and the place in a source's own epochs is
known from p alone. Within blocks of a few rows the places are then shuffled, since a strict
alternation would put a source at the same place of every batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]

_WHOLE = 1 << 24  # shares are kept as parts of this; 2^38 presentations fit beside it
_BLOCK = 32  # presentations shuffled among themselves


class Order:
    """Every epoch shows all rows of a range once, each time in another order.

    Args:
        available: Rows there are; one range.
        seed: Decides the orders.
    """

    def __init__(self, available: int, seed: int) -> None:
        self.available = available
        self.seed = seed
        self._ranges = [_Range(0, available, (seed,))]
        self._parts = [_WHOLE]

    @classmethod
    def mixed(cls, ranges: Sequence[tuple[int, int]], shares: Sequence[float], seed: int) -> Order:
        """Several ranges, each with its own epochs, presented by stated shares.

        Args:
            ranges: First row and number of rows of each; those without rows are passed over.
            shares: Of the presentations; what they sum to is taken for the whole.
            seed: Decides the orders.

        Raises:
            ValueError: No range that has rows has a share.
        """
        asked = [(r, s) for r, s in zip(ranges, shares, strict=True) if r[1] > 0 and s > 0]
        if not asked:
            raise ValueError("no rows have a share of the presentations")
        order = cls(sum(count for (_, count), _ in asked), seed)
        if len(asked) > 1 or asked[0][0][0]:
            whole = sum(share for _, share in asked)
            order._parts = [max(1, round(_WHOLE * share / whole)) for _, share in asked]
            order._ranges = [
                _Range(first, count, (seed, number))
                for number, ((first, count), _) in enumerate(asked)
            ]
        return order

    def at(self, first: int, count: int) -> Int64:
        """The rows of presentations `first` to `first + count - 1`, counted from 0.

        Raises:
            ValueError: There are no rows.
        """
        if not self.available:
            raise ValueError("there are no rows to present")
        places = first + np.arange(count, dtype=np.int64)
        if len(self._ranges) == 1:
            return self._ranges[0].rows(places)
        chosen = np.empty(count, np.int64)
        for part, here, turns in self._shared_out(self._shuffled(places)):
            chosen[here] = self._ranges[part].rows(turns)
        return chosen

    def _shuffled(self, places: Int64) -> Int64:
        """Each block of places in an order of its own."""
        blocks = places // _BLOCK
        shuffled = np.empty_like(places)
        for block in np.unique(blocks).tolist():
            here = blocks == block
            order = np.random.default_rng((self.seed, block, _BLOCK)).permutation(_BLOCK)
            shuffled[here] = block * _BLOCK + order[places[here] % _BLOCK]
        return shuffled

    def _shared_out(self, places: Int64) -> list[tuple[int, Int64, Int64]]:
        """For each range its number, which places are its own, and how often it was on before."""
        shared = []
        left, here = places.copy(), np.arange(len(places))
        for number, part in enumerate(self._parts):
            whole = sum(self._parts[number:])
            turns = left * part // whole
            own = (left + 1) * part // whole > turns
            shared.append((number, here[own], turns[own]))
            left, here = (left - turns)[~own], here[~own]
        return shared


class _Range:
    """Rows of one range by their turn; the epochs last asked for are kept."""

    def __init__(self, first: int, count: int, seed: tuple[int, ...]) -> None:
        self.first, self.count, self.seed = first, count, seed
        self._epochs: dict[int, npt.NDArray[np.int32]] = {}

    def rows(self, turns: Int64) -> Int64:
        epochs = turns // self.count
        chosen = np.empty(len(turns), np.int64)
        for epoch in np.unique(epochs).tolist():
            here = epochs == epoch
            chosen[here] = self._epoch(epoch)[turns[here] % self.count]
        return self.first + chosen

    def _epoch(self, epoch: int) -> npt.NDArray[np.int32]:
        if epoch not in self._epochs:
            kept = sorted(self._epochs)[-1:]  # a batch may lie across the end of an epoch
            self._epochs = {number: self._epochs[number] for number in kept}
            rng = np.random.default_rng((*self.seed, epoch))
            self._epochs[epoch] = rng.permutation(np.arange(self.count, dtype=np.int32))
        return self._epochs[epoch]
