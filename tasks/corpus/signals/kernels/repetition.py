"""What the words and lines of a text repeat, by the hashes that `reading` left of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tasks.corpus.signals.kernels.layout import (
    AGAIN,
    LINE_BEGIN,
    LINE_END,
    LINE_OPENS,
    PARAGRAPHS,
    REPEATED_LINE_CHARACTERS,
    REPEATED_LINES,
    REPEATED_PARAGRAPH_CHARACTERS,
    REPEATED_PARAGRAPHS,
    TOP,
)
from tasks.corpus.signals.kernels.marks import mix

_PRIME = np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True, nogil=True)
def _slot(table: Any, stamps: Any, stamp: int, mask: int, value: Any) -> Any:
    """A value's place in an open-addressing table, and whether it was there before."""
    place = np.int64(value & np.uint64(mask))
    while stamps[place] == stamp:
        if table[place] == value:
            return place, True
        place = (place + 1) & mask
    table[place], stamps[place] = value, stamp
    return place, False


@njit(cache=True, nogil=True)
def _gram(hashes: Any, begin: int, size: int) -> Any:
    total = np.uint64(size)
    for place in range(begin, begin + size):
        total = total * _PRIME + hashes[place]
    return mix(total)


@njit(cache=True, nogil=True)
def _mask(pieces: int) -> int:
    """One less than the power of two that leaves half of a table empty."""
    size = 4
    while size < 2 * pieces:
        size *= 2
    return size - 1


@njit(cache=True, nogil=True)
def _top(
    hashes: Any, lengths: Any, size: int, table: Any, stamps: Any, stamp: int, mask: int, times: Any,
    firsts: Any, slots: Any, repeated: Any,
) -> int:  # fmt: skip
    """Characters in all occurrences of a text's most frequent n-gram, the earliest of equals.

    Only n-grams all of whose words begin a repeated shorter one can repeat; which those are comes
    in `repeated`, and goes out there for this size.
    """
    grams = len(hashes) - size + 1
    if grams < 1:
        return 0
    best, most, earliest = 0, 1, 0
    for begin in range(grams):
        slots[begin] = -1
        if size > 2 and not (repeated[begin] and repeated[begin + 1]):
            continue
        slot, known = _slot(table, stamps, stamp, mask, _gram(hashes, begin, size))
        slots[begin] = slot
        if not known:
            times[slot], firsts[slot] = 1, begin
            continue
        times[slot] += 1
        if times[slot] > most or (times[slot] == most and firsts[slot] < earliest):
            most, earliest = times[slot], firsts[slot]
    for begin in range(len(hashes)):
        repeated[begin] = begin < grams and slots[begin] >= 0 and times[slots[begin]] > 1
    for place in range(earliest, earliest + size):
        best += lengths[place]
    return (best + size - 1) * most


@njit(cache=True, nogil=True)
def _again(
    hashes: Any, lengths: Any, size: int, table: Any, stamps: Any, stamp: int, mask: int,
    suspects: Any,
) -> int:  # fmt: skip
    """Characters of words in n-grams that came before, from left to right and never counted twice."""
    total = free = 0
    for begin in suspects:
        if begin < free or begin + size > len(hashes):
            continue
        _, known = _slot(table, stamps, stamp, mask, _gram(hashes, begin, size))
        if known:
            free = begin + size
            for place in range(begin, free):
                total += lengths[place]
    return total


@njit(cache=True, nogil=True)
def _repeated_lines(
    hashes: Any, lines: Any, table: Any, stamps: Any, stamp: int, mask: int, row: Any
) -> None:
    """Lines that are there before: how many, how long."""
    for line in range(len(hashes)):
        _, known = _slot(table, stamps, stamp, mask, hashes[line])
        if known:
            row[REPEATED_LINES] += 1
            row[REPEATED_LINE_CHARACTERS] += lines[line, LINE_END] - lines[line, LINE_BEGIN]


