"""Seeded bootstrap intervals: how far a figure would move had other rows been drawn.

The percentile bootstrap (Efron 1979): draw as many rows as there are, with replacement, compute
the statistic, repeat, and take the middle 95 % of what came. Rows are the unit of resampling, so
whatever belongs together (a document's tokens, a group's rows) must be one row of `values`.

What it does not cover: the randomness of training. An interval here speaks of the test rows
alone; another seed of the same training may move a figure further.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]
Statistic = Callable[[Values], Values]

# A batch of resamples is held in memory at once; 4 million numbers are 32 MB.
_NUMBERS_AT_ONCE = 4_000_000


def mean(rows: Values) -> Values:
    """Mean of each resample: `(resamples, n) -> (resamples,)`."""
    return np.asarray(rows.mean(axis=1))


def ratio(rows: Values) -> Values:
    """Sum of the first column over the sum of the second: `(resamples, n, 2) -> (resamples,)`.

    A loss per token over rows of unlike length is such a ratio; the mean of the rows' own means
    would give a short row as much say as a long one. Resamples whose second column is all zero
    are NaN.
    """
    top, bottom = rows[..., 0].sum(axis=1), rows[..., 1].sum(axis=1)
    return np.asarray(np.divide(top, bottom, out=np.full(len(rows), np.nan), where=bottom != 0))


def interval(
    values: Values,
    *,
    resamples: int,
    seed: int,
    statistic: Statistic = mean,
    level: float = 0.95,
) -> dict[str, float]:
    """The statistic of the rows with its percentile interval.

    Args:
        values: One row per unit of resampling, `(n,)` or `(n, k)`.
        resamples: How many times rows are drawn anew.
        seed: Seed of the draws.
        statistic: From `(r, n, ...)` to `(r,)`, vectorised over the resamples. Resamples for
            which it is NaN are left out.
        level: Share of the resamples between `low` and `high`.

    Returns:
        `value`, `low` and `high`, the value always between. One row, or rows that are all alike,
        give an interval of width zero; `share` is wiser there.

    Raises:
        ValueError: There are no rows.
    """
    values = _rows(values)
    value = float(statistic(values[None])[0])
    return _interval(value, distribution(values, resamples, seed, statistic), level)


def paired_difference(
    a: Values,
    b: Values,
    *,
    resamples: int,
    seed: int,
    statistic: Statistic = mean,
    level: float = 0.95,
) -> dict[str, float]:
    """`statistic(a) - statistic(b)` over the same rows, drawn together.

    Two models judged on the same rows err on many of the same; drawing the rows in pairs takes
    that shared part out, so a real difference shows with fewer rows.

    Args:
        a: One row per unit of resampling.
        b: The same units in the same order, same shape.
        resamples: How many times rows are drawn anew.
        seed: Seed of the draws.
        statistic: As in `interval`.
        level: As in `interval`.

    Returns:
        `value`, `low` and `high` of the difference.

    Raises:
        ValueError: The rows of `a` and `b` do not pair up, or there are none.
    """
    a, b = _rows(a), _rows(b)
    if a.shape != b.shape:
        raise ValueError(f"rows do not pair up: {a.shape} against {b.shape}")

    def difference(rows: Values) -> Values:
        return statistic(rows[..., 0]) - statistic(rows[..., 1])

    return interval(
        np.stack([a, b], axis=-1),
        resamples=resamples,
        seed=seed,
        statistic=difference,
        level=level,
    )


def share(values: Values, *, resamples: int, seed: int, level: float = 0.95) -> dict[str, float]:
    """A share of rows, its interval never narrower than Wilson's.

    Five rows that are all correct resample to nothing but 1.0, as if nothing were in doubt. The
    score interval (Wilson 1927) knows that five rows prove little; with many rows the two agree.

    Args:
        values: True or false, one per row.
        resamples: How many times rows are drawn anew.
        seed: Seed of the draws.
        level: As in `interval`.

    Returns:
        `value`, `low` and `high`, all in 0..1.

    Raises:
        ValueError: There are no rows.
    """
    rows = _rows(values).astype(np.float64)
    drawn = interval(rows, resamples=resamples, seed=seed, level=level)
    low, high = wilson(drawn["value"], len(rows), level)
    return {
        "value": drawn["value"],
        "low": min(drawn["low"], low),
        "high": max(drawn["high"], high),
    }


def wilson(value: float, rows: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share `value` seen on `rows` rows."""
    from statistics import NormalDist

    z2 = NormalDist().inv_cdf(0.5 + level / 2) ** 2
    centre = value + z2 / (2 * rows)
    reach = (z2 * (value * (1 - value) + z2 / (4 * rows)) / rows) ** 0.5
    scale = 1 + z2 / rows
    return max(0.0, (centre - reach) / scale), min(1.0, (centre + reach) / scale)


def distribution(values: Values, resamples: int, seed: int, statistic: Statistic = mean) -> Values:
    """The statistic of each resample, `(resamples,)`, in batches that fit in memory."""
    values = _rows(values)
    generator = np.random.default_rng(seed)
    batch = max(1, _NUMBERS_AT_ONCE // values.size)
    parts = []
    for start in range(0, resamples, batch):
        size = min(batch, resamples - start)
        drawn = generator.integers(0, len(values), size=(size, len(values)))
        parts.append(np.asarray(statistic(values[drawn]), dtype=np.float64))
    return np.concatenate(parts)


def _interval(value: float, drawn: Values, level: float) -> dict[str, float]:
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return {"value": value, "low": value, "high": value}
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    # a statistic that noise can only raise resamples to one side of its value
    return {"value": value, "low": min(float(low), value), "high": max(float(high), value)}


def _rows(values: Values) -> Values:
    values = np.asarray(values)
    if not len(values):
        raise ValueError("an interval needs at least one row")
    return values.astype(np.float64) if values.dtype == bool else values
