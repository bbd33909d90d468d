"""Documents into rows of equal length, several to a row, so that hardly a position is padding.

The gain is the largest of all that were measured for this model: at a median of 40 tokens, rows of
one document each are 41 % full, packed ones over 98 %, and a step costs the same. Attention is kept
within a document (Krell et al. 2021, https://arxiv.org/abs/2107.02027), so packing changes the cost
and not the function that is learnt.

A corpus larger than memory is packed a window at a time (`windows`); what one window leaves unfilled
is a few of its thousands of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Int8 = npt.NDArray[np.int8]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Tokens = npt.NDArray[Any]  # uint16 or int32

WINDOW_TOKENS = 1 << 21  # best-fit over so many fills as well as over more, in some 200 MB
WINDOW_DOCUMENTS = 1 << 17


class Pieces(NamedTuple):
    """What is packed: a document, a piece of a long one, or a pair of parts; all arrays (P,).

    Attributes:
        documents: Number of the document that a piece is of; a pair is of its first part's.
        starts: Where its tokens begin in the flat array.
        sizes: How many there are, without begin and end.
        second_starts: The same of a pair's second part.
        second_sizes: 0 where there is no second part.
        follows: Whether the second part follows the first (1) or not (0); -1 where that is no
            question.
    """

    documents: Int64
    starts: Int64
    sizes: Int64
    second_starts: Int64
    second_sizes: Int64
    follows: Int8

    @property
    def positions(self) -> Int64:
        """Positions that each takes in a row, special tokens counted."""
        return self.sizes + 2 + np.where(self.second_sizes > 0, self.second_sizes + 1, 0)


@dataclass(frozen=True)
class PackedRows:
    """Rows of L positions.

    Attributes:
        tokens: (N, L); `[CLS] document [SEP]` after one another, then padding.
        segments: (N, L), of `segment_type`; 1, 2, ... for a row's documents, 0 for padding.
        documents: int64 (P,), the document of each packed piece, by row and place in it.
        follows: int8 (P,), likewise, as in `Pieces`.
        counts: int64 (N,), pieces of each row.
    """

    tokens: Tokens
    segments: npt.NDArray[Any]
    documents: Int64
    follows: Int8
    counts: Int64

    @property
    def positions(self) -> Int32:
        """(N, L), counted from 0 in each document."""
        return positions(self.segments)

    @property
    def fill(self) -> float:
        """Share of the positions that hold a token; 0 without rows."""
        return float((self.segments > 0).mean()) if self.segments.size else 0.0


def segment_type(length: int) -> npt.DTypeLike:
    """The smallest type for a row's segments; the shortest document takes three positions."""
    return np.uint8 if length // 3 <= np.iinfo(np.uint8).max else np.uint16


def positions(segments: npt.NDArray[Any]) -> Int32:
    """Positions counted from 0 in each document, int32 (N, L); 0 for padding."""
    places = np.arange(segments.shape[1], dtype=np.int32)
    begins = np.zeros(segments.shape, np.int32)
    changed = segments[:, 1:] != segments[:, :-1]
    np.multiply(changed, places[1:], out=begins[:, 1:])
    found = places - np.maximum.accumulate(begins, axis=1)
    return np.multiply(found, segments > 0, dtype=np.int32)


def pack(
    tokens: Tokens, offsets: Int64, *, length: int, begin: int, end: int, padding: int = 0
) -> PackedRows:
    """Pack all documents in memory; the result depends on nothing but the arguments.

    Args:
        tokens: All documents' tokens after one another.
        offsets: (documents + 1) bounds of each document in `tokens`.
        length: Positions of a row, at least 3.
        begin: Token before each piece (`[CLS]`).
        end: Token after it (`[SEP]`).
        padding: Token of unused positions.

    Raises:
        ValueError: A row has no room for a token beside `begin` and `end`.
    """
    if length < 3:
        raise ValueError(f"a row needs room for three tokens, got length {length}")
    pieces = cut(offsets, np.arange(len(offsets) - 1), length - 2)
    return lay_out(pieces, tokens, length=length, begin=begin, end=end, padding=padding)


def windows(
    sizes: Int64, tokens: int = WINDOW_TOKENS, documents: int = WINDOW_DOCUMENTS
) -> Iterator[slice]:
    """Runs of documents small enough to be packed in memory.

    Args:
        sizes: Tokens of each document.
        tokens: Most tokens of a window; a larger document is a window of its own.
        documents: Most documents of a window.
    """
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        before = int(ends[first - 1]) if first else 0
        last = int(np.searchsorted(ends, before + tokens, side="right"))
        last = min(max(last, first + 1), first + documents)
        yield slice(first, last)
        first = last


