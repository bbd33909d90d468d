"""Claims about quality on held-out rows."""

from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest
from sklearn.metrics import f1_score
from tokenizers import Tokenizer, models, pre_tokenizers

from models.bundle import save_bundle
from models.network.configuration import EncoderConfig
from models.network.encoder import build
from models.network.heads import build_classifier
from tasks.configuration import Evaluation
from tasks.evaluation.quality import MASK_SHARE, hidden_words, macro_f1, quality
from tasks.log import Log
from tasks.records import Outcome

LETTERS = [*"abcdefgijlmnorstuvy"]
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SPELLED = [*SPECIALS, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
WHOLE = [*SPELLED, "film", "a", "good", "story", "bad", "and"]
ROWS = [f"a {'good' if i % 2 else 'bad'} film and {'a ' * (i % 4)} story" for i in range(12)]


def _bundle(folder: Path, words: list[str], classes: list[str]) -> Path:
    """A model that gives every subword the same probability and every text the first class."""
    folder.mkdir()
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(folder / "plain.json"))
    shape = EncoderConfig(vocabulary=len(words), layers=1, width=16, heads=2)
    masked, classifier = build(shape), build_classifier(shape, max(2, len(classes)))
    for weight in (*masked.weights, *classifier.weights):
        weight.assign(weight.value * 0)
    classifier.scores.bias.assign(np.array([np.log(4.0)] + [0.0] * (classifier.classes - 1)))
    head = classifier if classes else None
    save_bundle(folder, masked, head, folder / "plain.json", classes, 16)
    return folder


def _judge(
    model: Path, folder: Path, labels: list[str | None], **config: int
) -> tuple[Outcome, dict, Path]:
    n = len(labels)
    out = folder / f"out-{model.name}"
    out.mkdir(parents=True)
    pl.DataFrame(
        {"row_id": [f"r{i:02}" for i in range(n)], "text": ROWS[:n], "label": labels},
        schema_overrides={"label": pl.String},
    ).with_columns(split=pl.lit("test")).write_parquet(folder / "corpus.parquet")
    outcome = quality.fn(model, folder, config=Evaluation(**config), seed=1, out=out, log=Log())
    return outcome, orjson.loads((out / "quality.json").read_bytes()), out


def test_macro_f1_agrees_with_scikit_learn_on_every_resample() -> None:
    generator = np.random.default_rng(0)
    rows = generator.integers(0, 3, size=(20, 40, 2))
    expected = [f1_score(r[:, 0], r[:, 1], average="macro", labels=[0, 1, 2]) for r in rows]
    np.testing.assert_allclose(macro_f1(3)(rows), expected)


def test_macro_f1_is_over_the_classes_that_occur() -> None:
    # class 1 never occurs: F1 of class 0 is 2 * 1 / (2 + 1), class 1's is not counted
    assert macro_f1(2)(np.array([[[0, 0], [0, 1]]]))[0] == pytest.approx(2 / 3)


def test_accuracy_and_probabilities_are_those_of_the_model(tmp_path: Path) -> None:
    model = _bundle(tmp_path / "model", WHOLE, ["good", "bad"])
    outcome, found, out = _judge(model, tmp_path / "c", ["good"] * 9 + ["bad"] * 3)
    rows = pl.read_parquet(out / "predictions.parquet")
    assert found["accuracy"]["value"] == 0.75 == found["majority_share"]
    assert outcome.metrics["accuracy"] == 0.75
    assert found["macro_f1"]["value"] == pytest.approx((2 * 9 / (2 * 9 + 3) + 0) / 2)
    assert found["confusion"] == [[9, 0], [3, 0]]
    assert found["report"][0]["recall"] == 1.0
    assert rows["confidence"].to_list() == pytest.approx([0.8] * 12)
    assert rows["p_bad"].to_list() == pytest.approx([0.2] * 12)
    assert rows.columns == [
        "row_id", "label", "predicted", "correct", "confidence", "p_good", "p_bad",
    ]  # fmt: skip


def test_a_label_that_was_never_taught_counts_as_wrong(tmp_path: Path) -> None:
    model = _bundle(tmp_path / "model", WHOLE, ["good", "bad"])
    _, found, _ = _judge(model, tmp_path / "c", ["good", "good", "new", None])
    assert found["accuracy"]["value"] == pytest.approx(2 / 3)
    assert found["classes_unknown"] == ["new"]
    assert found["rows_labelled"] == 3


def test_three_rows_are_judged_with_a_wide_interval(tmp_path: Path) -> None:
    model = _bundle(tmp_path / "model", WHOLE, ["good", "bad"])
    _, found, _ = _judge(model, tmp_path / "c", ["good"] * 3)
    assert found["accuracy"]["value"] == 1.0
    assert found["accuracy"]["low"] < 0.5


def test_an_indifferent_model_loses_the_logarithm_of_its_vocabulary(tmp_path: Path) -> None:
    model = _bundle(tmp_path / "model", WHOLE, [])
    outcome, found, out = _judge(model, tmp_path / "c", [None] * 12)
    assert found["mlm_loss"]["value"] == pytest.approx(np.log(len(WHOLE)), rel=1e-5)
    assert "accuracy" not in outcome.metrics
    assert not (out / "predictions.parquet").exists()
    assert not outcome.skipped
    rows = pl.read_parquet(out / "mlm.parquet")
    bits = rows["tokens"].sum() * np.log2(len(WHOLE)) / rows["characters"].sum()
    assert found["mlm_bits_per_character"]["value"] == pytest.approx(bits, rel=1e-5)


def test_models_with_unlike_tokenizers_guess_the_same_words(tmp_path: Path) -> None:
    spelled = _bundle(tmp_path / "spelled", SPELLED, [])
    whole = _bundle(tmp_path / "whole", WHOLE, [])
    _, _, one = _judge(spelled, tmp_path / "c", [None] * 12)
    _, _, two = _judge(whole, tmp_path / "c", [None] * 12)
    a, b = pl.read_parquet(one / "mlm.parquet"), pl.read_parquet(two / "mlm.parquet")
    assert a["characters"].to_list() == b["characters"].to_list() == a["tokens"].to_list()
    assert a["tokens"].sum() > b["tokens"].sum()


def test_hidden_words_do_not_depend_on_other_rows() -> None:
    text = "one two three four five six seven eight nine ten, eleven; twelve thirteen."
    spans = hidden_words(text, "r1", seed=7)
    assert len(spans) == round(MASK_SHARE * 16)
    assert spans == hidden_words(text, "r1", seed=7)
    assert len({tuple(hidden_words(text, f"r{i}", seed=7)) for i in range(9)}) > 5
    assert len({tuple(hidden_words(text, "r1", seed=i)) for i in range(9)}) > 5
    assert all(" " not in text[a:b] for a, b in spans)
    assert hidden_words(" ", "r1", seed=7) == []


def test_only_so_many_rows_are_judged(tmp_path: Path) -> None:
    model = _bundle(tmp_path / "model", WHOLE, [])
    _, found, _ = _judge(model, tmp_path / "c", [None] * 12, max_rows=10)
    assert found["rows"] == 10


def test_no_test_rows_means_skipped_with_a_reason(tmp_path: Path) -> None:
    model = _bundle(tmp_path / "model", WHOLE, [])
    outcome, found, _ = _judge(model, tmp_path / "c", [])
    assert outcome.skipped == found["skipped"] == "the data has no test rows"
