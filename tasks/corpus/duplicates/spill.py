"""Arrays that are kept on disk instead of in memory, in files that nobody else sees."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

S = TypeVar("S", bound=np.generic)


class Spill(Generic[S]):
    """An array that grows at its end on disk and is then mapped into memory.

    Its file has no name and is gone with the last reference to the array, also when the process is
    killed. The kernel keeps as much of it in memory as there is room for.

    Args:
        dtype: Of the array.
        folder: On whose file system the file is; the system's temporary folder if not given, which
            some systems keep in memory.
    """

    def __init__(self, dtype: DTypeLike, folder: Path | None = None) -> None:
        self._dtype = np.dtype(dtype)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed by `array`)
        self._length = 0

    def append(self, values: NDArray[S]) -> None:
        """Add values at the end."""
        self._file.write(np.ascontiguousarray(values, self._dtype).data)
        self._length += len(values)

    def array(self) -> NDArray[S]:
        """All values; nothing can be appended any more."""
        self._file.flush()
        mapped = on_disk(self._file, (self._length,), self._dtype)
        self._file.close()
        return mapped


def spilled(shape: tuple[int, ...], dtype: DTypeLike, folder: Path | None = None) -> NDArray[Any]:
    """An array of zeros of a known shape, on disk."""
    with tempfile.TemporaryFile(dir=folder) as file:
        return on_disk(file, shape, np.dtype(dtype))


def on_disk(file: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Map an open file into memory; the mapping outlives the file object."""
    if not all(shape):
        return np.zeros(shape, dtype)
    return np.asarray(np.memmap(file, dtype, mode="r+", shape=shape))
