"""Adversarial masked-language-model pretraining of the encoder, resumable at any moment."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import orjson
from tokenizers import Tokenizer

from tasks.configuration import Pretraining
from tasks.errors import UserError
from tasks.log import CURVE, Log
from tasks.records import Outcome, Point
from tasks.stage import stage
from tasks.training.follow import Job, announce
from tasks.training.outlook import write_outlook
from tasks.training.pretraining import make_trainer
from tasks.training.progress import Speedometer, live, note

if TYPE_CHECKING:
    from models.training.progress import Now, Progress
    from models.training.trainer import Trainer

_SPAN = 10  # looks at the loss after which one weighs 1/e in the smoothed loss
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@stage
def pretrain(
    packed: Path,
    tokenized: Path,
    start: Path | None = None,
    *,
    config: Pretraining,
    seed: int,
    out: Path,
    scratch: Path,
    log: Log,
) -> Outcome:
    """Train the encoder to fill in masked tokens, of clean and of perturbed rows.

    Args:
        packed: Packed rows; `train` is learnt, `validation` judged.
        tokenized: Holds the vocabulary.
        start: Folder of the model to go on from, in Hugging Face's format or a bundle; its shape is
            then the model's. None for a fresh one.
        config: The model's shape and its training.
        seed: Of initial weights, masks and order.
        out: Gets `model/`, `moments.safetensors` (see `models.influence.moments`), `curve.jsonl`
            and `training.json`, the same bytes for the same inputs.
        scratch: Gets checkpoints; a killed run goes on from there.
        log: Told the loss and the speed.

    Raises:
        UserError: There are no training rows, the model to start from cannot be used, or the loss
            kept diverging.
    """
    from models.text.rows import Rows, open_order
    from models.training.loop import train
    from models.training.progress import Diverged

    training, held_out = Rows.open(packed, "train"), Rows.open(packed, "validation")
    if not len(training):
        raise UserError(
            "there is no training text: the packed training split is empty",
            "Give more rows, or check what the cleaning stage quarantined.",
        )
    tokenizer = Tokenizer.from_file(str(tokenized / "tokenizer.json"))
    announce(scratch, Job(packed, tokenized, start, config, seed))
    trainer = make_trainer(config, tokenizer, start, training.length, seed)
    reporter = _Reporter(log, trainer)
    try:
        progress = train(
            trainer, training, held_out, scratch=scratch,
            checkpoint_seconds=config.checkpoint_seconds, report=reporter,
            order=open_order(packed, "train", seed),
        )  # fmt: skip
    except Diverged as error:
        raise UserError(
            f"pretraining diverged: {error}",
            f"Lower pretrain.learning_rate (now {config.learning_rate}) or raise pretrain.warmup.",
        ) from error
    _write(out, trainer, tokenized, progress)
    points = [Point(**point) for point in progress.points]
    each = _positions(trainer, progress) / progress.step
    ahead = write_outlook(out, points, each, (progress.stable[0], progress.stable[1]), seed)
    return _outcome(trainer, progress, len(training), reporter.figures() | ahead)


class _Reporter:
    """Passes progress on, and the curve each time held-out rows were judged."""

    def __init__(self, log: Log, trainer: Trainer) -> None:
        from models.training.smoothing import Smoother

        self._log = log
        self._plan = trainer.plan
        self._row = trainer.plan.rows * trainer.length  # positions of a micro-batch
        self._cost, self._peak = _cost(trainer), _peak(trainer)
        self._smoother = Smoother(_SPAN)
        self._told = 0
        self.meter: Speedometer | None = None

    def __call__(self, now: Now) -> None:
        progress, clock = now.progress, time.monotonic()
        if self.meter is None:
            seconds = self._plan.seconds
            self.meter = Speedometer(
                tokens=self._plan.presentations * self._row / self._plan.rows,
                ends=clock + seconds - progress.seconds if seconds else None,
                flops_per_token=self._cost,
                peak=self._peak,
            )
        speed = self.meter.update(progress.micro_batches * self._row, clock)
        self._log.progress(now.share, 1.0, note(now.loss, self._smoother.update(now.loss), speed))
        if progress.points and "validation_loss" in progress.points[-1]["metrics"]:
            points = [Point(**point) for point in progress.points]
            self._log.curve(live(points, speed, since=self._told))
            self._told = len(points)

    def figures(self) -> dict[str, float]:
        """The run's speed, as far as it was watched."""
        return self.meter.figures() if self.meter else {}


def _cost(trainer: Trainer) -> float:
    """Floating-point operations for each position trained on."""
    from models.text.masking import slots_per_row
    from models.training import flops
    from models.training.adversary import perturbed_rows

    plan = trainer.plan
    again = perturbed_rows(plan.rows, plan.adversarial_share) if plan.adversarial_share else 0
    slots = slots_per_row(trainer.length, plan.highest_mask_rate)
    config = trainer.model.config
    return float(flops.flops_per_token(config, plan.rows, trainer.length, slots, again))


def _peak(trainer: Trainer) -> float:
    """FLOP/s that the run's devices could make of one large product."""
    from models.training import speed

    one: float = speed.matmul_peak(trainer.model.dtype_policy.name)
    return one * trainer.replicas


def _write(out: Path, trainer: Trainer, tokenized: Path, progress: Progress) -> None:
    """Write the encoder; nothing in it tells when or how fast it was made."""
    from models.influence import moments
    from models.network import hugging_face

    model = trainer.model
    tokenizer = tokenized / "tokenizer.json"
    hugging_face.save(model, tokenizer, out / "model", max_tokens=trainer.length)
    second = [moment.numpy() for moment in trainer.optimizer.second_moments]
    moments.save(model, trainer.variables, second, out / moments.FILE)
    points = [Point(**point) for point in progress.points]
    (out / CURVE).write_text("".join(f"{point.model_dump_json()}\n" for point in points))
    training = {
        "sequence_length": trainer.length,
        "steps": progress.step,
        "tokens": _positions(trainer, progress),
        "parameters": int(sum(np.prod(weight.shape) for weight in model.weights)),
        "precision": model.dtype_policy.name,
        "devices": trainer.replicas,
        "went_back": progress.events,
        "final": points[-1].metrics,
    }
    (out / "training.json").write_bytes(orjson.dumps(training, option=_JSON))


def _positions(trainer: Trainer, progress: Progress) -> int:
    """Positions trained on, the few empty ones of packed rows among them."""
    return progress.micro_batches * trainer.plan.rows * trainer.length


def _outcome(trainer: Trainer, progress: Progress, rows: int, figures: dict[str, float]) -> Outcome:
    final = progress.points[-1]["metrics"]
    held_out = final.get("validation_loss")
    summary = f"{progress.step:,} steps, "
    summary += f"held-out loss {held_out:.2f}" if held_out is not None else "no held-out text"
    if progress.events:
        summary += f", went back {len(progress.events)} times"
    return Outcome(
        summary=summary,
        metrics={
            **final,
            "steps": float(progress.step),
            "tokens": float(_positions(trainer, progress)),
            "epochs": progress.micro_batches * trainer.plan.rows / rows,
            "times_gone_back": float(len(progress.events)),
            **figures,
        },
    )
