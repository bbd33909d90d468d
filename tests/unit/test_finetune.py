"""Claims about fine-tuning."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from models.bundle import TextModel
from models.network import hugging_face
from models.network.configuration import EncoderConfig
from models.network.encoder import build
from models.network.heads import build_classifier, start_from
from models.training.finetuner import LabelledRows, Recipe, plan, train
from tasks.configuration import Finetuning
from tasks.errors import UserError
from tasks.log import Log
from tasks.records import Point
from tasks.training.finetune import finetune

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "a", "the", "and"]
SHAPE = EncoderConfig(vocabulary=len(WORDS), layers=1, width=16, heads=2)
QUICK = Finetuning(epochs=6, batch=8, learning_rate=5e-3, max_tokens=16)


@pytest.fixture
def pretrained(tmp_path: Path) -> Path:
    folder = tmp_path / "pretrained"
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.add_special_tokens(WORDS[:5])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(tmp_path / "plain.json"))
    hugging_face.save(
        build(SHAPE, seed=1), tmp_path / "plain.json", folder / "model", max_tokens=16
    )
    return folder


def _corpus(folder: Path, labels: list[str | None], splits: list[str] | None = None) -> Path:
    """Rows that alternate between praise and scorn."""
    folder.mkdir(exist_ok=True)
    n = len(labels)
    texts = [f"the film and a {'good' if i % 2 else 'bad'} " + "film " * (i % 3) for i in range(n)]
    frame = {"row_id": [f"r{i}" for i in range(n)], "text": texts, "label": labels}
    frame["split"] = splits or ["validation" if i % 5 == 0 else "train" for i in range(n)]
    pl.DataFrame(frame, schema_overrides={"label": pl.String}).write_parquet(
        folder / "corpus.parquet"
    )
    return folder


def _finetune(pretrained: Path, corpus: Path, out: Path, log: Log | None = None, **config: object):
    out.mkdir()
    chosen = QUICK.model_copy(update=config)
    return finetune.fn(pretrained, corpus, None, config=chosen, seed=3, out=out, log=log or Log())


class _Heard(Log):
    def __init__(self) -> None:
        self.points: list[Point] = []

    def curve(self, points) -> None:
        self.points += points


def test_a_classifier_learns_what_tells_its_classes_apart(pretrained: Path, tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "corpus", ["-1", "10"] * 60)
    heard = _Heard()
    outcome = _finetune(pretrained, corpus, tmp_path / "out", heard)
    assert outcome.metrics["validation_accuracy"] == 1.0
    model = TextModel.load(tmp_path / "out")
    assert model.classes == ["-1", "10"]
    shares = model.predict_proba(["a bad film", "a good film"])
    assert shares[0, 0] > 0.7
    assert shares[1, 1] > 0.7
    lines = (tmp_path / "out" / "curve.jsonl").read_text().splitlines()
    points = [Point.model_validate_json(line) for line in lines]
    assert points == heard.points
    steps = [p.step for p in points]
    assert steps == sorted(set(steps))
    assert points[-1].metrics.keys() == {"train_loss", "validation_loss", "validation_accuracy"}


def test_the_same_inputs_give_the_same_bytes(pretrained: Path, tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "corpus", ["bad", "good"] * 30)
    for name in ("one", "two"):
        _finetune(pretrained, corpus, tmp_path / name, epochs=2)
    files = sorted(path for path in (tmp_path / "one").rglob("*") if path.is_file())
    for path in files:
        name = path.relative_to(tmp_path / "one")
        assert path.read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    assert len(files) == 12


def test_the_pretrained_weights_stay_beside_the_finetuned(pretrained: Path, tmp_path: Path) -> None:
    _finetune(pretrained, _corpus(tmp_path / "corpus", ["a", "b"] * 30), tmp_path / "out", epochs=1)
    before, after = pretrained / "model", tmp_path / "out"
    encoder = after / "encoder" / "model.safetensors"
    assert encoder.read_bytes() == (before / "model.safetensors").read_bytes()
    classifier = hugging_face.load_classifier(after / "classifier")
    start = build(SHAPE, seed=1).encoder.weights
    moved = [
        np.abs(a.numpy() - b.numpy()).max()
        for a, b in zip(classifier.encoder.weights, start, strict=True)
    ]
    assert min(moved) > 0


@pytest.mark.parametrize(
    ("labels", "why"),
    [([None] * 10, "the data has no labels"), (["only"] * 10, "all labelled rows say 'only'")],
)
def test_without_two_classes_there_is_a_bundle_without_head(
    pretrained: Path, tmp_path: Path, labels: list[str | None], why: str
) -> None:
    outcome = _finetune(pretrained, _corpus(tmp_path / "corpus", labels), tmp_path / "out")
    assert outcome.skipped == why
    assert not TextModel.load(tmp_path / "out").has_head
    assert not (tmp_path / "out" / "classifier").exists()


@pytest.mark.parametrize(("rows", "distinct"), [(30, 30), (800, 201)])
def test_a_label_that_names_rows_and_not_classes_is_refused(
    pretrained: Path, tmp_path: Path, rows: int, distinct: int
) -> None:
    labels: list[str | None] = [f"row {i % distinct}" for i in range(rows)]
    corpus = _corpus(tmp_path / "corpus", labels, ["train"] * rows)
    with pytest.raises(UserError, match=f"{distinct} distinct values in {rows} training rows"):
        _finetune(pretrained, corpus, tmp_path / "out")


def test_rows_without_a_validation_split_keep_the_last_epoch(
    pretrained: Path, tmp_path: Path
) -> None:
    corpus = _corpus(tmp_path / "corpus", ["a", "b"] * 8, ["train"] * 16)
    outcome = _finetune(pretrained, corpus, tmp_path / "out", epochs=2)
    assert outcome.metrics["epoch_kept"] == 2
    assert "validation_loss" not in outcome.metrics


def test_a_row_weighs_what_the_correction_says_and_else_one(
    pretrained: Path, tmp_path: Path
) -> None:
    from tasks.training.heads import labelled_rows

    folder = _corpus(tmp_path / "corpus", ["a", "b", "a", "b"], ["train"] * 4)
    rows = pl.read_parquet(folder / "corpus.parquet").with_columns(
        parent=pl.Series([None, None, None, "r1"])
    )
    rows.write_parquet(folder / "corpus.parquet")
    pl.DataFrame({"row_id": ["r3", "r0"], "weight": [1.5, 0.5]}).write_parquet(
        folder / "weights.parquet"
    )
    assert labelled_rows(folder, folder)["weight"].to_list() == [0.5, 1.0, 1.0, 1.5]


def test_a_row_of_no_weight_teaches_nothing() -> None:
    rows = [[2, 5, 3], [2, 6, 3]] * 8
    classes = np.array([0, 1] * 8, np.int32)
    none = LabelledRows([], np.zeros(0, np.int32), np.zeros(0, np.float32))
    accuracy = []
    for weight_of_second in (1.0, 0.0):
        classifier = build_classifier(SHAPE, 2, seed=0)
        start_from(classifier, build(SHAPE, seed=1))
        training = LabelledRows(rows, classes, np.array([1, weight_of_second] * 8, np.float32))
        epochs = plan([3] * 16, batch=8, epochs=10, longest=16, budget=10**6, seed=0)
        train(
            classifier, training, none, epochs, Recipe(5e-3, 16), report=lambda step, metrics: None
        )  # fmt: skip
        one = np.array([rows[1]], np.int32)
        scores = classifier(one, np.ones_like(one), np.arange(3, dtype=np.int32)[None]).numpy()[0]
        accuracy.append(bool(scores[1] > scores[0]))
    assert accuracy == [True, False]


def test_the_plan_holds_every_row_once_an_epoch_in_another_order() -> None:
    lengths = np.random.default_rng(0).integers(3, 60, size=500).tolist()
    epochs = plan(lengths, batch=16, epochs=2, longest=64, budget=10**9, seed=1)
    orders = [np.concatenate([rows for rows, _ in epoch]).tolist() for epoch in epochs]
    assert [sorted(order) for order in orders] == [list(range(500))] * 2
    assert orders[0] != orders[1]
    assert all(length >= max(lengths[i] for i in rows) for rows, length in epochs[0])
    filled = sum(lengths) / sum(len(rows) * length for rows, length in epochs[0])
    assert filled > 0.8


def test_the_plan_ends_when_its_tokens_are_spent() -> None:
    epochs = plan([10] * 100, batch=10, epochs=5, longest=16, budget=1550, seed=1)
    assert [len(epoch) for epoch in epochs] == [10, 5]
    assert [len(e) for e in plan([10] * 4, batch=2, epochs=3, longest=16, budget=1, seed=0)] == [1]
