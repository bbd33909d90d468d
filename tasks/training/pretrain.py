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
from tasks.training.pretraining import make_trainer

if TYPE_CHECKING:
    from models.training.loop import Now, Progress
    from models.training.trainer import Trainer

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
        out: Gets `model/`, `curve.jsonl` and `training.json`, the same bytes for the same inputs.
        scratch: Gets checkpoints; a killed run goes on from there.
        log: Told the loss and the speed.

    Raises:
        UserError: There are no training rows, the model to start from cannot be used, or the loss
            kept diverging.
    """
    from models.text.rows import Rows, open_order
    from models.training.loop import Diverged, train

    training, held_out = Rows.open(packed, "train"), Rows.open(packed, "validation")
    if not len(training):
        raise UserError(
            "there is no training text: the packed training split is empty",
            "Give more rows, or check what the cleaning stage quarantined.",
        )
    tokenizer = Tokenizer.from_file(str(tokenized / "tokenizer.json"))
    trainer = make_trainer(config, tokenizer, start, training.length, seed)
    reporter = _Reporter(log, trainer.plan.rows * trainer.length)
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
    return _outcome(trainer, progress, len(training), reporter.speed)


class _Reporter:
    """Passes progress on, and the curve each time held-out rows were judged."""

    def __init__(self, log: Log, row: int) -> None:
        self._log = log
        self._row = row  # positions of a micro-batch
        self._told = 0
        self._begun: tuple[int, float] | None = None
        self.speed = 0.0

    def __call__(self, now: Now) -> None:
        progress = now.progress
        done, clock = progress.micro_batches * self._row, time.monotonic()
        if self._begun is None:
            self._begun = (done, clock)
        else:
            self.speed = (done - self._begun[0]) / max(clock - self._begun[1], 1e-9)
        note = f"loss {now.loss:.2f}, {self.speed / 1000:.1f}k tok/s"
        self._log.progress(now.share, 1.0, note)
        if progress.points and "validation_loss" in progress.points[-1]["metrics"]:
            self._log.curve([Point(**point) for point in progress.points[self._told :]])
            self._told = len(progress.points)


def _write(out: Path, trainer: Trainer, tokenized: Path, progress: Progress) -> None:
    """Write the encoder; nothing in it tells when or how fast it was made."""
    from models.network import hugging_face

    model = trainer.model
    tokenizer = tokenized / "tokenizer.json"
    hugging_face.save(model, tokenizer, out / "model", max_tokens=trainer.length)
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


def _outcome(trainer: Trainer, progress: Progress, rows: int, speed: float) -> Outcome:
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
            "tokens_per_second": speed,
        },
    )
