"""How far two samples lie apart, what chance alone would show, and from how many rows on.

n rows are judged, m are the reference; p and q are shares of the rows in k bins of both.

| name | of | value | limit under equal distributions | source |
|---|---|---|---|---|
| ks | numbers | D = max over x of the distance of both shares of rows up to x, 0..1 | (sqrt(e) + 0.12 + 0.11 / sqrt(e)) D ~ Kolmogorov, e = nm / (n + m) | Stephens 1970, doi:10.1111/j.2517-6161.1970.tb00821.x |
| js | bins | Jensen-Shannon divergence in bits, 0..1 | 8 ln 2 e JS ~ chi-square(k - 1) | Lin 1991, doi:10.1109/18.61115 |
| psi | bins | population stability index, sum of (p - q) ln(p / q), 0 and up | e PSI ~ chi-square(k - 1) | Yurdakul and Naranjo 2020, doi:10.21314/JRMV.2020.227 |
| chi2 | bins | Cramer's V = sqrt(X^2 / (n + m)), 0..1 | X^2 ~ chi-square(k - 1) | Pearson 1900; Cramer 1946 |
| linf | bins | largest change of any bin's share, 0..1 | z of that bin's two proportions, times k bins (Bonferroni) | Breck et al. 2019, MLSys, for the distance |

The limits of js and psi follow from ln(p / q) = (p - q) / c - ..., c the common share: to second order
both are Pearson's sum of (p - q)^2 / c, which nm / (n + m) turns into X^2, js times 1 / (8 ln 2).
The binned limits are trusted where each bin expects `MIN_EXPECTED` rows on either side (Cochran
1954, doi:10.2307/3001616): rarer bins are put together first (`together`). Fewer than `MIN_ROWS`
rows on a side are not judged at all, and a finding says which value chance would have reached at
its level (`critical`), below which it is blind.

Ties make the Kolmogorov-Smirnov test conservative. Rows that depend on each other (many documents
of one author) make every one of these tests too bold; hence a suite asks for an effect as well.
PSI counts half a row more in every bin, so that an empty one does not make it infinite.
"""  # noqa: E501

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from expectations.divergence import MIN_ROWS, jensen_shannon

Counts = NDArray[np.float64]
NUMERIC = ("ks",)
BINNED = ("js", "psi", "chi2", "linf")
STATISTICS = NUMERIC + BINNED
MIN_EXPECTED = 5.0
_HALF = 0.5


@dataclass(frozen=True)
class Distance:
    """One comparison.

    Attributes:
        value: The statistic, in its own unit.
        p: Probability of a value as large, were both sides drawn from one distribution.
        critical: The smallest value that is significant at the level asked for.
        rows: Judged rows with a value.
        reference_rows: Reference rows with a value.
        place: For `linf`, the bin whose share changed most; -1 otherwise.
    """

    value: float
    p: float
    critical: float
    rows: int
    reference_rows: int
    place: int = -1


