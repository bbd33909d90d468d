import numpy as np
import pytest
import tensorflow as tf

from models.network.encoder import EncoderConfig, build
from models.text.order import Order
from models.text.rows import Batch, Rows
from models.training.adversary import fast_gradient
from models.training.objective import cross_entropy
from models.training.schedule import Plan
from models.training.trainer import Trainer

SHAPE = EncoderConfig(vocabulary=30, layers=1, width=16, heads=2)


def plan(**changes):
    values = {
        "presentations": 160, "rows": 4, "learning_rate": 3e-2, "warmup": 0.1, "decay": 0.3,
        "weight_decay": 0.01, "mask_rate": 0.3, "adversarial_share": 0.0,
        "adversarial_epsilon": 0.1, "seed": 7,
    }  # fmt: skip
    return Plan(**{**values, **changes})


def repeating_rows(count=24, length=16):
    """[CLS], one token again and again, [SEP]: what is masked can be read from its neighbours."""
    tokens = np.repeat(np.random.default_rng(0).integers(5, 30, (count, 1)), length, axis=1)
    tokens[:, 0], tokens[:, -1] = 2, 3
    tokens = tokens.astype(np.int32)
    return Rows(tokens, np.ones_like(tokens))


def trained(plan, micro_batches, steps=3):
    """The weights after some steps, each of so many micro-batches, and the losses."""
    model = build(SHAPE, seed=1)
    trainer = Trainer(model, plan, 16)
    rows, order = repeating_rows(), Order(24, 7)
    losses = []
    for step in range(steps):
        first = step * micro_batches
        batches = [
            rows.take(order.at((first + n) * plan.rows, plan.rows)) for n in range(micro_batches)
        ]
        losses.append(trainer.step(batches, first, step, 1e-2, 0.3).numpy())
    return model.get_weights(), losses, trainer


def test_every_epoch_reads_every_row_once_in_another_order():
    read = np.concatenate([Order(10, seed=3).at(4 * step, 4) for step in range(10)])
    epochs = read.reshape(4, 10)
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs.tolist())
    assert len({tuple(epoch) for epoch in epochs.tolist()}) == 4
    np.testing.assert_array_equal(read[8:12], Order(10, seed=3).at(8, 4))


def test_cross_entropy_and_its_gradient_are_tensorflows():
    rng = np.random.default_rng(0)
    logits, targets = (
        tf.constant(rng.normal(size=(6, 9)), tf.float32),
        tf.constant([0, 8, 3, 3, 1, 2]),
    )
    weights = tf.constant([1.0, 0.5, 0, 1, 2, 1])
    found = []
    for loss in (cross_entropy, lambda x, y: tf.nn.sparse_softmax_cross_entropy_with_logits(y, x)):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            total = tf.reduce_sum(weights * loss(logits, targets))
        found.append((total.numpy(), tape.gradient(total, logits).numpy()))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-6)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-6)


def test_the_perturbation_raises_the_loss_of_the_batch_it_is_made_for():
    model = build(SHAPE, seed=1)
    objective = Trainer(model, plan(adversarial_share=0.5), 16).objective
    tokens, segments, positions = map(tf.constant, repeating_rows().take(np.arange(4))[:3])
    batch = objective.masked(tokens, segments, tf.constant(0), tf.constant(0.3))
    embeddings = model.encoder.embed(batch.tokens)

    def loss(shift):
        hidden = model.encoder(batch.tokens, segments, positions, embeddings=embeddings + shift)
        return tf.reduce_sum(objective.losses(hidden, batch)[0] * batch.weights)

    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        clean = loss(0.0)
    away = fast_gradient(embeddings, tape.gradient(clean, embeddings), 0.1)
    noise = tf.random.stateless_normal(away.shape, (1, 2))
    noise *= tf.norm(away, axis=(1, 2), keepdims=True) / tf.norm(noise, axis=(1, 2), keepdims=True)
    assert loss(away) - clean > 5 * abs(loss(noise) - clean)


def test_the_adversarial_loss_is_that_of_the_perturbed_rows_and_above_the_clean_one():
    _, losses, _ = trained(plan(adversarial_share=1.0), 1)
    assert all(adversarial > clean > 0 for clean, adversarial, _ in losses)


