"""Noisy curves made readable, without a bias at their ends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_TENTH = 0.1


class Smoother:
    """A running mean in which a value `span` updates ago weighs 1/e of the last.

    Divided by the weights so far, as Adam's moments are (Kingma and Ba 2015,
    https://arxiv.org/abs/1412.6980), so the first values are not pulled to zero.

    Args:
        span: Updates, at least 1.
    """

    def __init__(self, span: float) -> None:
        self._kept = _kept(span)
        self._sum = self._weight = 0.0

    def update(self, value: float) -> float:
        """Take a value in and return the mean."""
        self._sum = self._kept * self._sum + value
        self._weight = self._kept * self._weight + 1.0
        return self._sum / self._weight


def smoothed(values: Sequence[float], span: float) -> npt.NDArray[np.float64]:
    """A whole curve smoothed to both sides, so that it does not lag behind what it shows.

    At each point i a line is fitted with weights exp(-|i - j| / span_i) and read off there (local
    linear regression: Cleveland 1979, https://doi.org/10.1080/01621459.1979.10481038), which keeps
    the ends of a slope where they are. span_i is a tenth of the points so far, between 1 and
    `span`: a learning curve is steep and tells much at first, and little later.

    Args:
        values: (N,), evenly spaced, finite; time and memory grow with N squared.
        span: Points after which a value weighs 1/e.

    Returns:
        (N,).
    """
    _kept(span)
    y, i = np.asarray(values, np.float64), np.arange(len(values), dtype=np.float64)
    away = i - i[:, None]  # (N, N): of each point from the one that is estimated
    spans = np.clip(_TENTH * (i + 1), 1.0, span)
    weights = np.exp(-np.abs(away) / spans[:, None])
    weights /= weights.sum(axis=1, keepdims=True)
    mean, middle = weights @ y, (weights * away).sum(axis=1)
    spread = (weights * away**2).sum(axis=1) - middle**2
    slope = ((weights * away) @ y - middle * mean) / np.maximum(spread, 1e-12)
    return np.asarray(mean - slope * middle)


def _kept(span: float) -> float:
    if not span >= 1:
        raise ValueError(f"span must be at least 1, got {span}")
    return float(np.exp(-1.0 / span))
