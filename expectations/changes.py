"""New, vanished and renamed categories and columns, by name.

A category that one side does not have is only spoken of when chance hardly explains its absence:
were both sides drawn from one distribution, all k of its rows would fall on the side with m of
n + m rows with probability

    m (m - 1) ... (m - k + 1) / ((n + m) (n + m - 1) ... (n + m - k + 1)),

the hypergeometric tail (Fisher's exact test, one-sided), times twice the number of categories
(Bonferroni), since each may come or go. So no least sample is needed: a small one cannot reach the
level. A share that counts (`min_share`) is asked for as well.

A vanished and a new name are called a renaming where the names are alike, or else where the shares
are (their two proportions do not differ at the 5 % level) and no third name fits. It is a guess
that is said to be one.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from expectations.comparing import tabulate
from expectations.divergence import MIN_ROWS, held
from expectations.statistics import kolmogorov_smirnov

_ALIKE = 0.75  # difflib's ratio, from which two names are called alike
_NAMED = 5
_SAME = 0.05  # level of a difference of shares; and largest distance of a renamed column


@dataclass(frozen=True)
class Changes:
    """What came, went, or changed its name, each with its share of the rows where it was.

    Attributes:
        new: Name to its share of the judged rows.
        vanished: Name to its share of the reference rows.
        renamed: Old name and new name; both are left out of the others.
    """

    new: Mapping[str, float]
    vanished: Mapping[str, float]
    renamed: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.new or self.vanished or self.renamed)

    def names(self) -> list[str]:
        """All of them in a line each, such as `new 'de'` and `'Chat' is perhaps 'chat' now`."""
        return [
            *(f"{old!r} is perhaps {now!r} now" for old, now in self.renamed),
            *(f"new {name!r}{_percent(share)}" for name, share in _largest(self.new)),
            *(f"vanished {name!r}{_percent(share)}" for name, share in _largest(self.vanished)),
        ]


def category_changes(
    judged: NDArray[Any], reference: NDArray[Any], *, min_share: float, level: float
) -> Changes:
    """Categories that one side has and the other does not.

    Args:
        judged: The column's values; None and NaN are left out.
        reference: The same of the reference.
        min_share: Smallest share of its side's rows that counts.
        level: Probability that chance alone makes any category come or go.
    """
    names, (here, there) = tabulate(judged, reference)
    if not here.sum() or not there.sum():
        return Changes({}, {})
    part = level / (2 * len(names))  # each may come, or go
    new = _only(names, here, there, min_share, part)
    vanished = _only(names, there, here, min_share, part)
    sizes = int(there.sum()), int(here.sum())
    renamed = _pair(vanished, new, lambda old, now: _like_shares(vanished[old], new[now], sizes))
    return _without(Changes(new, vanished), renamed)


def column_changes(
    judged: Mapping[str, NDArray[Any]], reference: Mapping[str, NDArray[Any]]
) -> Changes:
    """Columns that have values on one side only.

    Args:
        judged: Columns of the judged rows.
        reference: Columns of the reference.
    """
    here, there = (
        {name: values for name, column in side.items() if len(values := held(column))}
        for side in (judged, reference)
    )
    if not here or not there:
        return Changes({}, {})
    new = {name: math.nan for name in here if name not in there}
    vanished = {name: math.nan for name in there if name not in here}
    renamed = _pair(vanished, new, lambda old, now: _like_columns(there[old], here[now]))
    return _without(Changes(new, vanished), renamed)


def _only(
    names: Sequence[str],
    here: NDArray[np.float64],
    there: NDArray[np.float64],
    min_share: float,
    level: float,
) -> dict[str, float]:
    """The categories that only one side has, and more of them than chance explains."""
    n, m = float(there.sum()), float(here.sum())
    found = {}
    for name, count, other in zip(names, here.tolist(), there.tolist(), strict=True):
        if other or not count or count / m < min_share:
            continue
        if _log_chance(count, m, n) <= math.log(level):
            found[name] = count / m
    return found


def _log_chance(count: float, m: float, n: float) -> float:
    """Logarithm of the probability that all of `count` rows fall among m of n + m."""
    parts = special.gammaln([m + 1, n + m - count + 1, m - count + 1, n + m + 1])
    return float(parts[0] + parts[1] - parts[2] - parts[3])


def _pair(
    vanished: Mapping[str, float], new: Mapping[str, float], fits: Any
) -> tuple[tuple[str, str], ...]:
    """Vanished and new names that may be the same: alike by name first, then alone in fitting."""
    ranked = sorted(
        ((-_alike(old, now), old, now) for old in vanished for now in new), key=lambda r: r
    )
    pairs: dict[str, str] = {}
    for score, old, now in ranked:
        if -score >= _ALIKE and old not in pairs and now not in pairs.values():
            pairs[old] = now
    rest = [(o, n) for o in vanished for n in new if o not in pairs and n not in pairs.values()]
    fitting = [(old, now) for old, now in rest if fits(old, now)]
    for old, now in fitting:
        if sum(old == o or now == n for o, n in fitting) == 1:
            pairs[old] = now
    return tuple(sorted(pairs.items()))


def _alike(first: str, second: str) -> float:
    """How alike two names are, without case, spaces and punctuation: 0 to 1."""
    old, new = ("".join(c for c in name.casefold() if c.isalnum()) for name in (first, second))
    return difflib.SequenceMatcher(None, old, new, autojunk=False).ratio() if old and new else 0.0


def _like_shares(old: float, new: float, sizes: tuple[int, int]) -> bool:
    """Whether two shares of samples of these sizes could be one."""
    n, m = sizes
    share = (old * n + new * m) / (n + m)
    error = math.sqrt(share * (1 - share) * (1 / n + 1 / m))
    return not error or 2 * float(special.ndtr(-abs(old - new) / error)) > _SAME


def _like_columns(old: NDArray[Any], new: NDArray[Any]) -> bool:
    """Whether two columns hold nearly the same values."""
    if min(len(old), len(new)) < MIN_ROWS or (old.dtype.kind in "iuf") != (new.dtype.kind in "iuf"):
        return False
    if old.dtype.kind in "iuf":
        return kolmogorov_smirnov(old.astype(float), new.astype(float)) <= _SAME
    _, (here, there) = tabulate(new, old)
    return bool(np.abs(here / here.sum() - there / there.sum()).max() <= _SAME)


def _without(found: Changes, renamed: tuple[tuple[str, str], ...]) -> Changes:
    olds, news = {old for old, _ in renamed}, {now for _, now in renamed}
    return Changes(
        {name: share for name, share in found.new.items() if name not in news},
        {name: share for name, share in found.vanished.items() if name not in olds},
        renamed,
    )


def _largest(shares: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(shares.items(), key=lambda item: (-item[1], item[0]))


def _percent(share: float) -> str:
    return "" if share != share else f" ({100 * share:.3g} % of its rows)"
