"""Rows whose signals lie far from those of the other rows in their language.

For each signal x of a row, over the trusted rows of its language,

    z = |x - median| / s,  s = 1.4826 MAD,

the robust standard score (Iglewicz and Hoaglin 1993, "How to detect and handle outliers"); where
more than half of the rows have one value and MAD is 0, their s = 1.2533 times the mean absolute
deviation. `outlier_score` is the largest z of a row and `outlier_signal` says of which signal.
Lengths are taken by their logarithm, for they are spread over decades.

Medians move by nothing while fewer than half of the rows are odd, each row's score can be said in
one sentence, and nothing is random: hence no isolation forest, whose score names no reason.

Signals that count rare things (markup, addresses) have rules of their own and are left out: in a
clean corpus the first e-mail address would be infinitely far out. Not covered: rows that are odd
only in the combination of ordinary values.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

SIGNALS = {
    "outlier_score": "robust standard deviations of a row's oddest signal from the median",
    "outlier_signal": "which signal that is",
}

Flags = NDArray[np.bool_]
Values = NDArray[np.float64]

# By signal, the least standard deviation that is told apart: smaller ones are rounding, or come
# from a corpus of one pattern, where any other text would be infinitely odd.
_LEAST = {
    "characters": 0.2, "words": 0.2, "mean_word_length": 0.3, "alpha_ratio": 0.02,
    "digit_ratio": 0.02, "upper_ratio": 0.02, "symbol_ratio": 0.02, "space_ratio": 0.02,
    "stopword_ratio": 0.05, "unique_word_ratio": 0.05, "gibberish_score": 0.05,
    "repeated_ngram_ratio": 0.05, "perplexity": 0.2, "typo_ratio": 0.02,
}  # fmt: skip
COMPARED = tuple(_LEAST)
_BY_LOGARITHM = ("characters", "words")
_ENGLISH = ("stopword_ratio", "typo_ratio")
_FEWEST = 50
_TO_DEVIATION, _MEAN_TO_DEVIATION = 1.4826, 1.2533


def outlier_signals(signals: pl.DataFrame, trusted: Flags) -> pl.DataFrame:
    """`outlier_score` and `outlier_signal` of each row, null where no signal can be judged.

    Args:
        signals: The rows' signals and `language`; signals that are not there are left out.
        trusted: Which rows say what is usual. A language with fewer than 50 of them is compared
            with all languages.
    """
    names = [name for name in _LEAST if name in signals.columns]
    if not names or not signals.height:
        return pl.DataFrame(schema={"outlier_score": pl.Float64, "outlier_signal": pl.String})
    languages = signals["language"].to_numpy()
    most, oddest = np.full(signals.height, -1.0), np.zeros(signals.height, np.int8)
    for place, name in enumerate(names):  # one signal at a time is held
        scores = _scores(_values(signals, name), languages, trusted, _LEAST[name])
        if name in _ENGLISH:
            scores[languages != "en"] = np.nan
        odder = scores > most  # a score that is not known is never greater
        most[odder], oddest[odder] = scores[odder], place
    score = pl.Series(most.round(3))
    known = score >= 0
    named = pl.Series(names).gather(oddest)
    return pl.select(
        pl.when(known).then(score).alias("outlier_score"),
        pl.when(known).then(named).alias("outlier_signal"),
    )


def _values(signals: pl.DataFrame, name: str) -> Values:
    values = signals[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return np.log(np.maximum(values, 1.0)) if name in _BY_LOGARITHM else values


def _scores(values: Values, languages: NDArray[np.object_], trusted: Flags, least: float) -> Values:
    """Distance of each row from the median of its language, NaN where there are too few rows."""
    usual = trusted & ~np.isnan(values)
    scores = _distances(values, values[usual], least)
    for code in set(languages):
        rows = languages == code
        if (usual & rows).sum() >= _FEWEST:
            scores[rows] = _distances(values[rows], values[usual & rows], least)
    return scores


def _distances(values: Values, usual: Values, least: float) -> Values:
    if len(usual) < _FEWEST:
        return np.full(len(values), np.nan)
    middle = np.median(usual)
    away = np.abs(usual - middle)
    spread = _TO_DEVIATION * np.median(away) or _MEAN_TO_DEVIATION * away.mean()
    return np.asarray(np.abs(values - middle) / max(spread, least))
