"""Ours and its LSTM baseline in `budget.py`: pretrain for some minutes, judge, fine-tune."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TextIO

import corpora
import numpy as np
import ours
import prepared
import tensorflow as tf

from models.network.heads import build_classifier, start_from
from models.network.lstm_classifier import lstm_classifier
from models.text.batching import batches, pad
from models.training import finetuner


def budget(
    answers: TextIO, *, folder: str, shape: dict[str, int], length: int, batch: int, policy: str,
    seconds: float, learning_rate: float, mask_rate: float, seed: int, tune: dict[str, Any] | None,
    kind: str, recipe: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Pretrain for so long on packed rows, judge, and fine-tune if asked to."""
    data = prepared.Prepared.open(Path(folder))
    rows = ours.packed(data.training, length)
    done = 0

    def report(steps: int) -> None:
        nonlocal done
        done = steps

    model, _ = ours.train(
        rows, shape, policy=policy, batch=batch, seconds=seconds, learning_rate=learning_rate,
        mask_rate=mask_rate, seed=seed, kind=kind, report=report, **recipe,
    )  # fmt: skip
    nats = _nats(model, *data.held_out("alone"))
    found: dict[str, Any] = {"nats": nats, "layouts": {"alone": nats}, "steps": done}
    if tune:
        accuracies = [
            _finetune(model, data, kind, rate=rate, seed=seed, **tune) for rate in tune["rates"]
        ]
        found |= prepared.choose(tune["rates"], accuracies)
    return found


def _nats(model: Any, rows: corpora.Int32, targets: corpora.Int32) -> float:
    """Summed loss of the hidden tokens, of documents that stand alone in their rows."""

    def score(tokens: tf.Tensor, segments: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        hidden = model.encoder(tokens, segments, positions)
        return tf.cast(model.logits(tf.reshape(hidden, (-1, hidden.shape[-1]))), tf.float32)

    compiled, total = tf.function(score), 0.0
    for start in range(0, len(rows), 64):
        tokens, wanted = rows[start : start + 64], targets[start : start + 64].reshape(-1)
        segments = (tokens != corpora.PAD).astype(np.int32)
        positions = np.arange(tokens.shape[1], dtype=np.int32) * segments
        found = tf.nn.log_softmax(compiled(tokens, segments, positions)).numpy()
        asked = np.flatnonzero(wanted >= 0)
        total -= float(found[asked, wanted[asked]].sum())
    return total


def _finetune(
    model: Any, data: prepared.Prepared, kind: str, *, seed: int,
    rate: float, epochs: int, batch: int, length: int, rates: list[float],
) -> tuple[float, float]:  # fmt: skip
    """Validation and test accuracy of the epoch with the lowest validation loss."""
    sets = {split: _labelled(data, split, length) for split in prepared.SPLITS}
    classifier = _classifier(model, kind, seed)
    plan = finetuner.plan(
        [len(row) for row in sets["train"].rows], batch=batch, epochs=epochs, longest=length,
        budget=10**12, seed=seed,
    )  # fmt: skip
    found = finetuner.train(
        classifier, sets["train"], sets["validation"], plan, finetuner.Recipe(rate, length),
        report=lambda *_: None,
    )  # fmt: skip
    return found.accuracy, _accuracy(classifier, sets["test"], length)


def _classifier(model: Any, kind: str, seed: int) -> Any:
    """A classification head on a copy of the pretrained encoder."""
    if kind == "lstm":
        return lstm_classifier(model, 2, seed=seed)
    classifier = build_classifier(model.config, 2, seed=seed, precision=model.dtype_policy.name)
    start_from(classifier, model)
    return classifier


def _labelled(data: prepared.Prepared, split: str, length: int) -> finetuner.LabelledRows:
    documents, labels = data.labelled(split)
    rows = [
        [corpora.BEGIN, *document[: length - 2].tolist(), corpora.END]
        for document in documents.each()
    ]
    return finetuner.LabelledRows(rows, labels, np.ones(len(rows), np.float32))


def _accuracy(classifier: Any, rows: finetuner.LabelledRows, length: int) -> float:
    judge, right = tf.function(lambda *row: classifier(*row)), 0
    for chosen, size in batches([len(row) for row in rows.rows], length):
        scores = judge(*pad([rows.rows[i] for i in chosen], size)).numpy()
        right += int((scores.argmax(-1) == rows.classes[chosen]).sum())
    return right / len(rows.rows)
