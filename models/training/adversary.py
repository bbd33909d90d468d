"""Adversarial training on the embeddings: the fast gradient method.

    r = epsilon * ||e|| * g / ||g||,    g = dL/de,    loss = L(e) + share * L(e[:n] + r)

where e are a row's embeddings (L, D), norms are taken over the whole row, and n = share * B rows
are perturbed. Source: Miyato, Dai and Goodfellow 2017, https://arxiv.org/abs/1605.07725; there the
embeddings are normalised so that epsilon has a scale, here epsilon is relative to their norm.

g comes from the clean pass, whose backward pass is needed anyway, so the price is one more pass
over n rows; weight gradients come from both passes. Measured on a CPU at 2 x 128, 1024 tokens a
step, alternated in one process: 1.16 times a plain step with an eighth of the rows, 1.26 with a
quarter, 1.92 with all.

epsilon wants to be small. The gradient of a row sits on few tokens, so 0.1 of the norm of a whole
row of 128, which is more than the norm of any one token, wipes those out: with it the loss after
half of the training was twice the plain one.
"""

from __future__ import annotations

import tensorflow as tf


def fast_gradient(embeddings: tf.Tensor, gradient: tf.Tensor, epsilon: float) -> tf.Tensor:
    """The perturbation along the gradient whose norm is `epsilon` times each row's own norm.

    Args:
        embeddings: (B, L, D).
        gradient: (B, L, D), of the loss with respect to them; a row of zeros is not perturbed.
        epsilon: Relative size.

    Returns:
        (B, L, D), a constant as far as gradients are concerned.
    """
    gradient = tf.cast(gradient, tf.float32)
    size = epsilon * tf.norm(tf.cast(embeddings, tf.float32), axis=(1, 2), keepdims=True)
    norm = tf.norm(gradient, axis=(1, 2), keepdims=True)
    return tf.stop_gradient(tf.math.divide_no_nan(size * gradient, norm))


def perturbed_rows(rows: int, share: float) -> int:
    """How many of a batch's rows are perturbed: at least one."""
    return min(rows, max(1, round(share * rows)))
