"""What C4 makes of a line of a web page (Raffel et al. 2020, arXiv:1910.10683).

The order of its reasons is that of the code with which it was made (`c4_utils.py` of TensorFlow
Datasets), which looks for javascript, curly brackets and lorem ipsum only in lines that end as a
sentence does and have enough words; the paper names the reasons without an order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tasks.corpus.signals.kernels import layout
from tasks.corpus.signals.kernels.layout import (
    BRACKETS,
    FEW_WORDS,
    JAVASCRIPT,
    LONG_WORDS,
    LOREM,
    POLICY,
    SENTENCES,
    TERMINAL,
    UNPUNCTUATED,
)
from tasks.corpus.signals.kernels.marks import decode, ends_with_ellipsis, holds

_FEWEST_WORDS = 3  # of a line that is kept
_LONGEST_WORD = 1000  # characters, of a line that is kept


def _phrase(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("ascii"), np.uint8)


_EDIT, _CITATION = _phrase("[edit]"), _phrase("[citation needed]")
_LOREM_IPSUM, _SCRIPT = _phrase(layout.LOREM_IPSUM), _phrase(layout.SCRIPT)
_POLICIES = tuple(_phrase(text) for text in layout.POLICIES)


@njit(cache=True, nogil=True)
def _without_citations(data: Any, begin: int, end: int) -> int:
    """Where a line ends before its last `[12]`, `[edit]` or `[citation needed]`."""
    while end - begin >= 2 and data[end - 1] == 93:
        start = end - 2
        while start >= begin and 48 <= data[start] <= 57:
            start -= 1
        if start >= begin and data[start] == 91:
            end = start
        elif end - begin >= 6 and holds(data, end - 6, end, _EDIT):
            end -= 6
        elif end - begin >= 17 and holds(data, end - 17, end, _CITATION):
            end -= 17
        else:
            break
    return end


@njit(cache=True, nogil=True)
def _ends_sentence(data: Any, begin: int, end: int, classes: Any) -> bool:
    """Whether a line ends as C4 wants it: with a full stop of any script or a closing quote."""
    end = _without_citations(data, begin, end)
    if end <= begin or ends_with_ellipsis(data, begin, end):
        return False
    last = end - 1
    while last > begin and data[last] & 0xC0 == 0x80:
        last -= 1
    code = np.int64(data[last]) if data[last] < 128 else decode(data, last)[0]
    return code == 34 or code == 39 or (classes[code] & TERMINAL) != 0 or _is_quote(code)


@njit(cache=True, nogil=True)
def _is_quote(code: int) -> bool:
    return code == 0x201D or code == 0x2019 or code == 0xBB or code == 0x300D or code == 0x300F


@njit(cache=True, nogil=True)
def judge_for_c4(
    data: Any, begin: int, end: int, classes: Any, suspect: Any, words: int, longest: int,
    sentences: int, row: Any,
) -> None:  # fmt: skip
    """Count a line under the first of C4's reasons to drop it or its text, or its sentences."""
    if longest > _LONGEST_WORD:
        row[LONG_WORDS] += 1
        return
    if not _ends_sentence(data, begin, end, classes):
        row[UNPUNCTUATED] += 1
        return
    if words < _FEWEST_WORDS:
        row[FEW_WORDS] += 1
        return
    if suspect:
        if holds(data, begin, end, _LOREM_IPSUM):
            row[LOREM] += 1
            return
        if holds(data, begin, end, _SCRIPT):
            row[JAVASCRIPT] += 1
            return
        for place in range(begin, end):
            if data[place] == 123:
                row[BRACKETS] += 1
                return
        for phrase in _POLICIES:
            if holds(data, begin, end, phrase):
                row[POLICY] += 1
                return
    row[SENTENCES] += max(sentences, 1)
