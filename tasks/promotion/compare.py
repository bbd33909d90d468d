"""Candidate against champion on the same rows: paired differences, and what counts as worse.

Both models answered the same test rows, the same probes and the same attacks, and err on many of
the same. Rows are therefore drawn in pairs (Efron and Tibshirani 1993, ch. 15), which takes the
shared difficulty out of the difference. The rule, for a measure of which more is better:

    worse      difference < -margin                                  (by the figure itself)
    surely so  difference < -margin / 2, and the whole interval < 0  (by figure and interval)

Either fails the comparison; the mirror image holds where less is better. A whole interval inside
the margin would be the textbook's non-inferiority test, and on a night's few hundred rows would
refuse almost every equal model; so a comparison that holds says beside it whether it is `proven`
in that sense. A floor is judged by the figure alone, and proven where its whole interval is.

What it does not cover: the randomness of training (another seed is another candidate), and the
five looks at once, each at its own level.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.evaluation.bootstrap import Statistic, interval, mean, paired_difference, ratio
from tasks.records import Frozen

Interval = dict[str, float]


class Comparison(Frozen):
    """One question asked of the candidate, and its answer.

    Attributes:
        name: What is measured, in plain words.
        kind: `margin` against the champion, or `floor` that holds for every candidate.
        candidate: Value with its interval.
        champion: The same of the champion; None for floors.
        difference: Candidate minus champion, paired; None for floors.
        limit: The worst value (floor) or the worst difference (margin) that passes.
        higher_is_better: Which way is good.
        passed: None where it could not be judged.
        proven: Whether the whole interval is within the limit, not the figure alone.
        unit: `share` (0..1), or what the value counts.
        rows: Rows, probes or sequences behind it; pairs where there is a champion.
        why: Why it could not be judged.
    """

    name: str
    kind: Literal["floor", "margin"]
    candidate: Interval | None = None
    champion: Interval | None = None
    difference: Interval | None = None
    limit: float | None = None
    higher_is_better: bool = True
    passed: bool | None = None
    proven: bool | None = None
    unit: str = "share"
    rows: int = 0
    why: str | None = None


@dataclass(frozen=True)
class Measure:
    """How one measure is read from an evaluation's folder.

    Attributes:
        name: In plain words.
        evaluation: Whose folder it is in.
        file: A parquet there, one row per unit of resampling.
        key: The column that pairs two models' rows.
        values: From the rows to `(n,)` or `(n, k)` numbers.
        statistic: From resampled rows to the measure.
        higher_is_better: Which way is good.
        unit: As in `Comparison`.
        shared: A column taken from the champion for both, so that both are counted alike.
        absent: Why there are no rows, where the evaluation itself does not say.
    """

    name: str
    evaluation: str
    file: str
    key: str
    values: Callable[[pl.DataFrame], NDArray[Any]]
    statistic: Statistic = mean
    higher_is_better: bool = True
    unit: str = "share"
    shared: str | None = None
    absent: str = "there are no rows"

    def rows(self, folders: dict[str, Path]) -> pl.DataFrame:
        """The measure's rows sorted by their key; empty where the evaluation wrote none."""
        folder = folders.get(self.evaluation)
        path = folder / self.file if folder else None
        if path is None or not path.exists():
            return pl.DataFrame()
        rows = pl.read_parquet(path)
        return rows.sort(self.key) if self.key in rows.columns else pl.DataFrame()


def against_champion(
    measure: Measure,
    candidate: pl.DataFrame,
    champion: pl.DataFrame,
    *,
    margin: float,
    resamples: int,
    seed: int,
    level: float,
) -> Comparison:
    """Judge one measure of two models over the rows that both answered.

    Args:
        measure: What to compare.
        candidate: Its rows, with the measure's key.
        champion: The same of the champion.
        margin: How much worse is allowed, in the measure's unit.
        resamples: Bootstrap resamples.
        seed: Seed of the resamples.
        level: Level of the intervals.
    """
    if measure.shared:
        same = champion.select(measure.key, measure.shared)
        candidate = candidate.drop(measure.shared).join(same, on=measure.key)
    shared = candidate.select(measure.key).join(champion, on=measure.key)
    shared = shared.select(measure.key).sort(measure.key)
    if shared.is_empty():
        why = "candidate and champion share no rows"
        return Comparison(name=measure.name, kind="margin", unit=measure.unit, why=why)
    a = measure.values(shared.join(candidate, on=measure.key, how="left"))
    b = measure.values(shared.join(champion, on=measure.key, how="left"))
    how: dict[str, Any] = {"resamples": resamples, "seed": seed, "statistic": measure.statistic}
    how["level"] = level
    difference = paired_difference(a, b, **how)
    limit = -margin if measure.higher_is_better else margin
    return Comparison(
        name=measure.name,
        kind="margin",
        candidate=interval(a, **how),
        champion=interval(b, **how),
        difference=difference,
        limit=limit,
        higher_is_better=measure.higher_is_better,
        passed=not worse(difference, margin, higher_is_better=measure.higher_is_better),
        proven=_within(difference, limit, measure.higher_is_better),
        unit=measure.unit,
        rows=len(shared),
    )


