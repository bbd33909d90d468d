"""Claims about heads and their training: shapes, starts, weights, decay, frozen encoders, pairs."""

from pathlib import Path

import keras
import numpy as np
import orjson
import polars as pl
import pytest

from models.network import hugging_face, weights
from models.network.configuration import EncoderConfig
from models.network.encoder import build
from models.network.heads import Head, build_classifier, build_tagger, start_from
from models.text.batching import pad
from models.training.examples import IGNORED, LabelledRows, class_weights, plan
from models.training.finetuner import Recipe, predict, train
from models.training.layerwise import LayerwiseAdamW, RiseAndFall, depth, trained
from tasks.configuration import Pairs
from tasks.errors import UserError
from tasks.log import Log
from tasks.training.pairs import pairs

SHAPE = EncoderConfig(vocabulary=12, layers=1, width=16, heads=2)
NONE = LabelledRows([], np.zeros(0, np.int32), np.zeros(0, np.float32))


def _rows(count: int = 16, *, of_tokens: bool = False) -> LabelledRows:
    rows = [[2, 5 + i % 2, 7, 3] for i in range(count)]
    classes = np.array([i % 2 for i in range(count)], np.int32)
    if of_tokens:
        classes = [np.array([IGNORED, c, 0, IGNORED], np.int32) for c in classes]
    return LabelledRows(rows, classes, np.ones(count, np.float32))


def _train(head: Head, rows: LabelledRows, recipe: Recipe, epochs: int = 1) -> None:
    planned = plan([4] * len(rows.rows), batch=8, epochs=epochs, longest=16, budget=10**6, seed=0)
    train(head, rows, NONE, planned, recipe, report=lambda step, metrics: None)


def _by_hand(head: Head, hidden: np.ndarray) -> np.ndarray:
    """ModernBERT's head written out: dense, exact GELU, norm, linear."""
    from scipy.special import erf

    w = {name: np.asarray(v.value, np.float64) for name, v in weights.named(head).items()}
    x = hidden @ w["head_dense/kernel"]
    x = 0.5 * x * (1 + erf(x / 2**0.5))
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return (x * w["head_norm/gamma"]) @ w["scores/kernel"] + w["scores/bias"]


def test_the_heads_compute_what_modernbert_does() -> None:
    rows = pad([[2, 5, 3], [2, 5, 6, 7, 3]], 16)
    classifier, tagger = build_classifier(SHAPE, 3, seed=1), build_tagger(SHAPE, 4, seed=1)
    hidden = np.asarray(classifier.encoder(*rows), np.float64)
    pooled = np.stack([hidden[0, :3].mean(axis=0), hidden[1, :5].mean(axis=0)])
    np.testing.assert_allclose(classifier(*rows), _by_hand(classifier, pooled), atol=1e-5)
    hidden = np.asarray(tagger.encoder(*rows), np.float64)
    scores = np.asarray(tagger(*rows))
    assert scores.shape == (2, 16, 4)
    np.testing.assert_allclose(scores[1, :5], _by_hand(tagger, hidden)[1, :5], atol=1e-5)


