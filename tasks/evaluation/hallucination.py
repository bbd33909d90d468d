"""Hallucination: what the model asserts with confidence and gets wrong.

A fact probe is a statement with its answer masked. The model may choose among all answers that
any probe of the same relation has; its assertion is the likeliest, its confidence the softmax
share of that one. A probe ends in one of three ways, whose shares sum to 1:

    abstained      confidence < tau
    correct        confidence >= tau, and the assertion is the answer
    hallucinated   confidence >= tau, and it is not

tau is chosen on validation probes and applied to test probes: the value that maximises
`correct - hallucinated`, a wrong assertion costing what a right one earns; of equals the
highest, so doubt means silence. A model that knows nothing therefore abstains throughout, and
hallucinates nothing; `accuracy`, what it would get right if made to answer, tells that case.

The risk-coverage curve and its area (El-Yaniv and Wiener 2010; Geifman, Uziel and El-Yaniv 2019)
need no tau: answer the surest share of the probes, and see which part of that is wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from tasks.configuration import Evaluation
from tasks.evaluation.bootstrap import interval, share
from tasks.evaluation.calibration import expected_calibration_error
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage

OUTCOMES = ("correct", "abstained", "hallucinated")
TAU_WITHOUT_VALIDATION = 0.5
_GRID = np.linspace(0.0, 1.0, 101)
_WORST = 20
_CURVE_POINTS = 100
_AT_ONCE = 256
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@stage
def hallucination(
    model: Path, corpus: Path, *, config: Evaluation, seed: int, out: Path, log: Log
) -> Outcome:
    """Ask the model the fact probes and count right, silent and made-up answers.

    Args:
        model: A model bundle.
        corpus: A folder with `probes.parquet`, if the data has fact probes.
        config: Most test probes asked; a third as many validation probes choose tau.
        seed: Seed of the choice of probes and of the resamples.
        out: Gets `probes.parquet` (one row per test probe) and `hallucination.json`.
        log: Progress.

    Returns:
        The three shares, tau and the area under the risk-coverage curve, or why there are none.
    """
    path = corpus / "probes.parquet"
    if not path.exists():
        return _skip(out, "the data has no fact probes")
    probes = pl.read_parquet(path)
    candidates = _candidates(probes)
    usable = probes.filter(pl.col("relation").is_in([r for r, c in candidates.items() if c]))
    asked = pl.concat(
        [
            _draw(usable, "validation", max(1, config.max_probes // 3), seed),
            _draw(usable, "test", config.max_probes, seed),
        ]
    )
    if asked.filter(pl.col("split") == "test").is_empty():
        return _skip(out, "no test probe has more than one possible answer")
    answered = _ask(model, asked, candidates, log)
    tau = choose_tau(answered.filter(pl.col("split") == "validation"))
    judged = judge(answered.filter(pl.col("split") == "test"), tau).drop("split")
    judged.write_parquet(out / "probes.parquet")
    found = _report(judged, tau, config.bootstrap, seed)
    found["probes_validation"] = len(asked) - len(judged)
    found["probes_without_alternative"] = len(probes) - len(usable)
    (out / "hallucination.json").write_bytes(orjson.dumps(found, option=_JSON))
    return _outcome(found, len(judged))


def choose_tau(answered: pl.DataFrame) -> float:
    """The confidence from which on an answer is worth giving; see the module's docstring.

    Args:
        answered: Validation probes with `answer`, `asserted`, `confidence`.

    Returns:
        A multiple of 0.01; `TAU_WITHOUT_VALIDATION` if there are no validation probes.
    """
    if answered.is_empty():
        return TAU_WITHOUT_VALIDATION
    gain = np.where(answered["asserted"] == answered["answer"], 1, -1)
    given = answered["confidence"].to_numpy()[None, :] >= _GRID[:, None]
    score = (given * gain).sum(axis=1)
    return float(_GRID[np.flatnonzero(score == score.max())[-1]])


def judge(answered: pl.DataFrame, tau: float) -> pl.DataFrame:
    """Add `outcome`: correct, abstained or hallucinated."""
    right = pl.col("asserted") == pl.col("answer")
    return answered.with_columns(
        pl.when(pl.col("confidence") < tau)
        .then(pl.lit("abstained"))
        .when(right)
        .then(pl.lit("correct"))
        .otherwise(pl.lit("hallucinated"))
        .alias("outcome")
    )


def risk_of_the_surest(rows: NDArray[Any]) -> NDArray[Any]:
    """Share of wrong answers among the k surest, for every k.

    Among equally sure answers the wrong ones are taken first, so ties never flatter.

    Args:
        rows: `(resamples, n, 2)`: confidence, and 1 where the answer was right.

    Returns:
        `(resamples, n)`.
    """
    order = np.lexsort((rows[..., 1], -rows[..., 0]), axis=1)
    wrong = 1.0 - np.take_along_axis(rows[..., 1], order, axis=1)
    return np.asarray(wrong.cumsum(axis=1) / np.arange(1, rows.shape[1] + 1))


def area_under_risk_coverage(rows: NDArray[Any]) -> NDArray[Any]:
    """Mean over all coverages of the risk there, `(resamples,)`; 0 is best, 1 worst."""
    return np.asarray(risk_of_the_surest(rows).mean(axis=1))


def _candidates(probes: pl.DataFrame) -> dict[str, list[str]]:
    """The distinct answers of each relation, none where there is no choice."""
    grouped = probes.group_by("relation").agg(pl.col("answer").unique().sort()).sort("relation")
    return {relation: answers if len(answers) > 1 else [] for relation, answers in grouped.rows()}


def _draw(probes: pl.DataFrame, split: str, most: int, seed: int) -> pl.DataFrame:
    rows = probes.filter(pl.col("split") == split).sort("probe_id")
    if len(rows) <= most:
        return rows
    drawn = np.random.default_rng(seed).choice(len(rows), size=most, replace=False)
    return rows.filter(pl.Series(np.isin(np.arange(len(rows)), drawn)))


def _ask(
    model: Path, probes: pl.DataFrame, candidates: dict[str, list[str]], log: Log
) -> pl.DataFrame:
    from models.bundle import TextModel

    text_model = TextModel.load(model)
    asserted: list[str] = []
    confidence: list[float] = []
    of_answer: list[float] = []
    for start in range(0, len(probes), _AT_ONCE):
        part = probes[start : start + _AT_ONCE]
        choices = [candidates[relation] for relation in part["relation"]]
        shares = text_model.score_candidates(part["statement"].to_list(), choices)
        for answer, choice, given in zip(part["answer"], choices, shares, strict=True):
            best = int(given.argmax())
            asserted.append(choice[best])
            confidence.append(float(given[best]))
            of_answer.append(float(given[choice.index(answer)]))
        log.progress(start + len(part), len(probes), "probes")
    return probes.with_columns(
        asserted=pl.Series(asserted, dtype=pl.String),
        confidence=pl.Series(confidence, dtype=pl.Float64),
        answer_confidence=pl.Series(of_answer, dtype=pl.Float64),
    )


def _report(judged: pl.DataFrame, tau: float, resamples: int, seed: int) -> dict[str, Any]:
    right = (judged["asserted"] == judged["answer"]).to_numpy()
    rows = np.stack([judged["confidence"].to_numpy(), right], axis=1)
    risk = risk_of_the_surest(rows[None])[0]
    return {
        "tau": tau,
        "probes": len(judged),
        **_shares(judged, resamples, seed),
        "accuracy": share(right, resamples=resamples, seed=seed),
        "ece": interval(rows, resamples=resamples, seed=seed, statistic=expected_calibration_error),
        "aurc": interval(rows, resamples=resamples, seed=seed, statistic=area_under_risk_coverage),
        "risk_coverage": _curve(rows[:, 0], risk),
        "by_relation": [
            {"relation": name, "probes": len(part), **_shares(part, resamples, seed)}
            for (name,), part in judged.sort("relation").group_by("relation", maintain_order=True)
        ],
        "worst": judged.filter(pl.col("outcome") == "hallucinated")
        .sort(["confidence", "probe_id"], descending=[True, False])
        .head(_WORST)
        .select("probe_id", "relation", "statement", "answer", "asserted", "confidence")
        .to_dicts(),
    }


def _shares(judged: pl.DataFrame, resamples: int, seed: int) -> dict[str, dict[str, float]]:
    outcome = judged["outcome"].to_numpy()
    return {name: share(outcome == name, resamples=resamples, seed=seed) for name in OUTCOMES}


def _curve(confidence: NDArray[Any], risk: NDArray[Any]) -> list[dict[str, float]]:
    """At most 100 points of the risk-coverage curve, with the confidence that each needs."""
    n = len(risk)
    sorted_confidence = np.sort(confidence)[::-1]
    points = np.unique(np.linspace(1, n, min(n, _CURVE_POINTS)).round().astype(int))
    return [
        {
            "coverage": float(k / n),
            "risk": float(risk[k - 1]),
            "confidence": float(sorted_confidence[k - 1]),
        }
        for k in points
    ]


def _outcome(found: dict[str, Any], probes: int) -> Outcome:
    value = {name: found[name]["value"] for name in (*OUTCOMES, "accuracy", "aurc", "ece")}
    return Outcome(
        summary=f"{value['correct']:.0%} correct, {value['abstained']:.0%} abstained, "
        f"{value['hallucinated']:.0%} hallucinated of {probes:,}",
        metrics={**value, "tau": found["tau"]},
        artifacts=("hallucination.json",),
    )


def _skip(out: Path, why: str) -> Outcome:
    (out / "hallucination.json").write_bytes(orjson.dumps({"skipped": why}, option=_JSON))
    return Outcome(summary=why, skipped=why)
