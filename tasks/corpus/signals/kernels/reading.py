"""One pass over the bytes of texts: characters, words, lines, and what the rules count of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tasks.corpus.signals.kernels.layout import (
    BULLET,
    BULLETS,
    CHARACTERS,
    CLOSER,
    CONTROLS,
    DIGIT,
    DIGITS,
    HINTS,
    HOLDING,
    HOLDING_CHARACTERS,
    IDEOGRAPH,
    LETTER,
    LETTERED,
    LETTERS,
    LINE_BEGIN,
    LINE_END,
    LINE_OPENS,
    LINES,
    LOWERS,
    MAY_MOJIBAKE,
    NEWLINES,
    NUMBER,
    ODD,
    PLAIN,
    PUNCTUATED,
    SHORT,
    SPACE,
    SPACELESS,
    SPACELESS_WORDS,
    SPACES,
    SPECIAL,
    STOPS,
    TERMINAL,
    TRAILING,
    UPPERS,
    WORDLIKE,
    WORDS,
)
from tasks.corpus.signals.kernels.marks import (
    RARE_STATE,
    decode,
    ends_with_ellipsis,
    mix,
    note_rare,
    stop_word,
)
from tasks.corpus.signals.kernels.pages import judge_for_c4
from tasks.corpus.signals.kernels.words import NONE, continued, opened

_PRIME = np.uint64(0x9E3779B97F4A7C15)
_SEED = np.uint64(0xCBF29CE484222325)
_SHORT_LINE = 30  # FineWeb, characters
_BROKEN = 1 << 62  # letters with other characters between, which are no stop word


@njit(cache=True, nogil=True, inline="always")
def _close_word(
    value: Any, length: int, seen: int, held: int, packed: int, row: Any, hashes: Any, lengths: Any,
    place: int,
) -> None:  # fmt: skip
    """Note a word: its hash, its characters, and what the rules count of it."""
    hashes[place] = mix(value)
    lengths[place] = length
    if seen & (LETTER | NUMBER):
        row[HOLDING] += 1
        row[HOLDING_CHARACTERS] += length
        row[LETTERED] += seen & LETTER
        row[SPACELESS_WORDS] += held >= 2
    row[STOPS] |= stop_word(packed)


@njit(cache=True, nogil=True)
def _close_line(
    data: Any, begin: int, end: int, first: int, last: int, classes: Any, suspect: Any, words: int,
    longest: int, sentences: int, row: Any,
) -> None:  # fmt: skip
    """Count a line that is not blank, from its first byte to its last that is no white space."""
    row[LINES] += 1
    row[BULLETS] += (first & BULLET) != 0
    row[PUNCTUATED] += (last & TERMINAL) != 0
    row[TRAILING] += ends_with_ellipsis(data, begin, end)
    judge_for_c4(data, begin, end, classes, suspect, words, longest, sentences, row)


@njit(cache=True, nogil=True, inline="always")
def _letters(data: Any, position: int, stop: int, classes: Any, value: Any, packed: int) -> Any:
    """Read ASCII letters: how many, the word's hash with them, the capitals, its last letters."""
    begin, capitals = position, 0
    while position < stop:
        byte = np.int64(data[position])
        bits = np.int64(classes[byte])
        if bits & PLAIN == 0:
            break
        capitals += bits >> 3 & 1
        value = (value ^ np.uint64(byte)) * _PRIME
        packed = packed << 8 | byte | 32
        position += 1
    return position - begin, value, capitals, packed


