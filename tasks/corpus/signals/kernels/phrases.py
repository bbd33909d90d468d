r"""Counting the terms of a lexicon in one pass: each word's hash is looked up, and only then compared.

A regular expression of a hundred alternatives costs more than all other counting together. Here a term
is found where it begins and ends a word as `\b` has it, its words with white space or hyphens between
them; of several that fit at one place the first in the lexicon's order counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tasks.corpus.signals.kernels.layout import JOINED, SPACE
from tasks.corpus.signals.kernels.marks import decode, mix

_PRIME = np.uint64(0x100000001B3)
_START = np.uint64(0xCBF29CE484222325)
_BLANK, _HYPHEN = 32, 45


@njit(cache=True, nogil=True, inline="always")
def _small(byte: int) -> int:
    """An ASCII letter in lower case; other bytes as they are."""
    return byte + 32 if 65 <= byte <= 90 else byte


@njit(cache=True, nogil=True, inline="always")
def _bits(data: Any, at: int, classes: Any) -> Any:
    """The bits of the code point at a place, and its bytes."""
    if data[at] < 128:
        return np.int64(classes[data[at]]), 1
    point, width = decode(data, at)
    return np.int64(classes[point]), width


@njit(cache=True, nogil=True)
def _word(data: Any, at: int, end: int, classes: Any) -> Any:
    """Where the word that begins here ends, and the hash of its bytes in ASCII's lower case."""
    value = _START
    while at < end:
        bits, width = _bits(data, at, classes)
        if not bits & JOINED:
            break
        for place in range(at, at + width):
            value = (value ^ np.uint64(_small(np.int64(data[place])))) * _PRIME
        at += width
    return at, mix(value)


@njit(cache=True, nogil=True)
def _fits(data: Any, at: int, end: int, classes: Any, term: Any, exact: bool) -> int:
    """Where a term that begins here ends; 0 if it is not here."""
    for byte in term:
        if byte == _BLANK:
            before = at
            while at < end:
                bits, width = _bits(data, at, classes)
                if not (bits & SPACE or data[at] == _HYPHEN):
                    break
                at += width
            if at == before:
                return 0
        else:
            if at >= end:
                return 0
            here = np.int64(data[at])
            if here != byte and (exact or _small(here) != byte):
                return 0
            at += 1
    if at < end and _bits(data, at, classes)[0] & JOINED:
        return 0
    return at


@njit(cache=True, nogil=True)
def enter_terms(
    terms: Any, bounds: Any, classes: Any, keys: Any, heads: Any, following: Any
) -> None:
    """Enter each term under the hash of its first word, the last term first.

    Args:
        terms: The bytes of all terms, end to end.
        bounds: Where each begins, and the end: (terms + 1,).
        classes: The bits of each code point.
        keys: Receives hashes, open addressing: a power of two of places.
        heads: Receives the first term of each hash; -1 everywhere before.
        following: Receives the next term with the same first word, -1 after the last: (terms,).
    """
    mask = len(heads) - 1
    for term in range(len(bounds) - 2, -1, -1):
        _, value = _word(terms, bounds[term], bounds[term + 1], classes)
        place = np.int64(value & np.uint64(mask))
        while heads[place] >= 0 and keys[place] != value:
            place = (place + 1) & mask
        keys[place], following[term], heads[place] = value, heads[place], term


@njit(cache=True, nogil=True)
def count_terms(
    data: Any, offsets: Any, classes: Any, terms: Any, bounds: Any, exact: Any, values: Any,
    keys: Any, heads: Any, following: Any, counts: Any,
) -> None:  # fmt: skip
    """How often each text holds a term of each value.

    Args:
        data: UTF-8.
        offsets: Where each text begins, and the end: (n + 1,).
        classes: The bits of each code point.
        terms: As for `enter_terms`, whose tables come after the next two.
        bounds: Likewise.
        exact: Which terms are found only as they are written: (terms,).
        values: The column of `counts` of each term: (terms,).
        keys: Filled by `enter_terms`.
        heads: Likewise.
        following: Likewise.
        counts: Receives the counts, zeros before: (n, values).
    """
    mask = len(heads) - 1
    for text in range(len(offsets) - 1):
        at, end = offsets[text], offsets[text + 1]
        while at < end:
            bits, width = _bits(data, at, classes)
            if not bits & JOINED:
                at += width
                continue
            begin = at
            at, value = _word(data, at, end, classes)
            place = np.int64(value & np.uint64(mask))
            while heads[place] >= 0 and keys[place] != value:
                place = (place + 1) & mask
            term = heads[place]
            while term >= 0:
                word = terms[bounds[term] : bounds[term + 1]]
                stop = _fits(data, begin, end, classes, word, exact[term])
                if stop > 0:
                    counts[text, values[term]] += 1
                    at = stop
                    break
                term = following[term]
