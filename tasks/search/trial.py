"""One trial: the stage's own function with other settings, watched, and ended early if it lags.

A trial is not a stage of the store: its model is thrown away, and the night that is run with the
best settings computes it again under its own key.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import math
import shutil
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from tasks.configuration import Configuration
from tasks.console import Bar
from tasks.errors import UserError
from tasks.log import Log
from tasks.records import Night, Point
from tasks.search.space import apply
from tasks.search.study import MARKS, Asked, Ending, Study, Trial
from tasks.tracking import facts
from tasks.tracking import trials as tracked

LOSS = "validation_loss"
_HOPELESS = 3  # first trials that all fail, after which the others would too

# Given settings, a scratch folder and a log, train and return the held-out loss (nats).
Objective = Callable[[Configuration, Path, Log], float]


class Diverged(Exception):
    """The settings make the training diverge, which is a finding and no fault."""


class Pruned(Exception):
    """The trial lags behind the others; the message says how far."""


class Stopped(Exception):
    """The search is being ended, and the trial with it."""


class Runner:
    """Runs trials of one study, in any number of threads."""

    def __init__(
        self,
        study: Study,
        base: Configuration,
        objective: Objective,
        run: Night,
        folder: Path,
        *,
        alone: bool = True,
        deadline: float = math.inf,
        ended: Callable[[Trial], None] = lambda trial: None,
    ) -> None:
        """Keep what the trials share.

        Args:
            study: Says what to try, and is told what came of it.
            base: The settings that every trial starts from.
            objective: What is tried.
            run: The search's run, under which each trial has its own.
            folder: Gets scratch folders, and the tracebacks of trials that break.
            alone: Whether one trial runs at a time, so that it can have a progress bar.
            deadline: Monotonic time after which no trial is begun.
            ended: Called with each trial that has ended.
        """
        self.study = study
        self._base = base
        self._objective = objective
        self._run = run
        self._folder = folder
        self._alone = alone
        self._deadline = deadline
        self._ended = ended
        self._stop = threading.Event()
        self._broken: UserError | None = None

    def stop(self) -> None:
        """End the trials that run at their next report, and begin no other."""
        self._stop.set()

    def next(self) -> int | None:
        """Ask for a trial, run it and tell how it ended.

        Returns:
            Its number; None when the budget or the time is used up.

        Raises:
            UserError: What the user gave cannot be used, whatever the trial.
        """
        if self._stop.is_set() or time.monotonic() > self._deadline:
            return None
        asked = self.study.ask()
        if asked is None:
            return None
        tracked_run = tracked.open_trial(self._run, asked.number, asked.settings)
        asked.handle.set_user_attr("run", tracked_run)
        self._try(asked, tracked_run)
        gc.collect()  # a model and its compiled functions refer to each other
        if error := self._broken or self._hopeless():
            self.stop()
            raise error
        return asked.number

    def _try(self, asked: Asked, tracked_run: str) -> None:
        number, scratch = asked.number, self._scratch(asked)
        ending, loss, reason = self._outcome(asked, tracked_run, scratch)
        if ending == "killed":  # its checkpoints stay, and the trial that repeats it goes on there
            self.study.put_back(number, reason)
        else:
            self.study.tell(number, ending, loss=loss, reason=reason)
            shutil.rmtree(scratch, ignore_errors=True)
        (trial,) = [t for t in self.study.trials() if t.number == number]
        tracked.close_trial(tracked_run, ending=ending, loss=loss, reason=reason)
        self._ended(trial)

    def _outcome(
        self, asked: Asked, tracked_run: str, scratch: Path
    ) -> tuple[Ending, float | None, str]:
        """How a trial ends, its loss if it came to one, and why it did not."""
        try:
            configuration = apply(self._base, asked.settings)
        except ValidationError as error:
            told = "; ".join(e["msg"].removeprefix("Value error, ") for e in error.errors())
            return "impossible", None, told
        try:
            with TrialLog(self.study, asked, tracked_run, self._stop, bar=self._alone) as log:
                loss = self._objective(configuration, scratch, log)
        except Pruned as why:
            return "pruned", None, str(why)
        except Diverged as why:
            return "diverged", None, str(why)
        except (Stopped, KeyboardInterrupt):
            self.stop()
            return "killed", None, "the search was ended"
        except UserError as error:
            self._broken = self._broken or error
            self.stop()
            return "failed", None, error.problem
        except Exception as error:
            (self._folder / f"trial-{asked.number}.log").write_text(traceback.format_exc())
            return "failed", None, f"{type(error).__name__}: {error}"[:1000]
        if not math.isfinite(loss):
            return "diverged", None, "the held-out loss is not a finite number"
        return "complete", loss, ""

    def _scratch(self, asked: Asked) -> Path:
        """Named by what is tried, so that the trial that repeats a killed one finds it."""
        tried = hashlib.sha256(json.dumps(asked.settings, sort_keys=True).encode()).hexdigest()
        scratch = self._folder / "scratch" / tried[:16]
        if asked.repeats is None:
            shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True, exist_ok=True)
        return scratch

    def _hopeless(self) -> UserError | None:
        """The error to end with when the first trials all failed, as every other would."""
        ended = [t for t in self.study.trials() if t.ending != "killed"]
        if len(ended) < _HOPELESS or any(t.ending != "failed" for t in ended):
            return None
        return UserError(
            f"the first {len(ended)} trials all failed: {ended[-1].reason}",
            f"The tracebacks are in {self._folder}.",
        )


class TrialLog(Log):
    """Hands a stage's held-out losses to the study, and ends the stage where the study says so.

    Trials of other batch sizes are judged at other steps, so a loss is noted at tenths of the
    trial's own budget, interpolated between the two judgements round it.
    """

    def __init__(
        self, study: Study, asked: Asked, run: str, stop: threading.Event, *, bar: bool
    ) -> None:
        self._study = study
        self._asked = asked
        self._run = run
        self._stop = stop
        self._bar = Bar(f"trial {asked.number}") if bar else None
        self._share = 0.0
        self._judged: tuple[float, float] | None = None  # share and loss of the last judgement
        self._mark = 0

    def __enter__(self) -> TrialLog:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def progress(self, done: float, total: float, note: str = "") -> None:
        """See `Log.progress`."""
        if self._stop.is_set():
            raise Stopped
        self._share = min(1.0, done / max(total, 1e-9))
        self._study.beat(self._asked)
        if self._bar is not None:
            self._bar.update(done, total, note)

    def curve(self, points: Sequence[Point]) -> None:
        """See `Log.curve`; the last point is where `progress` last was."""
        with contextlib.suppress(Exception):  # MLflow's absence must not end a trial
            facts.log_curve(self._run, "trial", points)
        for point in points:
            if LOSS in point.metrics and point.step > 0:
                share = self._share * point.step / points[-1].step
                self._note(share, point.metrics[LOSS])

    def _note(self, share: float, loss: float) -> None:
        if not math.isfinite(loss):
            raise Diverged("the held-out loss is not a finite number")
        before, self._judged = self._judged, (share, loss)
        while self._mark < MARKS and share >= (self._mark + 1) / MARKS - 1e-9:
            self._mark += 1
            at = self._mark / MARKS
            if before is None:
                if share > at + 1e-9:
                    continue  # nothing is known from before the first judgement
                value = loss
            else:
                weight = (at - before[0]) / max(share - before[0], 1e-9)
                value = before[1] + min(1.0, weight) * (loss - before[1])
            if why := self._study.report(self._asked, self._mark, value):
                raise Pruned(why)
