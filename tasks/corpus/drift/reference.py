"""A snapshot that a user names by its folder, as a stage's folder: kept, digested, found again."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from tasks.corpus.drift.snapshot import FACTS, SAMPLE, read_snapshot
from tasks.corpus.drift.topics import CENTRES, WORDS
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage

_FILES = (FACTS, SAMPLE, WORDS, CENTRES)


@stage
def reference(*, location: str, content: str, out: Path, log: Log) -> Outcome:
    """Copy a snapshot, so that a night can be repeated when the folder is gone.

    Args:
        location: The folder.
        content: Digest of its files, by which a changed snapshot is another input.
        out: Gets the files.
        log: Unused; the files are small.

    Raises:
        UserError: The folder holds no snapshot.
    """
    folder = Path(location).expanduser()
    found = read_snapshot(folder)
    for name in _FILES:
        shutil.copyfile(folder / name, out / name)
    return Outcome(summary=f"{found.sample.height:,} rows of {folder.name}")


def snapshot_digest(folder: Path) -> str:
    """Digest of a snapshot's files: names and contents, no paths.

    Raises:
        UserError: The folder holds no snapshot.
    """
    read_snapshot(folder)
    digest = hashlib.sha256()
    for name in _FILES:
        content = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()
