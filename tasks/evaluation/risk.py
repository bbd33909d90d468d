"""Risk and coverage: answer the surest share of the probes, and see which part of that is wrong.

The curve and its area need no threshold (El-Yaniv and Wiener 2010; Geifman, Uziel and El-Yaniv 2019).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_CURVE_POINTS = 100


def risk_of_the_surest(rows: NDArray[Any]) -> NDArray[Any]:
    """Share of wrong answers among the k surest, for every k.

    Among equally sure answers the wrong ones are taken first, so ties never flatter.

    Args:
        rows: `(resamples, n, 2)`: confidence, and 1 where the answer was right.

    Returns:
        `(resamples, n)`.
    """
    order = np.lexsort((rows[..., 1], -rows[..., 0]), axis=1)
    wrong = 1.0 - np.take_along_axis(rows[..., 1], order, axis=1)
    return np.asarray(wrong.cumsum(axis=1) / np.arange(1, rows.shape[1] + 1))


def area_under_risk_coverage(rows: NDArray[Any]) -> NDArray[Any]:
    """Mean over all coverages of the risk there, `(resamples,)`; 0 is best, 1 worst."""
    return np.asarray(risk_of_the_surest(rows).mean(axis=1))


def curve(confidence: NDArray[Any], risk: NDArray[Any]) -> list[dict[str, float]]:
    """At most 100 points of the risk-coverage curve, with the confidence that each needs."""
    n = len(risk)
    sorted_confidence = np.sort(confidence)[::-1]
    points = np.unique(np.linspace(1, n, min(n, _CURVE_POINTS)).round().astype(int))
    return [
        {
            "coverage": float(k / n),
            "risk": float(risk[k - 1]),
            "confidence": float(sorted_confidence[k - 1]),
        }
        for k in points
    ]
