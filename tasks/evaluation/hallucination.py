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
from tasks.corpus.sources.probes import MAIN, completed
from tasks.evaluation.asking import ask, candidates_of, draw
from tasks.evaluation.bootstrap import interval, share
from tasks.evaluation.calibration import expected_calibration_error
from tasks.evaluation.fact_measures import (
    by_exposures,
    calibrated,
    consistency,
    disputed,
    exposures,
    parted,
)
from tasks.evaluation.made_probes import made_probes
from tasks.evaluation.risk import area_under_risk_coverage, curve, risk_of_the_surest
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage

OUTCOMES = ("correct", "abstained", "hallucinated")
TAU_WITHOUT_VALIDATION = 0.5
_GRID = np.linspace(0.0, 1.0, 101)
_WORST = 20
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@stage
def hallucination(
    model: Path, corpus: Path, *, config: Evaluation, seed: int, out: Path, log: Log
) -> Outcome:
    """Ask the model the fact probes and count right, silent and made-up answers.

    Args:
        model: A model bundle.
        corpus: The cleaned folder, with `probes.parquet` if the data has fact probes; without any
            they are made of held-out text (see `made_probes`).
        config: Most test probes asked; a third as many validation probes choose tau.
        seed: Seed of the choice of probes and of the resamples.
        out: Gets `probes.parquet` (one row per test probe), `paraphrases.parquet` (the same facts
            however they were asked) and `hallucination.json`.
        log: Progress.

    Returns:
        The three shares, tau and the area under the risk-coverage curve, or why there are none.
    """
    probes, generated = _probes_of(corpus, config, seed)
    if probes.is_empty():
        return _skip(out, "the data has no fact probes")
    candidates = candidates_of(probes)
    usable = probes.filter(pl.col("relation").is_in([r for r, c in candidates.items() if c]))
    tuning = draw(usable, "validation", max(1, config.max_probes // 3), seed)
    main = draw(usable, "test", config.max_probes, seed)
    if main.is_empty():
        return _skip(out, "no test probe has more than one possible answer")
    others = usable.filter(pl.col("phrasing") != MAIN).join(main, on="fact", how="semi")
    answers = ask(model, pl.concat([tuning, main, others.sort("probe_id")]), candidates, log)
    of_tuning = answers.of((pl.col("split") == "validation") & (pl.col("phrasing") == MAIN))
    of_main = answers.of((pl.col("split") == "test") & (pl.col("phrasing") == MAIN))
    tau = choose_tau(of_tuning.probes)
    judged = judge(of_main.probes, tau).drop("split")
    judged = _exposed(judged, corpus)
    judged.write_parquet(out / "probes.parquet")
    asked = answers.probes.filter(pl.col("split") == "test")
    judge(asked, tau).write_parquet(out / "paraphrases.parquet")
    draws = {"resamples": config.bootstrap, "seed": seed}
    found = _report(judged, tau, config.bootstrap, seed) | _beyond(judged, asked, draws)
    found |= calibrated(of_tuning.shares, of_main.shares, draws)
    found |= {
        "probes_validation": len(tuning),
        "probes_without_alternative": len(probes) - len(usable),
        "answers_with_unknown_subwords": answers.unknown,
        "generated": generated,
    }
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
    gain = np.where(right_answers(answered), 1, -1)
    given = answered["confidence"].to_numpy()[None, :] >= _GRID[:, None]
    score = (given * gain).sum(axis=1)
    return float(_GRID[np.flatnonzero(score == score.max())[-1]])


def judge(answered: pl.DataFrame, tau: float) -> pl.DataFrame:
    """Add `outcome`: correct, abstained or hallucinated."""
    right = pl.Series(right_answers(answered))
    return answered.with_columns(
        pl.when(pl.col("confidence") < tau)
        .then(pl.lit("abstained"))
        .when(right)
        .then(pl.lit("correct"))
        .otherwise(pl.lit("hallucinated"))
        .alias("outcome")
    )


def right_answers(answered: pl.DataFrame) -> NDArray[np.bool_]:
    """Which answers of probes are right, (n,): the answer itself, or one that is accepted as well."""
    if "right" in answered.columns:
        return answered["right"].to_numpy()
    return (answered["asserted"] == answered["answer"]).to_numpy()


def _probes_of(corpus: Path, config: Evaluation, seed: int) -> tuple[pl.DataFrame, int]:
    """The data's probes, and those made of its held-out text; and how many were made."""
    path = corpus / "probes.parquet"
    own = completed(pl.read_parquet(path)) if path.exists() else pl.DataFrame()
    wanted = config.generated_probes if own.is_empty() or config.always_generate else 0
    rows = corpus / "corpus.parquet"
    if not wanted or not rows.exists():
        return own, 0
    made = made_probes(pl.read_parquet(rows, columns=["row_id", "text", "split"]), wanted, seed)
    parts = [part for part in (own, made) if not part.is_empty()]
    whole = pl.concat(parts, how="diagonal") if parts else pl.DataFrame()
    return whole, len(made)


def _exposed(judged: pl.DataFrame, corpus: Path) -> pl.DataFrame:
    """With `exposures`, training rows that name subject and answer, and `disputed`."""
    path = corpus / "corpus.parquet"
    read = pl.Series([], dtype=pl.String)
    if path.exists():
        training = pl.scan_parquet(path).filter(pl.col("split") == "train")
        read = training.select("text").collect()["text"]
    counts = exposures(read, judged["subject"].to_list(), judged["answer"].to_list())
    in_dispute = disputed(corpus).with_columns(disputed=pl.lit(True))
    return (
        judged.with_columns(counts.alias("exposures"))
        .join(in_dispute, on=["subject", "relation"], how="left", maintain_order="left")
        .with_columns(pl.col("disputed").fill_null(False))
    )


def _beyond(judged: pl.DataFrame, asked: pl.DataFrame, draws: dict[str, Any]) -> dict[str, Any]:
    """What answers tell beyond right and wrong; see `fact_measures`."""
    groups = [c for c in judged.columns if c.startswith("group_")]
    return {
        "consistency": consistency(asked, draws),
        "by_exposures": by_exposures(judged, draws),
        "by_dispute": parted(judged, "disputed", draws) if judged["disputed"].any() else [],
        "by_group": [
            {"group": name, **line} for name in groups for line in parted(judged, name, draws)
        ],
        "by_phrasing": [
            {"phrasing": kind, "probes": len(part), "accuracy": share(right_answers(part), **draws)}
            for (kind,), part in asked.sort("phrasing").group_by("phrasing", maintain_order=True)
        ]
        if asked["phrasing"].n_unique() > 1
        else [],
    }


def _report(judged: pl.DataFrame, tau: float, resamples: int, seed: int) -> dict[str, Any]:
    right = right_answers(judged)
    rows = np.stack([judged["confidence"].to_numpy(), right], axis=1)
    risk = risk_of_the_surest(rows[None])[0]
    return {
        "tau": tau,
        "probes": len(judged),
        **_shares(judged, resamples, seed),
        "accuracy": share(right, resamples=resamples, seed=seed),
        "ece": interval(rows, resamples=resamples, seed=seed, statistic=expected_calibration_error),
        "aurc": interval(rows, resamples=resamples, seed=seed, statistic=area_under_risk_coverage),
        "risk_coverage": curve(rows[:, 0], risk),
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
