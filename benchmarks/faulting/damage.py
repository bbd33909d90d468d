"""Files of the store that are not what they were: flipped, cut short, gone, not to be replaced."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

from faulting.ground import Ground
from faulting.nights import Broken, NotInjected
from tasks.manifest import MANIFEST

_USER_ERROR = 2


def flip(ground: Ground, title: str) -> str:
    """One bit of a result's largest file."""
    return _flip(_largest(ground.folder(title)), title)


def flip_manifest(ground: Ground, title: str) -> str:
    """One bit of a result's manifest, which says what its files must be."""
    return _flip(ground.folder(title) / MANIFEST, title)


def flip_part(ground: Ground, stage: str) -> str:
    """One bit of what is kept of a single shard, where the stage made of it is unfinished."""
    parts = ground.home / "store" / stage
    shutil.copytree(ground.made.home / "store" / stage, parts)
    return _flip(_largest(parts), stage)


def cut(ground: Ground, title: str) -> str:
    """A result's largest file, cut in half."""
    path = _largest(ground.folder(title))
    half = path.stat().st_size // 2
    with path.open("r+b") as handle:
        handle.truncate(half)
    return f"{path.name} cut to {half:,} bytes"


def delete(ground: Ground, title: str) -> str:
    """A result's largest file, deleted."""
    path = _largest(ground.folder(title))
    path.unlink()
    return f"{path.name} deleted"


def flip_while_running(ground: Ground, title: str) -> str:
    """One bit of a result that the night made itself, while it goes on."""
    night = ground.night()
    night.wait_until(lambda: ground.is_finished(title))
    told = flip(ground, title)
    ended = night.wait()
    if ended.status not in (0, _USER_ERROR) or "Traceback" in ended.err:
        raise Broken(f"it ended with {ended.status}: {ended.err[-500:]}")
    return f"{told}; the night ended with {ended.status}"


def read_only(ground: Ground, title: str) -> str:
    """A damaged result that cannot be replaced: the night says so, and goes on once it can be."""
    told = flip(ground, title)
    folder = ground.folder(title)
    made = subprocess.run(["chattr", "+i", folder], capture_output=True, check=False)
    if made.returncode:
        raise NotInjected(f"chattr needs root and a file system that knows it: {made.stderr!r}")
    try:
        ended = ground.night().wait()
    finally:
        subprocess.run(["chattr", "-i", folder], check=True)
    if ended.status != _USER_ERROR or "cannot be written" not in ended.err:
        raise Broken(f"it ended with {ended.status}: {ended.err[-500:]}")
    return f"{told}, read-only; the night ended with {ended.status}"


def _largest(folder: Path) -> Path:
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST]
    return max(files, key=lambda path: path.stat().st_size)


def _flip(path: Path, seed: str) -> str:
    blob = bytearray(path.read_bytes())
    bit = random.Random(f"{path.name} {seed}").randrange(8 * len(blob))
    blob[bit // 8] ^= 1 << bit % 8
    path.write_bytes(blob)
    return f"bit {bit:,} of {path.name}"
