"""Micro-batches by number, read ahead of the step that needs them."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.text.rows import Batch, Rows

_AHEAD = 2


class PresentationOrder(Protocol):
    """Which rows are presented when; see `models.text.order.Order`."""

    def at(self, first: int, count: int) -> npt.NDArray[np.int64]:
        """Row numbers of presentations `first` to `first + count - 1`."""


class Feeder:
    """Reads micro-batches in a thread of its own.

    Args:
        rows: Where from.
        order: Which rows when; a pure function, so that any number can be asked for at any time.
        count: Rows of a micro-batch.
    """

    def __init__(self, rows: Rows, order: PresentationOrder, count: int) -> None:
        self._rows = rows
        self._order = order
        self._count = count
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="feeder")
        self._ready: dict[int, Future[Batch]] = {}

    def get(self, number: int) -> Batch:
        """A micro-batch; the next ones are begun."""
        wanted = range(number, number + 1 + _AHEAD)
        self._ready = {n: f for n, f in self._ready.items() if n in wanted}
        for n in wanted:
            if n not in self._ready:
                self._ready[n] = self._pool.submit(self._read, n)
        return self._ready.pop(number).result()

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(cancel_futures=True)

    def _read(self, number: int) -> Batch:
        return self._rows.take(self._order.at(number * self._count, self._count))
