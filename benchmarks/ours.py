"""Plumbline's own trainer as the benchmarks run it, through one function, `train`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TextIO

import corpora
import numpy as np
import prepared
import tensorflow as tf
from gate import Gate

from models.network import encoder
from models.network.encoder import EncoderConfig
from models.text import packing
from models.text.masking import slots_per_row
from models.text.rows import Rows
from models.training.loop import train as loop
from models.training.trainer import Plan, Trainer

_FOREVER = 10**7  # steps that no budget reaches
_PEAK_SIZE = 2048  # of the square matrices whose product is the measured peak
_CALIBRATION = 12  # steps timed where the trainer knows no budget of time


def train(
    rows: Rows,
    shape: dict[str, int],
    *,
    policy: str,
    batch: int,
    report: Callable[[int], None],
    steps: int = _FOREVER,
    seconds: float | None = None,
    learning_rate: float = 1e-3,
    mask_rate: float = corpora.MASK_RATE,
    adversarial_share: float = 0.0,
    seed: int = 0,
    checkpoint_seconds: float = 1e9,
    scratch: Path | None = None,
    kind: str = "encoder",
    wrap: Callable[[Trainer], Any] = lambda trainer: trainer,
) -> tuple[Any, Any]:
    """Train a fresh model with the public loop.

    Args:
        rows: Packed.
        shape: `layers`, `width`, `heads`.
        policy: Keras dtype policy.
        batch: Rows of a step.
        report: Told the steps done, every few steps.
        steps: Budget in steps.
        seconds: Budget in time, instead.
        learning_rate: Peak.
        mask_rate: Share of tokens hidden.
        adversarial_share: Share of rows perturbed.
        seed: Of everything random.
        checkpoint_seconds: Time between checkpoints.
        scratch: Their folder; a temporary one if not given.
        kind: `encoder`, or `lstm` for the baseline.
        wrap: Put around the trainer, to look into it.

    Returns:
        The model and the loop's progress.
    """
    model = make(shape, seed, policy, kind)
    values: dict[str, Any] = {
        "rows": batch, "learning_rate": learning_rate, "warmup": 0.05, "decay": 0.3,
        "weight_decay": 0.01, "mask_rate": mask_rate, "adversarial_share": adversarial_share,
        "adversarial_epsilon": 0.02, "seed": seed,
    }  # fmt: skip
    known = {field.name for field in fields(Plan)}
    if "seconds" in known:
        values |= {"presentations": steps * batch, "seconds": seconds}
    elif seconds is not None:
        sample = Plan(**values, steps=_FOREVER)
        values["steps"] = _affordable(sample, rows, shape, policy, kind, seconds)
    else:
        values["steps"] = steps
    with tempfile.TemporaryDirectory() as aside:
        progress = loop(
            wrap(Trainer(model, Plan(**values), rows.length)), rows, rows.sample(batch),
            scratch=scratch or Path(aside), checkpoint_seconds=checkpoint_seconds,
            report=lambda now, *_: report(now if isinstance(now, int) else now.progress.step),
        )  # fmt: skip
    return model, progress


def packed(documents: corpora.Documents, length: int) -> Rows:
    """Documents as packed rows."""
    found = packing.pack(*documents, length=length, begin=corpora.BEGIN, end=corpora.END)
    return Rows(found.tokens, found.segments, found.positions)


def throughput(
    answers: TextIO, *, shape: dict[str, int], length: int, batch: int, policy: str, documents: int
) -> None:
    """Train on made-up documents for as long as the parent asks; units are real tokens."""
    rows = packed(corpora.made_up(documents, seed=0), length)
    filled = float((rows.segments > 0).mean())
    gate = Gate(answers, batch * length * filled, warmup=10)
    gate.facts = {"fill": filled, "flops_per_token": _flops(shape, length) / filled}
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


def _affordable(
    plan: Plan, rows: Rows, shape: dict[str, int], policy: str, kind: str, seconds: float
) -> int:
    """Steps that fit into the time left after timing a few on a model that is thrown away."""
    started = time.perf_counter()
    trainer = Trainer(make(shape, 0, policy, kind), plan, rows.length)
    batch = rows.take(np.arange(plan.rows))
    trainer.step(batch, 0).numpy()
    warm = time.perf_counter()
    for step in range(_CALIBRATION):
        trainer.step(batch, step).numpy()
    one = (time.perf_counter() - warm) / _CALIBRATION
    return max(20, int((seconds - (time.perf_counter() - started)) / one))


def _flops(shape: dict[str, int], length: int) -> float:
    """Of the matrix products of a training step, for one position: three times the forward pass."""
    config = EncoderConfig(**{"vocabulary": corpora.VOCABULARY, **shape})
    width, inner = config.width, config.intermediate
    block = 2 * (4 * width**2 + 2 * length * width + 3 * width * inner)
    head = 2 * (width**2 + width * config.vocabulary)
    return 3.0 * (config.layers * block + head * slots_per_row(length, corpora.MASK_RATE) / length)
