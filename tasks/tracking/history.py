"""What earlier nights left: their stages' records, found by what MLflow was told of them."""

from __future__ import annotations

from tasks.records import Record
from tasks.stage import open_store
from tasks.tracking.connection import client, experiment_id
from tasks.tracking.facts import RECORD_MARK

_NIGHTS_LOOKED_AT = 60  # back to where tonight's result was first seen


def earlier(
    title: str, most: int, tonight: Record, *, like: str | None = None, accepted: bool = False
) -> list[Record]:
    """The records that a stage left on the last nights that trained a model, newest first.

    A night that is repeated must find what it found the first time, else it would not be the same
    night. So where an earlier night left what tonight left, only nights before that one count.
    Results alike count once; what is no longer whole in the store is passed over.

    Args:
        title: The stage's title.
        most: Records wanted.
        tonight: The record that the stage left tonight, or another one if `like` is given.
        like: The title of the stage that left `tonight`, by which nights are told apart.
        accepted: Only of nights whose model was accepted.
    """
    marked, trained = f"{RECORD_MARK}{title}", f"{RECORD_MARK}pretrain"
    compared = f"{RECORD_MARK}{like or title}"
    nights = client().search_runs(
        [experiment_id()],
        "tags.`plumbline.kind` = 'night' and attributes.status = 'FINISHED'",
        order_by=["start_time DESC"],
        max_results=_NIGHTS_LOOKED_AT,
    )
    left: list[tuple[str, str, str]] = []
    same: list[int] = []  # nights that repeat tonight
    wanted: list[bool] = []
    for night in nights:
        children = client().search_runs(
            [night.info.experiment_id], f"tags.`mlflow.parentRunId` = '{night.info.run_id}'"
        )
        if not any(trained in run.data.tags for run in children):
            continue  # only looked at its data
        tags = {name: value for run in reversed(children) for name, value in run.data.tags.items()}
        if marked not in tags:
            continue
        if tags.get(compared, "").split()[-1:] == [tonight.digest]:
            same.append(len(left))
        stage, key, digest = tags[marked].split()
        left.append((stage, key, digest))
        wanted.append(not accepted or any(_promoted(run.data.metrics) for run in children))
    found: dict[str, Record] = {}
    store = open_store()
    begin = max(same) + 1 if same else 0
    for (stage, key, digest), asked in zip(left[begin:], wanted[begin:], strict=True):
        if not asked:
            continue
        record = store.find(stage, key) if digest not in found else None
        if record is not None and record.digest == digest:
            found[digest] = record
        if len(found) == most:
            break
    return list(found.values())


def _promoted(metrics: dict[str, float]) -> bool:
    return metrics.get("decide.promoted", 0.0) > 0
