"""Checkpoints that are whole or absent, and never believed when damaged.

A checkpoint is one folder, written aside, flushed to the disk and renamed. Its state file holds
the digest of the tensors and of itself; one that does not match is passed over for the one before,
and the last two are kept so that there is one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
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


def save(folder: Path, step: int, tensors: Tensors, state: Mapping[str, Any]) -> None:
    """Add a checkpoint and remove all but the last two.

    Args:
        folder: Where checkpoints live; nothing else does.
        step: Steps done, which also orders the checkpoints.
        tensors: By name.
        state: JSON values.
    """
    for left in folder.glob("aside-*"):  # by a run that was killed while it wrote
        shutil.rmtree(left)
    aside = folder / f"aside-{step:012d}"
    aside.mkdir()
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
    for old in _newest_first(folder)[KEPT:]:
        shutil.rmtree(old)


def latest(folder: Path) -> Checkpoint | None:
    """The newest undamaged checkpoint, or None."""
    for path in _newest_first(folder):
        found = _read(path)
        if found is not None:
            return found
    return None


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
