"""What a disk can refuse, as an error that names the store; and writing that survives a power cut."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.errors import UserError

DISK_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file grew past the limit set for this process",
    errno.EROFS: "it is on a read-only file system",
}
_PATH_REASONS = {
    errno.EACCES: "it is not writable",
    errno.EPERM: "a file or folder in it may not be changed",
    errno.ENOTDIR: "a part of its path is a file",
}


def flush(path: Path) -> None:
    """Ask the operating system to put a file or folder on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def disk_errno(error: Exception) -> int | None:
    """The number of an error that a full or read-only disk gives, or None for any other.

    Libraries written in Rust (Polars, safetensors) raise classes of their own and put the number
    into the message.
    """
    number = error.errno if isinstance(error, OSError) else None
    if found := re.search(r"\(os error (\d+)\)", str(error)):
        number = int(found[1])
    return number if number in DISK_REASONS else None


@contextmanager
def friendly_disk_errors(root: str) -> Iterator[None]:
    """Turn what a disk can refuse into an error that names the store."""
    try:
        yield
    except OSError as error:
        if error.errno not in {**DISK_REASONS, **_PATH_REASONS}:
            raise
        raise UserError(
            f"the store {root} cannot be written: {({**DISK_REASONS, **_PATH_REASONS})[error.errno]}",
            "Free some space or set PLUMBLINE_STORE to another folder; finished stages are kept.",
        ) from error