def worse(difference: Interval, margin: float, *, higher_is_better: bool) -> bool:
    """Whether a difference fails the module's rule.

    A difference equal to the margin passes, up to rounding.
    """
    sign = 1.0 if higher_is_better else -1.0
    value = sign * difference["value"]
    best = sign * (difference["high"] if higher_is_better else difference["low"])
    slack = 1e-9
    return value < -margin - slack or (value < -margin / 2 - slack and best < 0)


def floor(
    name: str,
    found: Interval | None,
    limit: float | None,
    *,
    higher_is_better: bool,
    rows: int = 0,
    unit: str = "share",
    why: str | None = None,
) -> Comparison:
    """Judge a figure against a limit; without the figure or the limit, say why not."""
    if found is None or limit is None:
        why = why or "there is no such figure"
        return Comparison(name=name, kind="floor", unit=unit, why=why)
    value = {k: found[k] for k in ("value", "low", "high")}
    sign = 1.0 if higher_is_better else -1.0
    return Comparison(
        name=name,
        kind="floor",
        candidate=value,
        limit=limit,
        higher_is_better=higher_is_better,
        passed=sign * value["value"] >= sign * limit - 1e-9,
        proven=_within(value, limit, higher_is_better),
        unit=unit,
        rows=rows,
    )


def _within(found: Interval, limit: float, higher_is_better: bool) -> bool:
    return found["low"] >= limit if higher_is_better else found["high"] <= limit


def gap_of(groups: int) -> Statistic:
    """The widest accuracy gap between `groups` groups, recomputed in each resample.

    The statistic takes `(resamples, n, 2)`: the group's number, -1 for none, and 1 where right. A
    group that a resample happens to miss does not count there.
    """

    def widest(rows: NDArray[Any]) -> NDArray[Any]:
        resamples = len(rows)
        number = rows[..., 0].astype(np.int64) + 1
        place = (number + (groups + 1) * np.arange(resamples)[:, None]).ravel()
        size = resamples * (groups + 1)
        seen = np.bincount(place, minlength=size).reshape(resamples, groups + 1)[:, 1:]
        right = np.bincount(place, weights=rows[..., 1].ravel(), minlength=size)
        right = right.reshape(resamples, groups + 1)[:, 1:]
        accuracy = np.divide(right, seen, out=np.full(right.shape, np.nan), where=seen > 0)
        high = np.where(seen > 0, accuracy, -np.inf).max(axis=1)
        low = np.where(seen > 0, accuracy, np.inf).min(axis=1)
        return np.asarray(np.where(np.isfinite(high), high - low, np.nan))

    return widest


def gap_measure(column: str, groups: list[str]) -> Measure:
    """The accuracy gap over one group column, between the groups large enough to be judged."""
    index = {name: i for i, name in enumerate(groups)}

    def values(rows: pl.DataFrame) -> NDArray[Any]:
        code = np.array([index.get(v, -1) for v in rows[column]], dtype=np.float64)
        return np.stack([code, rows["correct"].to_numpy().astype(np.float64)], axis=1)

    return Measure(
        name=f"accuracy gap by {column.split('_', 1)[-1].replace('_', ' ')}",
        evaluation="group_metrics",
        file="predictions.parquet",
        key="row_id",
        values=values,
        statistic=gap_of(len(groups)),
        higher_is_better=False,
    )


ACCURACY = Measure(
    "accuracy",
    "quality",
    "predictions.parquet",
    "row_id",
    lambda rows: rows["correct"].to_numpy(),
    absent="the test rows have no labels, or the model has no classes",
)
HALLUCINATED = Measure(
    "hallucinated share",
    "hallucination",
    "probes.parquet",
    "probe_id",
    lambda rows: (rows["outcome"] == "hallucinated").to_numpy(),
    higher_is_better=False,
)
UNDER_ATTACK = Measure(
    "accuracy under attack",
    "robustness",
    "attacks.parquet",
    "row_id",
    lambda rows: (rows["outcome"] == "failed").to_numpy(),
)
# Both models guessed the same hidden words. Divided by the same number of subwords, the champion's,
# their losses compare whatever their tokenizers; with one tokenizer it is the usual loss.
MASKED_LOSS = Measure(
    "masked-token loss",
    "quality",
    "mlm.parquet",
    "row_id",
    lambda rows: rows.select("loss_sum", "tokens").to_numpy(),
    statistic=ratio,
    higher_is_better=False,
    unit="nats per token",
    shared="tokens",
)
