"""The training loop: what comes when, what is noted, what is saved, and what is done on divergence.

Owns no mathematics (`trainer`, `objective`), no schedule (`schedule`) and no files but the
checkpoints (`checkpoints`). Everything is a function of (plan, data, step), except under a time
budget, where the clock has a say.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from models.text.order import Order
from models.text.rows import Rows
from models.training import checkpoints
from models.training.distribution import is_chief
from models.training.feeder import Feeder, PresentationOrder
from models.training.progress import Diverged, Now, Progress
from models.training.trainer import Trainer

_FETCH = 10  # steps between two looks at the losses; each look waits for the device
_GRID = 50  # a diverged run goes back to a multiple of so many steps, whenever it was saved
_POINTS = 200  # of a run's curve, at most
_JUDGEMENTS = 20  # of the held-out rows in a run
_HELD_OUT_SHARE = 0.06  # judged positions per trained one; a judged one costs a third: 2 %
_JUDGING_SHARE = 0.02  # of a time budget
_HELD_OUT_POSITIONS = (2_048, 65_536)  # fewest and most that are judged each time
_MEMORY = 0.9  # of the running mean of the loss, per look


Report = Callable[[Now], None]


def train(
    trainer: Trainer,
    training: Rows,
    held_out: Rows,
    *,
    scratch: Path,
    checkpoint_seconds: float,
    report: Report,
    order: PresentationOrder | None = None,
) -> Progress:
    """Train to the end of the plan, from the last checkpoint if there is one.

    A killed run that is started again ends with the same weights, bit for bit, as one that was
    not killed, on a CPU with as many cores and without a time budget.

    Args:
        trainer: Its model is trained in place.
        training: Packed rows.
        held_out: Packed rows to judge by; may be empty.
        scratch: Folder for checkpoints.
        checkpoint_seconds: Time between two checkpoints.
        report: Called every few steps.
        order: In which rows are presented; by default each once an epoch.

    Raises:
        Diverged: The loss kept diverging.
        OSError: A checkpoint cannot be written.
    """
    order = order or Order(len(training), trainer.plan.seed)
    writer = checkpoints.Writer(scratch)
    feeder = Feeder(training, order, trainer.plan.rows)
    try:
        run = _Run(trainer, feeder, _sample(held_out, trainer), writer, checkpoint_seconds, report)
        return run.go()
    finally:
        feeder.close()
        writer.close()


def _sample(held_out: Rows, trainer: Trainer) -> Rows:
    """As many held-out rows as can be judged at two per cent of the run's cost."""
    least, most = _HELD_OUT_POSITIONS
    spent = trainer.plan.presentations * trainer.length
    positions = min(most, max(least, round(_HELD_OUT_SHARE * spent / _JUDGEMENTS)))
    return held_out.sample(max(1, positions // trainer.length))


class _Run:
    """One run of the loop; see `train`."""

    def __init__(
        self,
        trainer: Trainer,
        feeder: Feeder,
        held_out: Rows,
        writer: checkpoints.Writer,
        checkpoint_seconds: float,
        report: Report,
    ) -> None:
        self.trainer = trainer
        self.plan = trainer.plan
        self.feeder = feeder
        self.held_out = held_out
        self.writer = writer
        self.checkpoint_seconds = checkpoint_seconds
        self.report = report
        precision = trainer.model.dtype_policy.name
        self.identity = {**asdict(self.plan), "precision": precision}
        self.progress = self._restored(None)
        if is_chief():  # what is damaged or of another plan would outlive what is written now
            checkpoints.remove_after(writer.folder, self.progress.step)
        self._step_seconds = 0.0
        self._judging = 0.0
        self._compiled: set[bool] = set()  # steps of one micro-batch, of several

    def go(self) -> Progress:
        saved = looked = time.monotonic()
        while steps := self._steps_to_take():
            begun, known = time.monotonic(), len(self._compiled)
            here = [self.progress.step, self.progress.micro_batches]
            losses = self._take(steps)
            reason = self._diverged(losses)
            # Held-out rows and checkpoints since the last look count as time spent, too.
            now = time.monotonic()
            self.progress.seconds += self.trainer.agreed(now - looked)
            looked = now
            if reason is not None:
                self._go_back(reason)
                continue
            if here[0] % _GRID == 0:  # only now is it known that the weights there were sound
                self.progress.mark = here
            if known == len(self._compiled):  # else these steps waited for the compiler
                self._step_seconds = self.trainer.agreed(now - begun) / len(losses)
            self._note(losses)
            self.report(Now(self._share(), float(losses[:, 0].mean()), self.progress))
            if looked - saved > self.checkpoint_seconds and not self.writer.busy:
                self._save()
                saved = looked
        self.trainer.keep_average()
        return self.progress

    def _share(self, steps: int = 0) -> float:
        """Spent share of the budget, so many steps after the last look."""
        progress, plan = self.progress, self.plan
        share = progress.micro_batches * plan.rows / plan.presentations
        if plan.seconds:
            share = max(share, (progress.seconds + steps * self._step_seconds) / plan.seconds)
        return min(share, 1.0)

    def _steps_to_take(self) -> int:
        """Steps until the next look at the losses; 0 at the end."""
        progress, plan = self.progress, self.plan
        if self._share() >= 1.0:
            return 0
        if not plan.seconds:
            return _FETCH - progress.step % _FETCH
        if not self._step_seconds:
            return 1
        left = (plan.seconds - progress.seconds) / self._step_seconds
        return min(_FETCH - progress.step % _FETCH, int(left))

    def _take(self, steps: int) -> Any:
        """Make so many steps, or fewer if the rows are used up; their losses, (steps, 3)."""
        progress, plan = self.progress, self.plan
        found: list[tf.Tensor] = []
        for number in range(steps):
            share = self._share(number)
            if share >= 1.0:
                break
            left = plan.presentations - progress.micro_batches * plan.rows
            count = min(plan.micro_batches(share), -(-left // plan.rows))
            self._compiled.add(count > 1)
            own = max(count * plan.rows / plan.presentations, self._time_of_a_step())
            first = progress.next_micro_batch()
            batches = [self.feeder.get(first + n) for n in range(count)]
            rates = plan.rate(share, own), plan.rate_of_masks(share)
            found.append(self.trainer.step(batches, first, progress.step, *rates))
            progress.step += 1
            for place, bound in enumerate((plan.warmup, 1.0 - plan.decay)):
                if share < bound:
                    progress.stable[place] = progress.step
            progress.micro_batches += count
            progress.tokens += sum(int(np.count_nonzero(b.segments)) for b in batches)
        return np.stack([losses.numpy() for losses in found]).astype(np.float64)

    def _time_of_a_step(self) -> float:
        """The share of a time budget that one step spends."""
        return self._step_seconds / self.plan.seconds if self.plan.seconds else 0.0

    def _diverged(self, losses: Any) -> str | None:
        """Why the last steps count as divergence, if they do."""
        if not np.isfinite(losses).all():
            return "the loss is not a finite number"
        mean, weight = self.progress.running
        now = float(losses[:, 0].mean())
        if self.plan.spike and weight and now > mean / weight + self.plan.spike:
            return f"the loss rose from {mean / weight:.2f} to {now:.2f}"
        self.progress.running = [
            _MEMORY * mean + (1 - _MEMORY) * now, _MEMORY * weight + (1 - _MEMORY)
        ]  # fmt: skip
        return None

    def _go_back(self, reason: str) -> None:
        """Return to the state before the bad steps, and pass over the rows that led to them.

        The state gone back to is that of a fixed step, not that of the last checkpoint, which is
        only where the way there begins: the outcome must not depend on when checkpoints were made.
        """
        failed = self.progress
        if len(failed.skips) >= self.plan.rollbacks:
            raise Diverged(failed.step, reason)
        target, computed = failed.mark
        skipped = failed.micro_batches - computed
        self.writer.wait()
        self.trainer.agreed(0.0)  # all workers are here, and nothing is being written
        self.progress = self._restored(target)
        self.progress.skips = [*failed.skips, [target, skipped]]
        event = {
            "step": failed.step, "reason": reason, "back_to": target,
            "skipped_rows": skipped * self.plan.rows,
        }  # fmt: skip
        self.progress.events = [*failed.events, event]
        self.progress.seconds = failed.seconds
        if is_chief():
            checkpoints.remove_after(self.writer.folder, target)

    def _restored(self, most: int | None) -> Progress:
        """Put the newest checkpoint of at most so many steps back, or the beginning."""
        found = checkpoints.latest(self.writer.folder, most)
        if found is None or found.state["identity"] != self.identity:
            self.trainer.reset()
            return Progress()
        self.trainer.restore(dict(found.tensors))
        return Progress(**found.state["progress"])

    def _save(self) -> None:
        if is_chief():
            state = {"identity": self.identity, "progress": asdict(self.progress)}
            mark = self.progress.mark[0]
            self.writer.save(self.progress.step, self.trainer.tensors(), state, mark)

    def _note(self, losses: Any) -> None:
        """Add to the sums, and a point to the curve if one is due."""
        progress = self.progress
        progress.sums = (np.asarray(progress.sums) + losses.sum(axis=0)).tolist()
        progress.count += len(losses)
        share, done = self._share(), not self._steps_to_take()
        if not done and int(share * _POINTS) == int(progress.told * _POINTS):
            return
        judged = done or self._may_judge(share)
        progress.points.append({"step": progress.step, "metrics": self._metrics(share, judged)})
        progress.sums, progress.count, progress.told = [0.0, 0.0, 0.0], 0, share

    def _may_judge(self, share: float) -> bool:
        """Whether held-out rows are due, and a time budget can bear it."""
        if self.plan.seconds and self._judging > _JUDGING_SHARE * self.progress.seconds:
            return False
        return int(share * _JUDGEMENTS) > int(self.progress.told * _JUDGEMENTS)

    def _metrics(self, share: float, judged: bool) -> dict[str, float]:
        plan, progress = self.plan, self.progress
        clean, adversarial, pairs = (total / progress.count for total in progress.sums)
        metrics = {
            "train_loss": clean,
            "learning_rate": plan.rate(share, 0.0),
            "tokens": float(progress.tokens),
        }
        if plan.adversarial_share:
            metrics["adversarial_loss"] = adversarial
        if plan.next_sentence:
            metrics["next_sentence_loss"] = pairs
        if plan.mask_rate_end is not None:
            metrics["mask_rate"] = plan.rate_of_masks(share)
        if judged:
            begun = time.monotonic()
            with self.trainer.averaged():
                loss = self.trainer.held_out_loss(self.held_out)
            self._judging += self.trainer.agreed(time.monotonic() - begun)
            if math.isfinite(loss):  # there may be no held-out rows
                metrics["validation_loss"] = loss
        return metrics
