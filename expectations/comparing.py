"""Two sides of one table compared column by column, as a whole and slice by slice.

A table holds both sides: a column (`sides`) says of each row whether it is judged (tonight's, or
training) or of the reference (an earlier night's, or serving). The false alarms of a whole suite
are held by Bonferroni: a suite that may raise one in twenty times (`false_alarm`) gives each of
its comparisons that level divided by their number, and a comparison by slices divides it again.
Bonferroni, and not Holm's steps, since each finding can then state its own limit, whatever the
others find. A finding fails only if it is significant at that level and larger than the suite's threshold:
in large samples everything is significant, in small ones much is large.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from expectations.divergence import MAX_BINS, MIN_ROWS, ROWS_PER_BIN, held, histogram, partition
from expectations.statistics import NUMERIC, Distance, compare_counts, compare_numbers

Values = NDArray[Any]
MOST_SLICES = 50
# Not distributed: names, places and whole texts.
_NOT_COMPARED = {"row_id", "split", "text", "night", "digest", "timestamp"}
_PLACES = "_cluster"


@dataclass(frozen=True)
class Finding:
    """A column compared, or why it was not.

    Attributes:
        slice: The value that both sides' rows have in the slicing column; None for all rows.
        silent: Why nothing is said, None where something is.
        distance: The comparison; None where nothing is said.
        moved: What moved most, in words.
        level: The level that `distance.critical` belongs to.
    """

    slice: str | None
    silent: str | None
    distance: Distance | None
    moved: str = ""
    level: float = 1.0

    def breaks(self, threshold: float) -> bool:
        """Whether the change is both significant and larger than the threshold."""
        found = self.distance
        return found is not None and found.p <= self.level and found.value > threshold

    def record(self) -> dict[str, Any]:
        """Plain JSON."""
        numbers = {} if self.distance is None else asdict(self.distance)
        shown = {k: round(v, 9) if isinstance(v, float) else v for k, v in numbers.items()}
        if shown.get("critical") == math.inf:
            shown["critical"] = None
        return {"slice": self.slice, "silent": self.silent, "moved": self.moved,
                "level": self.level, **shown}  # fmt: skip


def compare(judged: Values, reference: Values, statistic: str, level: float) -> Finding:
    """Compare one column of both sides.

    Args:
        judged: The column's values; None and NaN are left out.
        reference: The same of the reference.
        statistic: A name of `expectations.statistics.STATISTICS`.
        level: Probability of a false alarm.
    """
    first, second = held(judged), held(reference)
    for side, rows in (("judged", len(first)), ("reference", len(second))):
        if rows < MIN_ROWS:
            return Finding(None, f"fewer than {MIN_ROWS} of the {side} rows have a value", None)
    numeric = _numeric(first) and _numeric(second)
    if statistic in NUMERIC:
        if not numeric:
            return Finding(None, f"{statistic} compares numbers only", None)
        numbers = first.astype(np.float64), second.astype(np.float64)
        found = compare_numbers(*numbers, level)
        return Finding(None, None, found, _medians(*numbers), level)
    bins = min(MAX_BINS, min(len(first), len(second)) // ROWS_PER_BIN)
    cut = partition(second, bins=bins) if numeric else None
    if numeric and cut is not None:
        found = compare_counts(statistic, histogram(first, cut), histogram(second, cut), level)
        moved = _medians(first.astype(np.float64), second.astype(np.float64))
        return Finding(None, None, found, moved, level)
    names, counts = tabulate(first, second)
    found = compare_counts(statistic, *counts, level)
    return Finding(None, None, found, _shares(names, counts, found.place), level)


def compare_slices(
    judged: Values,
    reference: Values,
    slices: tuple[Values, Values],
    statistic: str,
    level: float,
) -> list[Finding]:
    """Compare one column within each slice that both sides have rows of.

    Args:
        judged: The column's values.
        reference: The same of the reference.
        slices: Each row's slice, of the judged rows and of the reference's.
        statistic: As for `compare`.
        level: Of a false alarm in any slice; each gets its part.

    Returns:
        The slices in the order of their names; of more than `MOST_SLICES` the largest.
    """
    places = [_places(side) for side in slices]
    shared = sorted(set(places[0]) & set(places[1]))
    shared = sorted(sorted(shared, key=lambda s: -min(len(h[s]) for h in places))[:MOST_SLICES])
    pairs = {s: (judged[places[0][s]], reference[places[1][s]]) for s in shared}
    speaking = sum(all(len(held(side)) >= MIN_ROWS for side in pair) for pair in pairs.values())
    part = level / max(speaking, 1)
    return [
        Finding(s, one.silent, one.distance, one.moved, one.level)
        for s, pair in pairs.items()
        for one in [compare(*pair, statistic, part)]
    ]


def tabulate(first: Values, second: Values) -> tuple[list[str], tuple[Any, Any]]:
    """The categories of two columns by name, and both sides' counts of them."""
    columns = [[_named(value) for value in held(side).tolist()] for side in (first, second)]
    names = sorted(set(columns[0]) | set(columns[1]))
    places = {name: place for place, name in enumerate(names)}
    counts = [
        np.bincount([places[v] for v in column], minlength=len(names)).astype(np.float64)
        if column
        else np.zeros(len(names))
        for column in columns
    ]
    return names, (counts[0], counts[1])


def expand(kwargs: Mapping[str, Any], frame: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """A comparison whose column or slicing column ends in `*`, once for each that is meant.

    A bare `*` means every column that can be compared so: numbers for `ks`, names and flags for
    the others.
    """
    by = kwargs.get("by")
    for slicer in [None] if by is None else _meant(str(by), frame.columns):
        for column in _meant(str(kwargs["column"]), frame.columns):
            wild = kwargs["column"] == "*"
            if wild and not comparable(frame.schema[column], column, kwargs.get("statistic")):
                continue
            if column not in (slicer, kwargs["sides"]):
                yield {**kwargs, "column": column, **({} if slicer is None else {"by": slicer})}


def comparable(kind: pl.DataType, name: str, statistic: str | None) -> bool:
    """Whether a column has a distribution that a statistic (None: one of names) can compare."""
    if name in _NOT_COMPARED or name.endswith(_PLACES):
        return False
    if statistic in NUMERIC:
        return kind.is_numeric()
    return kind in (pl.String, pl.Boolean, pl.Categorical)


def _meant(name: str, columns: Sequence[str]) -> list[str]:
    return [c for c in columns if c.startswith(name[:-1])] if name.endswith("*") else [name]


def _places(names: Values) -> dict[str, NDArray[np.int64]]:
    """Where each name occurs."""
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names.tolist()):
        if name is not None and name == name:
            found.setdefault(_named(name), []).append(place)
    return {name: np.array(places) for name, places in found.items()}


def _named(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)


def _numeric(column: Values) -> bool:
    return column.dtype.kind in "iuf"


def _medians(judged: NDArray[np.float64], reference: NDArray[np.float64]) -> str:
    before, after = float(np.median(reference)), float(np.median(judged))
    return f"median {before:.4g} to {after:.4g}"


def _shares(names: Sequence[str], counts: tuple[Any, Any], place: int) -> str:
    """The category whose share changed most, before and after."""
    judged, reference = (side / side.sum() for side in counts)
    place = int(np.abs(judged - reference).argmax()) if place < 0 else place
    before, after = 100 * reference[place], 100 * judged[place]
    return f"{names[place]!r} {before:.3g} % to {after:.3g} %"
