"""Noisy curves made readable: exponentially weighted means, without their bias at the start."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


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

    s_i = sum_j w^|i-j| v_j / sum_j w^|i-j| with w = exp(-1 / span). At the ends one side is
    missing, and a falling curve is shown a little late there.

    Args:
        values: (N,), evenly spaced, finite.
        span: Points after which a value weighs 1/e.

    Returns:
        (N,).
    """
    kept = _kept(span)
    ahead = np.stack([np.asarray(values, np.float64), np.ones(len(values))])  # values, weights
    back = ahead.copy()
    for i in range(1, len(values)):
        ahead[:, i] += kept * ahead[:, i - 1]
        back[:, -1 - i] += kept * back[:, -i]
    total = ahead + back
    total[0] -= values  # counted by both passes
    total[1] -= 1.0
    return np.asarray(total[0] / total[1])


def _kept(span: float) -> float:
    if not span >= 1:
        raise ValueError(f"span must be at least 1, got {span}")
    return float(np.exp(-1.0 / span))
