"""One compiled step of adversarial masked-language-model training, and the held-out loss.

`model.fit` is not used: it waited seconds between steps on the machines where it was timed, and a
plain step makes what happens in it readable. Where XLA pays is said in `devices`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models.network import weights
from models.network.encoder import MaskedLanguageModel
from models.text.masking import MaskedBatch, mask
from models.text.rows import Batch, Rows
from models.training.adversary import fast_gradient, perturbed_rows

_HELD_OUT = 1 << 30  # steps from here on belong to held-out masks, which no training step draws


@dataclass(frozen=True)
class Plan:
    """How a model is trained.

    Attributes:
        steps: Optimizer steps in all.
        rows: Packed rows of a batch.
        learning_rate: The highest, between warm-up and decay.
        warmup: Share of the steps during which it rises from zero.
        decay: Share of the steps, at the end, during which it falls to zero.
        weight_decay: Of matrices; norms, biases and the embedding are left alone.
        mask_rate: Share of the ordinary tokens to predict.
        adversarial_share: Share of a batch's rows that are perturbed; 0 for none.
        adversarial_epsilon: Size of the perturbation, relative to the embeddings' norm.
        seed: Of masks and of the rows' order.
    """

    steps: int
    rows: int
    learning_rate: float
    warmup: float
    decay: float
    weight_decay: float
    mask_rate: float
    adversarial_share: float
    adversarial_epsilon: float
    seed: int


class Trapezoid(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Linear warm-up, a plateau, linear decay to zero.

    rate(s) = peak * min(1, (s + 1) / warm, (steps - s) / decay), s counted from 0.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __call__(self, step: Any) -> Any:
        """The learning rate at a step, as a tensor."""
        plan = self.plan
        step = keras.ops.cast(step, "float32")
        rising = (step + 1.0) / max(1.0, plan.warmup * plan.steps)
        falling = (plan.steps - step) / max(1.0, plan.decay * plan.steps)
        return plan.learning_rate * keras.ops.minimum(1.0, keras.ops.minimum(rising, falling))

    def get_config(self) -> dict[str, Any]:
        """What the schedule was made from."""
        return {"plan": self.plan}


class Trainer:
    """A model with its optimizer and its compiled functions.

    Args:
        model: Built; trained in place.
        plan: How to train it.
        length: Positions of a packed row.
        xla: Whether XLA compiles the training step.
    """

    def __init__(
        self, model: MaskedLanguageModel, plan: Plan, length: int, *, xla: bool = False
    ) -> None:
        self.model = model
        self.plan = plan
        self.length = length
        self.optimizer = keras.optimizers.AdamW(
            Trapezoid(plan), weight_decay=plan.weight_decay, beta_2=0.98, epsilon=1e-6,
            global_clipnorm=1.0,
        )  # fmt: skip
        self.optimizer.exclude_from_weight_decay(var_names=["gamma", "bias", "embeddings"])
        self.optimizer.build(model.trainable_variables)
        row = tf.TensorSpec((plan.rows, length), tf.int32)
        step = tf.TensorSpec((), tf.int32)
        signature = [row, row, row, step]
        self._step = tf.function(self._train, signature, jit_compile=xla or None, autograph=False)
        self._held_out = tf.function(self._judge, signature, autograph=False)

    def step(self, batch: Batch, step: int) -> tf.Tensor:
        """Train on one batch.

        Args:
            batch: (rows, L).
            step: From 0; decides the masks.

        Returns:
            float32 (2,): clean and adversarial loss (nats a token); the latter 0 without adversary.
        """
        return self._step(*batch[:3], np.int32(step))

    def learning_rate(self, step: int) -> float:
        """The rate that a step is made with."""
        return float(Trapezoid(self.plan)(step))

    def held_out_loss(self, rows: Rows) -> float:
        """Mean loss (nats a token) at masks that are the same whenever it is called."""
        sums = np.zeros(2)
        for number, start in enumerate(range(0, len(rows), self.plan.rows)):
            batch = rows.padded(start, self.plan.rows)
            sums += self._held_out(*batch[:3], np.int32(_HELD_OUT + number)).numpy()
        return float(sums[0] / sums[1]) if sums[1] else float("nan")

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Weights and optimizer state: all that a resumed run needs beside the step."""
        named = {f"model/{name}": v for name, v in weights.named(self.model).items()}
        slots = {f"optimizer/{i}": v for i, v in enumerate(self.optimizer.variables)}
        return {name: np.array(v.numpy()) for name, v in {**named, **slots}.items()}

    def restore(self, tensors: dict[str, npt.NDArray[Any]]) -> None:
        """Put back what `tensors` gave."""
        for name, variable in weights.named(self.model).items():
            variable.assign(tensors[f"model/{name}"])
        for number, variable in enumerate(self.optimizer.variables):
            variable.assign(tensors[f"optimizer/{number}"])

    def _train(
        self, tokens: tf.Tensor, segments: tf.Tensor, positions: tf.Tensor, step: tf.Tensor
    ) -> tf.Tensor:
        plan, encoder = self.plan, self.model.encoder
        variables = [v.value for v in self.model.trainable_variables]
        batch = self.masked(tokens, step)
        count = tf.reduce_sum(batch.weights)
        with tf.GradientTape() as tape:
            embeddings = encoder.embed(batch.tokens)
            hidden = encoder(
                batch.tokens, segments, positions, embeddings=embeddings, training=True
            )
            clean = tf.math.divide_no_nan(tf.reduce_sum(self.losses(hidden, batch)), count)
        *gradients, slope = tape.gradient(clean, [*variables, embeddings])
        adversarial = tf.constant(0.0)
        if plan.adversarial_share:
            n = perturbed_rows(plan.rows, plan.adversarial_share)
            part = MaskedBatch(*(field[:n] for field in batch))
            away = fast_gradient(embeddings[:n], slope[:n], plan.adversarial_epsilon)
            with tf.GradientTape() as tape:
                perturbed = encoder.embed(part.tokens)
                perturbed += tf.cast(away, perturbed.dtype)
                hidden = encoder(
                    part.tokens, segments[:n], positions[:n], embeddings=perturbed, training=True
                )
                total = tf.reduce_sum(self.losses(hidden, part))
                term = tf.math.divide_no_nan(total, count)
            second = tape.gradient(term, variables)
            gradients = [
                tf.convert_to_tensor(a) + tf.convert_to_tensor(b)
                for a, b in zip(gradients, second, strict=True)
            ]
            adversarial = tf.math.divide_no_nan(total, tf.reduce_sum(part.weights))
        self.optimizer.apply([tf.convert_to_tensor(g) for g in gradients])
        return tf.stack([clean, adversarial])

    def _judge(
        self, tokens: tf.Tensor, segments: tf.Tensor, positions: tf.Tensor, step: tf.Tensor
    ) -> tf.Tensor:
        batch = self.masked(tokens, step)
        hidden = self.model.encoder(batch.tokens, segments, positions)
        return tf.stack([tf.reduce_sum(self.losses(hidden, batch)), tf.reduce_sum(batch.weights)])

    def masked(self, tokens: tf.Tensor, step: tf.Tensor) -> MaskedBatch:
        """The masks of a step."""
        return mask(
            tokens, rate=self.plan.mask_rate, vocabulary=self.model.config.vocabulary,
            seed=tf.constant(self.plan.seed), step=step,
        )  # fmt: skip

    def losses(self, hidden: tf.Tensor, batch: MaskedBatch) -> tf.Tensor:
        """Weighted cross-entropy of each slot, (B * K); only masked positions are projected."""
        gathered = tf.gather(hidden, batch.slots, batch_dims=1)  # (B, K, D)
        logits = self.model.logits(tf.reshape(gathered, (-1, self.model.config.width)))
        losses = cross_entropy(tf.cast(logits, tf.float32), tf.reshape(batch.targets, (-1,)))
        return losses * tf.reshape(batch.weights, (-1,))


@tf.custom_gradient  # type: ignore[untyped-decorator]
def cross_entropy(logits: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """Cross-entropy (nats) of float32 logits (N, V) at int32 targets (N,).

    TensorFlow's own fused kernel took a fifth of a small model's step on a CPU; this one goes by
    way of oneDNN's softmax, p, and the gradient p - onehot. A loss is at most 69 nats.
    """
    shares = tf.nn.softmax(logits)
    where = tf.stack([tf.range(tf.shape(targets)[0]), targets], axis=1)
    losses = -tf.math.log(tf.maximum(tf.gather_nd(shares, where), 1e-30))

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        return tf.tensor_scatter_nd_sub(shares * upstream[:, None], where, upstream), None

    return losses, gradient