@pytest.mark.parametrize("make", [build_classifier, build_tagger])
def test_a_head_survives_keras_serialisation(make) -> None:
    head = make(SHAPE, 5, dropout=0.3, seed=4, precision="mixed_bfloat16")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert again.get_config() == head.get_config()
    assert again.outputs == 5
    for a, b in zip(head.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    tokens = pad([[2, 5, 3]], 16)
    assert np.asarray(again(*tokens)).dtype == np.float32


def test_a_start_copies_the_encoder_and_if_asked_the_head() -> None:
    masked = build(SHAPE, seed=1)
    for copied in (True, False):
        head = build_tagger(SHAPE, 2, seed=2)
        start_from(head, masked, copy_head=copied)
        ours, theirs = weights.named(head), weights.named(masked)
        same = {n for n in ours if n in theirs and np.array_equal(ours[n], theirs[n])}
        assert {n for n in ours if n.startswith("encoder/")} <= same
        assert ("head_dense/kernel" in same) == copied
    with pytest.raises(ValueError, match="cannot start"):
        start_from(head, build(EncoderConfig(vocabulary=12, layers=2, width=16, heads=2)))


def test_balanced_weights_give_every_class_the_same_say() -> None:
    classes = np.array([0] * 6 + [1] * 2 + [3] * 4, np.int32)
    rows = LabelledRows([[2]] * 12, classes, np.ones(12, np.float32))
    heavy = class_weights(rows, 4, balanced=True)
    np.testing.assert_allclose(heavy, [12 / (3 * 6), 12 / (3 * 2), 1.0, 12 / (3 * 4)])
    assert class_weights(rows, 4, balanced=False).tolist() == [1.0] * 4
    tokens = LabelledRows([[2, 5, 3]], [np.array([IGNORED, 0, 1])], np.ones(1, np.float32))
    assert class_weights(tokens, 2, balanced=True).tolist() == [1.0, 1.0]


def test_balanced_weights_give_a_rare_class_even_odds() -> None:
    """Rows that are all alike, a tenth of them of class 1."""
    classes = np.array([1 if i % 10 == 0 else 0 for i in range(80)], np.int32)
    rows = LabelledRows([[2, 5, 3]] * 80, classes, np.ones(80, np.float32))
    head = build_classifier(SHAPE, 2, dropout=0.0, seed=0)
    _train(head, rows, Recipe(2e-2, 16, balanced=True), epochs=8)
    scores = predict(head, [[2, 5, 3]], 16)[0]
    assert 1 / (1 + np.exp(scores[0] - scores[1])) == pytest.approx(0.5, abs=0.15)


def test_lower_layers_move_less_by_the_decay() -> None:
    """Adam's first step moves a weight by its rate, whatever the gradient; weight decay adds 1 %."""
    head = build_classifier(EncoderConfig(12, layers=2, width=16, heads=2), 2, dropout=0.0, seed=1)
    before = {name: v.numpy() for name, v in weights.named(head).items()}
    _train(head, _rows(8), Recipe(1e-3, 16, layer_decay=0.5))
    moved = {n: np.abs(v.numpy() - before[n]).max() for n, v in weights.named(head).items()}
    below = {
        "scores/bias": 0, "head_norm/gamma": 0, "encoder/final_norm/gamma": 1,
        "encoder/layer_1/attention/qkv/kernel": 1, "encoder/layer_0/attention/qkv/kernel": 2,
        "encoder/embedding_norm/gamma": 3, "encoder/token_embedding/embeddings": 3,
    }  # fmt: skip
    for name, levels in below.items():
        assert depth(name, 2) == levels
    for name, distance in moved.items():
        assert distance == pytest.approx(1e-3 * 0.5 ** depth(name, 2), rel=0.05), name


@pytest.mark.parametrize("of_tokens", [False, True])
def test_a_frozen_encoder_keeps_its_bits_and_the_head_learns(of_tokens: bool) -> None:
    rows = _rows(of_tokens=of_tokens)
    head = (build_tagger if of_tokens else build_classifier)(SHAPE, 2, seed=1)
    before = {name: v.numpy() for name, v in weights.named(head).items()}
    _train(head, rows, Recipe(1e-2, 16, frozen=True), epochs=10)
    for name, v in weights.named(head).items():
        assert np.array_equal(v.numpy(), before[name]) == name.startswith("encoder/"), name
    found = predict(head, rows.rows[:2], 16)
    last = [scores[1] if of_tokens else scores for scores in found]
    assert [int(scores.argmax()) for scores in last] == [0, 1]


def test_ignored_tokens_teach_nothing() -> None:
    """A heavy row without a judged token leaves the embedding that only it has as it was."""
    classes = [np.array([IGNORED, 0, IGNORED, IGNORED]), np.array([IGNORED] * 4)]
    rows = LabelledRows([[2, 5, 7, 3], [2, 6, 7, 3]], classes, np.array([1.0, 50.0], np.float32))
    head = build_tagger(SHAPE, 2, seed=1)
    before = head.encoder.token_embedding.embeddings.numpy()
    _train(head, rows, Recipe(1e-2, 16))
    moved = np.abs(head.encoder.token_embedding.embeddings.numpy() - before).max(axis=1)
    assert moved[6] == 0
    assert moved[5] > 1e-3


def test_the_fused_optimizer_is_kerass_adamw() -> None:
    head = build_classifier(SHAPE, 2, seed=1)
    variables, shares = trained(head, 1.0, frozen=False)
    start = [v.numpy() for v in variables]
    rng = np.random.default_rng(0)
    steps = [[rng.normal(size=v.shape).astype(np.float32) for v in variables] for _ in range(3)]
    ours = LayerwiseAdamW(RiseAndFall(1e-3, 3), variables, shares)
    theirs = keras.optimizers.AdamW(RiseAndFall(1e-3, 3), weight_decay=0.01, global_clipnorm=1.0)
    theirs.exclude_from_weight_decay(var_names=["gamma", "bias", "embeddings"])
    theirs.build(variables)
    ends = []
    for optimizer in (ours, theirs):
        for variable, value in zip(variables, start, strict=True):
            variable.assign(value)
        for gradients in steps:
            optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
        ends.append([v.numpy() for v in variables])
    for a, b, s in zip(*ends, start, strict=True):
        np.testing.assert_allclose(a - s, b - s, rtol=2e-3, atol=2e-7)


def test_the_best_epoch_is_kept_by_the_score_where_one_is_given() -> None:
    head, rows, seen = build_classifier(SHAPE, 2, seed=1), _rows(), []
    planned = plan([4] * 16, batch=8, epochs=3, longest=16, budget=10**6, seed=0)

    def score(classes: object) -> float:
        seen.append([v.numpy() for v in head.weights])
        return [0.1, 0.9, 0.5][len(seen) - 1]

    done = train(head, rows, rows, planned, Recipe(1e-3, 16), report=lambda s, m: None, score=score)
    assert (done.epoch, done.score) == (2, 0.9)
    for a, b in zip(head.weights, seen[1], strict=True):
        np.testing.assert_array_equal(a.numpy(), b)


@pytest.fixture
def pretrained(tmp_path: Path) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "red",
        "blue",
        "dog",
        "##s",
        "a",
        "b",
        "c",
    ]
    folder = tmp_path / "pretrained" / "model"
    folder.mkdir(parents=True)
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.add_special_tokens(words[:5])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(tmp_path / "plain.json"))
    hugging_face.save(build(SHAPE, seed=1), tmp_path / "plain.json", folder, max_tokens=32)
    return folder.parent


