"""The one reader of words: where each word of a text begins and ends, its hash and its number.

Words are those of `patterns.WORD`: a run of letters and digits with apostrophes inside it, one Han or
kana character, one cluster of a script without spaces. The signals, the duplicates and the leaks read
with `read_words`; the scan of the filters separates words by white space, and cuts scripts without
spaces by the same `continued` and `opened`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tasks.corpus.signals.kernels.layout import (
    BASE,
    BEFORE,
    IDEOGRAPH,
    MOVING,
    SPACELESS,
    STACKING,
    WORDLIKE,
)
from tasks.corpus.signals.kernels.marks import decode, mix

# How far a cluster is: one with its base, a vowel that waits for its base, signs without a base.
NONE, BASED, WAITING, LOOSE = 0, 1, 2, 3
_STRAIGHT, _CURLY = 39, 0x2019  # apostrophes

# Of FNV-1a, https://datatracker.ietf.org/doc/html/rfc9923
_PRIME = np.uint64(0x100000001B3)
_START = np.uint64(0xCBF29CE484222325)


@njit(cache=True, nogil=True, inline="always")
def continued(cluster: int, bits: int, before: int) -> int:
    """What a cluster becomes with one more character, `NONE` if that begins another.

    Args:
        cluster: How far it is.
        bits: Of the character, which is of a script without spaces.
        before: Of the character before it.
    """
    if bits & BASE:
        joins = cluster == WAITING or (cluster == BASED and (before & STACKING) != 0)
        return BASED if joins else NONE
    if cluster == NONE or (cluster == BASED and (bits & BEFORE) != 0):
        return NONE
    return BASED if cluster == BASED else LOOSE


@njit(cache=True, nogil=True, inline="always")
def opened(bits: int) -> int:
    """The cluster that a character of a script without spaces begins."""
    if bits & BASE:
        return BASED
    return WAITING if bits & BEFORE else LOOSE


@njit(cache=True, nogil=True)
def _next(data: Any, at: int) -> Any:
    """The code point at a place of valid UTF-8, and where the next one begins."""
    if data[at] < 128:
        return np.int64(data[at]), at + 1
    point, width = decode(data, at)
    return point, at + width


@njit(cache=True, nogil=True)
def _run(data: Any, at: int, end: int, classes: Any, lower: Any) -> Any:
    """A run of letters and digits with apostrophes inside it: where it ends, and its hash."""
    value = _START
    while at < end:
        point, after = _next(data, at)
        if classes[point] & WORDLIKE:
            value = (value ^ np.uint64(lower[point])) * _PRIME
        elif point in (_STRAIGHT, _CURLY) and after < end:
            following, _ = _next(data, after)
            if not classes[following] & WORDLIKE:
                break
            value = (value ^ np.uint64(_STRAIGHT)) * _PRIME
        else:
            break
        at = after
    return at, value


@njit(cache=True, nogil=True)
def _cluster(data: Any, at: int, end: int, classes: Any) -> Any:
    """A cluster of a script without spaces: where it ends, and its hash."""
    value, cluster, last = _START, NONE, np.int64(0)
    while at < end:
        point, after = _next(data, at)
        bits = np.int64(classes[point])
        if not bits & SPACELESS:
            break
        cluster = opened(bits) if cluster == NONE else continued(cluster, bits, last)
        if cluster == NONE:
            break
        value = (value ^ np.uint64(point)) * _PRIME
        last, at = bits, after
    return at, value


@njit(cache=True, nogil=True)
def read_words(
    data: Any,
    offsets: Any,
    classes: Any,
    lower: Any,
    hashes: Any,
    begins: Any,
    ends: Any,
    counts: Any,
) -> int:
    """Hash every word of texts in lower case, by FNV-1a over code points, and note where it is.

    Args:
        data: UTF-8 in NFC: (bytes,).
        offsets: Where each text begins in it, and the end: (n + 1,).
        classes: The bits of each code point: (0x110000,).
        lower: The lower case of each code point: (0x110000,).
        hashes: Receives each word's hash; room for one a byte is enough.
        begins: Receives its first byte, unless there is no room at all.
        ends: Receives the byte after its last.
        counts: Receives the words of each text: (n,).

    Returns:
        The number of words.
    """
    total, noted = 0, len(begins) > 0
    for text in range(len(offsets) - 1):
        at, end, before = offsets[text], offsets[text + 1], total
        while at < end:
            point, after = _next(data, at)
            bits = classes[point]
            begin = at
            if bits & WORDLIKE:
                at, value = _run(data, at, end, classes, lower)
            elif bits & SPACELESS:
                at, value = _cluster(data, at, end, classes)
            elif bits & IDEOGRAPH:
                at, value = after, (_START ^ np.uint64(point)) * _PRIME
            else:
                at = after
                continue
            hashes[total] = value
            if noted:
                begins[total], ends[total] = begin, at
            total += 1
        counts[text] = total - before
    return total


@njit(cache=True, nogil=True)
def mark_moving(data: Any, offsets: Any, classes: Any, out: Any) -> None:
    """Which texts hold a character that NFC or lower case may change with its neighbours: (n,)."""
    for text in range(len(offsets) - 1):
        at, end, found = offsets[text], offsets[text + 1], False
        while at < end and not found:
            if data[at] < 128:
                at += 1
                continue
            point, width = decode(data, at)
            found = classes[point] & MOVING != 0
            at += width
        out[text] = found


@njit(cache=True, nogil=True)
def refill(keys: Any, count: int, table: Any) -> None:
    """Enter numbered hashes in an empty table, which is -1 everywhere and has a power of two places."""
    mask = len(table) - 1
    for number in range(count):
        place = np.int64(mix(keys[number]) & np.uint64(mask))
        while table[place] >= 0:
            place = (place + 1) & mask
        table[place] = number


@njit(cache=True, nogil=True)
def number_words(hashes: Any, keys: Any, count: int, table: Any, ids: Any, firsts: Any) -> int:
    """Give each different hash a number, in the order in which they first come.

    Args:
        hashes: Of words: (words,).
        keys: The hashes numbered so far, with room for more.
        count: How many those are.
        table: Open addressing of the numbers, at most half full in the end.
        ids: Receives each word's number: (words,).
        firsts: Receives the places of the words that are new.

    Returns:
        How many are numbered now.
    """
    mask, before = len(table) - 1, count
    for word in range(len(hashes)):
        value = hashes[word]
        place = np.int64(mix(value) & np.uint64(mask))
        while table[place] >= 0 and keys[table[place]] != value:
            place = (place + 1) & mask
        if table[place] < 0:
            table[place], keys[count], firsts[count - before] = count, value, word
            count += 1
        ids[word] = table[place]
    return count


@njit(cache=True, nogil=True)
def copy_words(data: Any, begins: Any, ends: Any, out: Any, offsets: Any) -> None:
    """Write the bytes of some words end to end, and where each begins, and the end."""
    place = 0
    for word in range(len(begins)):
        for at in range(begins[word], ends[word]):
            out[place] = data[at]
            place += 1
        offsets[word + 1] = place
