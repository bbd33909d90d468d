"""Probes made of held-out text: what is masked, what is not, and the same ones each time."""

from __future__ import annotations

import polars as pl
import pytest

from tasks.evaluation.made_probes import made_probes


def of(*texts: str, most: int = 50) -> list[dict[str, str]]:
    rows = pl.DataFrame(
        {
            "row_id": [f"r{i}" for i in range(len(texts))],
            "text": texts,
            "split": ["test"] * len(texts),
        }
    )
    return made_probes(rows, most, seed=1).to_dicts()


@pytest.mark.parametrize(
    ("text", "kind", "answers"),
    [
        ("The bridge over the river was opened in 1887 by nobody.", "year", {"1887"}),
        ("The town has exactly 12,400 people and one old church.", "number", {"12,400"}),
        ("The treaty was signed there on 4 March after long talks.", "date", {"4 March"}),
        ("At the end of it all they met Elin Sol at home.", "name of 2 words", {"Elin Sol"}),
        ("这座桥建于1887年，长120米，很有名。", "year", {"1887"}),
    ],
)
def test_a_name_a_number_or_a_date_is_masked(text: str, kind: str, answers: set[str]) -> None:
    (probe,) = of(text)
    assert (probe["relation"], {probe["answer"]}) == (kind, answers)
    for probe in of(text):
        assert probe["statement"].count("[MASK]") == 1
        assert probe["statement"].replace("[MASK]", probe["answer"]) in text


@pytest.mark.parametrize(
    "text",
    [
        "Too short: 1887.",
        "They met Elin here and Elin there and Elin everywhere else too.",
        "Write to [EMAIL] before the year 1887 has come to its end.",
        "Nothing in this sentence is a name or a number at all.",
        " ".join(["word"] * 80) + " 1887.",
    ],
)
def test_what_gives_too_little_too_much_or_itself_away_is_left(text: str) -> None:
    assert of(text) == []


def test_one_span_of_a_sentence_is_asked_and_rare_answers_first() -> None:
    common = [f"In the year of 1900 they built house number {i} of it." for i in range(30)]
    found = of(*common, "In the year of 1811 they built nothing at all here.", most=5)
    assert len({p["probe_id"].rsplit("-", 1)[0] for p in found}) == len(found) == 5
    assert sum(p["answer"] == "1900" for p in found) <= 2


def test_the_same_text_and_seed_make_the_same_probes() -> None:
    texts = [f"There were {i} ships and {i + 1} boats near Port Sol that day." for i in range(40)]
    assert of(*texts, most=10) == of(*texts, most=10)
    assert {p["split"] for p in of(*texts)} == {"test"}


def test_text_without_held_out_rows_makes_none() -> None:
    rows = pl.DataFrame(
        {"row_id": ["a"], "text": ["It was built in 1887, they say."], "split": ["train"]}
    )
    assert made_probes(rows, 10, seed=0).is_empty()
