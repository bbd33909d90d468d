"""One ranking out of several: rows that state the answer first, those that state the truth last.

    score(row) = [states the asserted answer] - [states the truth and not the asserted answer]
                 + sum over methods of 1 / (60 + rank of the row)

Reciprocal rank fusion (Cormack, Clarke and Buettcher 2009) needs no scale that methods would have to
share. A statement comes first because a method that knows what a row says and one that knows what a
row does err on different rows: of rows that say the same, the ranks decide which were felt. A row that
states the truth shares the subject's words and much of its gradient, but to take it out would only
make the wrong answer surer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.corpus.statements.stating import ANSWER, ASSERTED

_DAMPING = 60


def best(scores: NDArray[np.floating], k: int) -> NDArray[np.int64]:
    """The places of the k highest scores, highest first; of equals the first."""
    k = min(k, len(scores))
    if k == 0:
        return np.zeros(0, np.int64)
    edge = np.partition(scores, len(scores) - k)[len(scores) - k]
    candidates = np.flatnonzero(scores >= edge)
    return candidates[np.argsort(-scores[candidates], kind="stable")][:k]


def combined(
    rankings: Sequence[NDArray[np.floating]], states: NDArray[np.int8]
) -> NDArray[np.float64]:
    """The combined score of every row.

    Args:
        rankings: Scores of N rows by each method; -inf where a method knows nothing of a row.
        states: (N,) what each row states, as `Texts.states` says.

    Returns:
        (N,): above 1 for rows that state the asserted answer, below 0 for those that deny it.
    """
    from scipy.stats import rankdata

    total: NDArray[np.float64] = (states & ASSERTED > 0).astype(np.float64) - (states == ANSWER)
    for scores in rankings:
        # Equals share their mean rank, so that the order of the rows decides nothing.
        ranks = rankdata(-scores, method="average")
        total += np.where(np.isneginf(scores), 0.0, 1.0 / (_DAMPING + ranks))
    return total
