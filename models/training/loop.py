"""The training loop: which rows come when, what is noted, and when a checkpoint is made.

Owns no mathematics (`trainer`) and no files but the checkpoints (`checkpoints`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from models.text.rows import Order, Rows
from models.training import checkpoints
from models.training.trainer import Trainer

_FETCH = 10  # steps between two looks at the losses; each look waits for the device
_POINTS = 200  # of a long run's curve, roughly
_JUDGEMENTS = 10  # of the held-out rows in a run
_HELD_OUT_TOKENS = 65_536  # most positions of held-out rows judged each time


class Diverged(Exception):
    """The loss stopped being a number.

    Args:
        step: The step before which it happened.
    """

    def __init__(self, step: int) -> None:
        super().__init__(f"the loss is not a finite number at step {step}")
        self.step = step


@dataclass
class Progress:
    """What a run has to say so far; goes into every checkpoint.

    Attributes:
        points: `{"step": int, "metrics": {name: value}}` of the curve.
        sums: Clean and adversarial losses since the last point, summed.
        count: Steps in those sums.
    """

    points: list[dict[str, Any]] = field(default_factory=list)
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0])
    count: int = 0


# Called with steps done, steps in all, the last loss, positions a second, and the curve so far.
Report = Callable[[int, int, float, float, list[dict[str, Any]]], None]


def train(
    trainer: Trainer,
    training: Rows,
    held_out: Rows,
    *,
    scratch: Path,
    checkpoint_seconds: float,
    report: Report,
) -> Progress:
    """Train to the end of the plan, from the last checkpoint if there is one.

    A killed run that is started again ends with the same weights, bit for bit, as one that was
    not killed, on a CPU: everything random is a function of (seed, step).

    Args:
        trainer: Its model is trained in place.
        training: Packed rows.
        held_out: Packed rows to judge by; may be empty.
        scratch: Folder for checkpoints.
        checkpoint_seconds: Time between two checkpoints.
        report: Called every few steps.

    Raises:
        Diverged: The loss is infinite or not a number.
    """
    plan = trainer.plan
    identity = {**asdict(plan), "precision": trainer.model.dtype_policy.name}
    progress, first = _resume(trainer, scratch, identity)
    held_out = held_out.sample(max(plan.rows, _HELD_OUT_TOKENS // trainer.length))
    point_every = _FETCH * max(1, round(plan.steps / _POINTS / _FETCH))
    judge_every = point_every * max(1, round(plan.steps / _JUDGEMENTS / point_every))
    started = saved = time.monotonic()
    waiting: list[tf.Tensor] = []
    order = Order(len(training), plan.seed)
    for step in range(first, plan.steps):
        rows = order.at(step * plan.rows, plan.rows)
        waiting.append(trainer.step(training.take(rows), step))
        done = step + 1
        if done % _FETCH and done < plan.steps:
            continue
        losses = np.stack([loss.numpy() for loss in waiting]).astype(np.float64)
        waiting.clear()
        if not np.isfinite(losses).all():
            raise Diverged(done)
        progress.sums = (np.asarray(progress.sums) + losses.sum(axis=0)).tolist()
        progress.count += len(losses)
        if done % point_every == 0 or done == plan.steps:
            judged = held_out if done % judge_every == 0 or done == plan.steps else None
            _add_point(trainer, progress, done, judged)
        now = time.monotonic()
        speed = (done - first) * plan.rows * trainer.length / (now - started)
        report(done, plan.steps, float(losses[-1, 0]), speed, progress.points)
        if now - saved > checkpoint_seconds and done < plan.steps:
            state = {"identity": identity, "progress": asdict(progress)}
            checkpoints.save(scratch, done, trainer.tensors(), state)
            saved = time.monotonic()
    return progress


def _resume(trainer: Trainer, scratch: Path, identity: dict[str, Any]) -> tuple[Progress, int]:
    """Put the last checkpoint back, unless it is of another plan or precision."""
    found = checkpoints.latest(scratch)
    if found is None or found.state["identity"] != identity:
        return Progress(), 0
    trainer.restore(dict(found.tensors))
    return Progress(**found.state["progress"]), found.step


def _add_point(trainer: Trainer, progress: Progress, done: int, held_out: Rows | None) -> None:
    clean, adversarial = (total / progress.count for total in progress.sums)
    metrics = {"train_loss": clean, "learning_rate": trainer.learning_rate(done - 1)}
    if trainer.plan.adversarial_share:
        metrics["adversarial_loss"] = adversarial
    if held_out is not None:
        loss = trainer.held_out_loss(held_out)
        if math.isfinite(loss):  # there may be no held-out rows
            metrics["validation_loss"] = loss
    progress.points.append({"step": done, "metrics": metrics})
    progress.sums, progress.count = [0.0, 0.0], 0
