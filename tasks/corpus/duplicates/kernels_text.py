"""The inner loops of reading texts: white space, words and their hashes; laid out like `kernels_grams`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.corpus.duplicates.compiled import compiled

Bytes = NDArray[np.uint8]
Hashes = NDArray[np.uint64]
Positions = NDArray[np.int64]

# Classes of code points, as `hashing.classes` makes them.
_LETTER, _IDEOGRAPH, _BASE, _WHITE, _BEFORE, _AFTER, _STACKING = 1, 2, 3, 4, 5, 6, 7
# How far a cluster of a script without spaces is: one with its base, a vowel that waits for its
# base, or signs that have none.
_NONE, _BASED, _WAITING, _LOOSE = 0, 1, 2, 3

# Of FNV-1a, https://datatracker.ietf.org/doc/html/rfc9923
_PRIME = np.uint64(0x100000001B3)
_START = np.uint64(0xCBF29CE484222325)


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
    data: Bytes, offsets: Positions, classes: Bytes, out: Bytes, out_offsets: Positions
) -> None:
    """Lower ASCII capitals, write one space for any white space, and none at a text's ends."""
    place = 0
    for text in range(len(offsets) - 1):
        at, end, begin = offsets[text], offsets[text + 1], place
        pending = False
        while at < end:
            point, after = code_point(data, at)
            if classes[point] == _WHITE:
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
def continued(cluster: int, kind: int, before: int) -> int:
    """What an open cluster becomes with one more character, `_NONE` if that begins another.

    Args:
        cluster: How far it is.
        kind: Class of the character.
        before: Class of the character before it.
    """
    if kind == _BASE:
        joins = cluster == _WAITING or (cluster == _BASED and before == _STACKING)
        return _BASED if joins else _NONE
    if kind in (_AFTER, _STACKING):
        return _BASED if cluster == _BASED else _LOOSE
    return _LOOSE if kind == _BEFORE and cluster != _BASED else _NONE


@compiled
def opened(kind: int) -> int:
    """The cluster that a character begins, `_NONE` if it is of no script without spaces."""
    if kind == _BASE:
        return _BASED
    if kind == _BEFORE:
        return _WAITING
    return _LOOSE if kind in (_AFTER, _STACKING) else _NONE


@compiled
def hash_words(
    data: Bytes, offsets: Positions, classes: Bytes, hashes: Hashes, counts: Positions
) -> int:
    """Hash every word of texts in lower case, by FNV-1a over code points.

    Args:
        data: UTF-8, (bytes,).
        offsets: Where each text begins in it, and the end, (texts + 1,).
        classes: Class of each code point.
        hashes: Filled from the beginning; room for one per byte is enough.
        counts: Filled with the words of each text, (texts,).

    Returns:
        The number of words.
    """
    total = 0
    for text in range(len(offsets) - 1):
        at, end, before = offsets[text], offsets[text + 1], total
        value, inside = _START, False
        cluster, last = _NONE, 0
        while at < end:
            point, after = code_point(data, at)
            kind = classes[point]
            if inside and (point == 39 or point == 0x2019) and after < end:
                following, _ = code_point(data, after)
                if classes[following] == _LETTER:
                    kind, point = _LETTER, 39
            if inside and kind != _LETTER:
                hashes[total] = value
                total, inside = total + 1, False
            if cluster != _NONE:
                cluster = continued(cluster, kind, last)
                if cluster == _NONE:
                    hashes[total] = value
                    total += 1
                else:
                    value = (value ^ np.uint64(point)) * _PRIME
                    last, at = kind, after
                    continue
            cluster, last = opened(kind), kind
            if kind == _LETTER:
                value = ((value if inside else _START) ^ np.uint64(point)) * _PRIME
                inside = True
            elif kind == _IDEOGRAPH:
                hashes[total] = (_START ^ np.uint64(point)) * _PRIME
                total += 1
            elif cluster != _NONE:
                value = (_START ^ np.uint64(point)) * _PRIME
            at = after
        if inside or cluster != _NONE:
            hashes[total] = value
            total += 1
        counts[text] = total - before
    return total


@compiled
def moved(hashes: Hashes, begins: Positions, counts: Positions, out: Hashes) -> None:
    """Copy ranges one after the other."""
    place = 0
    for one in range(len(begins)):
        for at in range(begins[one], begins[one] + counts[one]):
            out[place] = hashes[at]
            place += 1
