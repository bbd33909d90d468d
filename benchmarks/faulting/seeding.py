"""Homes for nights: an undisturbed one, and copies of it from which some stages are missing.

A night on such a copy begins where an earlier night was stopped, so that a fault in the last stage
need not wait for all the others. Below a stage's result lies the proof that it is the right one:
later stages are found in the store only if what they depend on is the same, byte for byte.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from faulting.endings import Ending, ending_of, results, wrongs
from faulting.nights import ROOT, SMALL, Night

_CODE = ("flows", "tasks", "models", "expectations")
_SCHEMA = "from tasks.tracking.connection import client; client()"


@dataclass(frozen=True)
class Reference:
    """The undisturbed night, and what it left.

    Attributes:
        home: Its home.
        places: Stage and key of each result, by the title under which the night made it, in order.
        seconds: What each of its stages took when it was computed, by title.
        ending: What it left.
        blank: A home whose databases are there and hold no night.
    """

    home: Path
    places: dict[str, tuple[str, str]]
    seconds: dict[str, float]
    ending: Ending
    blank: Path

    def following(self, title: str, number: int) -> tuple[str, ...]:
        """A stage and those after it, so many in all."""
        order = list(self.places)
        return tuple(order[order.index(title) : order.index(title) + number])


def undisturbed(folder: Path) -> Reference:
    """The night that the others are compared with; run, unless the folder has it already.

    Raises:
        RuntimeError: It did not end well, so that nothing can be compared with it.
    """
    told, home = folder / "page", folder / "runs"
    if not told.exists():
        shutil.rmtree(folder, ignore_errors=True)
        night = Night(home)
        ended = night.wait()
        night.clear()
        found = [ended.err[-2000:]] if ended.status else wrongs(home, ended.page)
        if found:
            raise RuntimeError(f"the undisturbed night left: {found}")
        lay_blank(home, folder / "blank")
        told.write_text(str(ended.page))
    return reference(home, Path(told.read_text()), folder / "blank")


def reference(home: Path, page: Path, blank: Path) -> Reference:
    """What an undisturbed night left, known by its page; later nights in its home do not count."""
    places, seconds, digests = {}, {}, {}
    for title, (stage, key, digest), took in results(home, page):
        places[title] = (stage, key)
        seconds[title] = took
        digests[f"{stage}/{key}"] = digest
    left, stages = ending_of(home, page), {stage for stage, _ in places.values()}
    parts = {n: d for n, d in left.digests.items() if n.partition("/")[0] not in stages}
    left = replace(left, digests=digests, parts=parts)
    return Reference(home, places, seconds, left, blank)


def lay_blank(home: Path, blank: Path) -> None:
    """A home whose databases have their tables, since making those takes as long as a small night."""
    (blank / "prefect").mkdir(parents=True)
    with (
        closing(sqlite3.connect(home / "prefect" / "prefect.db")) as kept,
        closing(sqlite3.connect(blank / "prefect" / "prefect.db")) as copy,
    ):
        kept.backup(copy)  # whole, even while somebody writes
    subprocess.run(
        [sys.executable, "-c", _SCHEMA], cwd=ROOT, check=True, capture_output=True,
        env=Night.variables(blank),
    )  # fmt: skip


def seed(made: Reference, home: Path, without: Collection[str] | None) -> None:
    """A home in which an earlier night was stopped.

    Args:
        made: Whose results are copied.
        home: Gets them.
        without: Titles of stages that were not finished; None for a home that is not there yet.
    """
    if without is None:
        return
    shutil.copytree(made.blank, home, dirs_exist_ok=True)
    for title, (stage, key) in made.places.items():
        if title not in without:
            shutil.copytree(made.home / "store" / stage / key, home / "store" / stage / key)


def fingerprint() -> str:
    """Digest of all that a night's result depends on: code, small configuration, libraries."""
    files = [p for name in _CODE for p in (ROOT / name).rglob("*") if "__pycache__" not in p.parts]
    digest = hashlib.sha256()
    for path in sorted([*files, ROOT / "requirements.lock", SMALL]):
        if path.is_file():
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
