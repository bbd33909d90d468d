"""AdamW and StableAdamW on TensorFlow's fused kernels, with the rate as an argument.

Keras' own optimizer writes each update as a dozen passes over a weight; the fused kernel makes one,
which is a few per cent of a CPU step. The rate comes from outside, because it may follow a clock.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from models.training.distribution import on_each

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.98, 1e-6
_NOT_DECAYED = ("gamma", "bias", "embeddings")  # they set a scale, or are read a row at a time


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arxiv.org/abs/1711.05101).

    With `stable` the rate of each weight is divided by max(1, RMS(g / sqrt(v))), which stops the
    steps that are far too large after the gradient changed (Wortsman et al. 2023, section 3.5,
    https://arxiv.org/abs/2304.13013).

    Args:
        variables: What is trained; created in the scope of the strategy in use.
        weight_decay: Share of a matrix's entry that is taken away, times the rate.
        clip: Largest global norm of the gradient, 0 for no limit.
        stable: Whether updates are limited as in StableAdamW.
        shares: Of each variable, what its rate is multiplied with; 1 by default.
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        *,
        weight_decay: float,
        clip: float = 1.0,
        stable: bool = False,
        shares: Sequence[float] | None = None,
    ) -> None:
        self.weight_decay = weight_decay
        self.clip = clip
        self.stable = stable
        self._variables = [variable.value for variable in variables]
        #: Of each variable, whether weight decay pulls at it.
        self.decayed = [not any(word in v.path for word in _NOT_DECAYED) for v in variables]
        self._shares = [1.0] * len(self._variables) if shares is None else list(shares)
        self._first = [_zeros_like(v, "first") for v in self._variables]
        self._second = [_zeros_like(v, "second") for v in self._variables]

    @property
    def state(self) -> list[tf.Variable]:
        """The moments, in a fixed order."""
        return [*self._first, *self._second]

    @property
    def second_moments(self) -> list[tf.Variable]:
        """Running means of the squared gradients, in the variables' order, from 0 on."""
        return list(self._second)

    def apply(
        self,
        gradients: Sequence[tf.Tensor],
        rate: tf.Tensor,
        step: tf.Tensor,
        share: tf.Tensor | float = 1.0,
    ) -> tf.Tensor:
        """Update all variables, on every replica alike.

        Args:
            gradients: Dense, float32, in the variables' order; equal on all replicas.
            rate: float32 scalar.
            step: int32 scalar, counted from 0, for the moments' bias correction.
            share: What the gradients are multiplied with first.

        Returns:
            The gradient's global norm before it was clipped, a float32 scalar.
        """
        norm = tf.linalg.global_norm(list(gradients)) * share
        if self.clip:
            share *= tf.minimum(1.0, self.clip / tf.maximum(norm, 1e-12))
        gradients = [gradient * share for gradient in gradients]
        time = tf.cast(step, tf.float32) + 1.0
        each = len(self._variables)
        on_each(
            self._update, self._variables, self._first, self._second, list(gradients),
            [rate * share for share in self._shares], [_BETA_1**time] * each, [_BETA_2**time] * each,
            [self.weight_decay if decayed else 0.0 for decayed in self.decayed],
        )  # fmt: skip
        return norm

    def _update(
        self,
        variable: tf.Variable,
        first: tf.Variable,
        second: tf.Variable,
        gradient: tf.Tensor,
        rate: tf.Tensor,
        first_power: tf.Tensor,
        second_power: tf.Tensor,
        decay: float,
    ) -> None:
        if self.stable:
            squares = tf.square(gradient)
            moment = (_BETA_2 * second + (1.0 - _BETA_2) * squares) / (1.0 - second_power)
            ratio = tf.sqrt(tf.reduce_mean(squares / tf.maximum(moment, _EPSILON**2)))
            rate = rate / tf.maximum(1.0, ratio)
        if decay:
            variable.assign(variable * (1.0 - rate * decay))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle, m=first.handle, v=second.handle,
            beta1_power=first_power, beta2_power=second_power, lr=rate,
            beta1=_BETA_1, beta2=_BETA_2, epsilon=_EPSILON, grad=gradient,
        )  # fmt: skip


def _zeros_like(variable: tf.Variable, name: str) -> tf.Variable:
    return tf.Variable(tf.zeros(variable.shape, tf.float32), trainable=False, name=f"{name}_moment")
