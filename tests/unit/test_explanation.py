"""Claims about explanations, with models whose reasons are known."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from numpy.typing import NDArray

from models import bundle
from tasks.configuration import Explanation
from tasks.explanation.explain import choose, explain
from tasks.explanation.lime_weights import lime_weights
from tasks.explanation.render import bar_chart, text_page
from tasks.explanation.shap_values import shap_values
from tasks.explanation.words import agreement, pieces, sum_by_word, words
from tasks.log import Log

WEIGHTS = {"splendid": 0.25, "warm": 0.1, "dull": -0.2}
TEXT = 'A "splendid" film, warm but dull; don\'t miss it!'
CONFIG = Explanation(examples=3, shap_evaluations=300, lime_samples=200)


class LinearModel:
    """Probability of `good` is a half plus the weights of the words that are there."""

    classes = ["bad", "mixed", "good"]

    def predict_proba(self, texts: Sequence[str]) -> NDArray[Any]:
        good = np.array([0.5 + sum(WEIGHTS.get(w, 0) for w in set(words(t))) for t in texts])
        return np.stack([(1 - good) * 0.75, (1 - good) * 0.25, good], axis=1)


def test_shap_values_of_a_linear_model_are_its_weights_and_add_up() -> None:
    found = shap_values(LinearModel(), TEXT, 2, evaluations=400, seed=0)
    assert "".join(token for token, _ in found.tokens) == TEXT
    by_word = sum_by_word(found.tokens)
    for word, value in by_word.items():
        assert value == pytest.approx(WEIGHTS.get(word, 0.0), abs=1e-9)
    assert found.base_value == pytest.approx(0.5)
    assert found.additivity_error < 1e-9


def test_shap_explains_the_class_it_is_asked_about() -> None:
    found = shap_values(LinearModel(), TEXT, 1, evaluations=400, seed=0)
    assert sum_by_word(found.tokens)["splendid"] == pytest.approx(-0.25 * 0.25)


def test_shap_adds_up_even_when_the_evaluations_run_out() -> None:
    long = " ".join(f"word{i}" for i in range(60)) + " splendid dull"
    found = shap_values(LinearModel(), long, 2, evaluations=20, seed=0)
    assert found.additivity_error < 1e-9


def test_shap_leaves_the_global_random_state_alone() -> None:
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    shap_values(LinearModel(), TEXT, 2, evaluations=100, seed=0)
    assert np.random.random() == expected  # noqa: NPY002


def test_shap_runs_beside_transformers_that_know_no_keras_3(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Transformers(ModuleType):
        def __getattr__(self, name: str) -> Any:
            raise (ValueError if name.startswith("TF") else AttributeError)(name)

    imported_by_the_attack = Transformers("transformers")
    monkeypatch.setitem(sys.modules, "transformers", imported_by_the_attack)
    assert shap_values(LinearModel(), TEXT, 2, evaluations=50, seed=0).additivity_error < 1e-9
    assert "TFPreTrainedModel" not in vars(imported_by_the_attack)


def test_lime_ranks_the_keyword_first_and_the_rest_by_their_weight() -> None:
    found = lime_weights(LinearModel(), TEXT, 2, samples=300, seed=0)
    assert [word for word, _ in found[:3]] == ["splendid", "dull", "warm"]
    assert found[0][1] > 0 > found[1][1]
    assert {word for word, _ in found} == set(words(TEXT))
    assert found == lime_weights(LinearModel(), TEXT, 2, samples=300, seed=0)


@pytest.mark.parametrize("text", ["", " ", "?!", "splendid", '"splendid"!', "splendid film"])
def test_texts_with_hardly_a_word_are_explained_too(text: str) -> None:
    by_shap = shap_values(LinearModel(), text, 2, evaluations=100, seed=0)
    by_lime = lime_weights(LinearModel(), text, 2, samples=100, seed=0)
    assert "".join(token for token, _ in by_shap.tokens) == text
    explained = by_shap.base_value + sum(value for _, value in by_shap.tokens)
    assert explained == pytest.approx(0.75 if "splendid" in text else 0.5)
    assert len(by_lime) == len(set(words(text)))


def test_pieces_joined_are_the_text() -> None:
    assert pieces('"Don\'t," he said.') == ['"Don\'t," ', "he ", "said."]
    assert pieces("?!") == ["?!"]
    assert pieces("") == []


def test_agreement_is_full_for_the_same_and_opposite_for_reversed_explanations() -> None:
    a = {"one": 3.0, "two": 2.0, "three": 1.0}
    assert agreement(a, a) == {"rank_correlation": 1.0, "top_overlap": 1.0}
    reversed_ = {"one": 1.0, "two": 2.0, "three": 3.0}
    assert agreement(a, reversed_)["rank_correlation"] == -1.0
    apart = agreement({"a": 1.0, "b": 0.0, "c": 0.0}, {"a": 0.0, "b": 1.0, "c": 0.5})
    assert apart["top_overlap"] == 0.0
    nothing = {"rank_correlation": None, "top_overlap": None}
    assert agreement({}, {}) == agreement({"a": 0.0}, {"a": 0.0}) == nothing


def _predictions(rows: Sequence[tuple[str, str, bool, float]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["row_id", "predicted", "correct", "confidence"], orient="row")


def test_sure_mistakes_come_first_then_each_class_at_its_clearest_then_the_unsure() -> None:
    rows = [
        ("w1", "a", False, 0.6), ("w2", "b", False, 0.9), ("w3", "a", False, 0.7),
        ("r1", "a", True, 0.8), ("r2", "a", True, 0.99), ("r3", "b", True, 0.95),
        ("r4", "b", True, 0.55),
    ]  # fmt: skip
    chosen = choose(_predictions(rows), 7)["row_id"].to_list()
    assert chosen == ["w2", "w3", "w1", "r2", "r3", "r4", "r1"]
    assert choose(_predictions(rows), 3)["row_id"].to_list() == ["w2", "w3", "r2"]
    assert choose(_predictions(rows[:3]), 3)["row_id"].to_list() == ["w2", "w3", "w1"]
    assert choose(_predictions(rows[3:]), 2)["row_id"].to_list() == ["r2", "r3"]


def _explain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> Path:
    monkeypatch.setattr(bundle.TextModel, "load", lambda _: LinearModel())
    out = tmp_path / name
    out.mkdir()
    explain.fn(tmp_path, tmp_path, tmp_path, config=CONFIG, seed=4, out=out, log=Log())
    return out


def test_pages_are_escaped_whole_in_themselves_and_the_same_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [
        '<script>alert("splendid")</script> & $x^$ dull',
        "warm " * 150 + "<b>splendid</b>",
        "не splendid 电影",
        "splendid",
    ]
    ids = [f"r{i}" for i in range(4)]
    pl.DataFrame({"row_id": ids, "text": texts}).write_parquet(tmp_path / "corpus.parquet")
    _predictions(
        [(row_id, "good", i > 1, 0.6 + i / 10) for i, row_id in enumerate(ids)]
    ).with_columns(label=pl.lit("<i>")).write_parquet(tmp_path / "predictions.parquet")

    out = _explain(tmp_path, monkeypatch, "one")

    for path in out.glob("*.html"):
        shown = path.read_text()
        assert "<script" not in shown.lower()
        assert "http" not in shown
        assert "<i>" not in shown
        assert len(shown) < 30_000
    assert (
        '<span class="w" style="background:rgba(33,102,172,0.75)" title="'
        in (out / "shap_1.html").read_text()
    )
    found = orjson.loads((out / "explanations.json").read_bytes())
    assert [entry["row_id"] for entry in found] == ["r1", "r0", "r3"]
    assert (found[0]["cut"], len(found[0]["text"].split())) == (True, 120)
    assert found[1]["explained"] == pytest.approx(0.55)
    assert found[1]["text"] == texts[0]
    links = set(re.findall(r'href="([^"]+)"', (out / "index.html").read_text()))
    kinds = ("shap", "lime")
    assert links == {f"{k}_{i}.{e}" for k in kinds for i in range(3) for e in ("html", "png")}
    assert all((out / link).stat().st_size for link in links)

    again = _explain(tmp_path, monkeypatch, "two")
    for path in out.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_without_predictions_there_is_nothing_to_explain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = _explain(tmp_path, monkeypatch, "out")
    assert "skipped" in orjson.loads((out / "explanations.json").read_bytes())


def test_the_deeper_colour_is_the_larger_value() -> None:
    shown = text_page("t", [], [("big ", 0.4), ("small ", -0.1), ("none", 0.0)], target="good")
    spans = re.findall(r'rgba\((\d+),\d+,\d+,([\d.]+)\)" title="([^"]+)"', shown)
    assert spans == [("33", "0.75", "big: +0.4000"), ("224", "0.19", "small: -0.1000")]


def test_a_picture_carries_no_trace_of_when_or_by_what_it_was_made(tmp_path: Path) -> None:
    bar_chart("t", "x", [("cost$", 0.2), ("a" * 50, -0.1)], tmp_path / "p.png")
    bar_chart("t", "x", [], tmp_path / "empty.png")
    image = (tmp_path / "p.png").read_bytes()
    assert image.startswith(b"\x89PNG")
    assert b"tEXt" not in image
    assert b"tIME" not in image
