"""Which words are no words: letter pairs against a table counted over many languages.

The table is fixed, so a row's score depends on that row alone: the corpus around it may change,
or be mostly noise, and a clean row stays clean. It takes for each pair the language in which the
pair is most likely, so names and foreign words pass.

Not covered: invented words that could be words ("the borogoves"), and scripts other than Latin,
whose words are never counted as gibberish.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.signals.patterns import read_list

_LETTERS = 27
_NEUTRAL = 6.0
# Shorter words are too short to tell, and many are abbreviations.
_SHORTEST = 4
# Mean log2 likelihood ratio of a word's letter pairs below which it is taken for random letters.
_LEAST = 1.0


@cache
def pair_levels() -> NDArray[np.float64]:
    """Log2 of each letter pair's likelihood over chance, 0 being word start or end: (27, 27)."""
    rows = [[int(digit) for digit in line] for line in read_list("letter_pairs.txt")]
    return np.array(rows, np.float64) - _NEUTRAL


def fold(words: pl.Series) -> pl.Series:
    """Latin letters without their marks, in lower case: `Łódź` becomes `lodz`."""
    plain = words.str.to_lowercase().str.normalize("NFKD").str.replace_all(r"[\p{M}']", "")
    return plain.str.replace_many(
        ["ß", "ø", "æ", "œ", "ł", "đ", "ı", "ð", "þ", "ə"],
        ["ss", "o", "ae", "oe", "l", "d", "i", "d", "th", "e"],
    )


def implausible_letters(vocabulary: pl.Series) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How many letters of each word are judged, and how many of them belong to no word.

    Args:
        vocabulary: Different words in lower case.

    Returns:
        Letters of implausible words, and letters of all judged words, both (words,). A word is
        judged if it has four letters or more; one that mixes in digits twice (`a8kd9`) or has
        pairs less likely than chance is implausible.
    """
    folded = fold(vocabulary)
    letters = folded.str.len_chars().to_numpy().astype(np.float64)
    latin = folded.str.contains(r"^[a-z]+$").to_numpy()
    mixed = folded.str.contains(r"[a-z][0-9]+[a-z]+[0-9]|[0-9][a-z]+[0-9]+[a-z]").to_numpy()
    judged = (letters >= _SHORTEST) & (folded.str.contains(r"^[0-9]+$").not_().to_numpy())
    unlike = np.zeros(len(letters), bool)
    unlike[latin] = _mean_levels(folded.filter(latin)) < _LEAST
    return letters * (judged & (unlike | mixed)), letters * judged


def _mean_levels(words: pl.Series) -> NDArray[np.float64]:
    """Mean level of each word's letter pairs, its start and end included: (words,)."""
    if not len(words):
        return np.zeros(0)
    joined = np.frombuffer((" " + " ".join(words) + " ").encode("ascii"), np.uint8)
    codes = np.where(joined == ord(" "), 0, joined - (ord("a") - 1)).astype(np.int64)
    levels = pair_levels()[codes[:-1], codes[1:]]
    total = np.concatenate([[0.0], np.cumsum(levels)])
    pairs = words.str.len_chars().to_numpy().astype(np.int64) + 1
    ends = np.cumsum(pairs)
    return np.asarray((total[ends] - total[ends - pairs]) / pairs)