def cut(offsets: Int64, which: Int64, room: int) -> Pieces:
    """Documents in pieces of at most `room` tokens, in their order; empty ones are left out.

    Args:
        offsets: (documents + 1) bounds of each document.
        which: Numbers of the documents wanted.
        room: Most tokens of a piece.
    """
    sizes = (offsets[which + 1] - offsets[which]).astype(np.int64)
    counts = -(-sizes // room)
    ordinal = ranges(counts)
    starts = np.repeat(offsets[which].astype(np.int64), counts) + ordinal * room
    parts = np.minimum(room, np.repeat(sizes, counts) - ordinal * room)
    none = np.zeros(len(starts), np.int64)
    alone = np.full(len(starts), -1, np.int8)
    return Pieces(np.repeat(which, counts), starts, parts, none, none, alone)


def lay_out(
    pieces: Pieces, tokens: Tokens, *, length: int, begin: int, end: int, padding: int = 0
) -> PackedRows:
    """Best fit of the pieces into rows, longest first.

    A piece becomes `begin first end`, or `begin first end second end`.
    """
    taken = pieces.positions
    rows, columns, ordinals = best_fit(taken, length)
    count = int(rows.max()) + 1 if len(rows) else 0
    flat = np.full(count * length, padding, tokens.dtype)
    segments = np.zeros((count, length), segment_type(length))
    first = rows * length + columns  # where each piece begins, in the flattened rows
    flat[first] = begin
    _copy(flat, first + 1, tokens, pieces.starts, pieces.sizes)
    flat[first + pieces.sizes + 1] = end
    paired = np.flatnonzero(pieces.second_sizes)
    second = (first + pieces.sizes + 2)[paired]
    sizes = pieces.second_sizes[paired]
    _copy(flat, second, tokens, pieces.second_starts[paired], sizes)
    flat[second + sizes] = end
    segments.reshape(-1)[np.repeat(first, taken) + ranges(taken)] = np.repeat(ordinals, taken)
    order = np.argsort(first)
    return PackedRows(
        flat.reshape(count, length), segments, pieces.documents[order], pieces.follows[order],
        np.bincount(rows, minlength=count),
    )  # fmt: skip


def best_fit(sizes: Int64, length: int) -> tuple[Int64, Int64, Int64]:
    """Best fit decreasing: each item goes to the fullest row that still has room for it.

    A row that took an item is now the fullest, so it takes as many more of that size as it holds:
    items of one size are placed together, and rows with equal space as one, so the work grows with
    the number of different sizes and hardly with the items.

    Args:
        sizes: Size of each item, between 1 and `length`.
        length: Room of a row.

    Returns:
        For each item its row, its first position there, and its ordinal in the row, from 1.
    """
    rows, columns, ordinals, filled = (np.zeros(len(sizes), np.int64) for _ in range(4))
    open_rows: list[list[int]] = [[] for _ in range(length + 1)]
    mask = opened = 0  # a bit for each space that an open row has
    order = np.argsort(-sizes, kind="stable")
    for items in np.split(order, np.flatnonzero(np.diff(sizes[order])) + 1):
        size = int(sizes[items[0]]) if len(items) else 0
        while len(items):
            fitting = mask >> size
            space = size + (fitting & -fitting).bit_length() - 1 if fitting else length
            each = space // size
            wanted = -(-len(items) // each)
            if not fitting:
                open_rows[length] = list(range(opened, opened + wanted))
                opened += wanted
            taken = open_rows[space][-wanted:]
            del open_rows[space][-wanted:]
            now, items = items[: len(taken) * each], items[len(taken) * each :]
            row = np.repeat(taken, each)[: len(now)]
            turn = np.arange(len(now)) % each
            rows[now], columns[now] = row, length - space + turn * size
            ordinals[now] = filled[row] + turn + 1
            last = len(now) - each * (len(taken) - 1)  # items in the last of the rows
            filled[taken] += each
            filled[taken[-1]] += last - each
            open_rows[space - each * size] += taken[:-1]
            open_rows[space - last * size].append(taken[-1])
            for changed in (space, space - each * size, space - last * size):
                mask = mask | 1 << changed if open_rows[changed] else mask & ~(1 << changed)
            mask &= ~1  # rows without space are full
    return rows, columns, ordinals


def _copy(into: Tokens, places: Int64, tokens: Tokens, starts: Int64, sizes: Int64) -> None:
    inside = ranges(sizes)
    into[np.repeat(places, sizes) + inside] = tokens[np.repeat(starts, sizes) + inside]


def ranges(counts: Int64) -> Int64:
    """0 .. n-1 for each n in `counts`, after one another."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total, dtype=np.int64) - np.repeat(ends - counts, counts)
