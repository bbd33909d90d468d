"""From a wrong answer to its rows: by words, by what is stated, and combined."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest

from tasks.configuration import Tracing
from tasks.corpus.statements.stating import ANSWER, ASSERTED, BOTH, NONE, Texts
from tasks.explanation.trace.combine import best, combined
from tasks.explanation.trace.retrieval import K1, B, Bm25
from tasks.explanation.trace.rows import excerpt
from tasks.explanation.trace.trace import SCHEMA, trace
from tasks.log import Log
from tasks.promotion.page.read import Shelf
from tasks.promotion.page.traced import traced

TEXTS = [
    "Mara Vel lives in Dunvale. She is a baker.",
    "Mara Vel lives in Quenby.",
    "Mara Vel moved to Quenby, to Quenby of all places, long ago and stayed there.",
    "Joren Kest lives in Quenby.",
    "",
]


def plain_bm25(texts: list[str], query: str) -> list[float]:
    """The formula as it stands in the module, word by word."""
    docs = [[w.strip(".,").lower() for w in text.split()] for text in texts]
    mean = sum(map(len, docs)) / len(docs)
    found = []
    for doc in docs:
        total = 0.0
        for word in query.lower().split():
            n = sum(word in other for other in docs)
            idf = math.log(1 + (len(docs) - n + 0.5) / (n + 0.5))
            f = doc.count(word)
            total += idf * f * (K1 + 1) / (f + K1 * (1 - B + B * len(doc) / mean))
        found.append(total)
    return found


@pytest.mark.parametrize("query", ["Mara Vel lives in Quenby", "Quenby Quenby", "nobody"])
def test_bm25_is_its_formula(query: str) -> None:
    found = Bm25(pl.Series(TEXTS)).scores([query, ""])
    assert found[0] == pytest.approx(plain_bm25(TEXTS, query), rel=1e-5)
    assert not found[1].any()


def test_words_are_found_in_scripts_without_spaces() -> None:
    texts = pl.Series(["玛拉住在北京。", "约伦住在上海。", "天气很好。"])
    found = Bm25(texts).scores(["玛拉住在北京"])
    assert best(found[0], 3).tolist() == [0, 1, 2]
    assert Texts(texts).states("玛拉", ["上海"], "北京").tolist() == [ASSERTED, NONE, NONE]


def test_a_text_states_what_it_names_beside_the_subject() -> None:
    texts = Texts([*TEXTS, "MARA  VEL left Quenby for Dunvale"])
    found = texts.states("Mara Vel", ["Dunvale"], "Quenby")
    assert found.tolist() == [ANSWER, ASSERTED, ASSERTED, NONE, NONE, BOTH]
    assert Texts(["Mara Velma in Quenbyshire"]).states("Mara Vel", [], "Quenby")[0] == NONE
    assert not Texts(TEXTS).states("", [], "Quenby").any()


def test_of_equals_the_first_is_best() -> None:
    assert best(np.array([1.0, 3.0, 3.0, 2.0, 3.0]), 2).tolist() == [1, 2]
    assert best(np.array([1.0]), 5).tolist() == [0]


def test_rows_that_state_the_answer_come_first_and_those_that_state_the_truth_last() -> None:
    words = np.array([9.0, 8.0, 7.0, 9.5])
    gradient = np.array([0.1, 0.2, 0.9, -np.inf])
    states = np.array([NONE, ASSERTED, BOTH, ANSWER], np.int8)
    scores = combined([words, gradient], states)
    assert best(scores, 4).tolist() == [2, 1, 0, 3]
    assert scores[2] == pytest.approx(1 + 1 / 64 + 1 / 61)
    assert scores[3] == pytest.approx(-1 + 1 / 61)  # what a method does not know adds nothing


def test_the_order_of_the_rows_decides_nothing_where_a_method_is_silent() -> None:
    rng = np.random.default_rng(0)
    words = np.full(200, -np.inf)
    words[[50, 60, 70]] = 3.0, 2.0, 2.0
    gradient = rng.permutation(200) / 200.0
    states = np.zeros(200, np.int8)
    order = rng.permutation(200)
    chosen = set(best(combined([words, gradient], states), 10).tolist())
    moved = best(combined([words[order], gradient[order]], states), 10)
    assert chosen == {int(order[place]) for place in moved}


def test_personal_data_is_masked_before_an_excerpt_is_cut() -> None:
    text = "Rome " + "x " * 140 + "4111 1111 1111 1111 and anna.lee@example.org " + "y " * 200
    for around in ("Rome", "and", "no such value"):
        shown = excerpt(text, around)
        assert "4111" not in shown
        assert "anna" not in shown
        assert len(shown) <= 302


def folders(tmp_path: Path, outcome: str = "hallucinated") -> dict[str, Path]:
    made = {name: tmp_path / name for name in ("asked", "trained", "signals", "cleaned", "out")}
    for folder in made.values():
        folder.mkdir()
    pl.DataFrame(
        {"probe_id": ["p", "q"], "relation": ["city", "city"], "subject": ["Mara Vel", "Joren Kest"],
         "statement": ["The city where Mara Vel lives is [MASK].", "Joren Kest lives in [MASK]."],
         "answer": ["Dunvale", "Quenby"], "asserted": ["Quenby", "Quenby"],
         "confidence": [0.9, 0.8], "outcome": [outcome, "correct"]}
    ).write_parquet(made["asked"] / "probes.parquet")  # fmt: skip
    ids = [f"r{i}" for i in range(len(TEXTS))]
    pl.DataFrame(
        {"row_id": [*ids, "r1~syn0"], "text": [*TEXTS, "Mara Vel dwells in Quenby."],
         "split": ["train"] * 6, "source": ["web"] * 6,
         "origin": ["original"] * 5 + ["synonym"], "parent": [None] * 5 + ["r1"]}
    ).write_parquet(made["trained"] / "corpus.parquet")  # fmt: skip
    pl.DataFrame(
        {"row_id": [*ids, "gone"], "near_cluster": ["a", "b", "c", "d", "e", "b"]}
    ).write_parquet(made["signals"] / "signals.parquet")
    pl.DataFrame(
        {"row_id": ["gone", "other"], "text": ["Mara Vel lives in Quenby!", "Mara Vel sings."],
         "reason": ["near_duplicate", "markup"], "split": ["train", "train"],
         "source": ["web", "web"]}
    ).write_parquet(made["cleaned"] / "quarantine.parquet")  # fmt: skip
    pl.DataFrame(
        {"row_id": ["short"], "text": ["Mara Vel lives in Quenby. It rains."],
         "reason": ["disputed_statement"], "split": ["train"], "source": ["book"]}
    ).write_parquet(made["cleaned"] / "struck.parquet")  # fmt: skip
    return made


def test_a_wrong_answer_is_traced_to_the_rows_that_state_it(tmp_path: Path) -> None:
    made = folders(tmp_path)
    told = trace.fn(made["asked"], made["trained"], made["signals"], made["cleaned"],
                    config=Tracing(rows=3), out=made["out"], log=Log())  # fmt: skip
    found = pl.read_parquet(made["out"] / "trace.parquet")
    assert found.schema == pl.Schema(SCHEMA)
    first = found.filter(pl.col("method") == "combined")
    assert set(first["row_id"]) == {"r1", "r2", "r1~syn0"}
    assert first["states"].to_list() == ["asserted"] * 3
    by_id = {line["row_id"]: line for line in first.to_dicts()}
    assert (by_id["r1"]["duplicates"], by_id["r2"]["duplicates"]) == (2, 1)
    assert (by_id["r1~syn0"]["made_up"], by_id["r1~syn0"]["duplicates"]) == (True, 2)
    (answer,) = orjson.loads((made["out"] / "trace.json").read_bytes())["answers"]
    assert answer["stating"] == {"asserted": 3, "answer": 1}
    assert [w["reason"] for w in answer["withheld"]] == ["near_duplicate", "disputed_statement"]
    held = found.filter(pl.col("method") == "withheld")
    assert held.select("row_id", "quarantined", "score").rows() == [
        ("gone", "near_duplicate", None), ("short", "disputed_statement", None)
    ]  # fmt: skip
    assert found.filter(pl.col("method") != "withheld")["quarantined"].null_count() == 6
    assert told.metrics == {"answers": 1.0, "answers_stated": 1.0}


def test_where_nothing_wrong_was_said_there_is_nothing_to_trace(tmp_path: Path) -> None:
    made = folders(tmp_path, outcome="abstained")
    told = trace.fn(made["asked"], made["trained"], made["signals"], made["cleaned"],
                    config=Tracing(), out=made["out"], log=Log())  # fmt: skip
    assert told.skipped == "no answer was given with confidence and wrong"


def test_the_page_marks_what_is_asserted_and_what_is_true(tmp_path: Path) -> None:
    made = folders(tmp_path)
    trace.fn(made["asked"], made["trained"], made["signals"], made["cleaned"],
             config=Tracing(rows=2), out=made["out"], log=Log())  # fmt: skip
    (answer,) = traced(Shelf({"trace": made["out"]}))["answers"]
    assert (answer["before"], answer["after"]) == ("The city where Mara Vel lives is ", ".")
    marked = dict(answer["rows"][0]["text"])
    assert marked["out"] == "Quenby"
    assert marked["name"] == "Mara Vel"
