"""Lines and sentences that belong to a web page and not to its text.

C4 (Raffel et al. 2020, arXiv:1910.10683) drops whole pages or lines for a single phrase. Here a
phrase may be quoted, so a line or sentence counts only if such phrases are a fair part of it. Of
the labels of links that are ordinary English ("contact us"), a short line of its own must begin
with one, or hardly a word may stand besides them.
The same segments are counted by profile and removed by clean.

Not covered: boilerplate in languages other than English.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.signals.patterns import read_list

_PHRASES_SHARE = 0.3
_LABELS_SHARE = 0.75
_SHORT_LINE = 8
# A segment ends with its line, with a sentence, or where a navigation bar has its separators.
_END = r"\n.!?|•·»"
_CLOSING = r"\"'”’)\]"
_SEGMENT = re.compile(rf"[^{_END}]*(?:[.!?](?![\s{_CLOSING}]|$)[^{_END}]*)*[{_END}{_CLOSING}]*\s*")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def boilerplate_counts(texts: pl.Series) -> NDArray[np.int64]:
    """How many segments of each text are boilerplate: (texts,)."""
    counts = np.zeros(len(texts), np.int64)
    for row in candidates(texts).arg_true():
        counts[row] = sum(boilerplate_flags(segments(texts[row])))
    return counts


def candidates(texts: pl.Series) -> pl.Series:
    """Which texts hold any phrase at all: a cheap test before the exact one."""
    return texts.str.contains_any([*_phrases(), *_labels()], ascii_case_insensitive=True)


def segments(text: str) -> list[str]:
    """Cut a text into lines and sentences; joined again they are the text."""
    return [found.group() for found in _SEGMENT.finditer(text) if found.group()]


def boilerplate_flags(parts: list[str]) -> list[bool]:
    """Which segments of a text are boilerplate."""
    suspects = candidates(pl.Series(parts, dtype=pl.String)).to_list()
    return [
        suspect and _is_boilerplate(part, _is_line(parts, place))
        for place, (part, suspect) in enumerate(zip(parts, suspects, strict=True))
    ]


def _is_line(parts: list[str], place: int) -> bool:
    """Whether a segment is a line of its own in a text of several."""
    begins = place == 0 or "\n" in parts[place - 1][-2:]
    ends = place == len(parts) - 1 or "\n" in parts[place][-2:]
    return begins and ends and len(parts) > 1


def _is_boilerplate(segment: str, is_line: bool) -> bool:
    """Whether phrases, or phrases and labels, make up enough of a segment's words."""
    words = len(_WORD.findall(segment))
    labels = _words_in(_pattern("labels"), segment)
    if is_line and words <= _SHORT_LINE and _pattern("labels").match(segment):
        return True
    phrases = _words_in(_pattern("phrases"), segment)
    return words > 0 and (phrases >= _PHRASES_SHARE * words or labels >= _LABELS_SHARE * words)


def _words_in(pattern: re.Pattern[str], segment: str) -> int:
    return sum(len(_WORD.findall(found)) for found in pattern.findall(segment))


@cache
def _phrases() -> list[str]:
    return read_list("words_boilerplate.txt")


@cache
def _labels() -> list[str]:
    return read_list("words_navigation.txt")


@cache
def _pattern(which: str) -> re.Pattern[str]:
    """The phrases, or the phrases and the labels; the longest that fits is taken."""
    found = _phrases() if which == "phrases" else [*_phrases(), *_labels()]
    longest_first = sorted(found, key=lambda phrase: (-len(phrase), phrase))
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b", re.IGNORECASE)
