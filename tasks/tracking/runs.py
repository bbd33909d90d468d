"""The runs of a night in MLflow: one parent, and one nested in it for each subflow."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from pydantic import BaseModel

from tasks.again import starting_from
from tasks.confinement import confine
from tasks.processes import identity, is_dead
from tasks.records import Night
from tasks.settings import ROOT
from tasks.tracking import outbox
from tasks.tracking.connection import client, experiment_id
from tasks.tracking.facts import log_parameters

_current: ContextVar[str | None] = ContextVar("plumbline_run", default=None)


def current_run() -> str | None:
    """The MLflow run that stages report to, or None outside a tracked flow."""
    return _current.get()


def open_night(name: str, configuration: BaseModel, flow_run_id: str | None) -> Night:
    """The parent run of a night: found again if its flow run is being retried, else begun.

    Args:
        name: Readable name, shared with the Prefect flow run.
        configuration: Saved whole as an artifact, and flat as parameters.
        flow_run_id: Prefect's id of the parent flow run.

    Raises:
        UserError: The configuration names what this machine may not read, or MLflow does not answer.
    """
    confine(configuration)
    experiment = experiment_id()
    if flow_run_id:
        found = client().search_runs([experiment], f"tags.`plumbline.flow_run` = '{flow_run_id}'")
        if found:
            client().update_run(found[0].info.run_id, status="RUNNING")
            return Night(
                name=name,
                run_id=found[0].info.run_id,
                started=found[0].data.tags["plumbline.started"],
            )
    outbox.deliver()
    close_abandoned(experiment)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    tags = {"plumbline.kind": "night", "plumbline.started": started}
    tags |= process_tags() | code_tags()
    if flow_run_id:
        tags["plumbline.flow_run"] = flow_run_id
    run_id = client().create_run(experiment, tags=tags, run_name=name).info.run_id
    client().log_dict(run_id, configuration.model_dump(mode="json"), "configuration.json")
    log_parameters(run_id, configuration)
    return Night(name=name, run_id=run_id, started=started)


@contextmanager
def subflow(name: str, configuration: BaseModel, night: Night | None) -> Iterator[Night]:
    """A subflow's run under the night's, made the current run of the stages within.

    A subflow that was started by itself has no night, and is given one of its own.
    """
    confine(configuration)  # a form may name a night that is there already
    own = night is None
    night = night or open_night(name, configuration, None)
    run_id = _nested_run(night, name)
    token = _current.set(run_id)
    succeeded = False
    try:
        with starting_from(getattr(configuration, "start_from", None), night.started):
            yield night
        succeeded = True
    finally:
        _current.reset(token)
        _end(run_id, succeeded=succeeded)
        if own:
            close_night(night, succeeded=succeeded)


def _nested_run(night: Night, name: str) -> str:
    experiment = client().get_run(night.run_id).info.experiment_id
    query = f"tags.`mlflow.parentRunId` = '{night.run_id}' and attributes.run_name = '{name}'"
    found = client().search_runs([experiment], query)
    if found:
        client().update_run(found[0].info.run_id, status="RUNNING")
        return str(found[0].info.run_id)
    tags = {"mlflow.parentRunId": night.run_id, "plumbline.kind": "subflow", **process_tags()}
    return str(client().create_run(experiment, tags=tags, run_name=name).info.run_id)


def close_night(night: Night, *, succeeded: bool) -> None:
    """End the parent run."""
    _end(night.run_id, succeeded=succeeded)


def _end(run_id: str, *, succeeded: bool) -> None:
    status = "FINISHED" if succeeded else "FAILED"
    outbox.tell(outbox.StatusReport(run_id=run_id, status=status, at=outbox.now()))


def close_abandoned(experiment: str) -> None:
    """Mark as killed the runs of this machine whose process is gone."""
    for run in client().search_runs([experiment], "attributes.status = 'RUNNING'"):
        tags = run.data.tags
        if is_dead(tags.get("plumbline.host", ""), tags.get("plumbline.process", "")):
            client().set_terminated(run.info.run_id, status="KILLED")


def process_tags() -> dict[str, str]:
    """The process behind a run, by which an abandoned run is known."""
    return {f"plumbline.{name}": value for name, value in identity().items()}


def code_tags() -> dict[str, str]:
    """The revision of the code, where it lies in a git checkout, and the digest of the lock."""
    tags = {}
    lock = ROOT / "requirements.lock"
    if lock.exists():
        tags["plumbline.lock"] = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    try:
        git = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "HEAD"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError:  # no git on this machine
        return tags
    if git.returncode == 0:
        tags["mlflow.source.git.commit"] = git.stdout.strip()
    return tags
