"""The run's record in MLflow: one parent run a night, a nested run per subflow, each fact once.

Everything goes through the client with explicit run ids, in batches, and is marked by a tag, so a
retry repeats nothing. MLflow is imported where it is used, since it takes over a second.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from tasks.errors import UserError
from tasks.log import CURVE
from tasks.records import Night, Point, Record
from tasks.settings import ROOT, Environment

if TYPE_CHECKING:
    from mlflow import MlflowClient

_BATCH = 1000  # MLflow's limit of metrics in one request
_STAGE_MARK = "plumbline.stage."
_current: ContextVar[str | None] = ContextVar("plumbline_run", default=None)


def current_run() -> str | None:
    """The MLflow run that stages report to, or None outside a tracked flow."""
    return _current.get()


@cache
def _client_for(uri: str) -> MlflowClient:
    from mlflow import MlflowClient, set_registry_uri, set_tracking_uri
    from mlflow.exceptions import MlflowException

    set_tracking_uri(uri)
    set_registry_uri(uri)
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    try:
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    except (MlflowException, OSError) as error:
        raise UserError(
            f"MLflow at {uri} does not answer: {error}",
            "Start the server or correct PLUMBLINE_TRACKING_URI.",
        ) from error
    return client


def client() -> MlflowClient:
    """A client of the environment's tracking store."""
    return _client_for(Environment().tracking)


def _experiment_id() -> str:
    environment = Environment()
    found = client().get_experiment_by_name(environment.experiment)
    if found is not None:
        return str(found.experiment_id)
    # A server keeps artifacts itself; a database file needs to be told where.
    local = environment.tracking.startswith("sqlite:")
    location = (environment.home.absolute() / "mlartifacts").as_uri() if local else None
    return str(client().create_experiment(environment.experiment, artifact_location=location))


def open_night(name: str, configuration: BaseModel, flow_run_id: str | None) -> Night:
    """The parent run of a night: found again if its flow run is being retried, else begun.

    Args:
        name: Readable name, shared with the Prefect flow run.
        configuration: Saved whole as an artifact, and flat as parameters.
        flow_run_id: Prefect's id of the parent flow run.
    """
    experiment = _experiment_id()
    if flow_run_id:
        found = client().search_runs([experiment], f"tags.`plumbline.flow_run` = '{flow_run_id}'")
        if found:
            client().update_run(found[0].info.run_id, status="RUNNING")
            return Night(
                name=name,
                run_id=found[0].info.run_id,
                started=found[0].data.tags["plumbline.started"],
            )
    close_abandoned(experiment)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    tags = {"plumbline.kind": "night", "plumbline.started": started}
    tags |= _process_tags() | _code_tags()
    if flow_run_id:
        tags["plumbline.flow_run"] = flow_run_id
    run_id = client().create_run(experiment, tags=tags, run_name=name).info.run_id
    client().log_dict(run_id, configuration.model_dump(mode="json"), "configuration.json")
    _log_parameters(run_id, configuration)
    return Night(name=name, run_id=run_id, started=started)


@contextmanager
def subflow(name: str, configuration: BaseModel, night: Night | None) -> Iterator[Night]:
    """A subflow's run under the night's, made the current run of the stages within.

    A subflow that was started by itself has no night, and is given one of its own.
    """
    own = night is None
    night = night or open_night(name, configuration, None)
    run_id = _nested_run(night, name)
    token = _current.set(run_id)
    succeeded = False
    try:
        yield night
        succeeded = True
    finally:
        _current.reset(token)
        client().set_terminated(run_id, status="FINISHED" if succeeded else "FAILED")
        if own:
            close_night(night, succeeded=succeeded)


def _nested_run(night: Night, name: str) -> str:
    experiment = client().get_run(night.run_id).info.experiment_id
    query = f"tags.`mlflow.parentRunId` = '{night.run_id}' and attributes.run_name = '{name}'"
    found = client().search_runs([experiment], query)
    if found:
        client().update_run(found[0].info.run_id, status="RUNNING")
        return str(found[0].info.run_id)
    tags = {"mlflow.parentRunId": night.run_id, "plumbline.kind": "subflow", **_process_tags()}
    return str(client().create_run(experiment, tags=tags, run_name=name).info.run_id)


def close_night(night: Night, *, succeeded: bool) -> None:
    """End the parent run."""
    client().set_terminated(night.run_id, status="FINISHED" if succeeded else "FAILED")


def close_abandoned(experiment: str) -> None:
    """Mark as killed the runs of this machine whose process is gone."""
    for run in client().search_runs([experiment], "attributes.status = 'RUNNING'"):
        tags = run.data.tags
        if tags.get("plumbline.host") == socket.gethostname() and not _alive(
            tags.get("plumbline.process", "")
        ):
            client().set_terminated(run.info.run_id, status="KILLED")


