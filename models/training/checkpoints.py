"""Checkpoints that are whole or absent, never believed when damaged, written beside the training.

A checkpoint is one folder, written aside, flushed to the disk and renamed. Its state file holds
the digest of the tensors and of itself; one that does not match is passed over for the one before,
and the last two are kept so that there is one. Only the copy out of the device holds the training
up; digests and disk are a thread's work.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import orjson
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

Tensors = Mapping[str, npt.NDArray[Any]]
KEPT = 2
_TENSORS, _STATE = "tensors.safetensors", "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """What a killed run left.

    Attributes:
        step: Steps done.
        tensors: Weights and optimizer state.
        state: JSON values beside them, as they were given.
    """

    step: int
    tensors: Tensors
    state: dict[str, Any]


class Writer:
    """Saves checkpoints of one folder in the background, one at a time.

    Args:
        folder: Where checkpoints live; nothing else does.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a checkpoint is still being written."""
        return self._pending is not None and not self._pending.done()

    def save(
        self, step: int, tensors: Tensors, state: Mapping[str, Any], mark: int | None = None
    ) -> None:
        """Write what is given, which nobody may change any more, once the one before is written.

        The arguments are those of the function `save`.

        Raises:
            OSError: The checkpoint before this one could not be written.
        """
        self.wait()
        self._pending = self._pool.submit(save, self.folder, step, tensors, state, mark)

    def wait(self) -> None:
        """Return when nothing is being written.

        Raises:
            OSError: The last checkpoint could not be written.
        """
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()

    def close(self) -> None:
        """Wait for what is being written; its failure no longer matters."""
        self._pool.shutdown()


def save(
    folder: Path, step: int, tensors: Tensors, state: Mapping[str, Any], mark: int | None = None
) -> None:
    """Add a checkpoint and remove all but the last two, and the last one before the mark.

    Args:
        folder: Where checkpoints live; nothing else does.
        step: Steps done, which also orders the checkpoints.
        tensors: By name.
        state: JSON values.
        mark: A step that the run may want to go back to.
    """
    for left in folder.glob("aside-*"):  # by a run that was killed while it wrote
        shutil.rmtree(left)
    aside = folder / f"aside-{step:012d}"
    aside.mkdir(parents=True)
    save_file(dict(tensors), str(aside / _TENSORS))
    body = {"step": step, "tensors": _digest(aside / _TENSORS), "state": dict(state)}
    blob = orjson.dumps(body)
    seal = hashlib.sha256(blob).hexdigest().encode()
    (aside / _STATE).write_bytes(seal + b"\n" + blob)
    for path in (aside / _TENSORS, aside / _STATE, aside):
        _flush(path)
    target = folder / f"step-{step:012d}"
    shutil.rmtree(target, ignore_errors=True)  # damaged, or this step would not be run again
    aside.rename(target)
    _flush(folder)
    there = _newest_first(folder)
    needed = there[:KEPT]
    if mark is not None:
        needed += [path for path in there if _step(path) <= mark][:1]
    for old in there:
        if old not in needed:
            shutil.rmtree(old)


def remove_after(folder: Path, step: int) -> None:
    """Remove the checkpoints of more steps than these, of a run that goes another way now."""
    for path in _newest_first(folder):
        if _step(path) > step:
            shutil.rmtree(path)


def latest(folder: Path, most: int | None = None) -> Checkpoint | None:
    """The newest undamaged checkpoint, or None.

    Args:
        folder: Where checkpoints live.
        most: Pass over those of more steps.
    """
    for path in _newest_first(folder):
        if most is not None and _step(path) > most:
            continue
        found = _read(path)
        if found is not None:
            return found
    return None


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), reverse=True)


def _read(path: Path) -> Checkpoint | None:
    try:
        seal, _, blob = (path / _STATE).read_bytes().partition(b"\n")
        if hashlib.sha256(blob).hexdigest().encode() != seal:
            return None
        body = orjson.loads(blob)
        if _digest(path / _TENSORS) != body["tensors"]:
            return None
        return Checkpoint(body["step"], load_file(str(path / _TENSORS)), body["state"])
    except (OSError, SafetensorError):
        return None


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
