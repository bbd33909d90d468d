"""Adversarial masked-language-model pretraining of the encoder, resumable at any moment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from tokenizers import Tokenizer

from tasks.configuration import Pretraining
from tasks.errors import UserError
from tasks.log import CURVE, Log
from tasks.records import Outcome, Point
from tasks.stage import stage

if TYPE_CHECKING:
    from models.training.trainer import Plan, Trainer

_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@stage
def pretrain(
    packed: Path,
    tokenized: Path,
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
        config: The model's shape and its training.
        seed: Of initial weights, masks and order.
        out: Gets `model/`, `curve.jsonl` and `training.json`, the same bytes for the same inputs.
        scratch: Gets checkpoints; a killed run goes on from there.
        log: Told the loss and the speed.

    Raises:
        UserError: There are no training rows, or the loss diverged.
    """
    from models.text.rows import Rows
    from models.training.loop import Diverged, train

    training, held_out = Rows.open(packed, "train"), Rows.open(packed, "validation")
    if not len(training):
        raise UserError(
            "there is no training text: the packed training split is empty",
            "Give more rows, or check what the cleaning stage quarantined.",
        )
    tokenizer = Tokenizer.from_file(str(tokenized / "tokenizer.json"))
    trainer = _trainer(config, tokenizer.get_vocab_size(), training.length, seed)
    reporter = _Reporter(log)
    try:
        progress = train(
            trainer, training, held_out, scratch=scratch,
            checkpoint_seconds=config.checkpoint_seconds, report=reporter,
        )  # fmt: skip
    except Diverged as error:
        raise UserError(
            f"pretraining diverged: {error}",
            f"Lower pretrain.learning_rate (now {config.learning_rate}) or raise pretrain.warmup.",
        ) from error
    points = [Point(**point) for point in progress.points]
    _write(out, trainer, tokenized, points)
    return _outcome(points, trainer.plan, len(training), training.length, reporter.speed)


def _trainer(config: Pretraining, vocabulary: int, length: int, seed: int) -> Trainer:
    """A fresh model and its training, in the precision that suits this machine."""
    from models.network.encoder import EncoderConfig, build
    from models.training import devices
    from models.training.trainer import Trainer

    devices.prepare()
    plan = _plan(config, length, seed)
    policy = devices.dtype_policy(config.precision, config.width)
    shape = EncoderConfig(
        vocabulary=vocabulary, layers=config.layers, width=config.width, heads=config.heads
    )
    xla = devices.use_xla(policy, config.width, plan.steps)
    return Trainer(build(shape, seed, policy), plan, length, xla=xla)


class _Reporter:
    """Passes progress on, and the curve each time held-out rows were judged."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._told = 0
        self.speed = 0.0

    def __call__(
        self, done: int, total: int, loss: float, speed: float, points: list[dict[str, Any]]
    ) -> None:
        self.speed = speed
        self._log.progress(done, total, f"loss {loss:.2f}, {speed / 1000:.1f}k tok/s")
        if points and ("validation_loss" in points[-1]["metrics"] or done == total):
            self._log.curve([Point(**point) for point in points[self._told :]])
            self._told = len(points)


def _plan(config: Pretraining, length: int, seed: int) -> Plan:
    from models.training.trainer import Plan

    return Plan(
        steps=max(1, round(config.tokens / config.batch_tokens)),
        rows=config.batch_tokens // length,
        learning_rate=config.learning_rate,
        warmup=config.warmup,
        decay=config.decay,
        weight_decay=config.weight_decay,
        mask_rate=config.mask_rate,
        adversarial_share=config.adversarial_share if config.adversarial == "fgm" else 0.0,
        adversarial_epsilon=config.adversarial_epsilon,
        seed=seed,
    )


def _write(out: Path, trainer: Trainer, tokenized: Path, points: list[Point]) -> None:
    """Write the encoder bundle; nothing in it tells when or how fast it was made."""
    from models.network import hugging_face

    model, plan = trainer.model, trainer.plan
    tokenizer = tokenized / "tokenizer.json"
    hugging_face.save(model, tokenizer, out / "model", max_tokens=trainer.length)
    (out / CURVE).write_text("".join(f"{point.model_dump_json()}\n" for point in points))
    training = {
        "sequence_length": trainer.length,
        "steps": plan.steps,
        "tokens": plan.steps * plan.rows * trainer.length,
        "parameters": int(sum(np.prod(weight.shape) for weight in model.weights)),
        "precision": model.dtype_policy.name,
        "final": points[-1].metrics,
    }
    (out / "training.json").write_bytes(orjson.dumps(training, option=_JSON))


def _outcome(points: list[Point], plan: Plan, rows: int, length: int, speed: float) -> Outcome:
    final = points[-1].metrics
    held_out = final.get("validation_loss")
    told = f"held-out loss {held_out:.2f}" if held_out is not None else "no held-out text"
    return Outcome(
        summary=f"{plan.steps:,} steps, {told}",
        metrics={
            **final,
            "steps": float(plan.steps),
            "tokens": float(plan.steps * plan.rows * length),
            "epochs": plan.steps * plan.rows / rows,
            "tokens_per_second": speed,
        },
    )
