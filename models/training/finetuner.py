"""Training of a head: one compiled step for texts, pairs and tokens, the best epoch kept.

How much is trained is counted in tokens, never in minutes: a clock would end the training
elsewhere on a busy machine, and the same inputs would give another model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.devices import lanes, side_by_side
from models.network.heads import Head
from models.text.batching import batches, pad
from models.training.examples import IGNORED, Batch, LabelledRows, class_weights, plan
from models.training.layerwise import trained
from models.training.optimizer import AdamW

__all__ = ["LabelledRows", "Recipe", "Trained", "plan", "predict", "train"]

Report = Callable[[int, dict[str, float]], None]
# Given the classes predicted for the validation rows, how good they are; more is better.
Score = Callable[[Sequence[NDArray[np.int32]]], float]

_ROWS = [tf.TensorSpec((None, None), tf.int32)] * 3
_WARMUP = 0.1
_WEIGHT_DECAY = 0.01
_CLIP = 1.0
_REPORTS = 50  # training losses reported in all


@dataclass(frozen=True)
class Recipe:
    """How a head is trained.

    Attributes:
        learning_rate: Peak of the schedule: linear rise over a tenth of the steps, linear fall.
        longest: Upper end of the padded lengths.
        layer_decay: What the rate is multiplied with from one layer to the one below.
        balanced: Whether rare classes count more (see `class_weights`).
        frozen: Whether the encoder stays as it is and only the head is trained.
    """

    learning_rate: float
    longest: int
    layer_decay: float = 1.0
    balanced: bool = False
    frozen: bool = False

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step counted from 0."""
        rise = max(1.0, _WARMUP * steps)
        falling = (steps - step) / (steps + 1.0 - rise)
        return self.learning_rate * min((step + 1.0) / rise, falling)


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Attributes:
        steps: Optimizer steps made.
        tokens: Token presentations, padding not counted.
        epoch: The epoch whose weights were kept, counted from 1.
        loss: Validation loss of that epoch (nats); NaN without validation rows.
        accuracy: Validation accuracy of that epoch; NaN without validation rows.
        score: What the given score said of that epoch; NaN without one.
    """

    steps: int
    tokens: int
    epoch: int
    loss: float
    accuracy: float
    score: float


@dataclass(frozen=True)
class _Judged:
    """Validation of one epoch; see `Trained`."""

    loss: float = np.nan
    accuracy: float = np.nan
    score: float = np.nan

    @property
    def known(self) -> bool:
        return bool(np.isfinite(self.loss))

    def metrics(self) -> dict[str, float]:
        found = {"loss": self.loss, "accuracy": self.accuracy, "score": self.score}
        return {f"validation_{name}": value for name, value in found.items() if np.isfinite(value)}

    def better(self, other: _Judged) -> bool:
        """By the score where there is one, by the loss where there is not."""
        if np.isfinite(self.score) and np.isfinite(other.score):
            return self.score > other.score
        if not self.known:  # nothing to judge by, or not a number any more
            return not other.known
        return not other.known or self.loss < other.loss


def train(
    head: Head,
    training: LabelledRows,
    validation: LabelledRows,
    epochs: list[list[Batch]],
    recipe: Recipe,
    *,
    report: Report,
    score: Score | None = None,
) -> Trained:
    """Train a head and leave the weights of its best epoch.

    Args:
        head: Trained in place.
        training: What `epochs` was planned for.
        validation: Judged after each epoch; without rows the last epoch is kept.
        epochs: From `plan`.
        recipe: How to train.
        report: Told the step and its metrics: `train_loss` some fifty times, `validation_loss`,
            `validation_accuracy` and `validation_score` with it after each epoch; no step twice.
        score: Decides which epoch is best; without it the lowest validation loss does.
    """
    total = sum(len(epoch) for epoch in epochs)
    heavy = class_weights(training, head.outputs, balanced=recipe.balanced)
    variables, shares = trained(head, recipe.layer_decay, frozen=recipe.frozen)
    optimizer = AdamW(variables, weight_decay=_WEIGHT_DECAY, clip=_CLIP, shares=shares)
    step = _training_step(head, optimizer, variables, heavy, of_tokens=training.of_tokens)
    judge = _scoring(head)
    every = max(1, total // _REPORTS)
    done, tokens = 0, 0
    recent: list[tf.Tensor] = []
    best: tuple[_Judged, int, list[Any]] | None = None
    for number, epoch in enumerate(epochs, start=1):
        for rows, length in epoch:
            if recent and done % every == 0:
                report(done, {"train_loss": _mean(recent)})
                recent = []
            chosen = [training.rows[i] for i in rows]
            truth = training.truth(rows, length)
            rate = np.float32(recipe.rate(done, total))
            batch = (*pad(chosen, length), truth, training.weights[rows])
            recent.append(step(*batch, rate, np.int32(done)))
            done, tokens = done + 1, tokens + sum(map(len, chosen))
        judged = _validate(judge, validation, recipe.longest, score)
        report(done, {"train_loss": _mean(recent), **judged.metrics()})
        recent = []
        if best is None or judged.better(best[0]):
            best = (judged, number, [variable.numpy() for variable in variables])
    judged, number, values = best or (_Judged(), 0, [])
    for variable, value in zip(variables, values, strict=bool(values)):
        variable.assign(value)
    return Trained(done, tokens, number, judged.loss, judged.accuracy, judged.score)


def predict(head: Head, rows: Sequence[Sequence[int]], longest: int) -> list[NDArray[np.float32]]:
    """Scores of each row, (C,); or of each of its tokens, (length, C).

    Args:
        head: A classifier of texts or of tokens.
        rows: Token ids.
        longest: Upper end of the padded lengths.
    """
    return _predict(_scoring(head), rows, longest)


def _training_step(
    head: Head,
    optimizer: AdamW,
    variables: list[keras.Variable],
    heavy: NDArray[np.float32],
    *,
    of_tokens: bool,
) -> Any:
    signature = [
        *_ROWS,
        tf.TensorSpec((None, None) if of_tokens else (None,), tf.int32),
        tf.TensorSpec((None,), tf.float32),
        tf.TensorSpec((), tf.float32),
        tf.TensorSpec((), tf.int32),
    ]
    values = [variable.value for variable in variables]
    by_class = tf.constant(heavy)

    def of_lane(
        tokens: tf.Tensor,
        segments: tf.Tensor,
        positions: tf.Tensor,
        truth: tf.Tensor,
        heavy: tf.Tensor,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        # watching only what is trained keeps a frozen encoder out of the backward pass
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            scores = head(tokens, segments, positions, training=True)  # (B, C) or (B, L, C)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(truth, scores)
            total = tf.reduce_sum(losses * heavy)
        return total, [tf.convert_to_tensor(g) for g in tape.gradient(total, values)]

    def step(
        tokens: tf.Tensor,
        segments: tf.Tensor,
        positions: tf.Tensor,
        truth: tf.Tensor,
        weights: tf.Tensor,
        rate: tf.Tensor,
        number: tf.Tensor,
    ) -> tf.Tensor:
        known = tf.not_equal(truth, IGNORED)
        truth = tf.where(known, truth, 0)
        counts = tf.cast(known, tf.float32)
        heavy = counts * tf.gather(by_class, truth) * (weights[:, None] if of_tokens else weights)
        losses, gradients = [], []
        for lane in range(lanes()):
            own = [x[lane :: lanes()] for x in (tokens, segments, positions, truth, heavy)]
            total, slopes = of_lane(*own)
            losses.append(total)
            gradients.append(slopes)
        # over the labels, not over their weights: a heavy row is to pull harder in any company
        share = tf.math.divide_no_nan(1.0, tf.reduce_sum(counts))
        sums = [tf.add_n(slopes) for slopes in zip(*gradients, strict=True)]
        optimizer.apply(sums, rate, number, share)
        return tf.add_n(losses) * share

    return tf.function(step, input_signature=signature, autograph=False)


def _scoring(head: Head) -> Any:
    def scores(tokens: tf.Tensor, segments: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        return head(tokens, segments, positions, training=False)

    return tf.function(scores, input_signature=_ROWS, autograph=False)


def _predict(judge: Any, rows: Sequence[Sequence[int]], longest: int) -> list[NDArray[np.float32]]:
    found: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(rows)

    def score(batch: Batch) -> tuple[list[int], NDArray[np.float32]]:
        chosen, length = batch
        return chosen.tolist(), judge(*pad([rows[i] for i in chosen], length)).numpy()

    for chosen, scores in side_by_side(score, batches([len(row) for row in rows], longest)):
        for i, row in zip(chosen, scores, strict=True):
            found[i] = row[: len(rows[i])] if row.ndim == 2 else row
    return found


def _mean(losses: list[tf.Tensor]) -> float:
    return float(np.mean([loss.numpy() for loss in losses]))


def _validate(judge: Any, rows: LabelledRows, longest: int, score: Score | None) -> _Judged:
    """Loss (nats) and accuracy a label, and the score of the classes predicted."""
    if not len(rows.rows):
        return _Judged()
    found = _predict(judge, rows.rows, longest)
    classes = [np.argmax(scores, axis=-1).astype(np.int32) for scores in found]
    scores = np.concatenate([np.atleast_2d(row) for row in found]).astype(np.float64)
    truth = np.concatenate([np.atleast_1d(labels) for labels in rows.classes])
    scores, truth = scores[truth != IGNORED], truth[truth != IGNORED]
    highest = scores.max(axis=1, keepdims=True)
    norms = highest[:, 0] + np.log(np.exp(scores - highest).sum(axis=1))
    losses = norms - scores[np.arange(len(truth)), truth]
    right = scores.argmax(axis=1) == truth
    return _Judged(
        float(losses.mean()), float(right.mean()), score(classes) if score else float("nan")
    )
