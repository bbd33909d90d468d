"""Claims about the baselines: the LSTM, the n-gram floor, and the stage that judges them."""

import math
from pathlib import Path

import keras
import numpy as np
import orjson
import pytest
from tokenizers import Tokenizer, models

from models.network import hugging_face, weights
from models.network.encoder import EncoderConfig, build
from models.network.lstm import LstmConfig, LstmMaskedModel, build_lstm
from models.text.masking import Alphabet
from models.text.ngram import NgramModel, Slots, visible
from models.text.rows import Rows
from models.training.judging import Judge, hide
from models.training.loop import train
from models.training.schedule import Plan
from models.training.trainer import Trainer
from tasks.configuration import Baselines, Pretraining
from tasks.log import Log
from tasks.training.baselines import baselines

LETTERS = Alphabet.plain(30)
MASK = LETTERS.mask
SMALL = LstmConfig(vocabulary=30, layers=2, width=16)
PLAN = Plan(
    presentations=240, rows=4, learning_rate=2e-2, warmup=0.1, decay=0.3, weight_decay=0.01, mask_rate=0.3,
    adversarial_share=0.0, adversarial_epsilon=0.1, seed=7,
)  # fmt: skip


def rows_of(tokens: np.ndarray) -> Rows:
    """One document to a row."""
    return Rows(tokens.astype(np.int32), np.ones_like(tokens, np.int32))


def repeating_rows(count: int = 24, length: int = 16) -> Rows:
    """[CLS], one token again and again, [SEP]: what is masked can be read from its neighbours."""
    tokens = np.repeat(np.random.default_rng(0).integers(5, 30, (count, 1)), length, axis=1)
    tokens[:, 0], tokens[:, -1] = 2, 3
    return rows_of(tokens)


def chained_rows(count: int, length: int = 32, seed: int = 0) -> Rows:
    """Every token is followed by the next number, three times in four, else by any."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(5, 30, (count, length))
    for place in range(2, length - 1):
        after = 5 + (tokens[:, place - 1] - 4) % 25
        tokens[:, place] = np.where(rng.random(count) < 0.75, after, tokens[:, place])
    tokens[:, 0], tokens[:, -1] = 2, 3
    return rows_of(tokens)


def test_no_document_of_a_packed_row_sees_its_neighbours() -> None:
    model = build_lstm(SMALL, seed=1)
    segments = np.array([[1, 1, 1, 2, 2, 2, 2, 3, 3, 0]], np.int32)
    tokens = np.random.default_rng(0).integers(5, 30, segments.shape).astype(np.int32)
    other = np.where(segments == 2, tokens, 5 + (tokens - 4) % 25).astype(np.int32)
    one, two = (model.encoder(t, segments, segments).numpy()[0] for t in (tokens, other))
    same = np.abs(one - two).max(axis=1) == 0
    np.testing.assert_array_equal(same, segments[0] == 2)


def test_both_directions_are_read_and_padding_changes_nothing() -> None:
    model = build_lstm(SMALL, seed=1)
    tokens = np.array([[2, 7, 8, 9, 10, 3]], np.int32)
    ones = np.ones_like(tokens)
    alone = model.encoder(tokens, ones, ones).numpy()
    for place in (1, 4):
        changed = tokens.copy()
        changed[0, place] = 20
        moved = np.abs(model.encoder(changed, ones, ones).numpy() - alone).max(axis=2)[0]
        assert (moved > 0).all()
    padded = model.encoder(*(np.pad(a, ((0, 0), (0, 4))) for a in (tokens, ones, ones))).numpy()
    np.testing.assert_allclose(padded[:, :6], alone, atol=1e-6)
    assert np.isfinite(padded).all()


def test_the_recurrence_is_that_of_keras_lstm() -> None:
    """Keras's own layer, given our weights in its order of gates (i, f, n, o)."""
    config = LstmConfig(vocabulary=30, layers=1, width=8)
    block = build_lstm(config, seed=3).encoder.blocks[0]
    x = np.random.default_rng(0).normal(size=(5, 2, 8)).astype(np.float32)  # (L, B, D)
    found = block(x, np.concatenate([np.zeros((1, 2, 2, 1)), np.ones((4, 2, 2, 1))]).astype("f"))

    def ordered(gates: np.ndarray) -> np.ndarray:
        enter, forget, leave, new = np.split(gates, 4, axis=-1)
        return np.concatenate([enter, forget, new, leave], axis=-1)

    kernel, bias = np.split(block.kernel.numpy(), 2, -1), np.split(block.bias.numpy(), 2)
    for way in (0, 1):
        layer = keras.layers.LSTM(4, return_sequences=True, go_backwards=bool(way))
        layer.build((2, 5, 8))
        recurrent = block.recurrent_kernel.numpy()[way]
        layer.set_weights([ordered(kernel[way]), ordered(recurrent), ordered(bias[way])])
        expected = layer(x.transpose(1, 0, 2)).numpy().transpose(1, 0, 2)
        expected = expected[::-1] if way else expected
        np.testing.assert_allclose(found.numpy()[..., 4 * way : 4 * way + 4], expected, atol=1e-5)


