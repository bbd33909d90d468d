"""Slips of the pen and of recognition, against the frequent words of the corpus."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from tasks.corpus.signals.typos import Slips, misspelt, typo_signals
from tasks.corpus.signals.word_counts import WordCounts
from tasks.corpus.signals.wordgrams import split_words

DATA = os.environ.get("PLUMBLINE_DATA")
OFTEN = ["receive", "because", "modern", "machine", "such", "world", "people", "example", "house"]


@pytest.mark.parametrize(
    ("word", "slip"),
    [
        ("recieve", True), ("recive", True), ("receivve", True), ("receime", True),
        ("rnodern", True), ("modem", True), ("rnachine", True), ("w0rld", True), ("wor1d", True),
        ("peop1e", True), ("fuch", True), ("ſuch", True), ("ofthe", True),
        ("mouse", False), ("houses", False), ("peoples", False), ("hose", True), ("becuase", True),
        ("becuse", True), ("reeiecv", False), ("ferry", False), ("bcs", False), ("人民", False),
        ("1900", False),
    ],
)  # fmt: skip
def test_a_rare_word_one_slip_from_a_frequent_one_is_found(word: str, slip: bool) -> None:
    vocabulary = pl.Series([*OFTEN, word])
    counts = np.array([1000] * len(OFTEN) + [1], np.int64)
    assert misspelt(vocabulary, counts).tolist() == [False] * len(OFTEN) + [slip]


def test_a_word_that_is_itself_frequent_is_none() -> None:
    vocabulary, counts = pl.Series(["house", "hose"]), np.array([1000, 60], np.int64)
    assert not misspelt(vocabulary, counts).any()


def ratios(texts: list[str], languages: list[str]) -> list[float | None]:
    series, trusted = pl.Series(texts), np.ones(len(texts), bool)
    found = typo_signals(series, split_words(series), pl.Series(languages), trusted)
    return found["typo_ratio"].to_list()


def test_words_cut_at_the_end_of_a_line_count_and_compounds_do_not() -> None:
    plain = ["an example of people"] * 30
    cut = ["an exam-\nple of people", "a well-\nknown example of people"]
    assert ratios([*plain, *cut], ["en"] * 32)[-2:] == [pytest.approx(1 / 5), 0.0]


def test_rows_in_a_language_without_a_list_have_no_value() -> None:
    plain = ["people of the world receive an example"] * 40
    texts = [*plain, "people recieve", "peopel der Welt", "人民 peopel"]
    assert ratios(texts, [*["en"] * 41, "de", "zh"])[-3:] == [0.5, None, None]


def test_no_rows_and_no_words_give_no_slips() -> None:
    assert ratios(["", "..."], ["en", "en"]) == [0.0, 0.0]


@pytest.mark.skipif(DATA is None, reason="PLUMBLINE_DATA is not set")
@pytest.mark.parametrize(("share", "least"), [(0.02, 0.9), (0.05, 0.97)])
def test_reviews_with_common_typos_score_above_clean_ones(share: float, least: float) -> None:
    folder, rng = Path(DATA or ""), np.random.default_rng(3)
    pairs = pl.read_parquet(folder / "noise/codespell_dictionary.parquet").filter(
        pl.col("wrong").str.contains("^[a-z]+$") & pl.col("right").str.contains("^[a-z]{4,}$")
    )
    wrong = dict(pairs.group_by("right").agg(pl.col("wrong").sort()).iter_rows())
    texts = pl.read_parquet(folder / "sentiment/movie_reviews.parquet")["text"][::2]
    ridden = np.arange(len(texts)) % 5 == 0

    def spoil(text: str) -> str:
        return " ".join(
            str(rng.choice(wrong[word])) if word in wrong and rng.random() < share * 4 else word
            for word in text.split(" ")
        )

    rows = pl.Series([spoil(t) if bad else t for t, bad in zip(texts, ridden, strict=True)])
    languages = pl.Series(["en"] * len(rows))
    found = typo_signals(rows, split_words(rows), languages, np.ones(len(rows), bool))
    ratio = found["typo_ratio"].to_numpy()
    assert roc_auc_score(ridden, ratio) > least


def test_ratios_do_not_depend_on_how_texts_are_parted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.corpus.signals.word_counts._MERGED", 3)
    often = ["the house by the water is old"] * 45
    texts = pl.Series([*often, "the hous by the wa-\nter", "ofthe house", "das Haus", ""])
    languages = pl.Series(["en"] * 47 + ["de", "en"])
    trusted = np.arange(len(texts)) < 46
    whole = typo_signals(texts, split_words(texts), languages, trusted)
    bounds = [0, 1, 20, 20, 46, len(texts)]
    parts = [slice(begin, end) for begin, end in zip(bounds, bounds[1:], strict=False)]
    counts = WordCounts()
    for part in parts:
        words = split_words(texts[part])
        counts.add(words, trusted[part] & (languages[part] == "en").to_numpy())
    slips = Slips.among(counts)
    found = [slips.ratios(texts[p], split_words(texts[p]), languages[p]) for p in parts]
    assert pl.concat(found).equals(whole)
    assert whole["typo_ratio"][45] > 0
    assert whole["typo_ratio"][46] > 0
