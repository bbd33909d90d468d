"""Claims about attacks, with a model that counts keywords in the place of a trained one."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from numpy.typing import NDArray

from models import bundle
from tasks.configuration import Evaluation
from tasks.evaluation.classifier import first_words, probabilities, seeded
from tasks.evaluation.robustness import draw, edits, report, robustness
from tasks.log import Log

ROOT = Path(__file__).parents[2]
CONFIG = Evaluation(attack_queries=40, bootstrap=100)
GOOD, BAD = "a splendid film with a warm heart", "a dreadful film with a cold heart"


class KeywordModel:
    """Says `good` if it sees `splendid`, else `bad`; answers as float32, as a network does."""

    classes = ["bad", "good"]

    def __init__(self) -> None:
        self.asked = 0

    def predict_proba(self, texts: Sequence[str]) -> NDArray[Any]:
        self.asked += len(texts)
        good = np.array([0.9 if "splendid" in text else 0.2 for text in texts], dtype=np.float32)
        return np.stack([1 - good, good], axis=1)


class Stubborn(KeywordModel):
    """Says `good`, whatever it is asked."""

    def predict_proba(self, texts: Sequence[str]) -> NDArray[Any]:
        self.asked += len(texts)
        return np.tile([0.1, 0.9], (len(texts), 1))


def _corpus(folder: Path, rows: Sequence[tuple[str | None, str]]) -> Path:
    folder.mkdir(exist_ok=True)
    frame = pl.DataFrame(
        {
            "row_id": [f"r{i:02d}" for i in range(len(rows))],
            "label": [label for label, _ in rows],
            "text": [text for _, text in rows],
            "split": ["test"] * len(rows),
        },
        schema_overrides={"label": pl.String},
    )
    frame.write_parquet(folder / "corpus.parquet")
    return folder


def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Any, **arguments: Any) -> Path:
    monkeypatch.setattr(bundle.TextModel, "load", lambda _: model)
    out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
    out.mkdir()
    given = {"config": CONFIG, "seed": 1, "log": Log(), **arguments}
    robustness.fn(tmp_path, tmp_path / "corpus", out=out, **given)
    return out


def test_attacks_flip_a_keyword_within_budget_and_repeat_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [("good", GOOD), ("good", BAD), ("bad", BAD), ("good", ""), ("good", "?!"), (None, GOOD)]
    _corpus(tmp_path / "corpus", [*rows, ("good", "splendid"), ("mixed", GOOD)])
    state = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    model = KeywordModel()

    out = _run(tmp_path, monkeypatch, model)

    attacks = pl.read_parquet(out / "attacks.parquet")
    # without a word, without a label or of a class the model does not have: not attacked
    assert dict(zip(attacks["row_id"], attacks["outcome"], strict=True)) == {
        "r00": "success",
        "r01": "skipped",
        "r02": "failed",
        "r06": "success",
    }
    flipped = attacks.row(0, named=True)
    assert "splendid" not in flipped["perturbed"]
    assert (flipped["predicted"], flipped["predicted_after"]) == ("good", "bad")
    assert (flipped["confidence_before"], flipped["confidence_after"]) == (0.9, 0.2)
    assert attacks["queries"].max() <= 40
    assert model.asked <= attacks["queries"].sum()

    found = orjson.loads((out / "robustness.json").read_bytes())
    assert found["outcomes"] == {"success": 2, "failed": 1, "skipped": 1}
    assert found["attack_success"]["value"] == pytest.approx(2 / 3)
    assert found["accuracy_under_attack"]["value"] == 0.25
    assert found["clean_accuracy"]["value"] == 0.75
    assert found["examples"][0]["edits"][0][0] == "splendid"

    again = _run(tmp_path, monkeypatch, KeywordModel())
    for name in ("attacks.parquet", "robustness.json"):
        assert (out / name).read_bytes() == (again / name).read_bytes()
    assert state == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002

    # each row's edits are its own: without the others they are the same
    _corpus(tmp_path / "corpus", [("good", GOOD)])
    alone = pl.read_parquet(_run(tmp_path, monkeypatch, KeywordModel()) / "attacks.parquet")
    assert alone["perturbed"][0] == flipped["perturbed"]


def test_a_model_that_always_says_the_same_never_flips_and_the_total_budget_ends_the_attacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _corpus(tmp_path / "corpus", [("good", GOOD)] * 4)
    small = Evaluation(attack_queries=3, attack_total_queries=7, bootstrap=50)
    stubborn = Stubborn()
    out = _run(tmp_path, monkeypatch, stubborn, config=small)
    attacks = pl.read_parquet(out / "attacks.parquet")
    assert attacks["outcome"].to_list() == ["failed", "failed"]
    assert stubborn.asked <= attacks["queries"].sum() <= 7
    found = orjson.loads((out / "robustness.json").read_bytes())
    assert (found["rows"], found["rows_left_out"]) == (2, 2)
    assert found["attack_success"]["value"] == 0.0


QUIET = """
import contextlib, json, logging, logging.config, os, sys
from pathlib import Path

