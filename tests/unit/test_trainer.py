import math
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from models.training import checkpoints, devices
from models.training.adversary import fast_gradient
from models.text.rows import Order, Rows
from models.network.encoder import EncoderConfig, build
from models.training.loop import Diverged, train
from models.training.trainer import Plan, Trainer, Trapezoid, cross_entropy

SHAPE = EncoderConfig(vocabulary=30, layers=1, width=16, heads=2)


def plan(**changes):
    values = {
        "steps": 40, "rows": 4, "learning_rate": 3e-2, "warmup": 0.1, "decay": 0.3,
        "weight_decay": 0.01, "mask_rate": 0.3, "adversarial_share": 0.5,
        "adversarial_epsilon": 0.1, "seed": 7,
    }  # fmt: skip
    return Plan(**{**values, **changes})


def repeating_rows(count=24, length=16):
    """[CLS], one token again and again, [SEP]: what is masked can be read from its neighbours."""
    tokens = np.repeat(np.random.default_rng(0).integers(5, 30, (count, 1)), length, axis=1)
    tokens[:, 0], tokens[:, -1] = 2, 3
    tokens = tokens.astype(np.int32)
    return Rows(tokens, np.ones_like(tokens))


def run(folder, plan, *, seconds=1e9, stop=None):
    """Train a small model; `stop` raises KeyboardInterrupt after so many steps."""

    def report(done, *_):
        if stop and done >= stop:
            raise KeyboardInterrupt

    model = build(SHAPE, seed=1)
    rows = repeating_rows()
    progress = train(
        Trainer(model, plan, 16), rows, rows, scratch=folder, checkpoint_seconds=seconds,
        report=report,
    )  # fmt: skip
    return model, progress


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The model and the progress of a run that nothing interrupted."""
    return run(tmp_path_factory.mktemp("whole"), plan())


def test_the_schedule_rises_stays_and_falls_to_zero():
    rates = [float(Trapezoid(plan(steps=100, learning_rate=1e-2))(step)) for step in range(101)]
    assert rates[0] == pytest.approx(1e-3)
    assert rates[9:71] == pytest.approx([1e-2] * 62)
    assert rates[85] == pytest.approx(5e-3)
    assert rates[100] == 0
    assert min(np.diff(rates[:10])) > 0 > max(np.diff(rates[70:]))


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


def test_every_epoch_reads_every_row_once_in_another_order():
    read = np.concatenate([Order(10, seed=3).at(4 * step, 4) for step in range(10)])
    epochs = read.reshape(4, 10)
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs.tolist())
    assert len({tuple(epoch) for epoch in epochs.tolist()}) == 4
    np.testing.assert_array_equal(read[8:12], Order(10, seed=3).at(8, 4))


def test_the_loss_falls_and_the_curve_says_so(whole):
    _, progress = whole
    first, last = progress.points[0]["metrics"], progress.points[-1]["metrics"]
    assert last["train_loss"] < first["train_loss"] - 0.5
    assert last["validation_loss"] < math.log(30) - 0.5
    assert last["adversarial_loss"] > last["train_loss"]
    assert [point["step"] for point in progress.points] == [10, 20, 30, 40]


def test_the_perturbation_raises_the_loss_of_the_batch_it_is_made_for():
    model = build(SHAPE, seed=1)
    trainer = Trainer(model, plan(), 16)
    tokens, segments, positions = map(tf.constant, repeating_rows().take(np.arange(4))[:3])
    batch = trainer.masked(tokens, tf.constant(0))
    embeddings = model.encoder.embed(batch.tokens)

    def loss(shift):
        hidden = model.encoder(batch.tokens, segments, positions, embeddings=embeddings + shift)
        return tf.reduce_sum(trainer.losses(hidden, batch))

    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        clean = loss(0.0)
    away = fast_gradient(embeddings, tape.gradient(clean, embeddings), 0.1)
    noise = tf.random.stateless_normal(away.shape, (1, 2))
    noise *= tf.norm(away, axis=(1, 2), keepdims=True) / tf.norm(noise, axis=(1, 2), keepdims=True)
    assert loss(away) - clean > 5 * abs(loss(noise) - clean)


def test_norms_biases_and_embeddings_do_not_decay():
    model = build(SHAPE, seed=1)
    optimizer = Trainer(model, plan(), 16).optimizer
    decayed = {v.path.split("/")[-1] for v in model.weights if optimizer._use_weight_decay(v)}
    assert decayed == {"kernel"}


def test_a_resumed_run_ends_with_the_same_bits(whole, tmp_path):
    unbroken, told = whole
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, plan(), seconds=0, stop=20)
    assert checkpoints.latest(tmp_path).step == 10
    resumed, retold = run(tmp_path, plan())
    for one, other in zip(unbroken.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert told == retold


class Scripted:
    """In the place of a trainer, where only the loop is looked at: its losses are given."""

    length = 16
    model = SimpleNamespace(dtype_policy=SimpleNamespace(name="float32"))

    def __init__(self, losses, **changes):
        self.losses = losses
        self.plan = plan(steps=len(losses), **changes)

    def step(self, batch, step):
        return tf.constant([self.losses[step], 0.0])

    def learning_rate(self, step):
        return 0.5

    def held_out_loss(self, rows):
        return math.nan  # as without held-out rows


def loop(trainer, folder):
    rows = repeating_rows()
    return train(
        trainer, rows, rows, scratch=folder, checkpoint_seconds=1e9, report=lambda *_: None
    )


def test_a_checkpoint_of_another_plan_is_not_used(tmp_path):
    state = {"identity": {"learning_rate": 1}, "progress": {}}
    checkpoints.save(tmp_path, 5, {}, state)
    progress = loop(Scripted([1.0] * 10), tmp_path)
    assert [point["step"] for point in progress.points] == [10]


def test_the_curve_holds_the_mean_loss_since_the_point_before_and_no_nan(tmp_path):
    losses = [1.0] * 10 + [2.0, 4.0] * 5 + [5.0]
    progress = loop(Scripted(losses, adversarial_share=0.0), tmp_path)
    assert progress.points == [
        {"step": step, "metrics": {"train_loss": loss, "learning_rate": 0.5}}
        for step, loss in ((10, 1.0), (20, 3.0), (21, 5.0))
    ]


def test_a_diverging_run_stops_and_names_the_step(tmp_path):
    with pytest.raises(Diverged, match="step 20"):
        loop(Scripted([1.0] * 15 + [math.inf] * 15), tmp_path)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path):
    for step in (1, 2, 3):
        checkpoints.save(tmp_path, step, {"w": np.full(3, step, np.float32)}, {"note": step})
    assert sorted(path.name[-1] for path in tmp_path.iterdir()) == ["2", "3"]
    damaged = tmp_path / "step-000000000003" / "tensors.safetensors"
    blob = bytearray(damaged.read_bytes())
    blob[-1] ^= 1
    damaged.write_bytes(blob)
    found = checkpoints.latest(tmp_path)
    assert (found.step, found.state, found.tensors["w"].tolist()) == (2, {"note": 2}, [2, 2, 2])
    state = tmp_path / "step-000000000002" / "state.json"
    state.write_bytes(state.read_bytes().replace(b'"note":2', b'"note":9'))
    assert checkpoints.latest(tmp_path) is None


def test_what_a_killed_writer_left_is_never_read_and_is_removed(tmp_path):
    (tmp_path / "aside-000000000009").mkdir()
    assert checkpoints.latest(tmp_path) is None
    checkpoints.save(tmp_path, 1, {"w": np.zeros(1)}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000000001"]


def test_precision_goes_by_width_and_hardware_alone():
    assert devices.dtype_policy("float32", 4096) == "float32"
    assert devices.dtype_policy("bfloat16", 16) == "mixed_bfloat16"
    assert devices.dtype_policy("auto", 512) == devices.dtype_policy("auto", 512)
