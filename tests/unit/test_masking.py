import numpy as np
import pytest
import tensorflow as tf

from models.text.masking import MASK, SPECIALS, mask, slots_per_row
from models.training.adversary import fast_gradient, perturbed_rows

VOCABULARY = 1000


def rows(count=64, length=128):
    """Rows of [CLS] ... [SEP] with ten positions of padding."""
    tokens = np.random.default_rng(0).integers(SPECIALS, VOCABULARY, (count, length))
    tokens[:, 0], tokens[:, -11], tokens[:, -10:] = 2, 3, 0
    return tokens.astype(np.int32)


def drawn(tokens, seed=1, step=1, rate=0.3):
    batch = mask(tf.constant(tokens), rate=rate, vocabulary=VOCABULARY, seed=seed, step=step)
    return [field.numpy() for field in batch]


def test_of_the_chosen_tokens_80_percent_are_masked_10_random_10_kept():
    tokens = rows(512)
    shown, slots, targets, used = drawn(tokens)
    now = np.take_along_axis(shown, slots, axis=1)[used > 0]
    was = targets[used > 0]
    n = len(now)
    assert n > 15_000
    for share, found in (
        (0.8, now == MASK),
        (0.1, now == was),
        (0.1, (now != was) & (now != MASK)),
    ):
        assert abs(found.mean() - share) < 5 * np.sqrt(share * (1 - share) / n) + 1 / VOCABULARY


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.3, 0.6])
def test_the_rate_is_that_of_the_ordinary_tokens(rate):
    tokens = rows()
    _, slots, _, used = drawn(tokens, rate=rate)
    ordinary = (tokens >= SPECIALS).sum(axis=1)
    np.testing.assert_array_equal(used.sum(axis=1), np.round(rate * ordinary))
    assert slots.shape == (64, slots_per_row(128, rate))


def test_specials_and_padding_are_never_touched():
    tokens = rows()
    shown, slots, targets, used = drawn(tokens)
    special = tokens < SPECIALS
    np.testing.assert_array_equal(shown[special], tokens[special])
    assert (targets[used > 0] >= SPECIALS).all()
    np.testing.assert_array_equal(np.take_along_axis(tokens, slots, axis=1), targets)
    assert (shown[shown != tokens] >= MASK).all()


def test_a_row_of_padding_has_nothing_to_predict():
    tokens = rows(4)
    tokens[1] = 0
    assert drawn(tokens)[3].sum(axis=1).tolist() == [35.0, 0.0, 35.0, 35.0]


def test_the_same_seed_and_step_draw_the_same_masks_and_another_step_others():
    tokens = rows()
    first, again, later, seeded = (drawn(tokens, *s)[0] for s in ((1, 5), (1, 5), (1, 6), (2, 5)))
    np.testing.assert_array_equal(first, again)
    for other in (later, seeded):
        overlap = ((first == MASK) & (other == MASK)).sum() / (first == MASK).sum()
        assert overlap < 0.3


def test_every_ordinary_position_is_equally_likely_to_be_chosen():
    tokens = np.repeat(rows(1), 300, axis=0)
    _, slots, _, used = drawn(tokens)
    hits = np.bincount(slots[used > 0], minlength=128)
    ordinary = hits[tokens[0] >= SPECIALS] / 300
    assert ordinary.std() < 0.05
    assert 0.15 < ordinary.min() < ordinary.max() < 0.45


def test_the_perturbation_follows_the_gradient_at_epsilon_of_each_rows_norm():
    rng = np.random.default_rng(0)
    embeddings, gradient = rng.normal(size=(2, 3, 7, 5)).astype(np.float32)
    gradient[2] = 0
    away = fast_gradient(tf.constant(embeddings), tf.constant(gradient * 1e-8), 0.1).numpy()
    norms = np.linalg.norm(away.reshape(3, -1), axis=1)
    expected = 0.1 * np.linalg.norm(embeddings.reshape(3, -1), axis=1) * [1, 1, 0]
    np.testing.assert_allclose(norms, expected, rtol=1e-5)
    for row in range(2):
        assert np.corrcoef(away[row].ravel(), gradient[row].ravel())[0, 1] > 0.9999


def test_at_least_one_row_is_perturbed():
    assert [perturbed_rows(n, 0.25) for n in (1, 2, 32)] == [1, 1, 8]
