"""What each stage buys: the night with one stage off at a time, over several seeds, in one table."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.runtime import flow_run

from flows.evaluate import evaluate
from flows.prepare import prepare
from flows.train import train
from tasks.ablation.configuration import AblationConfiguration
from tasks.ablation.publish import publish
from tasks.ablation.table import tabulate
from tasks.ablation.variants import Variant, of_doses, of_stages
from tasks.configuration import Configuration
from tasks.console import heading
from tasks.records import Night, Record
from tasks.stage import link_artifact
from tasks.tracking import ablations, runs
from tasks.tracking.facts import run_address

Judged = dict[str, dict[str, dict[str, Record]]]  # variant, seed, stage


@flow(name="ablate", persist_result=False)
def ablate(configuration: AblationConfiguration = AblationConfiguration()) -> Path:
    """Run the night with one stage off at a time, and compare.

    Args:
        configuration: A night's, which every variant changes, and which variants and seeds.

    Returns:
        The page with the table.
    """
    c = configuration
    variants = of_doses(c.ablate.doses, c.ablate.levels)
    if c.ablate.study == "stages":
        variants = of_stages(c.ablate.variants)
    with ablations.study(flow_run.name or "ablate", c) as study:
        heading(f"ablate {study.name}", f"{len(variants)} variants, {len(c.ablate.seeds)} seeds")
        prepared: Judged = {v.name: {} for v in variants}
        judged: Judged = {v.name: {} for v in variants}
        seconds: dict[str, dict[str, float]] = {v.name: {} for v in variants}
        # Seeds are outermost, so that a study that is stopped has whole seeds to go on from.
        for seed in c.ablate.seeds:
            for v in variants:
                left, corpus = _night(v, v.applied(c.night(), seed), study, seed, prepared)
                prepared[v.name][str(seed)] = corpus
                judged[v.name][str(seed)] = left
                seconds[v.name][str(seed)] = _cost(left, corpus)
        cleaned = {v: {s: p["clean"] for s, p in seeds.items()} for v, seeds in prepared.items()}
        table = tabulate(
            judged, cleaned, variants=[v.model_dump() for v in variants], seconds=seconds,
            config=c.ablate,
        )  # fmt: skip
        page = publish(study, table)
        link_artifact("ablation-page", page.as_uri(), "What each stage buys")
        link_artifact("ablation-in-mlflow", run_address(study.run_id), "The ablation in MLflow")
    return page


def _night(
    v: Variant, c: Configuration, study: Night, seed: int, prepared: Judged
) -> tuple[dict[str, Record], dict[str, Record]]:
    """One night: its evaluations with its model, and its corpus' stages."""
    heading(v.name, f"seed {seed}")
    with ablations.variant(study, v.name, seed, c) as night:
        corpus = prepare(c, night)
        trained = train(c, night, corpus)
        held_out = corpus if v.judged_on == v.name else prepared[v.judged_on][str(seed)]
        with runs.subflow("assess", c, night):
            left = evaluate(trained["finetune"], held_out["clean"], c)
    return {**left, "pretrain": trained["pretrain"], "finetune": trained["finetune"]}, corpus


def _cost(left: dict[str, Record], corpus: dict[str, Record]) -> float:
    """What preparing and training took when they were computed (s)."""
    trained = (left["pretrain"], left["finetune"])
    return sum(record.seconds for record in (*corpus.values(), *trained))
