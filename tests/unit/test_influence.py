"""Claims about projected gradients: they are each text's own, they keep inner products."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from models.influence import curvature, hiding, moments
from models.influence.gradients import Asked, TextGradients
from models.influence.projection import Projection
from models.network import taps
from models.network.configuration import EncoderConfig
from models.network.encoder import MaskedLanguageModel, build
from models.network.weights import named
from models.text.batching import pad

SHAPE = dict(vocabulary=50, layers=2, width=16, heads=2)
MASK = 4


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def model(request: pytest.FixtureRequest) -> MaskedLanguageModel:
    return build(EncoderConfig(**SHAPE, tied=request.param), seed=3)


def _random_moments(model: MaskedLanguageModel) -> moments.Moments:
    rng = np.random.default_rng(0)
    shapes = moments.matrices(model).items()
    return {n: tuple(rng.uniform(0.5, 2, k).astype(np.float32) for k in s) for n, s in shapes}


def _texts() -> list[Asked]:
    rng = np.random.default_rng(1)
    rows = [np.array([1, *rng.integers(5, 50, size), 2], np.int32) for size in (9, 4, 7)]
    return [Asked(row, hiding.parts(row, 3, seed=0), MASK) for row in rows]


def _one_by_one(model: MaskedLanguageModel, text: Asked, projection: Projection) -> np.ndarray:
    """The whole gradient of every matrix with a plain tape, projected afterwards."""
    weights = {name: w for name, w in named(model).items() if name in projection.left}
    with tf.GradientTape() as tape:
        loss = 0.0
        for hidden in text.hidden:
            seen = np.array(text.tokens)
            seen[hidden] = text.shown
            scores = model(*pad([seen], len(seen)))[0]
            right = tf.gather(tf.nn.log_softmax(scores), hidden)
            truth = np.array(text.tokens)[hidden]
            loss -= tf.reduce_sum(tf.gather(right, truth, batch_dims=1))
    found = dict(zip(weights, tape.gradient(loss, [w.value for w in weights.values()]), strict=True))
    parts = [
        projection.left[name].T @ tf.convert_to_tensor(found[name]).numpy() @ projection.right[name]
        for name in projection.names
    ]
    return np.concatenate([part.ravel() for part in parts])


def test_gradients_of_a_batch_are_those_of_its_texts_taken_one_by_one(
    model: MaskedLanguageModel,
) -> None:
    shapes = moments.matrices(model)
    projection = Projection.draw(shapes, 16 * len(shapes), 0, _random_moments(model))
    assert projection.rank == 4
    texts = _texts()
    found = TextGradients(model, projection).of(texts, length=16)
    expected = np.stack([_one_by_one(model, text, projection) for text in texts])
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_values_of_the_model_do_not_change_under_a_tap(model: MaskedLanguageModel) -> None:
    row = pad([[1, 7, 8, 9, 2]], 8)
    seen = []

    def tap(weight: object, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        seen.append(y.shape)
        return y

    before = model(*row).numpy()
    with taps.tapping(tap):
        np.testing.assert_array_equal(model(*row).numpy(), before)
    assert len(seen) == 2 * 4 + 2  # four matrices a layer, the head's and the decoder


def test_a_projection_keeps_inner_products_on_average() -> None:
    rng = np.random.default_rng(5)
    shape, rank, draws = (30, 40), 8, 400
    a = rng.standard_normal(shape).astype(np.float32)
    b = (a + rng.standard_normal(shape)).astype(np.float32)
    found = []
    for seed in range(draws):
        p = Projection.draw({"w": shape}, rank**2, seed, {})
        small = [p.left["w"].T @ g @ p.right["w"] for g in (a, b)]
        found.append(float((small[0] * small[1]).sum()))
    error = np.std(found) / draws**0.5
    assert abs(np.mean(found) - (a * b).sum()) < 4 * error
    assert error < 0.05 * (a * b).sum()


def test_rows_and_columns_of_a_gradient_are_scaled_by_their_second_moments() -> None:
    outer = np.outer([1.0, 4.0, 9.0], [1.0, 16.0]).astype(np.float32)
    rows, columns = moments.scales(outer.mean(axis=1), outer.mean(axis=0))
    np.testing.assert_allclose(np.outer(rows, columns), outer**-0.5, rtol=1e-5)


def test_second_moments_are_read_as_they_were_saved(tmp_path: Path) -> None:
    model = build(EncoderConfig(**SHAPE), seed=0)
    second = [np.full(v.shape, 0.5 + i, np.float32) for i, v in enumerate(model.trainable_variables)]
    moments.save(model, model.trainable_variables, second, tmp_path / "m.safetensors")
    found = moments.load(model, tmp_path / "m.safetensors")
    assert found["encoder/token_embedding/embeddings"][0].shape == (50,)
    assert {name: (len(r), len(c)) for name, (r, c) in found.items()} == moments.matrices(model)
    other = build(EncoderConfig(**{**SHAPE, "width": 32}), seed=0)
    with pytest.raises(ValueError, match="do not fit"):
        moments.load(other, tmp_path / "m.safetensors")


def test_each_token_of_a_text_is_hidden_once_and_by_the_text_alone() -> None:
    row = np.array([1, *range(10, 21), 2], np.int32)
    found = hiding.parts(row, 3, seed=0)
    assert sorted(np.concatenate(found)) == list(range(1, 12))
    assert {len(part) for part in found} == {3, 4}
    again = hiding.parts(row.copy(), 3, seed=0)
    assert all((a == b).all() for a, b in zip(found, again, strict=True))


def test_what_all_vectors_share_counts_for_less_after_the_correction() -> None:
    rng = np.random.default_rng(2)
    shared = np.zeros(16, np.float32)
    shared[3] = 5.0
    vectors = (rng.standard_normal((200, 16)) + shared).astype(np.float32)
    before = curvature.unit(vectors)
    r = curvature.autocorrelation([vectors[:50], vectors[50:]], blocks=2)
    np.testing.assert_allclose(np.trace(r, axis1=1, axis2=2).sum(), 16, rtol=1e-4)
    after = curvature.encode(vectors, curvature.inverse_root(r, None, 0.0, damping=0.01))
    mean = [float((v @ v.T)[np.triu_indices(200, 1)].mean()) for v in (before, after)]
    assert mean[0] > 0.5
    assert mean[1] < 0.2
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), 1.0, rtol=1e-5)
