"""Which night's snapshot tonight's drift is measured from."""

from __future__ import annotations

from pathlib import Path

from tasks.errors import UserError
from tasks.records import Record
from tasks.stage import open_store
from tasks.tracking import history
from tasks.tracking.connection import client, experiment_id
from tasks.tracking.facts import RECORD_MARK

LAST, NONE = "last accepted", "none"


def of_night(wanted: str, title: str, tonight: Record) -> Record | None:
    """The snapshot that a night left.

    Args:
        wanted: `last accepted`, or the name or MLflow run id of a night.
        title: The snapshot's stage title.
        tonight: Tonight's own snapshot, so that a repeated night finds what it found before.

    Returns:
        The record; None where no night has been accepted yet.

    Raises:
        UserError: There is no night of that name or id, or it left no snapshot that is still whole.
    """
    if wanted == LAST:
        return next(iter(history.earlier(title, 1, tonight, accepted=True)), None)
    night = _night(wanted)
    if night is None:
        raise UserError(
            f"validation.reference is {wanted!r}, which is neither a folder here nor a night",
            "Give `last accepted`, `none`, a folder that holds snapshot.json, or the name or run id "
            "of a night as MLflow shows it.",
        )
    children = client().search_runs([experiment_id()], f"tags.`mlflow.parentRunId` = '{night}'")
    marks = [run.data.tags.get(f"{RECORD_MARK}{title}") for run in children]
    for mark in filter(None, marks):
        stage, key, digest = mark.split()
        record = open_store().find(stage, key)
        if record is not None and record.digest == digest:
            return record
    raise UserError(
        f"the night {wanted!r} of validation.reference left no {title} that is still in the store",
        "Choose a later night, or `last accepted`.",
    )


def folder_of(wanted: str) -> Path | None:
    """The folder that is meant, None where a night or nothing is."""
    if wanted in (LAST, NONE):
        return None
    folder = Path(wanted).expanduser()
    return folder if folder.is_dir() else None


def _night(wanted: str) -> str | None:
    """The run id of a night by its id or, the newest first, by its name."""
    nights = client().search_runs(
        [experiment_id()], "tags.`plumbline.kind` = 'night'", order_by=["start_time DESC"]
    )
    found = [n.info.run_id for n in nights if wanted in (n.info.run_id, n.info.run_name)]
    return found[0] if found else None
