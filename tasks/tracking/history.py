"""What earlier nights left: their stages' records, found by what MLflow was told of them."""

from __future__ import annotations

from tasks.records import Record
from tasks.stage import open_store
from tasks.tracking.connection import client, experiment_id
from tasks.tracking.facts import RECORD_MARK

_NIGHTS_LOOKED_AT = 60  # back to where tonight's result was first seen


def earlier(title: str, most: int, tonight: Record) -> list[Record]:
    """The records that a stage left on the last nights that trained a model, newest first.

    A night that is repeated must find what it found the first time, else it would not be the same
    night. So where an earlier night left what tonight left, only nights before that one count.
    Results alike count once; what is no longer whole in the store is passed over.

    Args:
        title: The stage's title.
        most: Records wanted.
        tonight: The record that the stage left tonight.
    """
    marked, trained = f"{RECORD_MARK}{title}", f"{RECORD_MARK}pretrain"
    nights = client().search_runs(
        [experiment_id()],
        "tags.`plumbline.kind` = 'night' and attributes.status = 'FINISHED'",
        order_by=["start_time DESC"],
        max_results=_NIGHTS_LOOKED_AT,
    )
    left: list[tuple[str, str, str]] = []
    for night in nights:
        children = client().search_runs(
            [night.info.experiment_id], f"tags.`mlflow.parentRunId` = '{night.info.run_id}'"
        )
        if not any(trained in run.data.tags for run in children):
            continue  # only looked at its data
        marks = [run.data.tags[marked] for run in children if marked in run.data.tags]
        left += [(stage, key, digest) for stage, key, digest in map(str.split, marks[:1])]
    same = [place for place, (*_, digest) in enumerate(left) if digest == tonight.digest]
    found: dict[str, Record] = {}
    store = open_store()
    for stage, key, digest in left[max(same) + 1 if same else 0 :]:
        record = store.find(stage, key) if digest not in found else None
        if record is not None and record.digest == digest:
            found[digest] = record
        if len(found) == most:
            break
    return list(found.values())


def left(title: str, digest: str) -> Record | None:
    """The record that a stage once left with these contents, None where the store lacks it now.

    Args:
        title: The stage's title.
        digest: Of the contents.
    """
    marked = f"{RECORD_MARK}{title}"
    found = client().search_runs(
        [experiment_id()], f"tags.`{marked}` LIKE '% {digest}'", max_results=1
    )
    if not found:
        return None
    stage, key, _ = found[0].data.tags[marked].split()
    record = open_store().find(stage, key)
    return record if record is not None and record.digest == digest else None