def test_pairs_are_told_apart_by_what_their_second_part_says(
    pretrained: Path, tmp_path: Path
) -> None:
    n = 80
    frame = pl.DataFrame({
        "a": ["a dog"] * n,
        "b": ["red dog" if i % 3 else "blue dogs" for i in range(n)],
        "same": [bool(i % 3) for i in range(n)],
    })  # fmt: skip
    frame.write_ndjson(tmp_path / "train.jsonl")
    frame.head(20).cast({"same": pl.String}).write_csv(tmp_path / "test.csv")
    config = Pairs(
        train=str(tmp_path / "train.jsonl"), test=str(tmp_path / "test.csv"),
        first="a", second="b", label="same", epochs=6, batch=8, learning_rate=1e-2,
    )  # fmt: skip
    out = tmp_path / "out"
    out.mkdir()
    outcome = pairs.fn(pretrained, config=config, seed=1, content="", out=out, log=Log())
    assert outcome.metrics["accuracy"] == 1.0
    report = orjson.loads((out / "report.json").read_bytes())
    assert report["classes"]["true"]["support"] == 13
    assert report["accuracy"]["low"] < 1.0  # twenty rows prove little
    with pytest.raises(UserError, match="has no column 'c'"):
        pairs.fn(
            pretrained, config=config.model_copy(update={"first": "c"}), seed=1, content="",
            out=out, log=Log(),
        )  # fmt: skip