@njit(cache=True, nogil=True)
def _scan_line(
    data: Any, begin: int, stop: int, start: int, classes: Any, suspect: Any, row: Any, hashes: Any,
    lengths: Any, word: int, line: Any, state: Any,
) -> Any:  # fmt: skip
    """One line: its bytes from `begin` to a line feed or `stop`.

    The one long function: what it keeps from character to character would cost more to hand over
    than to work on. `start` is the line's first character's place in the text, `word` where the next
    word is noted, `line` receives where its first character is and where its last one ends, and the
    other arguments are those of `scan`.

    Returns:
        The byte where the line ends, the place after its last character, the next word, and the
        line's hash, 0 for a blank line.
    """
    letters = digits = spaces = upper = lower = controls = hints = 0
    position, at, word_from = begin, start, word
    state[:] = 0
    inside, packed, chars, seen, held, cluster = False, 0, 0, 0, 0, NONE
    value, line_hash, gap = _SEED, np.uint64(0), _SEED
    first = last = line_from = line_to = longest = sentences = 0
    ended = content = False
    while position < stop:
        code, width = np.int64(data[position]), 1
        if code >= 128:
            code, width = decode(data, position)
        elif code == 10:
            break
        bits = np.int64(classes[code])
        letters += bits & 1
        digits += bits >> 1 & 1
        spaces += bits >> 2 & 1
        upper += bits >> 3 & 1
        lower += bits >> 4 & 1
        controls += bits >> 5 & 1
        hints |= bits
        is_space = bits & SPACE != 0
        following = continued(cluster, bits, last) if bits & SPACELESS else NONE
        cut = inside and held != 0 and (
            (bits & IDEOGRAPH) != 0
            or ((bits & SPACELESS) != 0 and following == NONE)
            or ((bits & WORDLIKE) != 0 and held != 1)
        )  # fmt: skip
        if inside and (is_space or cut):
            _close_word(value, chars, seen, held, packed, row, hashes, lengths, word)
            line_hash = mix(line_hash * _PRIME + hashes[word])
            word += 1
            longest = max(longest, chars)
            initial = chars == 2 and (seen & LETTER) != 0 and data[position - 1] == 46
            if ended and content and not initial:
                sentences += 1
                content = False
            inside, cluster, following = False, NONE, NONE
        if is_space:
            gap = (gap ^ np.uint64(code)) * _PRIME
        else:
            if not inside:
                if line_from == 0:
                    first, line[LINE_BEGIN], line_from = bits, at, position + 1
                elif gap != _SEED:
                    line_hash = mix(line_hash ^ gap)
                inside, packed, chars, seen, held, cluster = True, 0, 0, 0, 0, NONE
                value, gap, ended = _SEED, _SEED, False
            value = (value ^ np.uint64(code)) * _PRIME
            chars += 1
            seen |= bits
            last, line_to = bits, position + width
            line[LINE_END] = at + 1
            if bits & SPACELESS:
                held, cluster = 3, following if following != NONE else opened(bits)
            else:
                cluster = NONE
                if bits & IDEOGRAPH:
                    held = 2
                elif bits & WORDLIKE:
                    held = 1
            content = content or (bits & (LETTER | NUMBER)) != 0
            if (bits & TERMINAL) != 0 or code == 0x2026:
                ended = True
            elif not bits & CLOSER:
                ended = False
        if bits & (SPECIAL | DIGIT):
            note_rare(data, begin, position, width, at, code, bits, row, state)
        position += width
        at += 1
        if bits & PLAIN:
            broken = packed != 0
            more, value, capitals, packed = _letters(
                data, position, stop, classes, value, code | 32
            )
            packed = _BROKEN if broken else packed
            position, at, chars, letters = position + more, at + more, chars + more, letters + more
            upper, lower = upper + capitals, lower + more - capitals
            line[LINE_END], line_to = at, position
    if inside:
        _close_word(value, chars, seen, held, packed, row, hashes, lengths, word)
        line_hash = mix(line_hash * _PRIME + hashes[word])
        word += 1
        longest = max(longest, chars)
    row[LETTERS] += letters
    row[DIGITS] += digits
    row[SPACES] += spaces
    row[UPPERS] += upper
    row[LOWERS] += lower
    row[CONTROLS] += controls
    if hints & ODD:
        row[HINTS] |= MAY_MOJIBAKE
    if line_from == 0:
        return position, at, word, np.uint64(0)
    row[SHORT] += line[LINE_END] - line[LINE_BEGIN] <= _SHORT_LINE
    _close_line(
        data, line_from - 1, line_to, first, last, classes, suspect, word - word_from, longest,
        sentences + content, row,
    )  # fmt: skip
    return position, at, word, line_hash | np.uint64(1)


@njit(cache=True, nogil=True)
def scan(
    data: Any, offsets: Any, classes: Any, suspects: Any, counts: Any, hashes: Any, lengths: Any,
    word_starts: Any, line_hashes: Any, lines: Any, line_starts: Any,
) -> None:  # fmt: skip
    """Count characters, words and lines of texts, and note their words and lines.

    Args:
        data: The texts' bytes, valid UTF-8.
        offsets: Where each text begins, and the end: (n + 1,).
        classes: The bits of each code point: (0x110000,).
        suspects: Whether a text may hold a phrase that C4 drops a line for: (n,).
        counts: Receives what is counted, zeros before: (n, len(COUNTS)).
        hashes: Receives each word's hash, text after text: (bytes,).
        lengths: Receives each word's characters: (bytes,).
        word_starts: Receives where each text's words begin, and the end: (n + 1,).
        line_hashes: Receives each line's hash, blank ones left out: (lines,).
        lines: Receives each line's first place, the place after its last, and whether a blank line
            or the text's beginning is before it: (lines, 3).
        line_starts: Receives where each text's lines begin, and the end: (n + 1,).
    """
    word = line = 0
    state = np.zeros(RARE_STATE, np.int64)
    for text in range(len(offsets) - 1):
        row = counts[text]
        word_starts[text], line_starts[text] = word, line
        position, stop, at, opens = offsets[text], offsets[text + 1], 0, 1
        while position < stop:
            position, at, word, value = _scan_line(
                data, position, stop, at, classes, suspects[text], row, hashes, lengths, word,
                lines[line], state,
            )  # fmt: skip
            if value != 0:
                line_hashes[line], lines[line, LINE_OPENS] = value, opens
                line += 1
            opens = int(value == 0)
            if position < stop:
                row[NEWLINES] += 1
                row[SPACES] += 1
                position += 1
                at += 1
        row[CHARACTERS] = at
        row[WORDS] = word - word_starts[text]
    word_starts[len(offsets) - 1], line_starts[len(offsets) - 1] = word, line