def log_stage(
    run_id: str, title: str, record: Record, folder: Path, *, seconds: float, reused: bool
) -> None:
    """Tell MLflow what a stage said: metrics, curve, artifacts, dataset; once per run and stage.

    A reused stage logs what it logged the first time, so that every night's run is complete.
    """
    mark = _STAGE_MARK + title
    if mark in client().get_run(run_id).data.tags:
        return
    now = int(time.time() * 1000)
    metrics = {f"{title}.{name}": value for name, value in record.outcome.metrics.items()}
    metrics[f"{title}.seconds"] = seconds
    rows = record.outcome.rows
    if rows is not None:
        metrics |= {
            f"{title}.rows_{name}": float(count) for name, count in rows.model_dump().items()
        }
    _log_metrics(run_id, metrics, now)
    if (folder / CURVE).exists():
        lines = (folder / CURVE).read_text().splitlines()
        log_curve(run_id, title, [Point.model_validate_json(line) for line in lines])
    for name in record.outcome.artifacts:
        path = folder / name
        if path.is_dir():
            client().log_artifacts(run_id, str(path), f"{title}/{name}")
        else:
            parent = Path(title, name).parent
            client().log_artifact(run_id, str(path), str(parent))
    if record.outcome.dataset:
        _log_dataset(run_id, title, record, folder / record.outcome.dataset)
    how = "reused" if reused else "computed"
    client().set_tag(run_id, mark, f"{time.time():.3f} {how} {seconds:.3f}")


def log_curve(run_id: str, title: str, points: Sequence[Point]) -> None:
    """Append points to a stage's curves; steps that the run already has are left out."""
    from mlflow.entities import Metric

    if not points:
        return
    mark = f"plumbline.curve.{title}"
    last = int(client().get_run(run_id).data.tags.get(mark, "-1"))
    now = int(time.time() * 1000)
    new = [p for p in points if p.step > last]
    metrics = [Metric(f"{title}.{n}", v, now, p.step) for p in new for n, v in p.metrics.items()]
    for start in range(0, len(metrics), _BATCH):
        client().log_batch(run_id, metrics=metrics[start : start + _BATCH])
    if new:
        client().set_tag(run_id, mark, str(max(p.step for p in new)))


def log_headline(night: Night, metrics: dict[str, float], tags: dict[str, str], note: str) -> None:
    """Put the figures that compare across nights on the parent run, once, with a note in Markdown."""
    if "plumbline.headline" not in client().get_run(night.run_id).data.tags:
        _log_metrics(night.run_id, metrics, int(time.time() * 1000))
    for name, value in {
        **tags,
        "mlflow.note.content": note,
        "plumbline.headline": "logged",
    }.items():
        client().set_tag(night.run_id, name, value)


def log_file(run_id: str, path: Path, folder: str | None = None) -> None:
    """Keep one file with a run."""
    client().log_artifact(run_id, str(path), folder)


def timings(night: Night) -> list[tuple[str, float, bool]]:
    """What every stage of a night took: title, seconds, and whether it was reused, in order."""
    experiment = client().get_run(night.run_id).info.experiment_id
    runs = client().search_runs(
        [experiment], f"tags.`mlflow.parentRunId` = '{night.run_id}'", order_by=["start_time ASC"]
    )
    found: list[tuple[float, str, float, bool]] = []
    for run in runs:
        for name, value in run.data.tags.items():
            if name.startswith(_STAGE_MARK):
                at, how, seconds = value.split()
                title = name.removeprefix(_STAGE_MARK)
                found.append((float(at), title, float(seconds), how == "reused"))
    return [(title, seconds, reused) for _, title, seconds, reused in sorted(found)]


def run_address(run_id: str) -> str:
    """The address of a run in the MLflow UI."""
    experiment = client().get_run(run_id).info.experiment_id
    return f"{Environment().mlflow_ui}/#/experiments/{experiment}/runs/{run_id}"


def _log_metrics(run_id: str, metrics: dict[str, float], now: int) -> None:
    from mlflow.entities import Metric

    client().log_batch(run_id, metrics=[Metric(n, float(v), now, 0) for n, v in metrics.items()])


def _log_parameters(run_id: str, configuration: BaseModel) -> None:
    from mlflow.entities import Param

    flat = list(_flatten(configuration.model_dump(mode="json")))
    client().log_batch(run_id, params=[Param(name, str(value)[:6000]) for name, value in flat])


def _flatten(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _log_dataset(run_id: str, title: str, record: Record, path: Path) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = json.dumps({"uri": f"{record.uri}/{path.name}"})
    rows = record.outcome.rows
    profile = json.dumps({"num_rows": rows.kept + rows.added}) if rows else None
    dataset = Dataset(title, record.digest[:36], "local", source, profile=profile)
    entry = DatasetInput(dataset, [InputTag("mlflow.data.context", title)])
    client().log_inputs(run_id, datasets=[entry])


def _process_tags() -> dict[str, str]:
    return {
        "plumbline.host": socket.gethostname(),
        "plumbline.process": f"{os.getpid()}:{_birth(os.getpid())}",
    }


def _code_tags() -> dict[str, str]:
    """The revision of the code, where it lies in a git checkout, and the digest of the lock."""
    tags = {}
    lock = ROOT / "requirements.lock"
    if lock.exists():
        tags["plumbline.lock"] = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    git = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    if git.returncode == 0:
        tags["mlflow.source.git.commit"] = git.stdout.strip()
    return tags


def _birth(pid: int) -> str:
    """When a process started, so that a reused process id is not taken for the old process."""
    import psutil

    try:
        return f"{psutil.Process(pid).create_time():.0f}"
    except psutil.NoSuchProcess:
        return ""


def _alive(process: str) -> bool:
    pid, _, birth = process.partition(":")
    return pid.isdigit() and birth != "" and _birth(int(pid)) == birth
