"""Training of the classifier: the order of the rows, one compiled step, the best epoch kept.

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

from models.network.heads import Classifier
from models.text.batching import batches, pad, padded_length

Batch = tuple[NDArray[np.int64], int]
Report = Callable[[int, dict[str, float]], None]

_ROWS = [tf.TensorSpec((None, None), tf.int32)] * 3
_TRUTH = [tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,), tf.float32)]
_WARMUP = 0.1
_WEIGHT_DECAY = 0.01
_CLIP = 1.0
_POOL = 50  # batches' worth of rows among which rows of like length are put together
_REPORTS = 50  # training losses reported in all


@dataclass(frozen=True)
class LabelledRows:
    """Tokenised texts with their classes.

    Attributes:
        rows: Token ids of each text.
        classes: int32 (N,), index of each text's class.
        weights: float32 (N,), how much each text counts in the loss.
    """

    rows: Sequence[Sequence[int]]
    classes: NDArray[np.int32]
    weights: NDArray[np.float32]


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Attributes:
        steps: Optimizer steps made.
        tokens: Token presentations, padding not counted.
        epoch: The epoch whose weights were kept, counted from 1.
        loss: Validation loss of that epoch (nats); NaN without validation rows.
        accuracy: Validation accuracy of that epoch; NaN without validation rows.
    """

    steps: int
    tokens: int
    epoch: int
    loss: float
    accuracy: float


def plan(
    lengths: Sequence[int], *, batch: int, epochs: int, longest: int, budget: int, seed: int
) -> list[list[Batch]]:
    """The batches of each epoch, decided before the first step.

    Rows are shuffled, then those of like length put together within pools of 50 batches, then the
    batches shuffled: nearly no padding, and still another order each epoch.

    Args:
        lengths: Tokens of each row.
        batch: Rows per batch.
        epochs: Most passes over the rows.
        longest: Upper end of the padded lengths.
        budget: Tokens after which the plan ends, in the midst of an epoch if need be.
        seed: Seed of the order.

    Returns:
        Per epoch a list of (row numbers, padded length), at least one batch in all.
    """
    sizes = np.asarray(lengths)
    generator = np.random.default_rng(seed)
    planned: list[list[Batch]] = []
    left = budget
    for _ in range(epochs):
        epoch: list[Batch] = []
        order = generator.permutation(len(sizes))
        for start in range(0, len(order), batch * _POOL):
            pool = order[start : start + batch * _POOL]
            pool = pool[np.argsort(sizes[pool], kind="stable")]
            cut = [pool[i : i + batch] for i in range(0, len(pool), batch)]
            epoch += [(rows, padded_length(int(sizes[rows].max()), longest)) for rows in cut]
        epoch = [epoch[i] for i in generator.permutation(len(epoch))]
        spent = np.cumsum([int(sizes[rows].sum()) for rows, _ in epoch])
        fitting = int((spent <= left).sum())
        if fitting or not planned:
            planned.append(epoch[: max(fitting, 1)])
        if fitting < len(epoch):
            break
        left -= int(spent[-1])
    return planned