def test_the_same_seed_gives_the_same_lstm_and_a_saved_one_is_equal(tmp_path: Path) -> None:
    one, two, other = (build_lstm(SMALL, seed) for seed in (1, 1, 2))
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert set(weights.named(one)) >= {"encoder/layer_0/recurrent_kernel", "head_norm/gamma"}
    weights.save(one, tmp_path / "w.safetensors")
    weights.load(other, tmp_path / "w.safetensors")
    tokens = np.array([[2, 7, 8, 3]], np.int32)
    copy = LstmMaskedModel.from_config(one.get_config())
    copy.build()
    for model in (other, copy):
        np.testing.assert_array_equal(model(tokens, tokens, tokens), one(tokens, tokens, tokens))


def test_norms_biases_and_embeddings_of_the_lstm_do_not_decay() -> None:
    model = build_lstm(SMALL, seed=1)
    trainer = Trainer(model, PLAN, 16)
    kinds = zip(trainer.variables, trainer.optimizer.decayed, strict=True)
    decayed = {v.path.split("/")[-1] for v, decays in kinds if decays}
    assert decayed == {"kernel", "recurrent_kernel"}


def test_the_loop_teaches_the_lstm_and_all_models_are_judged_as_the_loop_does(
    tmp_path: Path,
) -> None:
    rows = repeating_rows()
    model = build_lstm(SMALL, seed=1)
    trainer = Trainer(model, PLAN, 16)
    progress = train(
        trainer, rows, rows, scratch=tmp_path, checkpoint_seconds=1e9, report=lambda *_: None
    )
    told = progress.points[-1]["metrics"]["validation_loss"]
    assert told < math.log(25) - 1
    losses, right = Judge(model, hide(rows, LETTERS, PLAN.seed), 4)()
    assert losses.mean() == pytest.approx(told, rel=1e-5)
    assert right.mean() > 1 / 25


def test_an_ngram_mixture_is_what_a_hand_computes() -> None:
    # [CLS] a b a c [SEP] with a=5, b=6, c=7 and a vocabulary of 8: three ordinary tokens
    model = NgramModel(np.array([[2, 5, 6, 5, 7, 3]], np.int32), Alphabet.plain(8))
    model.weights[:] = (0.1, 0.1, 0.2, 0.2, 0.3, 0.1)

    def slots(shown: int, left: int, right: int) -> Slots:
        return Slots(*(np.array([n]) for n in (shown, left, right)))

    # after a: b, c, so 1/2; before a: [CLS] does not count as a word, so b alone: 1; a . a: b: 1
    hidden = (0.1 / 3 + 0.1 / 4 + 0.2 / 2 + 0.2 + 0.3) / 0.9
    assert np.exp(-model.losses(slots(MASK, 5, 5), np.array([6])))[0] == pytest.approx(hidden)
    # both neighbours masked: the unigram and the uniform part only
    alone = (0.1 / 3 + 0.1 * 2 / 4) / 0.2
    assert np.exp(-model.losses(slots(MASK, MASK, MASK), np.array([5])))[0] == pytest.approx(alone)
    # c is shown between c and c: nothing followed c, and it was a that came before it
    shown = (0.1 / 3 + 0.1 / 4 + 0.1) / 0.5
    assert np.exp(-model.losses(slots(7, 7, 7), np.array([7])))[0] == pytest.approx(shown)
    assert model.guesses(slots(MASK, 5, 5)).tolist() == [6]
    assert model.guesses(slots(MASK, MASK, MASK)).tolist() == [5]


def test_the_probabilities_of_all_tokens_sum_to_one() -> None:
    training, asked = chained_rows(50), chained_rows(4, seed=1)
    model = NgramModel(training.tokens, LETTERS)
    hidden = hide(asked, LETTERS, PLAN.seed)
    slots = visible(hidden.rows.tokens, *hidden.which.T)
    (shares,) = model._distributions(slots)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    at = shares[np.arange(len(shares)), hidden.targets]
    np.testing.assert_allclose(-np.log(at), model.losses(slots, hidden.targets))


