"""Lines and sentences that belong to a web page and not to its text.

A phrase such as "click here" may be quoted, so a segment counts only if the words of such phrases
make up a good part of it. The same segments are counted by profile and removed by clean.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.patterns import boilerplate_phrases

_LEAST_SHARE = 0.3
# A segment ends with its line, with a sentence, or where a navigation bar has its separators.
_SEGMENT = re.compile(
    r"[^\n.!?|•·»]*(?:[.!?](?![\s\"'”’)\]]|$)[^\n.!?|•·»]*)*[\n.!?|•·»\"'”’)\]]*\s*"
)
_WORD = re.compile(r"[^\W_]+")


def boilerplate_counts(texts: pl.Series) -> NDArray[np.int64]:
    """How many segments of each text are boilerplate: (texts,)."""
    counts = np.zeros(len(texts), np.int64)
    for row in candidates(texts).arg_true():
        counts[row] = sum(is_boilerplate(segment) for segment in segments(texts[row]))
    return counts


def candidates(texts: pl.Series) -> pl.Series:
    """Which texts hold any phrase at all: a cheap test before the exact one."""
    return texts.str.contains_any(boilerplate_phrases(), ascii_case_insensitive=True)


def segments(text: str) -> list[str]:
    """Cut a text into lines and sentences; joined again they are the text."""
    return [found.group() for found in _SEGMENT.finditer(text) if found.group()]


def is_boilerplate(segment: str) -> bool:
    """Whether the words of known phrases make up at least three tenths of a segment's words."""
    words = len(_WORD.findall(segment))
    phrases = sum(len(_WORD.findall(found)) for found in _pattern().findall(segment))
    return phrases > 0 and phrases >= _LEAST_SHARE * words


@cache
def _pattern() -> re.Pattern[str]:
    """Any phrase; longest first, since the first alternative that fits is taken."""
    phrases = "|".join(re.escape(phrase) for phrase in boilerplate_phrases())
    return re.compile(rf"\b(?:{phrases})\b", re.IGNORECASE)
