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

A gap between groups is the largest of several differences between small groups, and chance alone
moves it by more than any sensible margin. It fails only if surely worse. Beyond its limit without
being so, it is not judged, and says that there were too few rows to tell.

What it does not cover: the randomness of training (another seed is another candidate), and the
five looks at once, each at its own level.
"""

from __future__ import annotations

from typing import Any, Literal

import polars as pl

from tasks.evaluation.bootstrap import interval, mean, paired_difference, share
from tasks.promotion.measures import Measure
from tasks.records import Frozen

CANNOT_TELL = "too few rows to tell this from chance"
_SLACK = 1e-9

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
        unit: `share` (0..1), `points` (a difference of shares), or what the value counts.
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
    passed: bool | None = not worse(difference, margin, higher_is_better=measure.higher_is_better)
    if (
        not passed
        and measure.noisy
        and not surely_worse(difference, margin, higher_is_better=measure.higher_is_better)
    ):
        passed = None
    limit = -margin if measure.higher_is_better else margin
    return Comparison(
        name=measure.name,
        kind="margin",
        candidate=_alone(a, how),
        champion=_alone(b, how),
        difference=difference,
        limit=limit,
        higher_is_better=measure.higher_is_better,
        passed=passed,
        proven=_within(difference, limit, measure.higher_is_better),
        unit=measure.unit,
        rows=len(shared),
        why=CANNOT_TELL if passed is None else None,
    )


def _alone(values: Any, how: dict[str, Any]) -> Interval:
    """One model's figure; a share of few rows is never surer than Wilson's interval."""
    if how["statistic"] is not mean:
        return interval(values, **how)
    return share(values, **{name: how[name] for name in ("resamples", "seed", "level")})


def worse(difference: Interval, margin: float, *, higher_is_better: bool) -> bool:
    """Whether a difference fails the module's rule.

    A difference equal to the margin passes, up to rounding.
    """
    value = difference["value"] if higher_is_better else -difference["value"]
    beyond = value < -margin - _SLACK
    return beyond or surely_worse(difference, margin, higher_is_better=higher_is_better)


def surely_worse(difference: Interval, margin: float, *, higher_is_better: bool) -> bool:
    """Worse by more than half the margin, and by something with the whole interval."""
    sign = 1.0 if higher_is_better else -1.0
    best = sign * difference["high" if higher_is_better else "low"]
    return sign * difference["value"] < -margin / 2 - _SLACK and best < 0


def floor(
    name: str,
    found: Interval | None,
    limit: float | None,
    *,
    higher_is_better: bool,
    rows: int = 0,
    unit: str = "share",
    noisy: bool = False,
    why: str | None = None,
) -> Comparison:
    """Judge a figure against a limit; without the figure or the limit, say why not.

    A noisy figure beyond its limit fails if its whole interval is, else it is not judged.
    """
    if found is None or limit is None:
        why = why or "there is no such figure"
        return Comparison(name=name, kind="floor", unit=unit, why=why)
    value = {k: found[k] for k in ("value", "low", "high")}
    sign = 1.0 if higher_is_better else -1.0
    passed: bool | None = sign * value["value"] >= sign * limit - _SLACK
    if not passed and noisy and _reaches(value, limit, higher_is_better):
        passed = None
    return Comparison(
        name=name,
        kind="floor",
        candidate=value,
        limit=limit,
        higher_is_better=higher_is_better,
        passed=passed,
        proven=_within(value, limit, higher_is_better),
        unit=unit,
        rows=rows,
        why=CANNOT_TELL if passed is None else None,
    )


def _reaches(found: Interval, limit: float, higher_is_better: bool) -> bool:
    return found["high"] >= limit if higher_is_better else found["low"] <= limit


def _within(found: Interval, limit: float, higher_is_better: bool) -> bool:
    return found["low"] >= limit if higher_is_better else found["high"] <= limit
