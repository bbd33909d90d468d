"""AdamW whose rate differs from layer to layer, and what of a model is trained at all.

Lower layers hold what pretraining learnt of language in general, so a small labelled set should
move them less than the head that it has to invent (Howard & Ruder 2018,
https://arxiv.org/abs/1801.06146; as a geometric decay in Clark et al. 2020,
https://arxiv.org/abs/2003.10555): rate(layer) = rate * decay ** depth, the depth counted from the
top. The head has depth 0, the uppermost block and the final norm 1, the embeddings layers + 1.
"""

from __future__ import annotations

import re
from typing import Any

import keras
import tensorflow as tf

from models.network import weights
from models.network.heads import Head

WEIGHT_DECAY = 0.01
_CLIP = 1.0
_WARMUP = 0.1


class RiseAndFall(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
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


class LayerwiseAdamW(keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW (Loshchilov & Hutter 2019) with a rate of its own for each variable, in one pass.

    Keras updates a variable in some ten passes over its memory; at fine-tuning's few hundred
    tokens a step that is a large part of the step, so TensorFlow's fused kernel is called instead.

    Args:
        schedule: The learning rate.
        variables: What is trained; norms, biases and embeddings are not pulled to zero.
        shares: Of each variable, what its rate is multiplied with.
    """

    def __init__(
        self, schedule: RiseAndFall, variables: list[keras.Variable], shares: list[float]
    ) -> None:
        super().__init__(schedule, weight_decay=WEIGHT_DECAY, global_clipnorm=_CLIP)
        # norms and biases set a scale, and pulling a scale to zero regularises nothing
        self.exclude_from_weight_decay(var_names=["gamma", "bias", "embeddings"])
        self.build(variables)
        self._shares = shares

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable and its two moments."""
        index = self._get_variable_index(variable)
        rate = tf.cast(learning_rate, variable.dtype) * self._shares[index]
        step = tf.cast(self.iterations + 1, variable.dtype)
        if self._use_weight_decay(variable):
            variable.assign_sub(variable * (rate * self.weight_decay))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=self.beta_1**step, beta2_power=self.beta_2**step, lr=rate,
            beta1=self.beta_1, beta2=self.beta_2, epsilon=self.epsilon, grad=gradient,
        )  # fmt: skip

    def _apply_weight_decay(self, variables: Any) -> None:
        """Done in `update_step`, which knows the variable's rate."""


def depth(name: str, layers: int) -> int:
    """How far below the top a weight is, by its name in `weights.named`."""
    if not name.startswith("encoder/"):
        return 0
    block = re.search(r"/layer_(\d+)/", name)
    if block:
        return layers - int(block[1])
    return layers + 1 if "embedding" in name else 1


def trained(head: Head, decay: float, *, frozen: bool) -> tuple[list[keras.Variable], list[float]]:
    """What is trained, and what each variable's rate is multiplied with.

    Args:
        head: Built.
        decay: Of the rate from one layer to the one below; 1 trains all of them alike.
        frozen: Whether the encoder stays as it is.
    """
    variables, shares = [], []
    for name, variable in weights.named(head).items():
        below = depth(name, head.config.layers)
        if not (frozen and below):
            variables.append(variable)
            shares.append(float(decay**below))
    return variables, shares
