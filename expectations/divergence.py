"""How far two distributions lie apart, and the partitions that make columns comparable.

Skew is judged by the Jensen-Shannon divergence (Lin 1991, doi:10.1109/18.61115) in bits,

    JS(p, q) = KL(p || m) / 2 + KL(q || m) / 2,  m = (p + q) / 2,

which is symmetric, lies in 0..1 and, unlike KL, stays finite where one side has no rows. It is the
square of what SciPy calls the Jensen-Shannon distance.

A partition is a reference column put into bins: for numbers `edges` and one weight more than
there are edges (the last bin is open), for categories `values` and one weight more (the last is
every other value). It is plain JSON, so it can be kept.

What it does not cover: two equal distributions drawn as samples of n and m rows over k bins show
about (k - 1) (1/n + 1/m) / (8 ln 2) bits by chance. Hence bins hold at least `ROWS_PER_BIN` rows
of the reference, and fewer than `MIN_ROWS` rows are not compared at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_ROWS = 50
ROWS_PER_BIN = 10
MAX_BINS = 10

Partition = dict[str, Any]


def jensen_shannon(p: Sequence[float], q: Sequence[float]) -> float:
    """Jensen-Shannon divergence of two histograms over the same bins, in bits.

    Args:
        p: Weights, not negative, not all zero; they need not sum to one.
        q: As many weights.

    Returns:
        0 for equal distributions, 1 for distributions that share no bin.

    Raises:
        ValueError: The histograms differ in length, are empty or have negative weights.
    """
    first, second = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"histograms of unlike shape: {first.shape} and {second.shape}")
    for weights in (first, second):
        if not len(weights) or (weights < 0).any() or weights.sum() <= 0:
            raise ValueError("a histogram needs weights that are not negative and not all zero")
    first, second = first / first.sum(), second / second.sum()
    middle = (first + second) / 2
    bits = (_kullback_leibler(first, middle) + _kullback_leibler(second, middle)) / 2
    return float(np.clip(bits, 0.0, 1.0))


def partition(values: Sequence[Any] | NDArray[Any], *, bins: int = MAX_BINS) -> Partition | None:
    """Put a reference column into bins.

    Numbers of many values are cut at quantiles, so that each bin holds about as many rows; an
    upper edge belongs to its bin, so that a column that is zero nearly everywhere keeps its zeros
    apart. Few numbers, like categories, are counted one by one.

    Args:
        values: The reference rows; None and NaN are left out.
        bins: Most bins of a numeric column.

    Returns:
        The partition, or None if fewer than `MIN_ROWS` rows have a value or the categories are
        too many for the rows.
    """
    present = held(values)
    rows = len(present)
    if rows < MIN_ROWS:
        return None
    bins = min(bins, rows // ROWS_PER_BIN)
    distinct = np.unique(present)
    if _numeric(present) and len(distinct) > bins:
        quantiles = np.arange(1, bins) / bins
        cuts = np.quantile(present.astype(np.float64), quantiles, method="inverted_cdf")
        found: Partition = {"edges": [float(edge) for edge in np.unique(cuts)]}
    elif len(distinct) <= max(bins, rows // ROWS_PER_BIN):
        found = {"values": distinct.tolist()}
    else:
        return None
    weights = histogram(present, found) / rows
    return {**found, "weights": [round(float(weight), 6) for weight in weights], "rows": rows}


def histogram(values: Sequence[Any] | NDArray[Any], bins: Partition) -> NDArray[np.float64]:
    """Count rows in a partition's bins; None and NaN are left out.

    Args:
        values: Rows of the column judged.
        bins: A partition made by `partition`.

    Returns:
        Counts `(bins,)`: one more than the partition has edges or values.
    """
    present = held(values)
    if "edges" in bins:
        edges = np.asarray(bins["edges"], dtype=np.float64)
        places = np.searchsorted(edges, present.astype(np.float64), side="left")
        size = len(edges) + 1
    else:
        known = {value: place for place, value in enumerate(bins["values"])}
        places = np.array([known.get(v, len(known)) for v in present.tolist()], dtype=np.int64)
        size = len(known) + 1
    return np.bincount(places, minlength=size).astype(np.float64)


def _kullback_leibler(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """KL(p || q) in bits, for q > 0 wherever p > 0."""
    inside = p > 0
    return float(np.sum(p[inside] * np.log2(p[inside] / q[inside])))


def held(values: Sequence[Any] | NDArray[Any]) -> NDArray[Any]:
    """The values that are there, without None and NaN, as text if all of them are text."""
    column = np.asarray(values)
    if column.dtype.kind == "f":
        return np.asarray(column[~np.isnan(column)])
    if column.dtype.kind in "OUT":
        kept = [value for value in column.tolist() if value is not None and value == value]
        strings = all(isinstance(value, str) for value in kept)
        return np.array(kept, dtype=str) if strings else np.array(kept)
    return column


def _numeric(column: NDArray[Any]) -> bool:
    return column.dtype.kind in "iuf"
