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

SHAPE = {"vocabulary": 50, "layers": 2, "width": 16, "heads": 2}
MASK = 4
# token 5 + 3 i goes on with a word, and the higher a token the more often it is met
_HIDING = hiding.Hiding(np.arange(50), np.arange(50) % 3 == 2, copies=3, share=1.0, seed=0)


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
    return [Asked(row, _HIDING.parts(row), MASK) for row in rows]


def _one_by_one(model: MaskedLanguageModel, text: Asked, projection: Projection) -> np.ndarray:
    """The whole gradient of every matrix with a plain tape, projected afterwards."""
    weights = named(model)
    sources = {name: weights[name].value for name in projection.names if name in weights}
    table = weights[moments.EMBEDDING].value
    sources.setdefault(moments.DECODER, table)
    sources[moments.EMBEDDING] = tf.identity(table)  # what is looked up in, apart from the decoder
    with tf.GradientTape() as tape:
        tape.watch(sources[moments.EMBEDDING])
        loss = 0.0
        for hidden in text.hidden:
            seen, truth = np.array(text.tokens), np.array(text.tokens)[hidden]
            seen[hidden] = text.shown
            looked_up = tf.gather(sources[moments.EMBEDDING], seen)[None]
            states = model.encoder(*pad([seen], len(seen)), embeddings=looked_up)[0]
            shares = tf.nn.log_softmax(model.logits(tf.gather(states, hidden)))
            loss -= tf.reduce_sum(tf.gather(shares, truth, batch_dims=1))
    found = tape.gradient(loss, sources)
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
    second = [
        np.full(v.shape, 0.5 + i, np.float32) for i, v in enumerate(model.trainable_variables)
    ]
    moments.save(model, model.trainable_variables, second, tmp_path / "m.safetensors")
    found = moments.load(model, tmp_path / "m.safetensors")
    assert found["encoder/token_embedding/embeddings"][0].shape == (50,)
    assert {name: (len(r), len(c)) for name, (r, c) in found.items()} == moments.matrices(model)
    other = build(EncoderConfig(**{**SHAPE, "width": 32}), seed=0)
    with pytest.raises(ValueError, match="do not fit"):
        moments.load(other, tmp_path / "m.safetensors")


def test_each_rare_word_of_a_text_is_hidden_once_and_whole() -> None:
    #               five words:  6 8(8) | 9 11(11) | 40 | 30 | 7
    row = np.array([1, 6, 8, 8, 9, 11, 40, 30, 7, 2], np.int32)
    half = hiding.Hiding(_HIDING.counts, _HIDING.continues, copies=2, share=0.8, seed=0)
    found = half.parts(row)
    assert sorted(np.concatenate(found)) == [1, 2, 3, 4, 5, 7, 8]  # all but 40, which is met most
    copy_of = {int(place): number for number, part in enumerate(found) for place in part}
    assert copy_of[1] == copy_of[2] == copy_of[3]
    assert copy_of[1] != copy_of[4]  # neighbours are in different copies
    again = half.parts(row.copy())
    assert all((a == b).all() for a, b in zip(found, again, strict=True))


def test_a_text_of_fewer_words_than_copies_is_asked_all_the_same() -> None:
    assert [len(part) for part in _HIDING.parts(np.array([1, 2], np.int32))] == [0, 0, 0]
    assert sum(len(part) for part in _HIDING.parts(np.array([1, 6, 2], np.int32))) == 1


def _cosines(vectors: np.ndarray) -> float:
    """Mean cosine of two different vectors."""
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return float((vectors @ vectors.T)[np.triu_indices(len(vectors), 1)].mean())


def test_what_all_vectors_share_counts_for_less_after_the_correction() -> None:
    vectors = np.random.default_rng(2).standard_normal((200, 16)).astype(np.float32)
    vectors[:, [3, 12]] += 5.0
    r = curvature.autocorrelation([vectors[:50], vectors[50:]], blocks=2, prior=1.0)
    np.testing.assert_allclose(np.trace(r, axis1=1, axis2=2), [8, 8], rtol=1e-4)
    after = curvature.encode(vectors, curvature.whitening(r, r, 0.0))
    assert _cosines(vectors) > 0.5
    assert _cosines(after) < 0.2
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), 1.0, rtol=1e-5)


def test_what_only_queries_share_is_taken_back_by_the_task_share() -> None:
    rng = np.random.default_rng(4)
    rows, queries = (rng.standard_normal((200, 8)).astype(np.float32) for _ in range(2))
    queries[:, 3] += 5.0
    r, q = (curvature.autocorrelation([v], blocks=1, prior=1.0) for v in (rows, queries))
    without, with_it = (
        _cosines(curvature.encode(queries, curvature.whitening(r, q, share)))
        for share in (0.0, 0.9)
    )
    assert with_it < 0.5 * without


def test_a_few_texts_take_hardly_anything_back() -> None:
    vectors = np.random.default_rng(6).standard_normal((4, 8)).astype(np.float32)
    r = curvature.autocorrelation([vectors], blocks=1, prior=1000.0)
    encoded = curvature.encode(vectors, curvature.whitening(r, r, 0.5))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(encoded, unit, atol=0.02)


def test_of_no_texts_at_all_nothing_is_taken_back() -> None:
    nothing = curvature.autocorrelation([np.zeros((0, 8), np.float32)], blocks=2, prior=50.0)
    assert np.array_equal(nothing, np.broadcast_to(np.eye(4), (2, 4, 4)))
    assert curvature.encode(np.zeros((0, 8), np.float32), nothing).shape == (0, 8)
