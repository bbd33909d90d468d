"""Rates by group with intervals, and the gaps between groups.

A rate is hits over rows that count: accuracy counts every row, a false positive rate only the
rows of another class. All of them are sums over the same few cells (group, outcome), so a
bootstrap of the rows is one multinomial draw of the cells' sizes (Efron & Tibshirani 1993, ch. 6):
500 resamples take milliseconds, where `fairlearn.metrics.MetricFrame`, which draws the rows
themselves and calls every metric on every resample, took 9 s for 2,500 rows. The two agree, and
a test holds them together.

The largest of several noisy rates is never below the smallest, so a gap is above zero even
between groups that do not differ, and so is its interval. `by_chance` says how wide a gap of these
sizes gets when nothing differs.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.bootstrap import wilson

Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]

_LEVEL = 0.95
_TAILS = ((1 - _LEVEL) / 2, (1 + _LEVEL) / 2)


@dataclass(frozen=True)
class Cells:
    """Rows sorted into cells of one group and one outcome.

    Attributes:
        group: Group of each row, `(n,)`; a code of `groups` or more is in none.
        outcome: Outcome of each row, `(n,)`, an index into the tables.
        hits: Table `(outcomes, rates)` of 0 and 1: whether the outcome is a hit of the rate.
        counted: Table of the same shape: whether the outcome counts for the rate at all.
        groups: Number of groups.
    """

    group: Codes
    outcome: Codes
    hits: Numbers
    counted: Numbers
    groups: int


@dataclass(frozen=True)
class Rates:
    """Rates by group: values `(groups, rates)` and resamples `(resamples, groups, rates)`."""

    values: Numbers
    counted: Numbers
    draws: Numbers

    def interval(self, group: int, rate: int) -> tuple[float, float]:
        """The 95 % interval of one rate, never narrower than Wilson's; NaN where no row counts."""
        value, rows = float(self.values[group, rate]), int(self.counted[group, rate])
        if not rows:
            return np.nan, np.nan
        low, high = _quantiles(self.draws[:, group, rate])
        narrow, wide = wilson(value, rows, _LEVEL)
        return min(low, narrow, value), max(high, wide, value)


def group_rates(cells: Cells, *, resamples: int, seed: Sequence[int]) -> Rates:
    """Rates of every group, with their bootstrap over the rows.

    Args:
        cells: The rows.
        resamples: How many times the rows are drawn anew.
        seed: Entropy of the draws.

    Returns:
        The rates; NaN where no row of a group counts for a rate.
    """
    kinds = len(cells.hits)
    names, sizes = np.unique(cells.group * kinds + cells.outcome, return_counts=True)
    total = max(int(sizes.sum()), 1)
    drawn = np.random.default_rng(seed).multinomial(total, sizes / total, size=resamples)
    draws = np.vstack([sizes, drawn]).astype(np.float64)
    rates = np.full((len(draws), cells.groups, cells.hits.shape[1]), np.nan)
    counted = np.zeros(rates.shape[1:])
    for group in range(cells.groups):
        members = np.flatnonzero(names // kinds == group)
        outcomes = names[members] % kinds
        rates[:, group] = _ratio(draws[:, members], cells.hits[outcomes], cells.counted[outcomes])
        counted[group] = draws[0, members] @ cells.counted[outcomes]
    return Rates(rates[0], counted, rates[1:])


def gap(
    rates: Rates, cells: Cells, judged: Sequence[int], *, resamples: int, seed: Sequence[int]
) -> dict[str, Any] | None:
    """The widest difference between judged groups, over all rates: `max_r (max_g - min_g)`.

    Args:
        rates: From `group_rates` of the same cells.
        cells: The rows.
        judged: Groups that are compared; two at least.
        resamples: Draws for `by_chance`.
        seed: Entropy of these draws.

    Returns:
        `value`, `low`, `high`, `by_chance` (95 % of gaps are below it where groups do not differ),
        and as indices the `rate` and the `highest` and `lowest` group; None with fewer than two
        groups that have the rate.
    """
    values = rates.values[list(judged)] if len(judged) > 1 else np.full((1, 1), np.nan)
    spread = _spread(values[None])[0]
    if np.isnan(spread).all():
        return None
    rate = int(np.nanargmax(spread))
    value = float(spread[rate])
    low, high = _quantiles(_widest(rates.draws[:, list(judged)]))
    return {
        "value": value,
        "low": min(low, value),
        "high": max(high, value),
        "by_chance": _quantiles(_chance(cells, judged, resamples, seed), (0.95,))[0],
        "rate": rate,
        "highest": int(judged[int(np.nanargmax(values[:, rate]))]),
        "lowest": int(judged[int(np.nanargmin(values[:, rate]))]),
    }


def entropy(seed: int, *names: str) -> list[int]:
    """Entropy of one draw: the run's seed and what is drawn, lest columns share their draws."""
    return [seed, zlib.crc32("/".join(names).encode())]


def _chance(cells: Cells, judged: Sequence[int], resamples: int, seed: Sequence[int]) -> Numbers:
    """Gaps between groups of these sizes whose rows all come from one pool."""
    pool = np.isin(cells.group, list(judged))
    outcomes, sizes = np.unique(cells.outcome[pool], return_counts=True)
    generator = np.random.default_rng([*seed, 1])
    drawn = [
        _ratio(
            generator.multinomial(
                int((cells.group == group).sum()), sizes / sizes.sum(), size=resamples
            ).astype(np.float64),
            cells.hits[outcomes],
            cells.counted[outcomes],
        )
        for group in judged
    ]
    return _widest(np.stack(drawn, axis=1))


def _ratio(sizes: Numbers, hits: Numbers, counted: Numbers) -> Numbers:
    """Hits over rows that count: `(draws, cells) x (cells, rates) -> (draws, rates)`."""
    top, bottom = sizes @ hits, sizes @ counted
    return np.asarray(np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0))


def _spread(rates: Numbers) -> Numbers:
    """Largest less smallest, NaN aside: `(draws, groups, rates) -> (draws, rates)`."""
    return np.asarray(np.fmax.reduce(rates, axis=1) - np.fmin.reduce(rates, axis=1))


def _widest(rates: Numbers) -> Numbers:
    return np.asarray(np.fmax.reduce(_spread(rates), axis=1))


def _quantiles(draws: Numbers, at: Sequence[float] = _TAILS) -> list[float]:
    """Quantiles of what is not NaN; the bounds of a share where nothing is left."""
    kept = draws[~np.isnan(draws)]
    return [float(q) for q in np.quantile(kept, at)] if len(kept) else [0.0, 1.0][: len(at)]