def test_neighbours_beat_the_unigram_where_the_text_is_a_chain() -> None:
    training, tuning, asked = (chained_rows(n, seed=i) for i, n in enumerate((300, 60, 60)))
    model = NgramModel(training.tokens, LETTERS)
    found = []
    for rows in (tuning, asked):
        hidden = hide(rows, LETTERS, PLAN.seed)
        slots = visible(hidden.rows.tokens, *hidden.which.T)
        if rows is tuning:
            equal = model.losses(slots, hidden.targets).mean()
            model.fit(slots, hidden.targets)
            assert model.losses(slots, hidden.targets).mean() < equal
        else:
            unigram = -np.log(model.unigram[hidden.targets]).mean()
            found = [model.losses(slots, hidden.targets).mean(), unigram]
    assert found[0] < found[1] - 0.5
    np.testing.assert_allclose(model.weights.sum(axis=1), 1)


@pytest.fixture
def night(tmp_path: Path) -> dict[str, Path]:
    """Packed rows, a vocabulary and an untrained encoder."""
    folders = {name: tmp_path / name for name in ("packed", "tokenized", "pretrained")}
    for folder in folders.values():
        folder.mkdir()
    for split, rows in (("train", chained_rows(60)), ("validation", chained_rows(12, seed=1))):
        for name in ("tokens", "segments"):
            np.save(folders["packed"] / f"packed_{split}_{name}.npy", getattr(rows, name))
    told = {"train": {"sequences": 60}, "validation": {"sequences": 12}}
    (folders["packed"] / "packing.json").write_bytes(orjson.dumps(told))
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*specials, *(f"##w{i}" for i in range(5)), *(f"w{i:02}" for i in range(20))]
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.add_special_tokens(specials)
    tokenizer.save(str(folders["tokenized"] / "tokenizer.json"))
    shape = EncoderConfig(vocabulary=30, layers=1, width=16, heads=2)
    file = folders["tokenized"] / "tokenizer.json"
    hugging_face.save(build(shape, seed=1), file, folders["pretrained"] / "model", max_tokens=32)
    (folders["pretrained"] / "training.json").write_bytes(orjson.dumps({"tokens": 5000}))
    return folders


def judged(night: dict[str, Path], out: Path, **config: object) -> dict:
    (out / "scratch").mkdir(parents=True)
    (out / "out").mkdir()
    baselines.fn(
        **night, config=Baselines(layers=1, width=16, tokens=1300, bootstrap=50, **config),
        pretrain=Pretraining(batch_tokens=128), seed=3, out=out / "out", scratch=out / "scratch",
        log=Log(),
    )  # fmt: skip
    return orjson.loads((out / "out" / "baselines.json").read_bytes())


def test_every_model_answers_for_the_same_tokens_and_the_bytes_repeat(
    night: dict[str, Path], tmp_path: Path
) -> None:
    found = judged(night, tmp_path / "one")
    judged(night, tmp_path / "two")
    files = [p for p in sorted((tmp_path / "one/out").rglob("*")) if p.is_file()]
    assert [p.name for p in files] == [
        "baselines.json", "held_out.parquet", "config.json", "lstm.safetensors",
    ]  # fmt: skip
    for path in files:
        other = tmp_path / "two/out" / path.relative_to(tmp_path / "one/out")
        assert path.read_bytes() == other.read_bytes(), path.name
    encoder, lstm, ngram = found["models"]
    assert [m["name"] for m in found["models"]] == ["encoder", "lstm", "ngram"]
    assert [m["tokens"] for m in found["models"]] == [5000, 10 * 128, 60 * 32]
    assert ngram["loss"]["value"] < encoder["loss"]["value"]  # which was never trained
    gap = lstm["loss"]["value"] - encoder["loss"]["value"]
    assert lstm["behind_encoder"]["value"] == pytest.approx(gap)
    bits = ngram["loss"]["value"] * found["tokens_hidden"] / found["characters"] / math.log(2)
    assert ngram["bits_per_character"]["value"] == pytest.approx(bits)
    assert 2 < found["characters"] / found["tokens_hidden"] < 3  # the mark ## is not counted


def test_baselines_that_are_turned_off_are_not_there(
    night: dict[str, Path], tmp_path: Path
) -> None:
    found = judged(night, tmp_path / "none", lstm=False, ngram=False)
    assert [m["name"] for m in found["models"]] == ["encoder"]


def test_without_held_out_text_there_is_nothing_to_compare(
    night: dict[str, Path], tmp_path: Path
) -> None:
    for path in night["packed"].glob("packed_validation_*.npy"):
        np.save(path, np.zeros((0, 32), np.int32))
    assert judged(night, tmp_path / "empty") == {"skipped": "there is no held-out text"}
