import numpy as np
import pytest

from models.network import weights
from models.network.attention import rotary, rotate
from models.network.encoder import EncoderConfig, build

SHAPE = EncoderConfig(vocabulary=50, layers=4, width=32, heads=4, local_window=4)


@pytest.fixture(scope="module")
def model():
    return build(SHAPE, seed=3)


def packed(*documents):
    """One row that holds the documents after one another."""
    tokens = np.concatenate(documents).astype(np.int32)
    segments = np.concatenate([np.full(len(d), i + 1, np.int32) for i, d in enumerate(documents)])
    positions = np.concatenate([np.arange(len(d), dtype=np.int32) for d in documents])
    return tokens[None], segments[None], positions[None]


def document(seed, length):
    return np.random.default_rng(seed).integers(5, 50, length)


def test_a_document_does_not_see_its_neighbour(model):
    here, neighbour, other = document(0, 9), document(1, 7), document(2, 7)
    one = model.encoder(*packed(here, neighbour)).numpy()
    two = model.encoder(*packed(here, other)).numpy()
    np.testing.assert_array_equal(one[0, :9], two[0, :9])
    assert np.abs(one[0, 9:] - two[0, 9:]).max() > 0.1


def test_a_packed_document_has_the_hidden_states_it_has_alone(model):
    first, second = document(0, 9), document(1, 7)
    together = model.encoder(*packed(first, second)).numpy()
    alone = model.encoder(*packed(second)).numpy()
    np.testing.assert_allclose(together[0, 9:], alone[0], atol=1e-5)


def test_padding_changes_nothing_and_stays_finite(model):
    tokens, segments, positions = packed(document(0, 9))
    wider = [np.pad(array, ((0, 0), (0, 5))) for array in (tokens, segments, positions)]
    plain = model.encoder(tokens, segments, positions).numpy()
    padded = model.encoder(*wider).numpy()
    np.testing.assert_allclose(padded[:, :9], plain, atol=1e-5)
    assert np.isfinite(padded).all()


def test_a_local_layer_sees_half_its_window_on_either_side():
    shape = EncoderConfig(vocabulary=50, layers=1, width=32, heads=4, local_window=4)
    local = build(shape, seed=1).encoder
    local.config = EncoderConfig(**{**shape.to_dict(), "global_every": 1})
    tokens, segments, positions = packed(document(0, 12))
    changed = tokens.copy()
    changed[0, 6] = 1 + changed[0, 6] % 40
    reach = {True: 12, False: 5}
    for is_global, expected in reach.items():
        object.__setattr__(local.config, "is_global", lambda _, answer=is_global: answer)
        before, after = (local(t, segments, positions).numpy()[0] for t in (tokens, changed))
        moved = np.abs(before - after).max(axis=1) > 1e-7
        assert moved.sum() == expected
        assert moved[4:9].all()


def test_rotated_inner_products_depend_on_the_distance_alone():
    rng = np.random.default_rng(0)
    query, key = rng.normal(size=(2, 1, 1, 1, 8)).astype(np.float32)
    query, key = np.repeat(query, 40, axis=1), np.repeat(key, 40, axis=1)
    angles = rotary(np.arange(40, dtype=np.int32)[None], 8, 10_000.0, "float32")
    q, k = (np.asarray(rotate(x, *angles))[0, :, 0] for x in (query, key))
    products = q @ k.T
    np.testing.assert_allclose(products[3, 5], products[30, 32], atol=1e-4)
    assert abs(products[3, 5] - products[3, 9]) > 1e-3


def test_given_embeddings_take_the_place_of_tokens(model):
    row = packed(document(0, 6))
    embeddings = model.encoder.embed(row[0])
    np.testing.assert_array_equal(
        model.encoder(*row).numpy(), model.encoder(*row, embeddings=embeddings).numpy()
    )


def test_equal_seeds_give_equal_weights_and_other_seeds_others():
    one, same, other = (build(SHAPE, seed).get_weights() for seed in (3, 3, 4))
    assert all((a == b).all() for a, b in zip(one, same, strict=True))
    assert np.mean([(a != b).mean() for a, b in zip(one, other, strict=True) if a.ndim == 2]) > 0.99


def test_the_decoder_is_tied_to_the_embedding(model):
    names = weights.named(model)
    assert not [name for name in names if "decoder" in name and "bias" not in name]
    assert model.logits(np.zeros((3, 32), np.float32)).shape == (3, 50)


def test_weights_survive_the_disk(model, tmp_path):
    weights.save(model, tmp_path / "w.safetensors")
    other = build(SHAPE, seed=9)
    weights.load(other, tmp_path / "w.safetensors")
    row = packed(document(0, 6))
    np.testing.assert_array_equal(model(*row).numpy(), other(*row).numpy())


def test_weights_of_another_shape_are_refused_and_nothing_is_assigned(model, tmp_path):
    weights.save(model, tmp_path / "w.safetensors")
    other = build(EncoderConfig(vocabulary=50, layers=5, width=32, heads=4, intermediate=64))
    before = other.get_weights()[0].copy()
    with pytest.raises(ValueError, match=r"layer_4/.* is missing.*has shape"):
        weights.load(other, tmp_path / "w.safetensors")
    np.testing.assert_array_equal(before, other.get_weights()[0])


def test_a_truncated_weights_file_is_refused(model, tmp_path):
    path = tmp_path / "w.safetensors"
    weights.save(model, path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match="cannot be read"):
        weights.load(model, path)


def test_unknown_settings_are_refused():
    with pytest.raises(ValueError, match="colour"):
        EncoderConfig.from_dict({"vocabulary": 10, "colour": 1})
    assert EncoderConfig.from_dict(SHAPE.to_dict()) == SHAPE
