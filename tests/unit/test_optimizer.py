import keras
import numpy as np
import pytest
import tensorflow as tf

from models.training.optimizer import AdamW


def variables():
    made = {"kernel": [[1.0, -2.0], [0.5, 3.0]], "gamma": [1.0, 2.0], "decoder_bias": [0.3]}
    return [keras.Variable(np.array(value, np.float32), name=name) for name, value in made.items()]


def steps(optimizer, trained, gradients, rate=0.1):
    for number, scale in enumerate(gradients):
        each = [tf.fill(v.shape, np.float32(scale)) for v in trained]
        optimizer.apply(each, tf.constant(rate), tf.constant(number))


def test_it_makes_keras_adamws_updates():
    ours, theirs = variables(), variables()
    steps(AdamW(ours, weight_decay=0.05, clip=1.0), ours, [0.5, -2.0, 7.0, 0.01])
    peer = keras.optimizers.AdamW(
        0.1, weight_decay=0.05, beta_2=0.98, epsilon=1e-6, global_clipnorm=1.0
    )
    peer.exclude_from_weight_decay(var_names=["gamma", "bias"])
    peer.build(theirs)
    for scale in (0.5, -2.0, 7.0, 0.01):
        peer.apply([tf.fill(v.shape, np.float32(scale)) for v in theirs])
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=2e-6)


def test_norms_and_biases_do_not_decay():
    assert AdamW(variables(), weight_decay=0.1).decayed == [True, False, False]


def test_a_gradient_is_cut_to_the_largest_norm_and_its_own_norm_is_told():
    trained = variables()
    told = AdamW(trained, weight_decay=0.0, clip=1.0).apply(
        [tf.fill(v.shape, 2.0) for v in trained], tf.constant(0.1), tf.constant(0)
    )
    assert float(told) == pytest.approx(2.0 * 7**0.5)


def test_stable_adamw_takes_a_small_step_where_the_gradient_leaps():
    moved = {}
    for stable in (False, True):
        trained = variables()
        optimizer = AdamW(trained, weight_decay=0.0, clip=0.0, stable=stable)
        steps(optimizer, trained, [0.01] * 20)
        before = trained[0].numpy().copy()
        optimizer.apply([tf.fill(v.shape, 1.0) for v in trained], tf.constant(0.1), tf.constant(20))
        moved[stable] = np.abs(trained[0].numpy() - before).max()
    # RMS(g / sqrt(v)) of the leap is about 1 / sqrt((1 - beta_2) / (1 - beta_2^21))
    share = ((1 - 0.98) / (1 - 0.98**21)) ** 0.5
    assert moved[True] / moved[False] == pytest.approx(share, rel=0.05)
