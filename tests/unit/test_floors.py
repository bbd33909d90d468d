"""Claims about the floors under a classifier's accuracy."""

from pathlib import Path

import orjson
import polars as pl
from tokenizers import Tokenizer, models, pre_tokenizers

from models.network import weights as stored
from models.network.lstm import LstmConfig, build_lstm
from tasks.configuration import Baselines, Evaluation, Finetuning
from tasks.evaluation.floors import floors
from tasks.log import Log
from tasks.records import Outcome

TAUGHT = [(f"a {tone} film of {i}", "up" if tone == "good" else "down", "train")
          for i in range(12) for tone in ("good", "bad", "good")]  # fmt: skip
ASKED = [("a good film", "up"), ("a bad film", "down"), ("bad", "down"), ("", "up")]


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film", "of"]


def _lstm(folder: Path) -> None:
    """An LSTM that was never trained, and a vocabulary."""
    shape = LstmConfig(len(WORDS), layers=1, width=16)
    (folder / "lstm").mkdir(parents=True)
    (folder / "lstm/config.json").write_bytes(orjson.dumps(shape.to_dict()))
    stored.save(build_lstm(shape), folder / "lstm/lstm.safetensors")
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))


def _judge(
    folder: Path,
    guesses: list[str],
    weights: dict[str, float] | None = None,
    lstm: bool = False,
) -> Outcome:
    """The floors beside a model that guessed so; training and test rows in one corpus."""
    names = ("judged", "corpus", "corrected", "out")
    judged, corpus, corrected, out = (folder / name for name in names)
    for path in (judged, corpus, corrected, out):
        path.mkdir(parents=True)
    rows = [*TAUGHT, *((text, label, "test") for text, label in ASKED)]
    frame = pl.DataFrame(rows, schema=["text", "label", "split"], orient="row")
    frame = frame.with_columns(row_id=pl.format("r{}", pl.int_range(pl.len())))
    frame.write_parquet(corpus / "corpus.parquet")
    if guesses:
        asked = frame.filter(pl.col("split") == "test").select("row_id", "label")
        asked.with_columns(predicted=pl.Series(guesses)).write_parquet(
            judged / "predictions.parquet"
        )
    if weights:
        weighed = frame.select("row_id", pl.col("label").replace_strict(weights).alias("weight"))
        weighed.write_parquet(corrected / "weights.parquet")
    if lstm:
        _lstm(folder / "compared")
    return floors.fn(
        judged, corpus, corrected if weights else None, corpus, folder / "compared",
        folder / "compared", config=Evaluation(bootstrap=50),
        baselines=Baselines(epochs=8, learning_rate=2e-2), finetune=Finetuning(batch=4, max_tokens=16),
        seed=1, out=out, log=Log(),
    )  # fmt: skip


def test_words_are_told_apart_and_the_majority_is_that_of_training(tmp_path: Path) -> None:
    outcome = _judge(tmp_path, ["up", "up", "down", "up"])
    rows = pl.read_parquet(tmp_path / "out" / "predictions.parquet")
    assert rows["logistic"].to_list()[:3] == ["up", "down", "down"]
    assert rows["majority"].to_list() == ["up"] * 4
    found = orjson.loads((tmp_path / "out" / "floors.json").read_bytes())
    model, logistic, majority = found["models"]
    assert (model["accuracy"]["value"], majority["accuracy"]["value"]) == (0.75, 0.5)
    assert majority["model_above"]["value"] == 0.25
    assert majority["model_above"]["low"] < 0.25 < majority["model_above"]["high"]
    assert logistic["parameters"] > 10
    assert outcome.metrics["above_majority"] == 0.25


def test_the_rows_weigh_what_the_correction_says(tmp_path: Path) -> None:
    _judge(tmp_path, ["up"] * 4, weights={"up": 0.1, "down": 1.9})
    rows = pl.read_parquet(tmp_path / "out" / "predictions.parquet")
    assert rows["majority"].to_list() == ["down"] * 4
    assert rows["logistic"].to_list()[3] == "down"  # a text without a word


def test_the_lstm_learns_the_classes_and_the_same_inputs_give_the_same_bytes(
    tmp_path: Path,
) -> None:
    for name in ("one", "two"):
        _judge(tmp_path / name, ["up", "down", "down", "up"], lstm=True)
    rows = pl.read_parquet(tmp_path / "one/out/predictions.parquet")
    assert rows["lstm"].to_list()[:2] == ["up", "down"]
    for file in ("floors.json", "predictions.parquet"):
        one, two = (tmp_path / name / "out" / file for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes(), file


def test_a_model_without_classes_has_no_floors(tmp_path: Path) -> None:
    assert _judge(tmp_path, []).skipped == "there are no classes to predict"
