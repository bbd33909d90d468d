"""Which night's snapshot tonight's drift is measured from."""

from __future__ import annotations

from pathlib import Path

from tasks.errors import UserError
from tasks.records import Record
from tasks.tracking import history

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
    try:
        return history.night(wanted, (title,))[1][title]
    except UserError as error:
        raise UserError(
            f"validation.reference is {wanted!r}: {error.problem}",
            f"Give `last accepted`, `none`, or a folder that holds snapshot.json. {error.remedy}",
        ) from error


def folder_of(wanted: str) -> Path | None:
    """The folder that is meant, None where a night or nothing is."""
    if wanted in (LAST, NONE):
        return None
    folder = Path(wanted).expanduser()
    return folder if folder.is_dir() else None
