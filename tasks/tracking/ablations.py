"""An ablation in MLflow: one run for the study, and one nested in it for each night of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from tasks.confinement import confine
from tasks.records import Night, Record
from tasks.tracking.connection import client, experiment_id
from tasks.tracking.facts import log_parameters, log_stage
from tasks.tracking.runs import close_abandoned, close_night, code_tags, process_tags


@contextmanager
def study(name: str, configuration: BaseModel) -> Iterator[Night]:
    """The run of a study, ended with it.

    Args:
        name: Readable, shared with the Prefect flow run.
        configuration: Saved whole as an artifact, and flat as parameters.
    """
    confine(configuration)
    experiment = experiment_id()
    close_abandoned(experiment)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    tags = {"plumbline.kind": "ablation", "plumbline.started": started}
    run = client().create_run(experiment, tags=tags | process_tags() | code_tags(), run_name=name)
    client().log_dict(run.info.run_id, configuration.model_dump(mode="json"), "configuration.json")
    log_parameters(run.info.run_id, configuration)
    opened = Night(name=name, run_id=run.info.run_id, started=started)
    with _ended(opened):
        yield opened


@contextmanager
def variant(within: Night, name: str, seed: int, configuration: BaseModel) -> Iterator[Night]:
    """The run of one night of a study, under which its subflows nest.

    It is no night of its own, so no later night takes it for an earlier one.
    """
    experiment = client().get_run(within.run_id).info.experiment_id
    tags = {"mlflow.parentRunId": within.run_id, "plumbline.kind": "variant", **process_tags()}
    tags |= {"plumbline.variant": name, "plumbline.seed": str(seed)}
    run = client().create_run(experiment, tags=tags, run_name=f"{name}, seed {seed}")
    log_parameters(run.info.run_id, configuration)
    opened = Night(name=f"{name}-{seed}", run_id=run.info.run_id, started=within.started)
    with _ended(opened):
        yield opened


def show(within: Night, table: Record, folder: Path) -> None:
    """Put the table on the study's run, once."""
    log_stage(within.run_id, "ablation", table, folder, seconds=table.seconds, reused=False)


@contextmanager
def _ended(run: Night) -> Iterator[None]:
    succeeded = False
    try:
        yield
        succeeded = True
    finally:
        close_night(run, succeeded=succeeded)
