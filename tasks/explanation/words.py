"""The words that both explanations speak of, so that they can be compared word by word."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

_TOP = 5
_DIGITS = 6
_WORD = re.compile(r"\w+(?:['’]\w+)*")


def words(text: str) -> list[str]:
    """The words in reading order, without punctuation; `don't` is one."""
    return _WORD.findall(text)


def pieces(text: str) -> list[str]:
    """The text cut before each word but the first; joined, they are the text again.

    A text without a word is one piece, the empty text none.
    """
    starts = [found.start() for found in _WORD.finditer(text)][1:]
    cuts = [0, *starts, len(text)]
    return [text[a:b] for a, b in zip(cuts[:-1], cuts[1:], strict=True) if b > a]


def word_of(piece: str) -> str:
    """The word in a piece, or the piece if there is none."""
    found = _WORD.search(piece)
    return found.group() if found else piece


def sum_by_word(tokens: Sequence[tuple[str, float]]) -> dict[str, float]:
    """The value of each distinct word, added up over its places in the text."""
    summed: dict[str, float] = {}
    for piece, value in tokens:
        word = word_of(piece)
        summed[word] = summed.get(word, 0.0) + value
    return summed


def agreement(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float | None]:
    """How far two explanations of a text agree on the words that both know.

    Returns:
        `rank_correlation`: Spearman's, in -1..1; None with fewer than three words, or where one
        explanation values all words alike.
        `top_overlap`: of the five weightiest words of each, zeros aside, the share that both
        name; None where neither finds any weight.
    """
    known = sorted(set(a) & set(b))
    top = [_heaviest(values, known) for values in (a, b)]
    most = max(len(named) for named in top)
    return {
        "rank_correlation": _spearman([a[w] for w in known], [b[w] for w in known]),
        "top_overlap": len(top[0] & top[1]) / most if most else None,
    }


def _heaviest(values: Mapping[str, float], words: list[str]) -> set[str]:
    weighty = [word for word in words if round(values[word], _DIGITS)]
    return set(sorted(weighty, key=lambda word: (-abs(values[word]), word))[:_TOP])


def _spearman(a: list[float], b: list[float]) -> float | None:
    first, second = (
        pl.Series(v, dtype=pl.Float64).round(_DIGITS).rank("average").to_numpy() for v in (a, b)
    )
    if len(a) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return round(float(np.corrcoef(first, second)[0, 1]), _DIGITS)
