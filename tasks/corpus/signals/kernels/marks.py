"""Reading single characters and words of UTF-8, and what is rare among them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tasks.corpus.signals.kernels.layout import (
    DIGIT,
    ELLIPSES,
    HASHES,
    HINTS,
    MAY_CARD,
    MAY_EMAIL,
    MAY_IBAN,
    MAY_IP,
    MAY_MARKUP,
    MAY_PHONE,
    MAY_URL,
    SPECIAL,
    STOP_WORDS,
)

_SPREAD = np.uint64(0xBF58476D1CE4E5B9)
# A table in which each stop word has the place that its bytes times the factor give (bits 20 to 23).
_STOP_FACTOR = 323
_STOP_WORDS, _STOP_BITS = np.zeros(16, np.int64), np.zeros(16, np.int64)
for _bit, _word in enumerate(STOP_WORDS):
    _bytes = int.from_bytes(_word.encode("ascii"), "big")
    _STOP_WORDS[(_bytes * _STOP_FACTOR >> 20) & 15] = _bytes
    _STOP_BITS[(_bytes * _STOP_FACTOR >> 20) & 15] = 1 << _bit
# Telephone numbers have six digits or more, with at most so many bytes between two (`patterns.PHONE`).
_PHONE_GAP, _PHONE_SPAN = 16, 5
_CARD_SPAN = 11  # from a card's first digit to its last, at least
# The state of `note_rare` along a line.
FIRST_DIGIT, DIGIT_AFTER, DOTTED, DOT_AFTER, DOTS, COLONS = range(6)
RARE_STATE = 6


@njit(cache=True, nogil=True)
def mix(value: Any) -> Any:
    """Spread the bits of a hash, so that its last ones are as good as any."""
    value = (value ^ (value >> np.uint64(31))) * _SPREAD
    return value ^ (value >> np.uint64(29))


@njit(cache=True, nogil=True)
def decode(data: Any, position: int) -> Any:
    """The code point that begins at a byte over 127, and its bytes."""
    byte = np.int64(data[position])
    second = np.int64(data[position + 1]) & 63
    if byte < 0xE0:
        return (byte & 31) << 6 | second, 2
    third = np.int64(data[position + 2]) & 63
    if byte < 0xF0:
        return (byte & 15) << 12 | second << 6 | third, 3
    return (byte & 7) << 18 | second << 12 | third << 6 | np.int64(data[position + 3]) & 63, 4


@njit(cache=True, nogil=True)
def holds(data: Any, begin: int, end: int, phrase: Any) -> bool:
    """Whether bytes hold a phrase in lower case, whatever their own case in ASCII."""
    for start in range(begin, end - len(phrase) + 1):
        place = 0
        while place < len(phrase):
            byte = data[start + place]
            if byte != phrase[place] and not (65 <= byte <= 90 and byte + 32 == phrase[place]):
                break
            place += 1
        if place == len(phrase):
            return True
    return False


@njit(cache=True, nogil=True)
def stop_word(packed: int) -> int:
    """The bit of one of Gopher's eight stop words, or 0, by the bytes of its letters in lower case."""
    place = (packed * _STOP_FACTOR >> 20) & 15
    return _STOP_BITS[place] if _STOP_WORDS[place] == packed else 0


@njit(cache=True, nogil=True)
def _special(data: Any, begin: int, position: int, code: int, row: Any, state: Any) -> None:
    if code == 46:  # '.'
        state[DOTS] = state[DOTS] + 1 if position == state[DOT_AFTER] else 1
        state[DOT_AFTER] = position + 1
        if state[DOTS] == 3:
            row[ELLIPSES] += 1
            state[DOTS] = 0
        if position >= begin + 3 and (  # 'www.'
            data[position - 1] == 119 and data[position - 2] == 119 and data[position - 3] == 119
        ):
            row[HINTS] |= MAY_URL
    elif code == 0x2026:  # the ellipsis as one character
        row[ELLIPSES] += 1
    elif code == 35:  # '#'
        row[HASHES] += 1
    elif code == 64:  # '@'
        row[HINTS] |= MAY_EMAIL
    elif code == 58:  # ':', of which an address of version 6 has seven, or two together
        state[COLONS] += 1
        if state[COLONS] == 7 or (position > begin and data[position - 1] == 58):
            row[HINTS] |= MAY_IP
    elif code == 60 or code == 38:  # '<', '&'
        row[HINTS] |= MAY_MARKUP
    elif position > begin:
        if code == 62 and data[position - 1] == 93:  # ']]>'
            row[HINTS] |= MAY_MARKUP
        if code == 47 and data[position - 1] == 58:  # '://'
            row[HINTS] |= MAY_URL


@njit(cache=True, nogil=True)
def _chained(data: Any, after: int, position: int) -> int:
    """How two digits with the bytes between them may belong together: 2 by a dot, 1, or 0."""
    if position - after > _PHONE_GAP:
        return 0
    for place in range(after, position):
        byte = data[place]
        if not (byte == 32 or byte == 40 or byte == 41 or byte == 45 or byte == 46):
            return 0
    return 2 if position - after == 1 and data[after] == 46 else 1


@njit(cache=True, nogil=True, inline="always")
def _capital(byte: int) -> bool:
    return 65 <= byte <= 90


@njit(cache=True, nogil=True)
def ends_with_ellipsis(data: Any, begin: int, end: int) -> bool:
    """Whether bytes end with three full stops or with the one character for them."""
    if end - begin < 3:
        return False
    one, two, three = data[end - 3], data[end - 2], data[end - 1]
    return (one == 46 and two == 46 and three == 46) or (
        one == 0xE2 and two == 0x80 and three == 0xA6
    )


@njit(cache=True, nogil=True)
def note_rare(
    data: Any,
    begin: int,
    position: int,
    width: int,
    at: int,
    code: int,
    bits: int,
    row: Any,
    state: Any,
) -> None:
    """Note digits and the rare characters that a rule counts or a pattern needs.

    Args:
        data: The bytes.
        begin: Where the line begins.
        position: Where the character begins.
        width: Its bytes.
        at: Its place in the text.
        code: Its code point.
        bits: Its bits, SPECIAL or DIGIT among them.
        row: The text's figures.
        state: Of this line so far, zeros before: (RARE_STATE,).
    """
    if bits & SPECIAL:
        _special(data, begin, position, code, row, state)
    if bits & DIGIT:
        joined = 0
        if state[DIGIT_AFTER] > 0:
            joined = _chained(data, state[DIGIT_AFTER], position)
        if joined == 0:
            state[FIRST_DIGIT] = at
        if position >= begin + 2 and _capital(data[position - 1]) and _capital(data[position - 2]):
            row[HINTS] |= MAY_IBAN
        if joined == 2:
            state[DOTTED] += 1
        elif position != state[DIGIT_AFTER]:
            state[DOTTED] = 0
        if at - state[FIRST_DIGIT] >= _PHONE_SPAN:
            row[HINTS] |= MAY_PHONE
        if at - state[FIRST_DIGIT] >= _CARD_SPAN:
            row[HINTS] |= MAY_CARD
        if state[DOTTED] >= 3:
            row[HINTS] |= MAY_IP
        state[DIGIT_AFTER] = position + width
