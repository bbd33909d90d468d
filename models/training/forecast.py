"""What twice the training budget would buy: a learning curve, fitted and followed, with its interval.

Held-out loss falls with the tokens t trained on as a power law with an offset and a floor,

    S(t) = E + A (t + t0)^-a,

E what no training removes, t0 the head start or delay of the first steps (Hestness et al. 2017,
https://arxiv.org/abs/1712.00409; Kaplan et al. 2020, https://arxiv.org/abs/2001.08361; with the
floor, Hoffmann et al. 2022, https://arxiv.org/abs/2203.15556). That holds while the learning rate
is constant. Its decay at the end lets the loss fall below S, and runs whose decay is the same share
of their budget fall on a law of the same form (Haegele et al. 2024,
https://arxiv.org/abs/2405.18392), so the loss F of a run that ended decayed after T is taken to be
in constant ratio to S(T), and a run of another budget b is forecast at F * S(b) / S(T).

For a given (a, t0) the best E and A, neither below zero, are a small linear problem; so all of a
grid of (a, t0) is tried, which has no bad starting point and no local minimum; its coarseness costs
a few thousandths of a nat. The interval
refits the curve to itself plus its residuals with signs and sizes drawn anew for blocks of
neighbours (a dependent wild bootstrap: Shao 2010, https://doi.org/10.1198/jasa.2009.tm08744),
each time leaving out some of the first points, and adds the scatter of a single measurement. How
large that scatter is, few points tell badly, so each refit takes another size for it, drawn as
Student's t has it.

Not covered: another model size, learning rate, batch or seed; and a corpus that runs out. Rows seen
more than about four times buy less than new ones (Muennighoff et al. 2023,
https://arxiv.org/abs/2305.16264), which a curve from the first passes cannot know. A held-out loss
that has stopped falling is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LEAST_POINTS = 6
_LEAST_EXPLAINED = 0.9  # of the points' variance, by a fit that is good enough to follow
_DRAWS = 400
_EXPONENTS = np.geomspace(0.05, 1.0, 32)  # those measured for language lie between 0.05 and 0.6
_OFFSETS = np.concatenate([[0.0], np.geomspace(0.01, 3.0, 20)])  # t0, in shares of the budget
_PARAMETERS = 4
_DRAWN = 25  # points of each curve that is kept for drawing


@dataclass(frozen=True)
class Forecast:
    """What the curve says of a run of twice the tokens; losses in nats a token.

    Attributes:
        tokens: The budget of the run that was fitted.
        loss: Held-out loss at its end.
        twice: The loss forecast at the end of a run of twice the tokens.
        low: Lower end of the interval of `twice`.
        high: Upper end.
        level: Probability that the interval is made for.
        floor: E, which is poorly known from one run.
        exponent: a.
        points: Points fitted.
        fitted: (tokens, loss) along S, over the fitted points.
        ahead: (tokens, loss, low, high) of runs between one and two budgets.
    """

    tokens: float
    loss: float
    twice: float
    low: float
    high: float
    level: float
    floor: float
    exponent: float
    points: int
    fitted: tuple[tuple[float, float], ...]
    ahead: tuple[tuple[float, float, float, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class NoForecast:
    """Why a curve allows no forecast.

    Attributes:
        reason: A sentence.
    """

    reason: str


def forecast(
    stable: Sequence[tuple[float, float]],
    final: tuple[float, float],
    *,
    level: float = 0.95,
    seed: int = 0,
) -> Forecast | NoForecast:
    """Fit the stable phase and forecast a run of twice the budget.

    Args:
        stable: (tokens so far, held-out loss in nats), in order, measured on the same rows after
            the warm-up and before the decay.
        final: The same at the end of the run, decayed.
        level: Probability of the interval.
        seed: Of the bootstrap.

    Returns:
        The forecast, or the reason why there is none.
    """
    tokens = float(final[0])
    if len(stable) < LEAST_POINTS:
        return NoForecast(
            f"The stable phase has {len(stable)} held-out measurements; "
            f"a learning curve needs {LEAST_POINTS}."
        )
    x, y = np.asarray(stable, np.float64).T
    if not (np.isfinite(x).all() and np.isfinite(y).all() and np.isfinite(final).all()):
        return NoForecast("A held-out loss is not a finite number.")
    x = x / tokens
    if (problem := _unfit(x, y)) is not None:
        return NoForecast(problem)
    curves = _Curves(x)
    best = curves.fit(y[None], np.ones((1, len(x))))
    residuals = y - curves.at(best, x)[0]
    explained = 1.0 - float(np.sum(residuals**2) / np.sum((y - y.mean()) ** 2))
    if explained < _LEAST_EXPLAINED:
        return NoForecast(
            "The held-out losses do not follow a power law: it explains "
            f"{explained:.0%} of their variance, {_LEAST_EXPLAINED:.0%} is asked for."
        )
    return _told(curves, best, residuals, final, level, seed)


def _told(
    curves: _Curves,
    best: Fit,
    residuals: Array,
    final: tuple[float, float],
    level: float,
    seed: int,
) -> Forecast:
    tokens, loss = map(float, final)
    budgets, along = np.linspace(1.0, 2.0, _DRAWN), np.linspace(curves.x[0], 1.0, _DRAWN)
    middle = _scaled(curves, best, budgets, loss)[0]
    low, high = _interval(curves, best, residuals, budgets, loss, level, seed)
    low = np.maximum(low, 0.0)  # no loss is below that
    return Forecast(
        tokens=tokens, loss=loss, twice=float(middle[-1]), low=float(low[-1]), high=float(high[-1]),
        level=level, floor=float(best[0][0]), exponent=float(best[2][0]), points=len(residuals),
        fitted=_rows(along * tokens, curves.at(best, along)[0]),
        ahead=_rows(budgets * tokens, middle, low, high),
    )  # fmt: skip


def _unfit(x: Array, y: Array) -> str | None:
    """Why the points cannot be a falling learning curve, if so."""
    if np.any(np.diff(x) <= 0) or x[0] <= 0 or x[-1] > 1:
        raise ValueError("the measurements must be in order, after 0 and within the budget")
    third = max(2, len(y) // 3)
    if y[-third:].mean() >= y[-2 * third : -third].mean():
        return "The held-out loss has stopped falling, so more of the same training would not help."
    return None


Fit = tuple[Array, Array, Array, Array]  # E, A, a and t0, each (B,)


class _Curves:
    """Fits of S at fixed points, many at once.

    Args:
        x: (N,), tokens in shares of the budget.
    """

    def __init__(self, x: Array) -> None:
        exponents, offsets = np.meshgrid(_EXPONENTS, _OFFSETS, indexing="ij")
        self._a, self._t0 = exponents.ravel(), offsets.ravel()
        self.x = x
        self._g = (x[:, None] + self._t0) ** -self._a  # (N, G)

    def fit(self, y: Array, weights: Array) -> Fit:
        """Least squares of each row of y (B, N), points weighted by `weights` (B, N)."""
        g, n = self._g, weights.sum(axis=1, keepdims=True)
        sums = weights @ g  # (B, G)
        mean_g, mean_y = sums / n, (weights * y).sum(axis=1, keepdims=True) / n
        spread = weights @ g**2 - n * mean_g**2
        slope = ((weights * y) @ g - n * mean_g * mean_y) / np.maximum(spread, 1e-12)
        floorless = ((weights * y) @ g) / (weights @ g**2)
        slope = np.maximum(np.where(mean_y - slope * mean_g < 0, floorless, slope), 0.0)
        floor = np.maximum(mean_y - slope * mean_g, 0.0)
        # The squared error, term by term: sum w (y - E - A g)^2 without an array of (B, G, N).
        error = (
            slope**2 * (weights @ g**2) + 2 * slope * (floor * sums - (weights * y) @ g)
            + n * floor**2 - 2 * floor * n * mean_y
        )  # fmt: skip
        best = error.argmin(axis=1)
        at = np.arange(len(y)), best
        return floor[at], slope[at], self._a[best], self._t0[best]

    @staticmethod
    def at(fit: Fit, x: Array) -> Array:
        """S at each of x (M,), of each fit: (B, M)."""
        floor, slope, a, t0 = (part[:, None] for part in fit)
        return np.asarray(floor + slope * (x + t0) ** -a)


def _scaled(curves: _Curves, fit: Fit, budgets: Array, loss: Array | float) -> Array:
    """F * S(b) / S(1) of each fit: (B, M)."""
    return curves.at(fit, budgets) / curves.at(fit, np.ones(1)) * loss


def _interval(
    curves: _Curves,
    best: Fit,
    residuals: Array,
    budgets: Array,
    loss: float,
    level: float,
    seed: int,
) -> tuple[Array, Array]:
    """Ends (M,) of the interval around the forecast of each budget, for one new run's loss."""
    n = len(residuals)
    random = np.random.default_rng(seed)
    block = max(1, round(n ** (1 / 3)))
    free = max(1, n - _PARAMETERS)  # a fit of four numbers takes up some of the scatter
    spread = residuals * (n / free) ** 0.5
    factors = np.repeat(random.standard_normal((_DRAWS, -(-n // block))), block, axis=1)[:, :n]
    factors *= np.sqrt(free / random.chisquare(free, (_DRAWS, 1)))
    centre = curves.at(best, curves.x)
    first = random.integers(0, max(1, min(n // 3, n - LEAST_POINTS + 1)), _DRAWS)
    weights = (np.arange(n) >= first[:, None]).astype(np.float64)
    fits = curves.fit(centre + spread * factors, weights)
    noise = float(np.sqrt(np.mean(spread**2)))
    one, other = random.normal(0.0, noise, (2, _DRAWS, 1))  # of F, and of the run that is forecast
    drawn = _scaled(curves, fits, budgets, loss + one)
    drawn += other * (budgets > 1.0)
    tail = (1.0 - level) / 2
    low, high = np.quantile(drawn, [tail, 1.0 - tail], axis=0)
    return low, high


def _rows(*columns: Array) -> Any:
    return tuple(tuple(map(float, row)) for row in zip(*columns, strict=True))
