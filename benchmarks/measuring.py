"""Fair timing on a machine that others use: slices of living processes, in turns, load recorded.

Each contender is a process that stays alive (`worker.py`) and trains only while it is asked to, one
slice of some seconds at a time. Slices alternate, A B C A B C, so that a drift of the machine meets
all alike, and each is stamped with what other processes used meanwhile: the CPU seconds of the
whole machine less those of the contender and of this process. A slice that others disturbed is
measured again; one that stays disturbed is counted only if its contender has no clean one.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

FOREIGN_LIMIT = 0.3  # CPUs that others may use during a slice that counts as clean
_TRIES = 3  # of a disturbed slice
_WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True)
class Reading:
    """One slice.

    Attributes:
        rate: Units of work a second; what a unit is, the contender says.
        foreign: Mean CPUs that other processes used.
    """

    rate: float
    foreign: float

    @property
    def clean(self) -> bool:
        """Whether others left the machine alone."""
        return self.foreign <= FOREIGN_LIMIT


@dataclass(frozen=True)
class Rates:
    """All slices of a contender, in the order in which they were taken."""

    readings: tuple[Reading, ...]

    @property
    def counted(self) -> list[float]:
        """Rates of the clean slices, or of all if none was clean."""
        clean = [reading.rate for reading in self.readings if reading.clean]
        return clean or [reading.rate for reading in self.readings]

    @property
    def median(self) -> float:
        """Of the counted slices, units a second."""
        return statistics.median(self.counted)

    @property
    def foreign(self) -> float:
        """The highest foreign load of all slices, in CPUs."""
        return max(reading.foreign for reading in self.readings)

    def __str__(self) -> str:
        disturbed = sum(not reading.clean for reading in self.readings)
        mark = f", {disturbed} disturbed" if disturbed else ""
        low, high = min(self.counted), max(self.counted)
        return f"{self.median:,.0f} [{low:,.0f}-{high:,.0f}] n={len(self.counted)}{mark}"


class Worker:
    """A contender in a process of its own, for use in a `with` block.

    Args:
        job: Which function of `worker.py`, such as `ours.throughput`.
        arguments: Its arguments, JSON values.
        log: Gets what the libraries print.
    """

    def __init__(self, job: str, arguments: Mapping[str, Any], log: Path) -> None:
        self.job = job
        self.log = log
        with log.open("w") as chatter:
            self._process = subprocess.Popen(
                [sys.executable, str(_WORKER), job, json.dumps(arguments)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=chatter, text=True,
            )  # fmt: skip
        self._used = psutil.Process(self._process.pid)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def answer(self) -> dict[str, Any]:
        """Wait for the next line of the process.

        Raises:
            RuntimeError: It ended without one; the end of what it printed is told.
        """
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        if not line:
            end = self.log.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"{self.job} ended with {self._process.wait()}:\n{end}")
        found: dict[str, Any] = json.loads(line)
        return found

    def slice(self, seconds: float) -> Reading:
        """Let it train for so many seconds and a step's rest."""
        before, started = _busy() - self._ours(), time.perf_counter()
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        found = self.answer()
        foreign = (_busy() - self._ours() - before) / (time.perf_counter() - started)
        return Reading(found["units"] / found["seconds"], max(0.0, foreign))

    def cpu_seconds(self) -> float:
        """Used by the process so far, all its threads together."""
        times = self._used.cpu_times()
        return float(times.user + times.system)

    def _ours(self) -> float:
        return self.cpu_seconds() + time.process_time()


def _busy() -> float:
    """CPU seconds that all processes of the machine used so far."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def alternate(workers: Mapping[str, Worker], *, repeats: int, seconds: float) -> dict[str, Rates]:
    """Slices of all workers in turns; a disturbed one is tried again twice and the best kept."""
    found: dict[str, list[Reading]] = {name: [] for name in workers}
    for number in range(repeats):
        for name, worker in workers.items():
            reading = worker.slice(seconds)
            for _ in range(_TRIES - 1):
                if reading.clean:
                    break
                reading = min(reading, worker.slice(seconds), key=lambda one: one.foreign)
            found[name].append(reading)
        tell(f"round {number + 1} of {repeats}")
    return {name: Rates(tuple(readings)) for name, readings in found.items()}


def run_once(job: str, arguments: Mapping[str, Any], log: Path) -> dict[str, Any]:
    """A job that answers once and ends; `foreign_cpu`, the load of others, is added."""
    started, before, own = time.perf_counter(), _busy(), time.process_time()
    with Worker(job, arguments, log) as worker:
        tell(job + " " + json.dumps(arguments)[:120])
        found = worker.answer()
        used = _busy() - before - worker.cpu_seconds() - (time.process_time() - own)
    return {**found, "foreign_cpu": round(max(0.0, used / (time.perf_counter() - started)), 2)}


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """Print a table: the first column to the left, the others to the right."""
    cells = [[str(value) for value in row] for row in [headers, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    if title:
        print(f"\n{title}")
    for number, row in enumerate(cells):
        first, *others = zip(row, widths, strict=True)
        print("  ".join([first[0].ljust(first[1]), *(text.rjust(w) for text, w in others)]))
        if number == 0:
            print("  ".join("-" * width for width in widths))


def tell(message: str) -> None:
    """A line for who waits; not part of the result."""
    print(f"[{time.strftime('%H:%M:%S')}] {message}", file=sys.stderr, flush=True)