import tensorflow, sklearn.utils  # the order of a night: the model is loaded first

home = Path(os.environ["HOME"])
handler = logging.FileHandler(sys.argv[1], mode="w")
logging.getLogger().addHandler(handler)
ours = logging.getLogger("ours")

def state():
    import nltk
    return [
        sorted(str(path) for path in home.rglob("*")), dict(os.environ), list(nltk.data.path),
        logging.getLogger().handlers == [handler], ours.disabled, id(logging.config.dictConfig),
        id(nltk.download), id(nltk.corpus.stopwords), id(sys.stdout), id(sys.stderr),
    ]

from tasks.evaluation.textattack_setup import import_textattack
before = state()
os.dup2(os.open(sys.argv[2], os.O_CREAT | os.O_WRONLY), 1)
os.dup2(1, 2)
import_textattack()
ours.warning("still heard")
sys.stdout.flush(); sys.stderr.flush()
result = [b == a for b, a in zip(before, state())]
Path(sys.argv[3]).write_text(json.dumps(result))
"""


@pytest.mark.slow
def test_importing_textattack_changes_nothing_in_the_process_or_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    heard, said, result = (tmp_path / name for name in ("heard", "said", "result"))
    unreachable = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-c", QUIET, heard, said, result],
        env={**os.environ, **unreachable, "HOME": str(home), "TMPDIR": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert said.read_text() == ""
    assert not list(tmp_path.glob("plumbline-*"))
    assert heard.read_text() == "still heard\n"
    assert json.loads(result.read_text()) == [True] * 10


@pytest.mark.parametrize(
    ("rows", "config", "why"),
    [
        ([("good", GOOD)], Evaluation(attack_rows=0), "turned off"),
        ([(None, GOOD), ("good", " ")], CONFIG, "no labelled text"),
        ([("other", GOOD)], CONFIG, "none of the test split's classes"),
    ],
)
def test_nothing_to_attack_is_said_not_raised(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[tuple[str | None, str]],
    config: Evaluation,
    why: str,
) -> None:
    _corpus(tmp_path / "corpus", rows)
    out = _run(tmp_path, monkeypatch, KeywordModel(), config=config)
    assert why in orjson.loads((out / "robustness.json").read_bytes())["skipped"]


def test_every_beginning_of_the_sample_holds_the_labels_in_proportion() -> None:
    labels = ["rare"] * 10 + ["common"] * 30
    rows = pl.DataFrame({"row_id": [f"{i:03d}" for i in range(40)], "label": labels})
    sample = draw(rows, 20, seed=3)
    for size in (4, 8, 20):
        assert (sample["label"][:size] == "rare").sum() == size // 4
    assert draw(rows.reverse(), 20, seed=3).equals(sample)
    assert not draw(rows, 20, seed=4).equals(sample)
    assert len(draw(rows, 99, seed=3)) == 40


def test_a_model_that_was_never_right_has_no_attack_success() -> None:
    row = {"row_id": "a", "label": "x", "original": "w", "perturbed": "w", "outcome": "skipped"}
    found = report(pl.DataFrame([{**row, "queries": 1}]), CONFIG, seed=1)
    assert found["attack_success"] is None
    assert found["accuracy_under_attack"]["value"] == 0.0


def test_edits_are_named_word_by_word() -> None:
    assert edits("A fine, warm film.", "A fnie, warm fXlm.") == [
        ["fine,", "fnie,"],
        ["film.", "fXlm."],
    ]


def test_answers_that_are_no_probabilities_become_some() -> None:
    class Broken:
        classes = ["a", "b"]

        def predict_proba(self, texts: Sequence[str]) -> NDArray[Any]:
            return np.array([[np.nan, np.nan], [0.333, 0.666]], dtype=np.float16)

    answer = probabilities(Broken(), ["", "x"])
    assert answer[0].tolist() == [0.5, 0.5]
    assert answer.sum(axis=1) == pytest.approx([1, 1], abs=1e-12)


def test_texts_are_cut_after_a_word_with_their_spacing_kept() -> None:
    assert first_words(" one  two\nthree ", 2) == " one  two"
    assert first_words("one two", 2) == "one two"
    assert first_words("", 2) == ""


def test_seeding_a_library_leaves_our_own_draws_alone() -> None:
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = random.random(), np.random.random()  # noqa: NPY002
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    with seeded(99):
        inner = random.random(), np.random.random()  # noqa: NPY002
    with seeded(99):
        assert inner == (random.random(), np.random.random())  # noqa: NPY002
    assert expected == (random.random(), np.random.random())  # noqa: NPY002
