"""From a night's wrong answers to the rows that taught them: propose, withdraw, retrain, compare."""

from __future__ import annotations

from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.evaluate import evaluate
from flows.prepare import prepare
from flows.train import material_from
from tasks.configuration import Configuration
from tasks.console import heading
from tasks.corpus.ingest import ingest
from tasks.corpus.quarantine.withdrawn import Withdrawn
from tasks.corpus.sources.readers import source_digest
from tasks.promotion.decide import decide
from tasks.records import Night, Record
from tasks.repair import repairing, withdrawing
from tasks.repair.compare import before_after
from tasks.repair.configuration import RepairConfiguration
from tasks.repair.propose import propose
from tasks.repair.repairing import Begun
from tasks.repair.starting import starting_point, training
from tasks.tracking import runs
from tasks.training.finetune import finetune
from tasks.training.pretrain import pretrain

_withdraw = task(name="withdraw", task_run_name="withdraw", cache_policy=NO_CACHE)(
    withdrawing.withdraw
)


@flow(name="repair", persist_result=False)
def repair(configuration: RepairConfiguration = RepairConfiguration()) -> Path:
    """Take the rows out that taught a night its surest wrong answers, and train again without them.

    With `accept: none`, the default, it only proposes rows, on a page for a person to read.

    Args:
        configuration: The night, what is proposed, and what is accepted.

    Returns:
        The page of the proposal, or of what became of the repair.
    """
    with repairing.repair(configuration) as begun:
        left, told = begun.left, begun.told
        heading(f"repair of night {begun.night.name}", f"started {begun.night.started}")
        with runs.subflow("propose", told, begun.run):
            proposed = propose(
                left["trace"], left["hallucination"], left["augment"], left["ingest"],
                left["clean"], config=told,
            )  # fmt: skip
        page = repairing.show_proposal(begun, proposed)
        if told.accept == "none":
            return page
        _same_source(begun)
        start = starting_point(begun)
        pretraining = training(begun, start)
        taken = _withdraw(begun, proposed)
        c = begun.configuration.model_copy(update={"pretrain": pretraining})
        cleaned, model = _retrained(begun, begun.run, c, start, taken.effect)
        with runs.subflow("before", c, begun.run):
            before = evaluate(left["finetune"], left["clean"], c)
        with runs.subflow("after", c, begun.run):
            after = evaluate(model, left["clean"], c)
            decided = decide(after, before, config=c.decide, seed=c.seed)
        control = _control(begun, c, start, proposed, taken) if told.control else None
        with runs.subflow("compare", told, begun.run):
            compared = before_after(
                proposed, before, after, decided, control, accepted=taken.rows,
                other_rows=withdrawing.other_changes(left["clean"], cleaned, taken),
                config=c.evaluate, seed=c.seed,
            )  # fmt: skip
        return repairing.show_outcome(begun, compared)


def _same_source(begun: Begun) -> None:
    """Refuse before anything is withdrawn."""
    c = begun.configuration
    with runs.subflow("prepare", c, begun.run):
        raw = ingest(config=c.source, seed=c.seed, content=source_digest(c.source))
    repairing.require_same_source(begun, raw)


def _retrained(
    begun: Begun, run: Night, c: Configuration, start: Record | None, rows: Withdrawn
) -> tuple[Record, Record]:
    """The night's data stages without the withdrawn rows, and a model trained on what is left."""
    prepared = prepare(c, run, rows)
    heading("train", f"without {len(rows.digests):,} withdrawn texts")
    with runs.subflow("train", c, run):
        shared = material_from(c, prepared, start, tonight=begun.left["augment"])
        pretrained = pretrain(
            shared["pack"], shared["tokenize"], start, config=c.pretrain, seed=c.seed
        )
        model = finetune(
            pretrained, prepared["augment"], prepared["correct"], config=c.finetune, seed=c.seed
        )
    return prepared["clean"], model


def _control(
    begun: Begun,
    c: Configuration,
    start: Record | None,
    proposed: Record,
    taken: withdrawing.Accepted,
) -> dict[str, Record]:
    """The same without as many random rows, under a run of its own."""
    drawn = withdrawing.random_rows(begun, proposed, taken)
    with runs.subflow("control", c, begun.run):
        nested = begun.run.model_copy(update={"run_id": runs.current_run()})
        _, model = _retrained(begun, nested, c, start, drawn)
        return evaluate(model, begun.left["clean"], c)
