"""How a living training loop is held between two steps, and how a budget of time is kept."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, TextIO


class Finished(BaseException):
    """The benchmark has seen enough; leaves a training loop that would go on for ever.

    Not an `Exception`, so that no library on the way takes it for an error to handle.
    """


class Gate:
    """Stands between two steps of a training loop and lets it on for a slice at a time.

    Args:
        answers: Where the parent reads.
        units: Units of work in a step.
        warmup: Steps before the first slice: compiling and the first touch of memory.
    """

    def __init__(self, answers: TextIO, units: float, warmup: int = 3) -> None:
        self._answers = answers
        self._units = units
        self._warmup = warmup
        self._steps = 0
        self._until = float("inf")
        self._started = 0.0
        self.facts: dict[str, Any] = {}

    def passed(self, steps: int = 1) -> None:
        """Called after so many more steps; returns when the next may be made.

        Raises:
            Finished: The parent has gone.
        """
        now = time.perf_counter()
        self._steps += steps
        if self._warmup:
            if self._steps < self._warmup:
                return
            self._warmup = 0
            send(self._answers, {"ready": True, "units": self._units, **self.facts})
        elif now < self._until:
            return
        else:
            spent = now - self._started
            send(self._answers, {"units": self._steps * self._units, "seconds": spent})
        line = sys.stdin.readline()
        if not line:
            raise Finished
        self._steps = 0
        self._started = time.perf_counter()
        self._until = self._started + float(line)


def send(answers: TextIO, values: dict[str, Any]) -> None:
    """One line to the parent."""
    answers.write(json.dumps(values) + "\n")
    answers.flush()


class Clock:
    """A budget of time and the learning rate that goes with it, for loops that count steps only.

    Rises linearly over the first twentieth of the time and falls linearly to zero at its end, as
    `get_linear_schedule_with_warmup` does in steps. Started before the first step, so that loading
    is free and compiling is not.

    Args:
        seconds: The budget.
    """

    _WARMUP = 0.05

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._started: float | None = None

    def start(self) -> None:
        """Begin, unless it has begun."""
        self._started = self._started or time.monotonic()

    @property
    def spent(self) -> float:
        """Share of the budget that is gone."""
        return (time.monotonic() - self._started) / self.seconds if self._started else 0.0

    def factor(self, _step: object = None) -> float:
        """Of the peak learning rate, now; never quite zero, so that a first step does something."""
        spent = self.spent
        return max(1e-3, min(1.0, spent / self._WARMUP, (1 - spent) / (1 - self._WARMUP)))
