"""A disk that is full, as a small file system in memory."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from faulting.ground import Ground
from faulting.nights import Broken, NotInjected

_SIZE = 512 << 20  # bytes; more than all nights of one fault need
_KIB = 1024


def full(ground: Ground, where: str) -> str:
    """A night whose store, or whose whole home, is on a disk that is nearly full.

    Args:
        ground: Where.
        where: `store` or `home`, and how much is left (KiB).
    """
    place, left = where.split()
    disk = ground.home / "store" if place == "store" else ground.home
    _mount(ground, disk)
    ballast = disk / "ballast"
    ballast.touch()
    size = shutil.disk_usage(disk).free - int(left) * _KIB
    with ballast.open("r+b") as handle:
        os.posix_fallocate(handle.fileno(), 0, size)
    ended = ground.night().wait()
    ballast.unlink()
    if ended.status == 0:
        raise NotInjected("the night had room enough")
    if "Traceback" in ended.err:
        raise Broken(f"it ended with {ended.status}: {ended.err[-500:]}")
    said = [line for line in ended.err.splitlines() if line.startswith("plumbline ")]
    return f"{said[-1][:100] if said else 'it said nothing'} ({ended.status})"


def _mount(ground: Ground, disk: Path) -> None:
    """Put a folder on a file system of its own, until the ground is left."""
    aside = disk.with_name(f"{disk.name}-aside")
    disk.rename(aside)
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "none", disk]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise NotInjected(f"a file system can be mounted by root only: {made.stderr}")
    ground.later(lambda: subprocess.run(["umount", "--lazy", disk], check=True))
    shutil.copytree(aside, disk, dirs_exist_ok=True)
    shutil.rmtree(aside)
