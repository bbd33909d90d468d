"""The arithmetic of the table: means over seeds, and differences to the whole night.

A difference has two sources of chance: which training was drawn (the seed), and which rows or probes it
was judged on. The interval covers both, by a bootstrap in two steps (Davison and Hinkley 1997, section
3.8): seeds are drawn with replacement, and within each drawn seed the units, in pairs, since both variants
are judged on the same ones. With three seeds the first step can only draw ten different sets, so the
interval is rather too narrow; a difference that it does not clear is not shown, one that it just clears is
weakly so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.ablation.measured import Units

Statistic = Callable[[NDArray[Any]], NDArray[Any]]
_LEVEL = 0.95
_AT_ONCE = 4_000_000  # numbers in memory


def over_seeds(
    variant: Sequence[Units], full: Sequence[Units], statistic: Statistic, resamples: int, seed: int
) -> dict[str, float] | None:
    """A variant's figure minus the whole night's, with its interval.

    Args:
        variant: Its units, a `Units` for each seed.
        full: Those of the whole night, seed by seed.
        statistic: `(r, n, k) -> (r,)`.
        resamples: Of the bootstrap.
        seed: Of the draws.

    Returns:
        `value`, `low`, `high`; None where no seed has units that both were judged on.
    """
    rng = np.random.default_rng(seed)
    values, drawn = [], []
    for a, b in zip(variant, full, strict=True):
        shared = sorted(a.keys() & b.keys())
        if not shared:
            continue
        ours, theirs = np.stack([a[u] for u in shared]), np.stack([b[u] for u in shared])
        values.append(float(statistic(ours[None])[0] - statistic(theirs[None])[0]))
        drawn.append(_draws(ours, theirs, statistic, resamples, rng))
    return _interval(values, drawn, resamples, rng)


def of_numbers(
    variant: Sequence[float | None], full: Sequence[float | None], resamples: int, seed: int
) -> dict[str, float] | None:
    """As `over_seeds`, of figures that are a single number a night: seeds alone are drawn."""
    rng = np.random.default_rng(seed)
    pairs = [a - b for a, b in zip(variant, full, strict=True) if a is not None and b is not None]
    return _interval(pairs, [np.full(resamples, pair) for pair in pairs], resamples, rng)


def mean_over_seeds(units: Sequence[Units], statistic: Statistic) -> float | None:
    """The mean of the seeds' figures; None where there are none."""
    found = [float(statistic(np.stack(list(u.values()))[None])[0]) for u in units if u]
    return float(np.mean(found)) if found else None


def word(difference: Mapping[str, float] | None, better: int) -> str:
    """What switching a stage off does, in a word: `worse`, `better`, or `no effect shown`."""
    if difference is None:
        return "not measured"
    low, high = sorted((better * difference["low"], better * difference["high"]))
    return "worse" if high < 0 else "better" if low > 0 else "no effect shown"


def _draws(
    ours: NDArray[Any],
    theirs: NDArray[Any],
    statistic: Statistic,
    resamples: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Differences of resamples of the units, drawn together: `(resamples,)`."""
    found = np.empty(resamples)
    step = max(1, _AT_ONCE // max(1, ours.size))
    for start in range(0, resamples, step):
        n = min(step, resamples - start)
        places = rng.integers(len(ours), size=(n, len(ours)))
        found[start : start + n] = statistic(ours[places]) - statistic(theirs[places])
    return found


def _interval(
    values: Sequence[float],
    drawn: Sequence[NDArray[np.float64]],
    resamples: int,
    rng: np.random.Generator,
) -> dict[str, float] | None:
    if not values:
        return None
    seeds = rng.integers(len(drawn), size=(resamples, len(drawn)))
    # Each drawn seed has a resample of its own units, also where it is drawn twice.
    units = rng.integers(resamples, size=seeds.shape)
    means = np.nanmean(np.stack(drawn)[seeds, units], axis=1)
    value = float(np.mean(values))
    low, high = np.nanquantile(means, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return {"value": value, "low": min(value, float(low)), "high": max(value, float(high))}