def test_two_micro_batches_make_the_step_of_one_batch_of_their_rows():
    """Without masks in common the losses differ, so both are given the same rows and masks."""
    rows = repeating_rows()
    batch = rows.take(np.arange(4))
    halves = [Batch(*(field[part] for field in batch)) for part in (slice(0, 2), slice(2, 4))]
    model, whole = build(SHAPE, seed=1), build(SHAPE, seed=1)
    two = Trainer(model, plan(rows=2, accumulate=2, mask_rate=0.9), 16)
    one = Trainer(whole, plan(mask_rate=0.9), 16)
    for trainer in (one, two):  # every ordinary token is predicted and none is hidden
        trainer.objective.masked = _all_shown
    first = one.step([batch], 0, 0, 1e-2, 0.9)
    second = two.step(halves, 0, 0, 1e-2, 0.9)
    np.testing.assert_allclose(first, second, rtol=1e-5)
    for a, b in zip(whole.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def _all_shown(tokens, segments, draw, rate, lane=0):
    from models.text.masking import MaskedBatch

    slots = tf.tile(tf.range(1, 15)[None], (tokens.shape[0], 1))
    targets = tf.gather(tokens, slots, batch_dims=1)
    return MaskedBatch(tokens, slots, targets, tf.ones(slots.shape))


def test_a_document_without_weight_teaches_nothing_and_a_heavy_one_more():
    rows = repeating_rows()
    model = build(SHAPE, seed=1)
    trainer = Trainer(model, plan(weight_decay=0.0), 16)
    batch = rows.take(np.arange(4))
    before = model.get_weights()
    none = trainer.step([batch._replace(weights=np.zeros((4, 16), np.float32))], 0, 0, 1e-2, 0.3)
    assert none.numpy().tolist() == [0.0, 0.0, 0.0]
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    alone = np.zeros((4, 16), np.float32)
    alone[2] = 5.0
    losses = [
        float(trainer.step([batch._replace(weights=w)], 0, 0, 0.0, 0.3)[0])
        for w in (alone, alone / 5, batch.weights)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert losses[0] != pytest.approx(losses[2], rel=1e-6)


def test_next_sentence_loss_falls_where_the_label_can_be_read_off():
    rows = repeating_rows()
    model = build(SHAPE, seed=1)
    trainer = Trainer(model, plan(next_sentence=1.0), 16)
    losses = []
    for step in range(60):
        batch = rows.take(Order(24, 7).at(step * 4, 4))
        follows = np.full((4, 16), -1, np.int32)
        follows[:, 0] = batch.tokens[:, 5] % 2
        losses.append(trainer.step([batch._replace(follows=follows)], step, step, 1e-2, 0.3)[2])
    assert float(losses[0]) == pytest.approx(np.log(2), abs=0.2)
    assert np.mean(losses[-10:]) < 0.5


def test_the_average_follows_the_weights_and_can_be_kept():
    weights, _, trainer = trained(plan(average=0.9), 1, steps=8)
    with trainer.averaged():
        averaged = trainer.model.get_weights()
    for a, b in zip(weights, trainer.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    distance = sum(np.abs(a - b).sum() for a, b in zip(weights, averaged, strict=True))
    started = build(SHAPE, seed=1).get_weights()
    moved = sum(np.abs(a - b).sum() for a, b in zip(weights, started, strict=True))
    assert 0 < distance < moved
    trainer.keep_average()
    for a, b in zip(averaged, trainer.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_is_put_back_is_all_that_a_run_goes_on_from():
    _, _, trainer = trained(plan(average=0.9, next_sentence=1.0), 1)
    saved = trainer.tensors()
    trainer.reset()
    started = build(SHAPE, seed=1).get_weights()
    for a, b in zip(started, trainer.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    trainer.restore(saved)
    again = trainer.tensors()
    assert all(np.array_equal(saved[name], again[name]) for name in saved)


@pytest.mark.parametrize("lanes", [2, 3])
def test_lanes_make_the_steps_of_one_however_the_rows_fall(lanes):
    """Four rows in three lanes, of which the first one has the only perturbed row."""
    ends = []
    for count in (1, lanes):
        model = build(SHAPE, seed=1)
        options = {"adversarial_share": 0.25, "next_sentence": 2.0, "masking": "span"}
        trainer = Trainer(model, plan(**options), 16, lanes=count)
        assert trainer.lanes == count
        rows, losses = repeating_rows(), []
        for step in range(5):
            batch = rows.take(Order(24, 7).at(4 * step, 4))
            follows = np.full((4, 16), -1, np.int32)
            follows[:2, 0] = 1
            found = trainer.step([batch._replace(follows=follows)], step, step, 1e-2, 0.3)
            losses.append(found.numpy())
        ends.append((losses, model.get_weights()))
    np.testing.assert_allclose(ends[0][0], ends[1][0], atol=1e-5)
    for a, b in zip(ends[0][1], ends[1][1], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_there_are_no_more_lanes_than_rows():
    assert Trainer(build(SHAPE, seed=1), plan(rows=1), 16, lanes=8).lanes == 1
