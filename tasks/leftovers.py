"""Work in progress, named after the process that does it, so that what a killed one left can go."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from tasks.processes import identity, is_dead

_PART = "~"  # in no host's name


def own_name(prefix: str) -> str:
    """A name that nobody else uses, and that tells whose it is."""
    whose = identity()
    return _PART.join([prefix, whose["host"], whose["process"], uuid.uuid4().hex[:8]])


def clear(folder: Path) -> None:
    """Delete from a folder what processes of this machine left that are gone.

    What a process on another machine works on, where both see one file system, stays.
    """
    for path in folder.glob(f"*{_PART}*"):
        host, process = path.name.split(_PART)[-3:-1]
        if not is_dead(host, process):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