def kolmogorov_smirnov(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Largest distance of two empirical distribution functions; both samples without NaN."""
    first, second = np.sort(first), np.sort(second)
    both = np.concatenate([first, second])
    below = [np.searchsorted(one, both, side="right") / len(one) for one in (first, second)]
    return float(np.abs(below[0] - below[1]).max())


def stability_index(p: Counts, q: Counts) -> float:
    """Population stability index of two histograms of counts, each bin with half a row more."""
    first, second = p + _HALF, q + _HALF
    first, second = first / first.sum(), second / second.sum()
    return float(np.sum((first - second) * np.log(first / second)))


def chi_square(p: Counts, q: Counts) -> float:
    """Pearson's X^2 of the two-row table of two histograms of counts, without correction."""
    n, m, both = p.sum(), q.sum(), p + q
    held = both > 0
    return float(n * m * np.sum((p[held] / n - q[held] / m) ** 2 / both[held]))


def largest_change(p: Counts, q: Counts) -> tuple[float, int]:
    """Largest change of a bin's share (L-infinity distance), and which bin's it is."""
    changes = np.abs(p / p.sum() - q / q.sum())
    place = int(changes.argmax())
    return float(changes[place]), place


def together(p: Counts, q: Counts) -> NDArray[np.int64]:
    """Which bins to count as one, so that each expects enough rows on either side.

    Bins that expect fewer than `MIN_EXPECTED` rows on the smaller side go into one; if that is
    still too small, the smallest of the others joins it.

    Returns:
        The new bin of each old one, (k,): kept bins first in their order, then the common one.
    """
    smaller = min(p.sum(), q.sum())
    expected = (p + q) / max(p.sum() + q.sum(), 1.0) * smaller
    rare = expected < MIN_EXPECTED
    if rare.any() and expected[rare].sum() < MIN_EXPECTED and not rare.all():
        rare[np.flatnonzero(~rare)[expected[~rare].argmin()]] = True
    places = np.full(len(p), np.count_nonzero(~rare), np.int64)
    places[~rare] = np.arange(np.count_nonzero(~rare))
    return places


def compare_numbers(
    judged: NDArray[np.float64], reference: NDArray[np.float64], level: float
) -> Distance:
    """Kolmogorov-Smirnov on two samples without NaN, neither empty."""
    n, m = len(judged), len(reference)
    value = kolmogorov_smirnov(judged, reference)
    root = math.sqrt(n * m / (n + m))
    scale = root + 0.12 + 0.11 / root
    p = float(special.kolmogorov(scale * value))
    return Distance(value, p, min(float(special.kolmogi(level)) / scale, 1.0), n, m)


def compare_counts(statistic: str, judged: Counts, reference: Counts, level: float) -> Distance:
    """A binned statistic on two histograms of counts over the same bins, neither empty.

    Rare bins are put together for the probability and the value alike; a single bin left says
    nothing, and the value is 0.

    Raises:
        ValueError: There is no such statistic.
    """
    n, m = float(judged.sum()), float(reference.sum())
    places = together(judged, reference)
    p, q = (_gathered(side, places) for side in (judged, reference))
    if len(p) < 2:
        return Distance(0.0, 1.0, math.inf, int(n), int(m))
    if statistic == "linf":
        return _largest(p, q, level, places)
    freedom, effective = len(p) - 1, n * m / (n + m)
    limit = float(special.chdtri(freedom, level))
    match statistic:
        case "js":
            value, scale = jensen_shannon(p.tolist(), q.tolist()), 8 * math.log(2) * effective
        case "psi":
            value, scale = stability_index(p, q), effective
        case "chi2":
            value, scale = math.sqrt(chi_square(p, q) / (n + m)), n + m
        case _:
            raise ValueError(f"there is no statistic {statistic!r}")
    squared = statistic == "chi2"
    p_value = float(special.chdtrc(freedom, scale * (value**2 if squared else value)))
    critical = limit / scale
    critical = math.sqrt(critical) if squared else critical
    return Distance(value, p_value, critical, int(n), int(m))


def minimum_rows(statistic: str, threshold: float, level: float, bins: int = 10) -> int:
    """Rows on each side from which a value at the threshold is told from chance at a level.

    Args:
        statistic: One of `STATISTICS`.
        threshold: The value that matters.
        level: Probability of a false alarm of the one test.
        bins: Of a binned statistic; for `linf` with a share of one half, its hardest case.

    Returns:
        At least `MIN_ROWS`; for binned statistics also enough that even bins expect
        `MIN_EXPECTED` rows.
    """
    if statistic == "ks":
        rows = 2 * (float(special.kolmogi(level)) / threshold) ** 2
    elif statistic == "linf":
        rows = _normal(level / _tests(bins)) ** 2 * 0.5 / threshold**2
    else:
        limit = float(special.chdtri(bins - 1, level))
        per_row = {
            "js": 4 * math.log(2) * threshold, "psi": threshold / 2, "chi2": 2 * threshold**2,
        }  # fmt: skip
        rows = limit / per_row[statistic]
    fewest = MIN_ROWS if statistic == "ks" else max(MIN_ROWS, math.ceil(MIN_EXPECTED * bins))
    return max(fewest, math.ceil(rows))


def _largest(p: Counts, q: Counts, level: float, places: NDArray[np.int64]) -> Distance:
    n, m = p.sum(), q.sum()
    value, place = largest_change(p, q)
    share = (p[place] + q[place]) / (n + m)
    error = math.sqrt(share * (1 - share) * (1 / n + 1 / m))
    tests = _tests(len(p))
    chance = 2 * float(special.ndtr(-value / error)) * tests if error else 1.0
    critical = _normal(level / tests) * error if error else math.inf
    old = int(np.flatnonzero(places == place)[0])
    old = old if np.count_nonzero(places == place) == 1 else -1
    return Distance(value, min(chance, 1.0), critical, int(n), int(m), old)


def _gathered(side: Counts, places: NDArray[np.int64]) -> Counts:
    """Counts of the bins that `together` made."""
    return np.asarray(np.bincount(places, weights=side), np.float64)


def _tests(bins: int) -> int:
    """Of two bins one is the other's complement."""
    return 1 if bins == 2 else bins


def _normal(level: float) -> float:
    """The two-sided normal quantile of a level."""
    return float(-special.ndtri(level / 2))
