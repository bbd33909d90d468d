"""What MLflow is told of a run: each fact once, in batches, marked by a tag so a retry repeats nothing."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tasks.log import CURVE
from tasks.records import Night, Point, Record
from tasks.settings import Environment
from tasks.tracking.connection import client

_UNLOGGABLE = re.compile(r"[^\w./: -]")
_BATCH = 1000  # MLflow's limit of metrics in one request
_STAGE_MARK = "plumbline.stage."
RECORD_MARK = "plumbline.record."  # tags by which later nights find what a stage left


def log_stage(
    run_id: str,
    title: str,
    record: Record,
    folder: Path,
    *,
    seconds: float,
    reused: bool,
    at: int | None = None,
) -> None:
    """Tell MLflow what a stage said: metrics, curve, artifacts, dataset; once per run and stage.

    A reused stage logs what it logged the first time, so that every night's run is complete.

    Args:
        run_id: The run to tell it of.
        title: The stage's title, which its figures bear.
        record: What the stage left.
        folder: Its folder.
        seconds: What it took tonight.
        reused: Whether it was computed before.
        at: When it was done (ms since 1970), now by default. Told again with the same time, MLflow
            keeps a figure once.
    """
    from mlflow.entities import RunTag

    mark = _STAGE_MARK + title
    if mark in client().get_run(run_id).data.tags:
        return
    now = at or int(time.time() * 1000)
    points = _curve(folder)
    drawn = {name for point in points for name in point.metrics}  # these end in their own figure
    metrics = {f"{title}.{n}": v for n, v in record.outcome.metrics.items() if n not in drawn}
    metrics[f"{title}.seconds"] = seconds
    rows = record.outcome.rows
    if rows is not None:
        metrics |= {
            f"{title}.rows_{name}": float(count) for name, count in rows.model_dump().items()
        }
    _log_metrics(run_id, metrics, now)
    log_curve(run_id, title, points, at=now)
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
    tags = {
        RECORD_MARK + title: f"{record.stage} {record.key} {record.digest}",
        mark: f"{now / 1000:.3f} {how} {seconds:.3f}",
    }
    client().log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])


def _curve(folder: Path) -> list[Point]:
    path = folder / CURVE
    lines = path.read_text().splitlines() if path.exists() else []
    return [Point.model_validate_json(line) for line in lines]


def log_curve(run_id: str, title: str, points: Sequence[Point], *, at: int | None = None) -> None:
    """Append points to a stage's curves; steps that the run already has are left out."""
    from mlflow.entities import Metric

    if not points:
        return
    mark = f"plumbline.curve.{title}"
    last = int(client().get_run(run_id).data.tags.get(mark, "-1"))
    now = at or int(time.time() * 1000)
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


def figures(night: Night, title: str, names: Sequence[str]) -> dict[str, float]:
    """Those of a stage's metrics that a night has, by bare name."""
    experiment = client().get_run(night.run_id).info.experiment_id
    runs = client().search_runs([experiment], f"tags.`mlflow.parentRunId` = '{night.run_id}'")
    return {
        name: run.data.metrics[f"{title}.{name}"]
        for run in runs
        for name in names
        if f"{title}.{name}" in run.data.metrics
    }


def own_folder(night: Night) -> Path:
    """Where this machine keeps what people look at of a night."""
    place = f"{night.started[:10]}-{night.name}-{night.run_id[:6]}"
    return Environment().home.absolute() / "nights" / place


def fetch_file(night: Night, name: str) -> Path:
    """A file that a night logged, in the night's folder on this machine."""
    folder = own_folder(night)
    folder.mkdir(parents=True, exist_ok=True)
    return Path(client().download_artifacts(night.run_id, name, str(folder)))


def run_address(run_id: str) -> str:
    """The address of a run in the MLflow UI."""
    experiment = client().get_run(run_id).info.experiment_id
    return f"{Environment().mlflow_ui}/#/experiments/{experiment}/runs/{run_id}"


def _log_metrics(run_id: str, metrics: dict[str, float], now: int) -> None:
    from mlflow.entities import Metric

    client().log_batch(run_id, metrics=[Metric(n, float(v), now, 0) for n, v in metrics.items()])


def log_parameters(run_id: str, configuration: BaseModel) -> None:
    """Log the whole configuration, flat: `pretrain.layers` = 2."""
    from mlflow.entities import Param

    flat = list(_flatten(configuration.model_dump(mode="json")))
    # Names of sources are the user's, and MLflow does not take every character.
    params = [Param(_UNLOGGABLE.sub("_", name), str(value)[:6000]) for name, value in flat]
    client().log_batch(run_id, params=params)


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
