"""Nights to be disturbed: each a process group of its own, in a home of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SMALL = Path(__file__).with_name("small.yaml")
CHILD = Path(__file__).with_name("child")  # of the `sitecustomize` that strikes
_PATIENCE = 1800.0  # seconds that a night may take on a machine that others use
_GLANCE = 0.01  # seconds between two looks


class NotInjected(Exception):
    """The fault did not strike, so that its survival would say nothing."""


class Broken(Exception):
    """The disturbed night itself did what no night may do."""


@dataclass(frozen=True)
class Ended:
    """How a night ended and what it said.

    Attributes:
        status: Exit status; a signal's number is negative.
        out: Standard output.
        err: Standard error, where the stages' lines are.
        seconds: From its start to its end.
    """

    status: int
    out: str
    err: str
    seconds: float

    @property
    def stages(self) -> list[tuple[str, bool]]:
        """Title, and whether it was reused, of each stage that was finished, in order."""
        shown = re.findall(r"[✓✗] (\w+) .*?(reused|[\d.]+ s)$", self.err, re.MULTILINE)
        return [(title, took == "reused") for title, took in shown]

    @property
    def page(self) -> Path:
        """The run page of a night that ended well."""
        return Path(self.out.strip().splitlines()[-1])


class Night:
    """A night that is under way, or its end.

    Args:
        home: The folder PLUMBLINE_HOME.
        configuration: YAML file.
        environment: More environment variables, and others than the machine's.
    """

    def __init__(
        self,
        home: Path,
        configuration: Path = SMALL,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.home = home
        logs = home.parent / "told"
        logs.mkdir(parents=True, exist_ok=True)
        number = len(list(logs.glob("*.out")))
        self._out, self._err = logs / f"{number}.out", logs / f"{number}.err"
        variables = {**self.variables(home), **(environment or {})}
        command = [sys.executable, "-m", "flows.cli", "nightly", "--config", str(configuration)]
        self._started = time.monotonic()
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=variables, stdout=out, stderr=err, start_new_session=True
            )  # fmt: skip

    @staticmethod
    def variables(home: Path) -> dict[str, str]:
        """The environment of a process that works in a home, and in no other."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PLUMBLINE_"))}
        return {**kept, "PLUMBLINE_HOME": str(home), "COLUMNS": "120"}

    def wait(self) -> Ended:
        """Its end; what is left of its process group is for the next night to end."""
        status = self.process.wait(_PATIENCE)
        seconds = time.monotonic() - self._started
        return Ended(status, self._out.read_text("utf-8"), self._err.read_text("utf-8"), seconds)

    def wait_until(self, happened: Callable[[], bool]) -> None:
        """Look until something is so.

        Raises:
            NotInjected: The night ended first.
        """
        deadline = time.monotonic() + _PATIENCE
        while not happened():
            if self.process.poll() is not None:
                raise NotInjected(f"the night ended first: {self.wait().err[-1000:]}")
            if time.monotonic() > deadline:
                raise NotInjected("it did not happen")
            time.sleep(_GLANCE)

    def wait_for(self, seconds: float) -> None:
        """Let it run for so long.

        Raises:
            NotInjected: The night ended first.
        """
        gone = time.monotonic() + seconds
        self.wait_until(lambda: time.monotonic() >= gone)

    def send(self, number: int, *, group: bool) -> Ended:
        """End it by a signal, to the flow process alone or to its servers too."""
        if self.process.poll() is not None:
            raise NotInjected("the night ended first")
        (os.killpg if group else os.kill)(self.process.pid, number)
        return self.wait()

    def clear(self) -> None:
        """End whatever of its process group still runs."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.process.wait()


def reused(ended: Ended) -> str:
    """What a night reused, in a few words."""
    kept = [title for title, was in ended.stages if was]
    made = [title for title, was in ended.stages if not was]
    return f"{len(kept)} reused, {_few(made)} computed"


def _few(titles: Sequence[str]) -> str:
    return ", ".join(titles) if 0 < len(titles) <= 2 else str(len(titles))
