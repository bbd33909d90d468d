"""What our loop costs beside its steps, and whether that stays so in long runs and large corpora."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, TextIO

import corpora
import numpy as np
import ours
import psutil

from models.text.order import Order
from models.text.rows import Rows
from models.training import checkpoints
from models.training.trainer import Trainer
from tasks.configuration import Pretraining


def overheads(
    answers: TextIO, *, shape: dict[str, int], length: int, batch: int, policy: str, steps: int,
    documents: int,
) -> dict[str, Any]:  # fmt: skip
    """Where the loop's time goes: the step, the input path, and all that is not the step.

    The latter is logging and, since rows may be read beside the step or not, any wait for them.
    Since a short run makes few checkpoints, one is measured apart and spread over the stage's
    default interval: the copy out of the model, which holds the training up, and the processor's
    time for digest and disk, which a thread takes from it.
    """
    rows = ours.packed(corpora.made_up(documents, seed=0), length)
    spent = {"step": 0.0, "other": 0.0}
    moments: list[tuple[float, float]] = []  # ends of steps, and what judging took by then
    held: list[Any] = []

    class Timed:
        def __init__(self, trainer: Trainer) -> None:
            self._trainer = trainer
            held.append(trainer)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._trainer, name)

        def step(self, *arguments: Any) -> Any:
            started = time.perf_counter()
            found = self._trainer.step(*arguments)
            np.ravel(found)  # waits for the device
            ended = time.perf_counter()
            moments.append((ended, spent["other"]))
            if len(moments) > 1:  # the first one compiles
                spent["step"] += ended - started
            return found

        def held_out_loss(self, *arguments: Any) -> Any:
            started = time.perf_counter()
            found = self._trainer.held_out_loss(*arguments)
            spent["other"] += time.perf_counter() - started
            return found

    ours.train(
        rows, shape, policy=policy, batch=batch, steps=steps, report=lambda _: None, wrap=Timed
    )
    (begun, judged), (ended, judging) = moments[0], moments[-1]
    whole = ended - begun - (judging - judged)
    order = Order(len(rows), 0)
    started = time.perf_counter()
    for step in range(steps):
        rows.take(order.at(step * batch, batch))
    fed = (time.perf_counter() - started) / steps * (len(moments) - 1)
    copying, processor = _one_checkpoint(held[0])
    lost = copying + processor / (os.cpu_count() or 1)
    return {
        "input_share": fed / whole,
        "logging_share": (whole - spent["step"]) / whole,
        "checkpoint_share": lost / Pretraining().checkpoint_seconds,
        "checkpoint_interval": Pretraining().checkpoint_seconds,
        "step_ms": 1000 * spent["step"] / (len(moments) - 1),
    }


def _one_checkpoint(trainer: Trainer) -> tuple[float, float]:
    """Seconds of copying, and of processor for writing; medians of five."""
    copying, writing = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(5):
            started = time.perf_counter()
            tensors = trainer.tensors()
            copying.append(time.perf_counter() - started)
            used = time.process_time()
            checkpoints.save(Path(folder), number, tensors, {})
            writing.append(time.process_time() - used)
    return statistics.median(copying), statistics.median(writing)


def endurance(answers: TextIO, *, steps: int) -> dict[str, Any]:
    """Resident memory of a tiny model's run after a tenth of the steps and at the end."""
    shape = {"layers": 1, "width": 32, "heads": 2}
    rows = ours.packed(corpora.made_up(5000, seed=0, vocabulary=500), 32)
    resident: dict[int, int] = {}
    process = psutil.Process()

    def report(done: int) -> None:
        if done in (steps // 10, steps // 2, steps):
            resident[done] = process.memory_info().rss

    ours.train(rows, {**shape, "vocabulary": 500}, policy="float32", batch=8, steps=steps,
          checkpoint_seconds=5.0, report=report)  # fmt: skip
    return {"resident": list(resident.values())}


def scale(answers: TextIO, *, tokens: list[int], length: int) -> dict[str, Any]:
    """Processor nanoseconds a token to pack a corpus, and to read its rows back in random order.

    The rows are read from memory-mapped files, as in training, after one pass over them.
    """
    found = []
    for size in tokens:
        documents = corpora.made_up(max(1, round(size / corpora.MEAN)), seed=1)
        used = time.process_time()
        rows = ours.packed(documents, length)
        packing = (time.process_time() - used) / len(documents.tokens)
        with tempfile.TemporaryDirectory() as folder:
            for name in ("tokens", "segments"):
                np.save(Path(folder, f"packed_train_{name}.npy"), getattr(rows, name))
            mapped = Rows.open(Path(folder), "train")
            reading = _reading(mapped, 32, 300)
            found.append({
                "tokens": len(documents.tokens), "pack_ns": 1e9 * packing, "read_ns": 1e9 * reading,
                "fill": float((rows.segments > 0).mean()),
            })  # fmt: skip
    return {"sizes": found}


def _reading(rows: Rows, batch: int, steps: int) -> float:
    """Median seconds a position of a batch."""
    order, spent = Order(len(rows), 0), []
    for step in range(steps + 1):
        used = time.perf_counter()
        rows.take(order.at(step * batch, batch))
        spent.append((time.perf_counter() - used) / (batch * rows.length))
    return statistics.median(spent[1:])
