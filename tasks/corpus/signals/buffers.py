"""Texts as compiled passes read them: their bytes end to end, some megabytes at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray


def stretches(texts: pl.Series, size: int) -> Iterator[slice]:
    """Runs of rows of about so many bytes, or of one longer text."""
    ends = texts.str.len_bytes().cast(pl.Int64).cum_sum().to_numpy()
    begin = 0
    while begin < len(texts):
        done = int(ends[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, done + size, side="right")))
        yield slice(begin, end)
        begin = end


def buffers(texts: pl.Series) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The UTF-8 of texts without nulls, and where each begins, and the end: (bytes,), (n + 1,).

    Arrow's own memory, not copied.
    """
    array: Any = texts.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    found = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return found[: bounds[-1]], bounds
