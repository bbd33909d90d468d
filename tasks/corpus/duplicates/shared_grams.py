"""N-grams that several texts may share, found in bounded memory.

A first pass over all texts notes in a table of at most 256 MiB what it has seen, by the upper bits
of the n-grams' hashes. A second pass lets through what the table says may be shared, with some
that merely fall on the same place, and writes it to disk, 16 bytes each. It is then sorted in
shards of some millions, in which equal n-grams are together, and looked at exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.corpus.duplicates.minhash import Hashes
from tasks.corpus.duplicates.spill import Spill

Grams = NDArray[np.uint64]
Positions = NDArray[np.int64]
Collect = Callable[["Block", Grams, Positions], int]

_SMALLEST, _LARGEST = 12, 28  # log2 of the bytes of a table
_SHARD = 4_000_000  # n-grams sorted together
_BLOCK = 2_000_000  # words looked at together


@dataclass(frozen=True)
class Block:
    """The n-grams of the texts from `begin` to `end`.

    Attributes:
        begin: First text.
        end: After the last.
        grams: End to end.
        bounds: Where each text's begin, and the end: (texts + 1,).
    """

    begin: int
    end: int
    grams: Grams
    bounds: Positions


def gram_blocks(words: Hashes, size: int) -> Iterator[Block]:
    """All n-grams in blocks of some millions; a shorter text is one n-gram as a whole.

    Args:
        words: Of the texts.
        size: Words of an n-gram.
    """
    from tasks.corpus.duplicates import kernels_grams as kernels

    starts, begin, last = words.starts, 0, len(words.starts) - 1
    while begin < last:
        within = int(np.searchsorted(starts, starts[begin] + _BLOCK, side="right")) - 1
        end = min(last, max(begin + 1, within))
        grams = np.empty(int(starts[end] - starts[begin]), np.uint64)
        bounds = np.empty(end - begin + 1, np.int64)
        kernels.text_grams(words.hashes, starts, begin, end, size, grams, bounds)
        yield Block(begin, end, grams[: bounds[-1]], bounds)
        begin = end


class SharedGrams:
    """What got through, with one place each: a row or a word.

    Args:
        blocks: All n-grams.
        collect: Writes those of a block that may be shared, and their places, and says how many.
        folder: Where the files are put.
    """

    def __init__(
        self, blocks: Iterable[Block], collect: Collect, folder: Path | None = None
    ) -> None:
        grams: Spill[np.uint64] = Spill(np.uint64, folder)
        places: Spill[np.int64] = Spill(np.int64, folder)
        for block in blocks:
            room = len(block.grams)
            some, where = np.empty(room, np.uint64), np.empty(room, np.int64)
            count = collect(block, some, where)
            grams.append(some[:count])
            places.append(where[:count])
        self._grams, self._places = grams.array(), places.array()

    def shards(self) -> Iterator[tuple[Grams, Positions]]:
        """All n-grams in parts, each in ascending order, equal ones in the order of the texts."""
        from tasks.corpus.duplicates import kernels_shared as kernels

        counts = np.zeros(max(1, -(-len(self._grams) // _SHARD)), np.int64)
        kernels.count_shards(self._grams, counts)
        for shard, count in enumerate(counts):
            grams, places = np.empty(count, np.uint64), np.empty(count, np.int64)
            kernels.take_shard(
                self._grams, self._places, np.uint64(len(counts)), np.uint64(shard), grams, places
            )
            order = np.argsort(grams, kind="stable")
            yield grams[order], places[order]


def table(words: int) -> tuple[NDArray[np.uint8], np.uint64]:
    """An empty table for about so many n-grams, and how far to shift a hash to its place."""
    bits = min(_LARGEST, max(_SMALLEST, (2 * words).bit_length()))
    return np.zeros(1 << bits, np.uint8), np.uint64(64 - bits)
