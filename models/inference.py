"""What a loaded model computes, each compiled once for rows of any number and length.

Kept apart from `bundle`, which knows about texts and files; here are only arrays.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from models.network.encoder import MaskedLanguageModel
from models.network.heads import Classifier

_ROWS = [tf.TensorSpec((None, None), tf.int32)] * 3
_WHICH = tf.TensorSpec((None, 2), tf.int32)
_TRUTH = tf.TensorSpec((None,), tf.int32)


def classifying(classifier: Classifier) -> Any:
    """Tokens, segments, positions, int32 (B, L), to the scores of the classes, (B, C)."""

    def classify(tokens: tf.Tensor, segments: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        return classifier(tokens, segments, positions, training=False)

    return tf.function(classify, input_signature=_ROWS)


def log_probabilities(masked: MaskedLanguageModel) -> Any:
    """Packed rows and M pairs (row, place) to log-probabilities of all subwords there, (M, V)."""

    def at(
        tokens: tf.Tensor, segments: tf.Tensor, positions: tf.Tensor, which: tf.Tensor
    ) -> tf.Tensor:
        return tf.nn.log_softmax(_scores(masked, tokens, segments, positions, which))

    return tf.function(at, input_signature=[*_ROWS, _WHICH])


def losses(masked: MaskedLanguageModel) -> Any:
    """As `log_probabilities`, given the M true subwords: their losses (nats), and 1 where right."""

    def at(
        tokens: tf.Tensor,
        segments: tf.Tensor,
        positions: tf.Tensor,
        which: tf.Tensor,
        truth: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        scores = _scores(masked, tokens, segments, positions, which)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(truth, scores)
        return loss, tf.cast(tf.equal(tf.argmax(scores, -1, tf.int32), truth), tf.float32)

    return tf.function(at, input_signature=[*_ROWS, _WHICH, _TRUTH])


def _scores(
    masked: MaskedLanguageModel,
    tokens: tf.Tensor,
    segments: tf.Tensor,
    positions: tf.Tensor,
    which: tf.Tensor,
) -> tf.Tensor:
    hidden = masked.encoder(tokens, segments, positions, training=False)  # (B, L, D)
    return tf.cast(masked.logits(tf.gather_nd(hidden, which)), tf.float32)  # (M, V)
