"""Which tokens of a packed batch are hidden, drawn anew each step from (seed, step) alone.

Dynamic masking (Liu et al. 2019, https://arxiv.org/abs/1907.11692): every epoch hides other tokens,
and since nothing but the arguments decides, a resumed run draws what the killed one would have.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

MASK = 4  # token id of [MASK]
SPECIALS = 5  # token ids below this are special and never hidden
MASKED_SHARE = 0.8  # of the chosen tokens, how many become [MASK]
RANDOM_SHARE = 0.1  # and how many another token; the rest stay as they are


class MaskedBatch(NamedTuple):
    """A batch with hidden tokens; K slots a row, the first of them used.

    Attributes:
        tokens: int32 (B, L), what the model sees.
        slots: int32 (B, K), positions to predict.
        targets: int32 (B, K), the tokens that were there.
        weights: float32 (B, K), 1 for a used slot, 0 for one to ignore.
    """

    tokens: tf.Tensor
    slots: tf.Tensor
    targets: tf.Tensor
    weights: tf.Tensor


def slots_per_row(length: int, rate: float) -> int:
    """K: room for `rate` of a full row; fixed, so that the compiled step has one shape."""
    return max(1, round(rate * length))


def mask(
    tokens: tf.Tensor, *, rate: float, vocabulary: int, seed: tf.Tensor, step: tf.Tensor
) -> MaskedBatch:
    """Choose `rate` of each row's ordinary tokens and hide them in BERT's 80/10/10 manner.

    A row with n ordinary tokens has round(rate * n) of them chosen, at least one if it has any.

    Args:
        tokens: int32 (B, L) with B and L known; special tokens and padding are below `SPECIALS`.
        rate: Share of the ordinary tokens to predict.
        vocabulary: Number of tokens; a random token is drawn from the ordinary ones.
        seed: Integer scalar.
        step: Integer scalar; equal (seed, step) gives equal masks.
    """
    rows, length = tokens.shape
    count = slots_per_row(length, rate)
    stream = tf.stack([tf.cast(seed, tf.int32), tf.cast(step, tf.int32)])
    place, kind, other = tf.unstack(tf.random.split(stream, 3, alg="philox"))
    ordinary = tokens >= SPECIALS
    draws = tf.random.stateless_uniform(tokens.shape, place, alg="philox")
    order = tf.math.top_k(tf.where(ordinary, draws, -1.0), count)
    slots = order.indices  # (B, K), a row's ordinary tokens first
    available = tf.reduce_sum(tf.cast(ordinary, tf.float32), axis=1)
    wanted = tf.where(available > 0, tf.maximum(1.0, tf.round(rate * available)), 0.0)
    used = tf.range(count, dtype=tf.float32)[None, :] < wanted[:, None]
    targets = tf.gather(tokens, slots, batch_dims=1)
    draws = tf.random.stateless_uniform(slots.shape, kind, alg="philox")
    random = tf.random.stateless_uniform(
        slots.shape, other, SPECIALS, max(vocabulary, SPECIALS + 1), tf.int32, alg="philox"
    )
    shown = tf.where(
        draws < MASKED_SHARE, MASK, tf.where(draws < MASKED_SHARE + RANDOM_SHARE, random, targets)
    )
    shown = tf.where(used, shown, targets)
    where = tf.stack([tf.broadcast_to(tf.range(rows)[:, None], slots.shape), slots], axis=-1)
    return MaskedBatch(
        tf.tensor_scatter_nd_update(tokens, where, shown), slots, targets, tf.cast(used, tf.float32)
    )
