"""From candidate to verdict: evaluate it and the champion, explain, decide, register, report."""

from __future__ import annotations

from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.prepare import prepare
from flows.train import train
from tasks.configuration import Configuration
from tasks.console import heading
from tasks.evaluation.calibration import calibration
from tasks.evaluation.floors import floors
from tasks.evaluation.group_metrics import group_metrics
from tasks.evaluation.hallucination import hallucination
from tasks.evaluation.quality import quality
from tasks.evaluation.robustness import robustness
from tasks.explanation.explain import explain
from tasks.promotion.decide import decide
from tasks.promotion.publish import publish
from tasks.promotion.report import report
from tasks.records import Night, Record
from tasks.tracking import registry, runs

_settle = task(name="register", task_run_name="register", cache_policy=NO_CACHE)(registry.settle)
_publish = task(name="publish", task_run_name="publish", cache_policy=NO_CACHE)(publish)


@flow(name="assess", flow_run_name="assess", persist_result=False)
def assess(
    configuration: Configuration = Configuration(),
    night: Night | None = None,
    prepared: dict[str, Record] | None = None,
    trained: dict[str, Record] | None = None,
) -> Path:
    """Judge the candidate against the champion and write the run page.

    Args:
        configuration: Everything the run is told.
        night: The parent night; leave empty to start one of its own.
        prepared: What `prepare` returned; leave empty to run or reuse it.
        trained: What `train` returned; leave empty to run or reuse it.

    Returns:
        The run page.
    """
    c = configuration
    with runs.subflow("assess", configuration, night) as night:
        prepared = prepared or prepare(configuration, night)
        trained = trained or train(configuration, night, prepared)
        candidate = trained["finetune"]
        heading("assess", f"candidate {candidate.digest[:12]}")
        judged = evaluate(candidate, prepared["clean"], c)
        held = registry.standing(candidate)
        opposing = {}
        if held.opponent:
            opponent = registry.champion(digest=held.opponent)
            opposing = evaluate(opponent, prepared["clean"], c, prefix="champion_")
        floored = floors(
            judged["quality"], prepared["augment"], prepared["correct"], prepared["clean"],
            trained["baselines"], trained["tokenize"], config=c.evaluate, baselines=c.baselines,
            finetune=c.finetune, seed=c.seed,
        )  # fmt: skip
        explained = explain(
            candidate, prepared["clean"], judged["quality"], config=c.explain, seed=c.seed
        )
        decided = decide(
            judged,
            {title.removeprefix("champion_"): record for title, record in opposing.items()} or None,
            config=c.decide,
            seed=c.seed,
        )
        registered = _settle(
            night, candidate, decided, held, corpus=prepared["augment"], start=_bundle(trained)
        )
        stages = {
            **prepared,
            **trained,
            **judged,
            **opposing,
            "floors": floored,
            "explain": explained,
            "decide": decided,
        }
        page = report(stages, configuration=c)
        return _publish(night, page, registered)


def _bundle(trained: dict[str, Record]) -> str | None:
    """Digest of the bundle that training started from, if it started from one."""
    begun = trained.get("start")
    return begun.digest if begun is not None and begun.stage == "champion" else None


def evaluate(
    model: Record, corpus: Record, c: Configuration, prefix: str = ""
) -> dict[str, Record]:
    """Every evaluation of one model on held-out rows and probes.

    Args:
        model: The bundle.
        corpus: The clean corpus that has the rows and probes.
        c: Everything the run is told.
        prefix: Put before the stages' titles, where two models are judged in one run.
    """
    config, seed = c.evaluate, c.seed
    scored = quality(model, corpus, config=config, seed=seed, title=f"{prefix}quality")
    return {
        f"{prefix}quality": scored,
        f"{prefix}calibration": calibration(
            scored, config=config, seed=seed, title=f"{prefix}calibration"
        ),
        f"{prefix}hallucination": hallucination(
            model, corpus, config=config, seed=seed, title=f"{prefix}hallucination"
        ),
        f"{prefix}group_metrics": group_metrics(
            scored,
            corpus,
            config=config,
            fairness=c.fairness,
            seed=seed,
            title=f"{prefix}group_metrics",
        ),
        f"{prefix}robustness": robustness(
            model, corpus, config=config, seed=seed, title=f"{prefix}robustness"
        ),
    }
