"""Whether a candidate is let through: floors for every model, margins against the champion.

Each comparison is made on rows that both models answered, by the rule of `tasks.promotion.compare`.
All that could be judged must hold. What could not (no labels, no probes, an evaluation that was
turned off) is listed with its reason and neither passes nor fails; if nothing could be judged,
the verdict is a refusal, for silence is no evidence.

Floors apply to challengers too: being no worse than a poor champion is not enough.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from tasks.configuration import Decision
from tasks.log import Log
from tasks.promotion.compare import Comparison, against_champion, floor
from tasks.promotion.measures import (
    ACCURACY,
    HALLUCINATED,
    MASKED_LOSS,
    UNDER_ATTACK,
    Measure,
    gap_measure,
)
from tasks.records import Outcome
from tasks.stage import stage

Folders = dict[str, Path]
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
_EVALUATIONS = {
    "quality": "quality.json",
    "hallucination": "hallucination.json",
    "group_metrics": "group_metrics.json",
    "robustness": "robustness.json",
}


@stage
def decide(
    candidate: Folders,
    champion: Folders | None,
    *,
    config: Decision,
    seed: int,
    out: Path,
    log: Log,
) -> Outcome:
    """Judge a candidate against the floors and, if there is one, the champion.

    Args:
        candidate: Evaluation name to folder: quality, calibration, hallucination, group_metrics,
            robustness. One that is missing is not judged.
        champion: The same of the champion on the same rows and probes, None for a first model.
        config: Floors, margins, level and number of resamples.
        seed: Seed of the resamples.
        out: Gets `decision.json`.
        log: Unused; the stage takes seconds.

    Returns:
        The verdict in one line, `promoted` 1 or 0, and every difference.
    """
    comparisons = floors(candidate, config)
    if champion is not None:
        comparisons = _margins(candidate, champion, config, seed) + comparisons
    verdict, reasons = settle(comparisons, first=champion is None)
    held = sum(c.passed is True for c in comparisons)
    judged = sum(c.passed is not None for c in comparisons)
    summary = f"{verdict}: {held} of {judged} comparisons hold"
    if verdict == "refuse":
        summary = f"refuse: {reasons[0]}" + (f" (+{len(reasons) - 1})" if reasons[1:] else "")
    decision = {
        "verdict": verdict,
        "summary": summary,
        "reasons": reasons,
        "level": config.confidence,
        "comparisons": [c.model_dump() for c in comparisons],
    }
    (out / "decision.json").write_bytes(orjson.dumps(decision, option=_JSON))
    return Outcome(
        summary=summary,
        metrics=_metrics(comparisons, promoted=verdict != "refuse"),
        artifacts=("decision.json",),
    )


def settle(comparisons: list[Comparison], *, first: bool) -> tuple[str, list[str]]:
    """The verdict (`promote`, `refuse` or `first`) and the reasons for it, worst news first."""
    judged = [c for c in comparisons if c.passed is not None]
    if not judged:
        return "refuse", ["nothing could be judged"]
    if not first and not any(c.kind == "margin" for c in judged):
        return "refuse", ["nothing could be compared with the champion"]
    failed = [reason(c) for c in judged if not c.passed]
    if failed:
        return "refuse", failed
    return ("first" if first else "promote"), [f"{len(judged)} of {len(judged)} comparisons hold"]


def reason(comparison: Comparison) -> str:
    """A failed comparison in words, such as `hallucinated share +0.060, allowed +0.030`."""
    c = comparison
    if c.kind == "floor" and c.candidate is not None:
        word = "at least" if c.higher_is_better else "at most"
        return f"{c.name} {c.candidate['value']:.3f}, must be {word} {c.limit:.3f}"
    difference = c.difference or {}
    text = f"{c.name} {difference['value']:+.3f}, allowed {c.limit:+.3f}"
    beyond = abs(difference["value"]) > abs(c.limit or 0.0) + 1e-9
    return text if beyond else f"{c.name} {difference['value']:+.3f}, surely worse"


def floors(folders: Folders, config: Decision) -> list[Comparison]:
    """What every model must meet, by the figures that its evaluations report."""
    found = {name: _read(folders, name) for name in _EVALUATIONS}
    quality, asked = found["quality"], found["hallucination"]
    groups = found["group_metrics"]
    majority = quality.get("majority_share")
    return [
        floor(
            "accuracy above the majority",
            quality.get("accuracy"),
            None if majority is None else min(majority + config.min_gain_over_majority, 1.0),
            higher_is_better=True,
            rows=_size(folders, ACCURACY),
            why=quality.get("skipped") or ACCURACY.absent,
        ),
        floor(
            "hallucinated share",
            asked.get("hallucinated"),
            config.max_hallucinated,
            higher_is_better=False,
            rows=_size(folders, HALLUCINATED),
            why=asked.get("skipped"),
        ),
        floor(
            "accuracy gap between groups",
            groups.get("accuracy_gap"),
            config.max_group_gap,
            higher_is_better=False,
            rows=_size(folders, ACCURACY),
            unit="points",
            noisy=True,
            why=groups.get("skipped"),
        ),
        floor(
            "masked-token loss below guessing",
            quality.get("mlm_loss"),
            _loss_of_guessing(quality),
            higher_is_better=False,
            rows=_size(folders, MASKED_LOSS),
            unit=MASKED_LOSS.unit,
        ),
    ]


def _loss_of_guessing(quality: dict[str, Any]) -> float | None:
    """Nats per token of a model that gives every subword the same probability."""
    vocabulary = quality.get("vocabulary")
    return math.log(vocabulary) if vocabulary else None


def _margins(
    candidate: Folders, champion: Folders, config: Decision, seed: int
) -> list[Comparison]:
    gaps = gap_measures(candidate, champion)
    asked: list[tuple[Measure, float]] = [
        (ACCURACY, config.margin_accuracy),
        (HALLUCINATED, config.margin_hallucinated),
        *((measure, config.margin_group_gap) for measure in gaps),
        (UNDER_ATTACK, config.margin_robust_accuracy),
        (MASKED_LOSS, config.margin_mlm_loss),
    ]
    made = [_compare(m, margin, candidate, champion, config, seed) for m, margin in asked]
    if not gaps:
        why = _read(candidate, "group_metrics").get("skipped") or "no two groups were judged twice"
        made.insert(2, Comparison(name="accuracy gap between groups", kind="margin", why=why))
    return made


def _compare(
    measure: Measure,
    margin: float,
    candidate: Folders,
    champion: Folders,
    config: Decision,
    seed: int,
) -> Comparison:
    ours, theirs = measure.rows(candidate), measure.rows(champion)
    for rows, whose, folders in ((ours, "candidate", candidate), (theirs, "champion", champion)):
        if rows.is_empty():
            why = _read(folders, measure.evaluation).get("skipped") or measure.absent
            return Comparison(
                name=measure.name, kind="margin", unit=measure.unit, why=f"{whose}: {why}"
            )
    return against_champion(
        measure,
        ours,
        theirs,
        margin=margin,
        resamples=config.bootstrap,
        seed=seed,
        level=config.confidence,
    )


def gap_measures(candidate: Folders, champion: Folders) -> list[Measure]:
    """One measure per group column, over the groups that both models were judged by."""
    judged: list[dict[str, list[str]]] = []
    for folders in (candidate, champion):
        path = folders.get("group_metrics", Path()) / "groups.parquet"
        rows = pl.read_parquet(path).filter("judged") if path.exists() else pl.DataFrame()
        found: dict[str, list[str]] = {}
        for column, value in rows.select("group", "value").rows() if len(rows) else ():
            found.setdefault(column, []).append(value)
        judged.append(found)
    shared = {c: sorted(set(judged[0][c]) & set(judged[1].get(c, []))) for c in judged[0]}
    return [gap_measure(column, groups) for column, groups in sorted(shared.items()) if groups[1:]]


def _read(folders: Folders, name: str) -> dict[str, Any]:
    path = folders[name] / _EVALUATIONS[name] if name in folders else None
    if path is None or not path.exists():
        return {"skipped": "the evaluation did not run"}
    found: dict[str, Any] = orjson.loads(path.read_bytes())
    return found


def _size(folders: Folders, measure: Measure) -> int:
    return len(measure.rows(folders))


def _metrics(comparisons: list[Comparison], *, promoted: bool) -> dict[str, float]:
    metrics = {"promoted": float(promoted)}
    for c in comparisons:
        if c.difference is not None and math.isfinite(c.difference["value"]):
            name = c.name.replace(" ", "_").replace("-", "_")
            metrics[f"difference_{name}"] = c.difference["value"]
    return metrics
