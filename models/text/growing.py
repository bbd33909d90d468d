"""An `.npy` file that is written as its rows come, so that nothing need fit in memory.

The format keeps the shape in a header before the data. NumPy pads that header so that a first
axis of any length fits, so it is written once for no rows and once more when their number is known.
https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt


class GrowingArray:
    """Appends rows to a file that `np.load` reads, mapped into memory or not.

    Args:
        path: The file; an existing one is replaced.
        dtype: Of the elements; what is appended is cast to it, never with a loss of values.
        row: Shape of one row; empty for a flat array.
    """

    def __init__(self, path: Path, dtype: npt.DTypeLike, row: tuple[int, ...] = ()) -> None:
        self.dtype = np.dtype(dtype)
        self.row = row
        self.rows = 0
        self._file = path.open("wb")
        self._begin = self._write_header()

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Add rows, of shape (any number, *row).

        Raises:
            ValueError: Their shape is another, or a value does not fit into the type.
        """
        if rows.shape[1:] != self.row:
            raise ValueError(f"rows of shape {rows.shape[1:]} do not fit rows of {self.row}")
        kept = rows.astype(self.dtype, copy=False)
        if rows.dtype != self.dtype and not np.array_equal(kept, rows):
            raise ValueError(f"a value of the {rows.dtype} rows does not fit into {self.dtype}")
        self._file.write(np.ascontiguousarray(kept).data)
        self.rows += len(rows)

    def close(self) -> None:
        """Write how many rows there are, and close the file."""
        if self._file.closed:
            return
        self._file.seek(0)
        if self._write_header() != self._begin:
            raise ValueError("the header grew over the data")
        self._file.close()

    def __enter__(self) -> GrowingArray:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _write_header(self) -> int:
        description = np.lib.format.dtype_to_descr(self.dtype)
        shape = (self.rows, *self.row)
        np.lib.format.write_array_header_1_0(
            self._file, {"descr": description, "fortran_order": False, "shape": shape}
        )
        return self._file.tell()
