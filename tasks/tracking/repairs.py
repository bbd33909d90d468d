"""A repair in MLflow: one run that names the night it repairs, with nested runs like a night's.

It is found again by the night and by what it was told, so a repair that is run twice is one run. It
is no night: what later nights look for in earlier ones they do not find here.
"""

from __future__ import annotations

import hashlib
import json
import time
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ValidationError

from tasks.configuration import Configuration
from tasks.errors import UserError
from tasks.records import Night
from tasks.tracking.connection import client, experiment_id
from tasks.tracking.facts import log_parameters
from tasks.tracking.runs import close_abandoned, code_tags, process_tags

_IDENTITY = "plumbline.repair"
_FILE = "configuration.json"


def configuration_of(night: Night) -> Configuration:
    """What a night was told.

    Raises:
        UserError: MLflow has it no more, or this version of the program cannot use it.
    """
    from mlflow.artifacts import load_dict
    from mlflow.exceptions import MlflowException

    uri = client().get_run(night.run_id).info.artifact_uri
    try:
        found: dict[str, Any] = load_dict(f"{uri}/{_FILE}")
        return Configuration.model_validate(found)
    except (MlflowException, OSError) as error:
        raise UserError(
            f"the configuration of night {night.name} is not in MLflow any more: {error}",
            "Run the night again.",
        ) from error
    except ValidationError as error:
        raise UserError(
            f"night {night.name} had a configuration that this version cannot use: {error}",
            "Run the night again.",
        ) from error


def open_repair(night: Night, told: BaseModel) -> Night:
    """The run of a repair: found again, or begun.

    Args:
        night: What is repaired.
        told: The repair's section; saved whole as an artifact, and flat as parameters.

    Returns:
        What subflows nest under.
    """
    experiment = experiment_id()
    close_abandoned(experiment)
    saved = told.model_dump(mode="json")
    identity = hashlib.sha256(
        json.dumps([night.run_id, saved], sort_keys=True).encode()
    ).hexdigest()[:16]
    found = client().search_runs([experiment], f"tags.`{_IDENTITY}` = '{identity}'")
    name = f"repair of {night.name}"
    if found:
        run_id, started = found[0].info.run_id, found[0].data.tags["plumbline.started"]
        client().update_run(run_id, status="RUNNING")
        for tag, value in process_tags().items():
            client().set_tag(run_id, tag, value)
        return Night(name=name, run_id=run_id, started=started)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    tags = {"plumbline.kind": "repair", _IDENTITY: identity, "plumbline.started": started}
    tags |= {"plumbline.night": night.run_id} | process_tags() | code_tags()
    run_id = str(client().create_run(experiment, tags=tags, run_name=name).info.run_id)
    client().log_dict(run_id, saved, _FILE)
    log_parameters(run_id, told)
    return Night(name=name, run_id=run_id, started=started)


def close_repair(run: Night, *, succeeded: bool) -> None:
    """End the repair's run."""
    client().set_terminated(run.run_id, status="FINISHED" if succeeded else "FAILED")


def log_outcome(run: Night, sentence: str, figures: dict[str, float]) -> None:
    """Put the repair's figures, once, and its sentence on its run."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    there = client().get_run(run.run_id).data.metrics
    metrics = [Metric(name, value, now, 0) for name, value in figures.items() if name not in there]
    client().log_batch(run.run_id, metrics=metrics)
    note = f"### {sentence}\n\nThe pages are among the artifacts."
    client().set_tag(run.run_id, "mlflow.note.content", note)