@njit(cache=True, nogil=True)
def _repeated_paragraphs(
    hashes: Any, lines: Any, table: Any, stamps: Any, stamp: int, mask: int, row: Any
) -> None:
    """The same of paragraphs, which are the lines between blank ones."""
    paragraph, begin = np.uint64(0), 0
    for line in range(len(hashes)):
        if lines[line, LINE_OPENS]:
            paragraph, begin = np.uint64(0), lines[line, LINE_BEGIN]
            row[PARAGRAPHS] += 1
        paragraph = mix(paragraph * _PRIME + hashes[line])
        if line + 1 == len(hashes) or lines[line + 1, LINE_OPENS]:
            _, known = _slot(table, stamps, stamp, mask, paragraph)
            if known:
                row[REPEATED_PARAGRAPHS] += 1
                row[REPEATED_PARAGRAPH_CHARACTERS] += lines[line, LINE_END] - begin


@njit(cache=True, nogil=True)
def repetition(
    hashes: Any, lengths: Any, word_starts: Any, line_hashes: Any, lines: Any, line_starts: Any,
    counts: Any,
) -> None:  # fmt: skip
    """Count what the words and lines of texts repeat, from what `scan` noted of them."""
    most = 0
    for text in range(len(word_starts) - 1):
        most = max(most, word_starts[text + 1] - word_starts[text])
        most = max(most, line_starts[text + 1] - line_starts[text])
    size = _mask(most) + 1
    table, stamps = np.empty(size, np.uint64), np.zeros(size, np.int64)
    times, firsts = np.empty(size, np.int64), np.empty(size, np.int64)
    slots, suspects = np.empty(most, np.int64), np.empty(most, np.int64)
    repeated, stamp = np.empty(most, np.bool_), 1
    for text in range(len(word_starts) - 1):
        row = counts[text]
        begin, end = line_starts[text], line_starts[text + 1]
        if end > begin:
            mask, some, places = _mask(end - begin), line_hashes[begin:end], lines[begin:end]
            _repeated_lines(some, places, table, stamps, stamp, mask, row)
            _repeated_paragraphs(some, places, table, stamps, stamp + 1, mask, row)
            stamp += 2
        begin, end = word_starts[text], word_starts[text + 1]
        words, long = hashes[begin:end], lengths[begin:end]
        mask = _mask(end - begin)
        for gram in range(2, 5):
            row[TOP + gram - 2] = _top(
                words, long, gram, table, stamps, stamp, mask, times, firsts, slots, repeated
            )
            stamp += 1
        found = 0
        for place in range(end - begin - 4):
            if repeated[place] and repeated[place + 1]:
                suspects[found] = place
                found += 1
        if found:
            for gram in range(5, 11):
                row[AGAIN + gram - 5] = _again(
                    words, long, gram, table, stamps, stamp, mask, suspects[:found]
                )
                stamp += 1


@njit(cache=True, nogil=True)
def distinct_grams(starts: Any, hashes: Any, size: int, counts: Any) -> None:
    """How many different n-grams each text has; one of fewer words is one n-gram as a whole.

    Args:
        starts: Where each text's words begin, and the end: (n + 1,).
        hashes: The words' hashes.
        size: Words of an n-gram.
        counts: Receives the counts: (n,).
    """
    most = 0
    for text in range(len(starts) - 1):
        most = max(most, starts[text + 1] - starts[text])
    room = _mask(most) + 1
    table, stamps = np.empty(room, np.uint64), np.zeros(room, np.int64)
    for text in range(len(starts) - 1):
        begin, words = starts[text], starts[text + 1] - starts[text]
        if words <= size:
            counts[text] = min(words, 1)
            continue
        mask, found = _mask(words), 0
        for place in range(begin, begin + words - size + 1):
            _, known = _slot(table, stamps, text + 1, mask, _gram(hashes, place, size))
            found += not known
        counts[text] = found
