"""From candidate to verdict: evaluate it and the champion, explain, decide, register, report."""

from __future__ import annotations

from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.evaluate import evaluate
from flows.prepare import prepare
from flows.train import train
from tasks.configuration import Configuration
from tasks.console import heading
from tasks.evaluation.floors import floors
from tasks.explanation.explain import explain
from tasks.explanation.trace.encodings import encode_rows
from tasks.explanation.trace.trace import trace
from tasks.promotion.decide import decide
from tasks.promotion.publish import publish
from tasks.promotion.report import report
from tasks.records import Night, Record
from tasks.tracking import registering, registry, runs

_settle = task(name="register", task_run_name="register", cache_policy=NO_CACHE)(registering.settle)
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
        traced = _trace(c, prepared, trained, judged["hallucination"])
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
            night,
            candidate,
            decided,
            held,
            corpus=prepared["augment"],
            calibrated=judged["calibration"],
            start=_bundle(trained),
        )
        stages = {
            **prepared,
            **trained,
            **judged,
            **opposing,
            **traced,
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


def _trace(
    c: Configuration, prepared: dict[str, Record], trained: dict[str, Record], asked: Record
) -> dict[str, Record]:
    """The rows behind the surest wrong answers, where facts were asked for."""
    if not c.trace.enabled or asked.outcome.skipped:
        return {}
    found: dict[str, Record] = {}
    if c.trace.gradients and asked.outcome.metrics["hallucinated"]:
        found["encode_rows"] = encode_rows(
            trained["pretrain"], trained["tokenize"], prepared["clean"],
            config=c.trace, seed=c.seed,
        )  # fmt: skip
    rows = prepared["augment" if c.tokenize.made_up else "clean"]
    found["trace"] = trace(
        asked, rows, prepared["profile"], prepared["clean"],
        found.get("encode_rows"), trained["pretrain"], config=c.trace,
    )  # fmt: skip
    return found
