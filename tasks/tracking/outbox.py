"""What MLflow could not be told while it was away: kept on the disk, and delivered later, once.

A night goes on without MLflow for as long as it only has something to report. Each report is a line
of `outbox.jsonl` in the home folder, in the order in which things happened; the next report that
gets through delivers them first, in that night or in a later one. Repeating a delivery that broke
off half-way does no harm: a stage is marked by a tag once all of it is told, and until then its
figures carry the time at which they were kept, by which MLflow knows them again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from filelock import FileLock
from pydantic import ValidationError

from tasks.console import note
from tasks.disk import flush
from tasks.records import Frozen, Record
from tasks.settings import Environment
from tasks.tracking import facts
from tasks.tracking.connection import client
from tasks.tracking.patience import Unreachable, at_once

_SECONDS_OF_REST = 60.0  # after an attempt that failed
_failed_at = [float("-inf")]


class StageReport(Frozen):
    """A finished stage; what `facts.log_stage` takes."""

    kind: Literal["stage"] = "stage"
    run_id: str
    title: str
    record: Record
    folder: str
    seconds: float
    reused: bool
    at: int

    def deliver(self) -> None:
        """Tell MLflow, from the stage's folder; one that is gone by now has nothing more to say."""
        if Path(self.folder).is_dir():
            facts.log_stage(
                self.run_id, self.title, self.record, Path(self.folder),
                seconds=self.seconds, reused=self.reused, at=self.at,
            )  # fmt: skip


class StatusReport(Frozen):
    """How a run stands: `RUNNING`, or how it ended."""

    kind: Literal["status"] = "status"
    run_id: str
    status: str
    at: int

    def deliver(self) -> None:
        """Tell MLflow."""
        if self.status == "RUNNING":
            client().update_run(self.run_id, status=self.status)
        else:
            client().set_terminated(self.run_id, status=self.status, end_time=self.at)


class _Resting(Exception):
    """MLflow did not answer a moment ago."""


class _Line(Frozen):
    report: StageReport | StatusReport


def tell(report: StageReport | StatusReport) -> None:
    """Tell MLflow, after everything that waits; or keep it, where MLflow does not answer."""
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        waiting = _waiting(path)
        try:
            resting = time.monotonic() - _failed_at[0] < _SECONDS_OF_REST
            if resting and waiting:
                raise _Resting()
            with at_once():
                _deliver(path, waiting)
                report.deliver()
        except _Resting:
            _write(path, [*waiting, report])
        except Unreachable:
            _failed_at[0] = time.monotonic()
            if not waiting:
                note("MLflow does not answer; what it should be told is kept and delivered later")
            _write(path, [*_waiting(path), report])


def deliver() -> int:
    """Deliver what earlier nights left waiting; none of it is lost if MLflow is still away.

    Returns:
        Reports delivered.
    """
    path = _path()
    if not path.exists():
        return 0
    with FileLock(f"{path}.lock"), suppress(Unreachable), at_once():
        waiting = _waiting(path)
        _deliver(path, waiting)
        return len(waiting)
    return 0


def try_to(say: Callable[[str], None], run_id: str) -> None:
    """Say something that can be left unsaid, unless MLflow did not answer a moment ago."""
    if time.monotonic() - _failed_at[0] < _SECONDS_OF_REST:
        return
    try:
        with at_once():
            say(run_id)
    except Unreachable:
        _failed_at[0] = time.monotonic()


def waiting() -> int:
    """Reports that MLflow is still to be told."""
    return len(_waiting(_path()))


def now() -> int:
    """The time that a report carries (ms since 1970)."""
    return int(time.time() * 1000)


def _deliver(path: Path, reports: list[StageReport | StatusReport]) -> None:
    for number, report in enumerate(reports, 1):
        report.deliver()
        _write(path, reports[number:])
    if reports:
        note(f"delivered {len(reports)} reports that MLflow had missed")


def _path() -> Path:
    return Environment().home.absolute() / "outbox.jsonl"


def _waiting(path: Path) -> list[StageReport | StatusReport]:
    if not path.exists():
        return []
    found = []
    for line in path.read_text("utf-8").splitlines():
        with suppress(ValidationError):  # cut short when the machine went down
            found.append(_Line.model_validate_json(line).report)
    return found


def _write(path: Path, reports: list[StageReport | StatusReport]) -> None:
    """Replace the file, whole, and put it on the disk; without reports there is none."""
    if not reports:
        path.unlink(missing_ok=True)
        return
    aside = path.with_suffix(".part")
    aside.write_text("".join(f"{_Line(report=r).model_dump_json()}\n" for r in reports), "utf-8")
    flush(aside)
    aside.replace(path)
