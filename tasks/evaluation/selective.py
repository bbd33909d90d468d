"""When to answer and when to keep silent, chosen on validation rows.

Confidence is first brought to scale: dividing the log-probabilities by one temperature T, the one
under which the validation labels are likeliest, changes no answer and makes "80 % sure" mean it
(Guo, Pleiss, Sun and Weinberger 2017, arXiv:1706.04599).

Then the least confidence at which an answer is given, such that of the answers above it no more than a
stated part is wrong, shown at a stated level (selection with guaranteed risk; Geifman and El-Yaniv
2017, arXiv:1705.08500). Thresholds are tried from the surest down by Clopper and Pearson's bound, and the
first that fails ends the search; tried in such an order, known before any label is looked at, they
need no correction for their number (Angelopoulos et al. 2021, arXiv:2110.01052).
"""

from __future__ import annotations

from math import ceil, log

import numpy as np
from numpy.typing import NDArray

_FARTHEST = 3.0  # |log T|
_SMALLEST = 1e-12


def temperature(probabilities: NDArray[np.float64], classes: NDArray[np.int64]) -> float:
    """The temperature under which the labels are likeliest.

    Args:
        probabilities: (n, C), of at least one row.
        classes: (n,) index of the true class; -1, none of the C, is left out.

    Returns:
        T > 0; above 1 the model was too sure of itself. 1 where no row has a known class.
    """
    from scipy.optimize import minimize_scalar

    known = classes >= 0
    logs, truth = _logs(probabilities[known]), classes[known]
    if not len(truth):
        return 1.0
    at_truth = np.arange(len(truth)), truth
    logs[at_truth] = np.maximum(logs[at_truth], np.log(_SMALLEST))

    def loss(log_t: float) -> float:
        scores = logs / np.exp(log_t)
        scores = scores - scores.max(axis=1, keepdims=True)
        of_truth = scores[at_truth]
        return float((np.log(np.exp(scores).sum(axis=1)) - of_truth).mean())

    found = minimize_scalar(loss, bounds=(-_FARTHEST, _FARTHEST), method="bounded")
    return float(np.exp(found.x))


def tempered(probabilities: NDArray[np.float64], t: float) -> NDArray[np.float64]:
    """The probabilities at a temperature, (n, C); rows sum to 1, and what is impossible stays so."""
    scores = _logs(probabilities) / t
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _logs(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms, of 0 minus infinity."""
    possible = probabilities > 0
    logs = np.log(np.maximum(probabilities, _SMALLEST))
    return np.where(possible, logs, -np.inf)


def least_confidence(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], risk: float, level: float
) -> float | None:
    """The least confidence at which answers are shown to be wrong no more often than `risk`.

    Args:
        confidence: (n,) of the answers to validation rows.
        correct: (n,) whether they were right.
        risk: Largest share of wrong answers among those given.
        level: Of confidence in that.

    Returns:
        The confidence, or None where it is shown at none.
    """
    order = np.argsort(-confidence, kind="stable")
    sure, wrong = confidence[order], np.cumsum(~correct[order])
    # Whoever is as sure as the last one answered is answered too.
    if not len(sure):
        return None
    ends = np.flatnonzero(np.append(sure[1:] < sure[:-1], True)) + 1
    delta = 1 - level
    # Fewer answers than these could not show it if all of them were right.
    fewest = ceil(log(delta) / log(1 - risk))
    found: float | None = None
    for answered in map(int, ends[ends >= fewest]):
        if _bound(int(wrong[answered - 1]), answered, delta) > risk:
            break
        found = float(sure[answered - 1])
    return found


def _bound(errors: int, answers: int, delta: float) -> float:
    """Clopper and Pearson's upper bound of a share, missed with probability `delta`."""
    from scipy.stats import beta

    return 1.0 if errors == answers else float(beta.ppf(1 - delta, errors + 1, answers - errors))