def train(
    classifier: Classifier,
    training: LabelledRows,
    validation: LabelledRows,
    epochs: list[list[Batch]],
    *,
    learning_rate: float,
    longest: int,
    report: Report,
) -> Trained:
    """Train all weights and leave those of the epoch with the lowest validation loss.

    Args:
        classifier: Trained in place.
        training: What `epochs` was planned for.
        validation: Judged after each epoch; without rows the last epoch is kept.
        epochs: From `plan`.
        learning_rate: Peak of the schedule: linear rise over a tenth of the steps, linear fall.
        longest: Upper end of the padded lengths.
        report: Told the step and its metrics: `train_loss` some fifty times, `validation_loss`
            and `validation_accuracy` with it after each epoch; no step twice.
    """
    total = sum(len(epoch) for epoch in epochs)
    step = _training_step(classifier, _optimizer(learning_rate, total))
    judge = _judging(classifier)
    every = max(1, total // _REPORTS)
    done, tokens = 0, 0
    recent: list[tf.Tensor] = []
    best: tuple[float, float, int, list[Any]] | None = None
    for number, epoch in enumerate(epochs, start=1):
        for rows, length in epoch:
            if recent and done % every == 0:
                report(done, {"train_loss": _mean(recent)})
                recent = []
            chosen = [training.rows[i] for i in rows]
            recent.append(
                step(*pad(chosen, length), training.classes[rows], training.weights[rows])
            )
            done, tokens = done + 1, tokens + sum(map(len, chosen))
        loss, accuracy = _validate(judge, validation, longest)
        judged = {"validation_loss": loss, "validation_accuracy": accuracy}
        known = np.isfinite(loss)
        report(done, {"train_loss": _mean(recent), **(judged if known else {})})
        recent = []
        if best is None or not known or loss < best[0]:
            best = (loss, accuracy, number, [weight.numpy() for weight in classifier.weights])
    loss, accuracy, number, values = best or (np.nan, np.nan, 0, [])
    for weight, value in zip(classifier.weights, values, strict=True):
        weight.assign(value)
    return Trained(done, tokens, number, loss, accuracy)


class _RiseAndFall(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Linear from 0 to the peak over the first tenth of the steps, and linear back to 0."""

    def __init__(self, peak: float, steps: int) -> None:
        self.peak = peak
        self.steps = steps

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step counted from 0."""
        now = tf.cast(step, tf.float32) + 1.0
        rise = max(1.0, _WARMUP * self.steps)
        fall = (self.steps + 1.0 - now) / (self.steps + 1.0 - rise)
        return self.peak * tf.minimum(now / rise, tf.maximum(fall, 0.0))


def _optimizer(learning_rate: float, steps: int) -> keras.optimizers.Optimizer:
    optimizer = keras.optimizers.AdamW(
        _RiseAndFall(learning_rate, steps), weight_decay=_WEIGHT_DECAY, global_clipnorm=_CLIP
    )
    # norms and biases set a scale, and pulling a scale to zero regularises nothing
    optimizer.exclude_from_weight_decay(var_names=["gamma", "bias"])
    return optimizer


def _training_step(classifier: Classifier, optimizer: keras.optimizers.Optimizer) -> Any:
    variables = classifier.trainable_variables
    optimizer.build(variables)

    def step(
        tokens: tf.Tensor,
        segments: tf.Tensor,
        positions: tf.Tensor,
        classes: tf.Tensor,
        weights: tf.Tensor,
    ) -> tf.Tensor:
        with tf.GradientTape() as tape:
            scores = classifier(tokens, segments, positions, training=True)  # (B, C)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, scores)
            # over the rows, not over their weights: a heavy row is to pull harder in any company
            loss = tf.reduce_mean(losses * weights)
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        optimizer.apply(gradients, variables)
        return loss

    return tf.function(step, input_signature=[*_ROWS, *_TRUTH])


def _judging(classifier: Classifier) -> Any:
    def judge(
        tokens: tf.Tensor, segments: tf.Tensor, positions: tf.Tensor, classes: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        scores = classifier(tokens, segments, positions, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, scores)
        right = tf.equal(tf.argmax(scores, -1, tf.int32), classes)
        return tf.reduce_sum(losses), tf.reduce_sum(tf.cast(right, tf.float32))

    return tf.function(judge, input_signature=[*_ROWS, _TRUTH[0]])


def _mean(losses: list[tf.Tensor]) -> float:
    return float(np.mean([loss.numpy() for loss in losses]))


def _validate(judge: Any, rows: LabelledRows, longest: int) -> tuple[float, float]:
    """Mean loss (nats) and accuracy; NaN without rows."""
    count = len(rows.rows)
    if not count:
        return float("nan"), float("nan")
    loss = right = 0.0
    for chosen, length in batches([len(row) for row in rows.rows], longest):
        found = judge(*pad([rows.rows[i] for i in chosen], length), rows.classes[chosen])
        loss, right = loss + float(found[0]), right + float(found[1])
    return loss / count, right / count
