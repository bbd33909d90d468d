"""Plumbline's own trainer as the benchmarks run it, through one function, `train`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import corpora
import numpy as np
import prepared
import tensorflow as tf
from gate import Gate

from models import devices
from models.network import encoder
from models.network.encoder import EncoderConfig
from models.text import packing
from models.text.masking import slots_per_row
from models.text.rows import Rows
from models.training import flops
from models.training.loop import train as loop
from models.training.schedule import Plan
from models.training.trainer import Trainer

_FOREVER = 10**7  # steps that no budget reaches
_PEAK_SIZE = 2048  # of the square matrices whose product is the measured peak


def train(
    rows: Rows,
    shape: dict[str, int],
    *,
    policy: str,
    batch: int,
    report: Callable[[int], None],
    steps: int = _FOREVER,
    scratch: Path | None = None,
    checkpoint_seconds: float = 1e9,
    kind: str = "encoder",
    wrap: Callable[[Trainer], Any] = lambda trainer: trainer,
    **plan: Any,
) -> tuple[Any, Any]:
    """Train a fresh model with the public loop.

    Args:
        rows: Packed.
        shape: `layers`, `width`, `heads`.
        policy: Keras dtype policy.
        batch: Rows of a step.
        report: Told the steps done, every few steps.
        steps: Budget in steps.
        scratch: Folder of checkpoints; a temporary one if not given.
        checkpoint_seconds: Time between checkpoints.
        kind: `encoder`, or `lstm` for the baseline.
        wrap: Put around the trainer, to look into it.
        plan: Fields of `Plan` in the place of the ones here, such as `seconds`.

    Returns:
        The model and the loop's progress.
    """
    chosen = Plan(**{
        "presentations": steps * batch, "rows": batch, "learning_rate": 1e-3, "warmup": 0.05,
        "decay": 0.3, "weight_decay": 0.01, "mask_rate": corpora.MASK_RATE,
        "adversarial_share": 0.0, "adversarial_epsilon": 0.02, "seed": 0, **plan,
    })  # fmt: skip
    devices.prepare()
    model = make(shape, chosen.seed, policy, kind)
    trainer = Trainer(model, chosen, rows.length, lanes=devices.lanes())
    with tempfile.TemporaryDirectory() as aside:
        progress = loop(
            wrap(trainer), rows, rows.sample(batch), scratch=scratch or Path(aside),
            checkpoint_seconds=checkpoint_seconds,
            report=lambda now: report(now.progress.step),
        )  # fmt: skip
    return model, progress


def packed(documents: corpora.Documents, length: int) -> Rows:
    """Documents as packed rows."""
    found = packing.pack(*documents, length=length, begin=corpora.BEGIN, end=corpora.END)
    return Rows(found.tokens, found.segments)


def throughput(
    answers: TextIO, *, shape: dict[str, int], length: int, batch: int, policy: str, documents: int
) -> None:
    """Train on made-up documents for as long as the parent asks; units are real tokens."""
    rows = packed(corpora.made_up(documents, seed=0), length)
    filled = float((rows.segments > 0).mean())
    gate = Gate(answers, batch * length * filled, warmup=10)
    gate.facts = {"fill": filled, "flops_per_token": _flops(shape, batch, length) / filled}
    last = 0

    def report(done: int) -> None:
        nonlocal last
        steps, last = done - last, done
        gate.passed(steps)

    train(rows, shape, policy=policy, batch=batch, report=report)


def peak(answers: TextIO) -> None:
    """Products of two float32 matrices of 2048 x 2048 for as long as asked; units are FLOPs."""
    a, b = (tf.random.stateless_normal((_PEAK_SIZE, _PEAK_SIZE), (0, i)) for i in range(2))
    product = tf.function(lambda x, y: tf.matmul(x, y))
    gate = Gate(answers, 2.0 * _PEAK_SIZE**3, warmup=5)
    while True:
        product(a, b)
        gate.passed()


def curve(
    answers: TextIO, *, folder: str, shape: dict[str, int], length: int, batch: int, policy: str,
    steps: int, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Losses of each step on real text."""
    rows = packed(prepared.Prepared.open(Path(folder)).training, length)
    losses: list[float] = []

    class Noted:
        def __init__(self, trainer: Trainer) -> None:
            self._trainer = trainer

        def __getattr__(self, name: str) -> Any:
            return getattr(self._trainer, name)

        def step(self, *arguments: Any) -> Any:
            found = self._trainer.step(*arguments)
            losses.append(float(np.ravel(found)[0]))
            return found

    train(rows, shape, policy=policy, batch=batch, steps=steps, seed=seed, report=lambda _: None,
          wrap=Noted)  # fmt: skip
    return {"losses": losses}


def make(shape: dict[str, int], seed: int, policy: str, kind: str) -> Any:
    """A fresh model: `encoder`, or `lstm` for the baseline (always float32)."""
    if kind == "lstm":
        from models.network.lstm import LstmConfig, build_lstm

        return build_lstm(LstmConfig(corpora.VOCABULARY, width=shape["width"]), seed)
    config = EncoderConfig(**{"vocabulary": corpora.VOCABULARY, **shape})
    return encoder.build(config, seed, policy)


def _flops(shape: dict[str, int], batch: int, length: int) -> float:
    """Of the matrix products of a training step, for one position."""
    config = EncoderConfig(**{"vocabulary": corpora.VOCABULARY, **shape})
    slots = slots_per_row(length, corpora.MASK_RATE)
    return flops.flops_per_token(config, batch, length, slots)
