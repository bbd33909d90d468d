"""Gradients written out agree with those that TensorFlow derives, compiled or not."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from models.network import attention, fused


def draw(*shape: int, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng((seed, *shape)).normal(size=shape), tf.float32)


def assert_same(ours, plain, inputs, weights) -> None:
    """Equal values, and equal gradients of the weighted sum, float32."""
    found = []
    for function in (ours, plain):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = function(*inputs)
            total = tf.reduce_sum(output * weights)
        found.append([output, *tape.gradient(total, inputs)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_geglu(compiled: bool) -> None:
    inputs = [3 * draw(5, 7), draw(5, 7, seed=1)]
    assert_same(
        lambda a, b: fused.geglu(a, b, compiled),
        lambda a, b: ops.gelu(a, approximate=False) * b,
        inputs, draw(5, 7, seed=2),
    )  # fmt: skip


def test_layer_norm() -> None:
    layer = keras.layers.LayerNormalization(epsilon=1e-5, center=False)
    layer.build((None, 16))

    def plain(x: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
        return layer(x) * scale

    inputs = [2 + 3 * draw(2, 5, 16), draw(16)]
    assert_same(lambda x, s: fused.layer_norm(x, s, 1e-5), plain, inputs, draw(2, 5, 16, seed=1))


def test_projection() -> None:
    inputs = [draw(6, 4), draw(9, 4)]
    assert_same(fused.project, lambda x, t: x @ tf.transpose(t), inputs, draw(6, 9))


@pytest.mark.parametrize("compiled", [False, True])
def test_attention(compiled: bool) -> None:
    shape = (2, 6, 3, 8)
    positions = tf.constant([[0, 1, 2, 0, 1, 2], [0, 1, 2, 3, 0, 0]])
    segments = tf.constant([[1, 1, 1, 2, 2, 2], [1, 1, 1, 1, 0, 0]])
    angles = attention.rotary(positions, shape[-1], 100.0, "float32")
    bias = attention.bias(segments, positions, window=2)

    def plain(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
        q, k = attention.rotate(q, *angles), attention.rotate(k, *angles)
        scores = tf.einsum("bqhc,bkhc->bhqk", q, k) / shape[-1] ** 0.5 + bias
        return tf.einsum("bhqk,bkhc->bqhc", tf.nn.softmax(scores), v)

    inputs = [draw(*shape, seed=n) for n in range(3)]
    ours = lambda *qkv: attention.attend(*qkv, bias, *angles, compiled)  # noqa: E731
    assert_same(ours, plain, inputs, draw(*shape, seed=3))


def test_types_are_those_of_the_inputs() -> None:
    a, b = (tf.cast(draw(4, 8, seed=n), tf.bfloat16) for n in range(2))
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        output = fused.geglu(fused.layer_norm(a, tf.ones(8), 1e-5), b, compiled=True)
    gradients = tape.gradient(output, [a, b])
    assert {x.dtype for x in (output, *gradients)} == {tf.bfloat16}
