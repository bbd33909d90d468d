"""The inner loops of preparing texts: white space and order; laid out like `kernels_grams`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.corpus.duplicates.compiled import compiled
from tasks.corpus.signals.kernels import layout

Bytes = NDArray[np.uint8]
Bits = NDArray[np.uint32]
Hashes = NDArray[np.uint64]
Positions = NDArray[np.int64]

_WHITE = np.uint32(layout.SPACE)


@compiled
def code_point(data: Bytes, at: int) -> Any:
    """The code point at a place of valid UTF-8, and where the next one begins."""
    first = np.int64(data[at])
    if first < 0x80:
        return first, at + 1
    if first < 0xE0:
        return ((first & 0x1F) << 6) | (data[at + 1] & 0x3F), at + 2
    if first < 0xF0:
        return (
            ((first & 0x0F) << 12) | (np.int64(data[at + 1] & 0x3F) << 6) | (data[at + 2] & 0x3F),
            at + 3,
        )
    return (
        ((first & 0x07) << 18)
        | (np.int64(data[at + 1] & 0x3F) << 12)
        | (np.int64(data[at + 2] & 0x3F) << 6)
        | (data[at + 3] & 0x3F),
        at + 4,
    )


@compiled
def fold(
    data: Bytes, offsets: Positions, classes: Bits, out: Bytes, out_offsets: Positions
) -> None:
    """Lower ASCII capitals, write one space for any white space, and none at a text's ends."""
    place = 0
    for text in range(len(offsets) - 1):
        at, end, begin = offsets[text], offsets[text + 1], place
        pending = False
        while at < end:
            point, after = code_point(data, at)
            if classes[point] & _WHITE:
                pending = place > begin
            else:
                if pending:
                    out[place] = 32
                    place, pending = place + 1, False
                if 65 <= point <= 90:
                    out[place] = point + 32
                    place += 1
                else:
                    for byte in range(at, after):
                        out[place] = data[byte]
                        place += 1
            at = after
        out_offsets[text + 1] = place


@compiled
def moved(hashes: Hashes, begins: Positions, counts: Positions, out: Hashes) -> None:
    """Copy ranges one after the other."""
    place = 0
    for one in range(len(begins)):
        for at in range(begins[one], begins[one] + counts[one]):
            out[place] = hashes[at]
            place += 1
