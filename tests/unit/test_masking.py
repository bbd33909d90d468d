import numpy as np
import pytest
import tensorflow as tf

from models.text.masking import Alphabet, mask, slots_per_row
from models.training.adversary import fast_gradient, perturbed_rows

VOCABULARY, SPECIALS, MASK = 1000, 5, 4


def rows(count=64, length=128):
    """Rows of [CLS] ... [SEP] with ten positions of padding."""
    tokens = np.random.default_rng(0).integers(SPECIALS, VOCABULARY, (count, length))
    tokens[:, 0], tokens[:, -11], tokens[:, -10:] = 2, 3, 0
    return tokens.astype(np.int32)


def drawn(tokens, seed=1, draw=1, rate=0.3, alphabet=None, **more):
    segments = np.maximum.accumulate(np.cumsum(tokens == 2, axis=1), axis=1) * (tokens > 0)
    batch = mask(
        tf.constant(tokens), tf.constant(segments.astype(np.int32)),
        alphabet=alphabet or Alphabet.plain(VOCABULARY), rate=rate,
        slots=slots_per_row(tokens.shape[1], rate), seed=seed, draw=draw, **more,
    )  # fmt: skip
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


def words():
    """Words of one to four tokens: a token of 500 and more continues the one before."""
    tokens = rows(200)
    alphabet = Alphabet.plain(VOCABULARY)
    return tokens, Alphabet(MASK, alphabet.ordinary, np.arange(VOCABULARY) >= 500)


def runs(chosen):
    """Lengths of the runs of True in a bool (B, L)."""
    edges = np.diff(np.pad(chosen, ((0, 0), (1, 1))).astype(int), axis=1).ravel()
    return np.flatnonzero(edges < 0) - np.flatnonzero(edges > 0)


def predicted(tokens, slots, used):
    """bool (B, L): what is to be predicted."""
    chosen = np.zeros(tokens.shape, bool)
    np.put_along_axis(chosen, slots, used > 0, axis=1)
    return chosen


def test_a_word_is_hidden_whole_or_not_at_all():
    tokens, alphabet = words()
    _, slots, _, used = drawn(tokens, alphabet=alphabet, kind="word")
    chosen = predicted(tokens, slots, used)
    starts = (tokens < 500) | (np.roll(tokens, 1, axis=1) < SPECIALS) | (tokens < SPECIALS)
    word = np.cumsum(starts, axis=1) + 1000 * np.arange(len(tokens))[:, None]
    shares = np.bincount(word.ravel(), chosen.ravel()) / np.maximum(np.bincount(word.ravel()), 1)
    assert set(np.unique(shares)) == {0.0, 1.0}
    assert chosen.sum() / (tokens >= SPECIALS).sum() == pytest.approx(0.3, abs=0.015)


def test_spans_have_their_mean_length_and_are_masked_alike():
    tokens = rows(400)
    shown, slots, _, used = drawn(tokens, kind="span", span=3.0, rate=0.15)
    chosen = predicted(tokens, slots, used)
    # Spans that happen to touch look like one, hence somewhat longer than 3.
    assert 3.0 < runs(chosen).mean() < 3.9
    single = runs(predicted(tokens, *(drawn(tokens, rate=0.15)[i] for i in (1, 3))))
    assert single.mean() < 1.3
    inside = chosen[:, 1:] & chosen[:, :-1]
    agree = ((shown == MASK)[:, 1:] == (shown == MASK)[:, :-1])[inside].mean()
    assert agree > 0.93


def test_a_span_stays_in_its_document():
    tokens = np.repeat(rows(1, 32), 300, axis=0)
    tokens[:, 10], tokens[:, 11] = 3, 2
    _, slots, _, used = drawn(tokens, kind="span", span=20.0, rate=0.3)
    chosen = predicted(tokens, slots, used)
    assert not chosen[:, [0, 10, 11]].any()
    assert chosen[:, 9].any()
    assert chosen[:, 12].any()


def test_a_row_that_is_one_long_word_has_some_of_it_hidden():
    tokens = rows(4)
    alphabet = Alphabet(MASK, np.arange(VOCABULARY) >= SPECIALS, np.ones(VOCABULARY, bool))
    _, _, _, used = drawn(tokens, alphabet=alphabet, kind="word")
    assert used.sum(axis=1).tolist() == [35.0] * 4


@pytest.mark.parametrize("kind", ["token", "word", "span"])
def test_two_devices_draw_the_masks_of_one(kind):
    tokens, alphabet = words()
    one = drawn(tokens, alphabet=alphabet, kind=kind)
    for index in (0, 1):
        own = drawn(tokens[index::2], alphabet=alphabet, kind=kind, share=(index, 2))
        for whole, part in zip(one, own, strict=True):
            np.testing.assert_array_equal(whole[index::2], part)


def test_the_rate_may_be_lower_than_what_there_is_room_for():
    tokens = rows()
    _, slots, _, used = drawn(tokens, rate=0.3)
    batch = mask(
        tf.constant(tokens), tf.constant((tokens > 0).astype(np.int32)),
        alphabet=Alphabet.plain(VOCABULARY), rate=tf.constant(0.1),
        slots=slots.shape[1], seed=1, draw=1,
    )  # fmt: skip
    assert batch.weights.numpy().sum(axis=1).tolist() == [12.0] * 64
    assert used.sum(axis=1).tolist() == [35.0] * 64


def test_an_alphabet_is_read_off_wordpiece_and_off_byte_level_bpe():
    from tokenizers import Tokenizer, models

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##do", "do"]
    wordpiece = Tokenizer(models.WordPiece({w: i for i, w in enumerate(pieces)}, unk_token="[UNK]"))
    wordpiece.add_special_tokens(pieces[:5])
    read = Alphabet.of(wordpiece)
    assert (read.mask, read.ordinary.tolist()) == (4, [False] * 5 + [True] * 3)
    assert np.flatnonzero(read.continues).tolist() == [6]
    names = ["<s>", "<pad>", "</s>", "<unk>", "a", "Ġa", "<mask>"]
    bpe = Tokenizer(models.BPE({name: i for i, name in enumerate(names)}, []))
    bpe.add_special_tokens([name for name in names if name[0] == "<"])
    read = Alphabet.of(bpe)
    assert (read.mask, np.flatnonzero(read.ordinary).tolist()) == (6, [4, 5])
    assert np.flatnonzero(read.continues).tolist() == [4]
