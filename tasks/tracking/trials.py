"""A search in MLflow: one run for the study, and one nested in it for each trial.

The study's run is found again by its name, so a search that is gone on with is one run however
often it was stopped.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tasks.records import Night
from tasks.tracking.connection import client, experiment_id
from tasks.tracking.facts import log_parameters
from tasks.tracking.runs import close_abandoned, code_tags, process_tags

_STATUS = {"failed": "FAILED", "killed": "KILLED"}


def open_search(study: str, configuration: BaseModel) -> Night:
    """The run of a study: found again, or begun.

    Args:
        study: The study's name.
        configuration: Saved whole as an artifact, and flat as parameters.

    Returns:
        What subflows and trials nest under.
    """
    experiment = experiment_id()
    close_abandoned(experiment)
    query = f"tags.`plumbline.study` = '{study}' and tags.`plumbline.kind` = 'search'"
    found = client().search_runs([experiment], query, order_by=["start_time ASC"])
    if found:
        run_id, started = found[0].info.run_id, found[0].data.tags["plumbline.started"]
        client().update_run(run_id, status="RUNNING")
        for name, value in process_tags().items():
            client().set_tag(run_id, name, value)
        return Night(name=f"search {study}", run_id=run_id, started=started)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    tags = {"plumbline.kind": "search", "plumbline.study": study, "plumbline.started": started}
    tags |= process_tags() | code_tags()
    made = client().create_run(experiment, tags=tags, run_name=f"search {study}")
    client().log_dict(made.info.run_id, configuration.model_dump(mode="json"), "configuration.json")
    log_parameters(made.info.run_id, configuration)
    return Night(name=f"search {study}", run_id=made.info.run_id, started=started)


def open_trial(search: Night, number: int, settings: Mapping[str, Any]) -> str:
    """Begin a trial's run, with what it tries as parameters; return the run's id."""
    from mlflow.entities import Param

    experiment = client().get_run(search.run_id).info.experiment_id
    tags = {"mlflow.parentRunId": search.run_id, "plumbline.kind": "trial", **process_tags()}
    tags["plumbline.trial"] = str(number)
    run_id = str(client().create_run(experiment, tags=tags, run_name=f"trial {number}").info.run_id)
    client().log_batch(run_id, params=[Param(n, str(v)) for n, v in settings.items()])
    return run_id


def close_trial(run_id: str, *, ending: str, loss: float | None, reason: str) -> None:
    """End a trial's run: its loss, how it ended and why."""
    from mlflow.entities import Metric, RunTag

    metrics = [] if loss is None else [Metric("loss", loss, int(time.time() * 1000), 0)]
    tags = [RunTag("plumbline.ending", ending), RunTag("plumbline.reason", reason[:5000])]
    client().log_batch(run_id, metrics=metrics, tags=tags)
    client().set_terminated(run_id, status=_STATUS.get(ending, "FINISHED"))


def close_search(
    search: Night, folder: Path, *, best: float | None, counts: Mapping[str, int], succeeded: bool
) -> None:
    """End the study's run with what the search left.

    Args:
        search: From `open_search`.
        folder: Its files are kept with the run.
        best: The lowest loss.
        counts: Trials by how they ended.
        succeeded: Whether the search came to its end.
    """
    from mlflow.entities import Metric

    now, trials = int(time.time() * 1000), sum(counts.values())
    figures = {f"trials_{ending}": float(count) for ending, count in counts.items()}
    if best is not None:
        figures["best_loss"] = best
    metrics = [Metric(name, value, now, trials) for name, value in figures.items()]
    client().log_batch(search.run_id, metrics=metrics)
    for path in sorted(folder.iterdir()):
        if path.is_file():
            client().log_artifact(search.run_id, str(path))
    client().set_terminated(search.run_id, status="FINISHED" if succeeded else "FAILED")
