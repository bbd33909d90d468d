"""Claims about the model bundle: classes of texts, likelihoods of answers, held-out loss."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from models.bundle import TextModel, read_config, save_bundle
from models.network.configuration import EncoderConfig
from models.network.encoder import build
from models.network.heads import build_classifier, start_from
from models.text.batching import batches, padded_length

WORDS = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ada", "lives", "in", "paris", "rome", "new",
    "york", "is", "glad", "sad", ".", "##land", "fin",
]  # fmt: skip
SHAPE = EncoderConfig(vocabulary=len(WORDS), layers=1, width=16, heads=2)


def write_tokenizer(path: Path) -> Path:
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.add_special_tokens(WORDS[:5])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(path))
    return path


def write_bundle(folder: Path, classes: list[str], max_tokens: int = 24) -> Path:
    folder.mkdir()
    masked = build(SHAPE, seed=1)
    classifier = None
    if classes:
        classifier = build_classifier(SHAPE, len(classes), seed=2)
        start_from(classifier, masked)
        for weight in classifier.weights:
            weight.assign(weight.value * 5)
    tokenizer = write_tokenizer(folder.parent / "tokenizer.json")
    save_bundle(folder, masked, classifier, tokenizer, classes, max_tokens)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "model", ["glad", "sad"])


@pytest.fixture(scope="module")
def model(bundle: Path) -> TextModel:
    return TextModel.load(bundle)


def test_probabilities_are_defined_for_every_string(model: TextModel) -> None:
    texts = ["", " ", "🙂", "\ud800", "ada is glad .", "ada " * 500, "x" * 5000]
    shares = model.predict_proba(texts)
    assert shares.shape == (7, 2)
    assert shares.dtype == np.float64
    assert np.isfinite(shares).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=0, atol=1e-15)
    assert model.predict_proba([]).shape == (0, 2)


def test_a_row_is_judged_alike_in_any_company(model: TextModel) -> None:
    texts = [" ".join(["ada is glad in rome"] * n) for n in (1, 2, 3, 4)] + ["sad", "york"]
    together = model.predict_proba(texts)
    alone = np.concatenate([model.predict_proba([text]) for text in texts])
    backwards = model.predict_proba(texts[::-1])[::-1]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)
    np.testing.assert_allclose(together, backwards, rtol=0, atol=1e-6)
    assert np.ptp(together[:, 0]) > 1e-3


def test_only_the_beginning_of_a_long_text_is_read(model: TextModel) -> None:
    long = "ada lives in paris " * 300
    assert model.reader.encode([long])[0] == [
        *model.reader.encode(["ada lives in paris " * 6])[0][:23],
        3,
    ]
    spaced = " " * 2000 + "ada is sad"
    assert (
        model.reader.encode([spaced]) == model.reader.encode(["ada is sad"]) == [[2, 5, 12, 14, 3]]
    )


def test_a_text_that_spells_a_special_token_is_read_as_letters(model: TextModel) -> None:
    assert set(model.reader.encode(["ada [MASK] [PAD]"])[0]) == {2, 5, 1, 3}


def test_a_model_without_classes_says_so(tmp_path: Path) -> None:
    headless = TextModel.load(write_bundle(tmp_path / "model", []))
    assert not headless.has_head
    with pytest.raises(ValueError, match="no classes"):
        headless.predict_proba(["ada"])


def test_answers_of_several_subwords_are_scored_as_the_definition_says(model: TextModel) -> None:
    statement, choice = "ada lives in [MASK] .", ["paris", "new york", "finland", "rome"]
    found = model.score_candidates([statement], [choice])[0]
    masked = build(SHAPE, seed=1)
    frame = [2, 5, 6, 7], [15, 3]
    scores = []
    for ids in ([8], [10, 11], [17, 16], [9]):
        row = np.array([[*frame[0], *[4] * len(ids), *frame[1]]], np.int32)
        logits = np.asarray(masked(row, np.ones_like(row), np.arange(row.shape[1])[None]))[0]
        logits = logits[4 : 4 + len(ids)].astype(np.float64)
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        scores.append(log_p[np.arange(len(ids)), ids].sum())
    expected = np.exp(scores) / np.exp(scores).sum()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_order_of_statements_and_candidates_does_not_matter(model: TextModel) -> None:
    statements = ["ada lives in [MASK] .", "[MASK] is glad"]
    choices = [["paris", "new york", "rome"], ["ada", "new york"]]
    there = model.score_candidates(statements, choices)
    back = model.score_candidates(statements[::-1], [choice[::-1] for choice in choices[::-1]])
    for a, b in zip(there, back[::-1], strict=True):
        np.testing.assert_allclose(a, b[::-1], atol=1e-6)


def test_the_mask_survives_in_a_statement_longer_than_the_model_reads(model: TextModel) -> None:
    long = "ada is glad " * 30 + "in [MASK] ." + " ada is sad" * 30
    shares = model.score_candidates([long], [["paris", "new york"]])[0]
    assert shares.sum() == pytest.approx(1.0)


def test_a_model_that_has_seen_an_answer_prefers_it(tmp_path: Path) -> None:
    masked = build(SHAPE, seed=1)
    optimizer = keras.optimizers.Adam(0.02)
    optimizer.build(masked.trainable_variables)
    row = np.array([[2, 5, 6, 7, 4, 4, 15, 3]], np.int32)  # ada lives in [MASK] [MASK] .

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            scores = masked(row, np.ones_like(row), np.arange(8, dtype=np.int32)[None])
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits([10, 11], scores[0, 4:6])
        optimizer.apply(tape.gradient(loss, [v.value for v in masked.trainable_variables]))

    for _ in range(15):
        step()
    tokenizer = write_tokenizer(tmp_path / "plain.json")
    save_bundle(tmp_path, masked, None, tokenizer, [], 24)
    choice = ["paris", "new york", "rome", "finland"]
    found = TextModel.load(tmp_path).score_candidates(["ada lives in [MASK] ."], [choice])[0]
    assert found[1] > 0.9


@pytest.mark.parametrize("statement", ["ada lives in rome", "[MASK] and [MASK]"])
def test_a_statement_without_exactly_one_mask_is_refused(model: TextModel, statement: str) -> None:
    with pytest.raises(ValueError, match=r"exactly one \[MASK\]"):
        model.score_candidates([statement], [["ada"]])


def test_masked_loss_is_the_likelihood_of_what_was_hidden(model: TextModel) -> None:
    rows = [[2, 5, 6, 7, 8, 3], [2, 5, 12, 13, 3, *[3] * 14], [2, 3]]
    hidden = [np.zeros(len(row), bool) for row in rows]
    hidden[0][[1, 4]] = True
    hidden[1][3] = True
    found = model.masked_loss(rows, hidden)
    assert found[:, 1].tolist() == [2, 1, 0]
    assert found[2].tolist() == [0, 0, 0]
    row = np.array([[2, 4, 6, 7, 4, 3]], np.int32)
    masked = build(SHAPE, seed=1)
    logits = np.asarray(masked(row, np.ones_like(row), np.arange(6)[None]))[0].astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert found[0, 0] == pytest.approx(-(log_p[1, 5] + log_p[4, 8]), abs=1e-5)
    assert found[0, 2] == (logits[1].argmax() == 5) + (logits[4].argmax() == 8)


def test_the_same_model_is_saved_as_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    again = write_bundle(tmp_path / "model", ["glad", "sad"])
    files = sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(bundle) for p in bundle.rglob("*") if p.is_file())
    for name in files:
        assert (again / name).read_bytes() == (bundle / name).read_bytes(), name
    assert read_config(again) == (SHAPE, 24)


def test_batches_hold_every_row_once_and_pad_it_by_its_own_length() -> None:
    lengths = [3, 40, 17, 128, 16, 24, 25, 100, 90]
    seen: dict[int, int] = {}
    for rows, length in batches(lengths, 128, positions_at_once=256):
        assert len(rows) == 1 or len(rows) * length <= 256
        seen |= {int(row): length for row in rows}
    assert seen == {i: padded_length(n, 128) for i, n in enumerate(lengths)}
    assert [padded_length(n, 128) for n in (1, 17, 25, 33, 49, 65, 97)] == [
        16, 24, 32, 48, 64, 96, 128,
    ]  # fmt: skip
    assert padded_length(90, 90) == 90
