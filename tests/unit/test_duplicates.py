"""Exact and near duplicates, and leaks of held-out text, with the cases that are neither."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest

from tasks.configuration import Profiling
from tasks.corpus.duplicates.repeats import band_width, exact_clusters, near_clusters, similarity
from tasks.corpus.profile import profile
from tasks.corpus.signals.wordgrams import split_words, word_grams
from tasks.log import Log

LONG = (
    "The old ferry left the harbour at dawn with nine passengers and a crate of oranges bound for "
    "the northern island where the lighthouse keeper had waited since early spring for any news"
)
OTHER = (
    "Every winter the council debates whether the wooden bridge should be rebuilt in stone, and "
    "each summer the children jump from its rail into the slow green river below the old mill"
)


def profiled(tmp_path: Path, rows: list[tuple[str, str]]) -> pl.DataFrame:
    """Signals of (split, text) rows."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    frame = pl.DataFrame(rows, schema=["split", "text"], orient="row")
    frame.with_row_index("i").select(
        pl.format("r{}", "i").alias("row_id"), pl.lit("d").alias("digest"), "text",
        pl.lit(None, dtype=pl.String).alias("label"), "split", pl.lit("s").alias("source"),
        pl.lit("x").alias("group_region"),
    ).write_parquet(folder / "corpus.parquet")  # fmt: skip
    profile.fn(folder, config=Profiling(), out=out, log=Log())
    return pl.read_parquet(out / "signals.parquet")


def near(texts: list[str], threshold: float = 0.7) -> list[int]:
    words = split_words(pl.Series(texts))
    return near_clusters(words, np.ones(len(texts), bool), threshold, 128).tolist()


def edited(text: str, *places: int) -> str:
    words = text.split()
    for place in places:
        words[place] = f"changed{place}"
    return " ".join(words)


def test_case_space_and_composed_letters_make_no_difference_to_equality() -> None:
    texts = pl.Series(["Café  au\nlait ", "CAFE\u0301 AU LAIT", "café au lait!", "", ""])
    assert exact_clusters(texts).tolist() == [0, 0, 2, 3, 4]


def test_similarity_is_jaccard_over_word_trigrams() -> None:
    grams = word_grams(split_words(pl.Series(["a b c d", "b c d e", "A, B. c!"])), 3)
    assert similarity(grams.of(0), grams.of(1)) == pytest.approx(1 / 3)
    assert similarity(grams.of(0), grams.of(2)) == pytest.approx(1 / 2)


def test_a_copy_with_one_word_changed_is_a_near_duplicate_of_the_first() -> None:
    assert near([LONG, OTHER, edited(LONG, 7)]) == [0, 1, 0]


def test_rows_below_the_threshold_are_kept() -> None:
    assert near([LONG, edited(LONG, 3, 9, 15, 21, 27)]) == [0, 1]


def test_similar_rows_are_not_chained_to_rows_they_do_not_resemble() -> None:
    steps = [LONG, edited(LONG, 5), edited(LONG, 5, 15), edited(LONG, 5, 15, 25)]
    sets = [word_grams(split_words(pl.Series(steps)), 3).of(i) for i in range(4)]
    assert similarity(sets[1], sets[2]) >= 0.7 > similarity(sets[0], sets[2])
    assert near(steps) == [0, 0, 2, 2]


def test_minhash_finds_nearly_every_pair_above_the_threshold() -> None:
    rng = np.random.default_rng(1)
    made = [" ".join(f"w{n}" for n in rng.integers(0, 9999, 40)) for _ in range(300)]
    found = near(made + [edited(text, int(rng.integers(3, 37))) for text in made])
    hits = sum(found[300 + i] == i for i in range(300))
    assert hits >= 298
    assert found[:300] == list(range(300))


@pytest.mark.parametrize(
    ("threshold", "permutations"), [(0.35, 128), (0.5, 32), (0.7, 128), (1.0, 64)]
)
def test_bands_miss_few_pairs_at_any_threshold(threshold: float, permutations: int) -> None:
    width = band_width(threshold, permutations)
    assert (1 - threshold**width) ** (permutations // width) <= 1e-3


def test_short_texts_that_share_a_beginning_are_no_duplicates() -> None:
    texts = ["Anna lives in Oslo.", "Anna lives in Bergen.", "Anna lives.", "Anna"]
    assert near(texts) == [0, 1, 2, 3]


def test_only_training_rows_are_marked_and_the_first_is_kept(tmp_path: Path) -> None:
    rows = [("test", OTHER), ("test", OTHER), ("train", LONG), ("train", LONG.upper()),
            ("train", edited(LONG, 9)), ("serving", LONG)]  # fmt: skip
    found = profiled(tmp_path, rows)
    assert found["is_exact_duplicate"].to_list() == [False, False, False, True, False, False]
    assert found["is_near_duplicate"].to_list() == [False, False, False, False, True, False]
    assert found["exact_cluster"].to_list() == [0, 0, 2, 2, 4, 2]
    assert found["near_cluster"].to_list() == [0, 1, 2, 2, 2, 5]


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("an exact copy", LONG),
        ("a copy in capitals with other spaces", LONG.upper().replace(" ", "  ")),
        ("a copy with one word changed near its end", edited(LONG, 29)),
        ("a copy within more text", f"As they say, {LONG} and so on it goes"),
    ],
)
@pytest.mark.parametrize("held_out", ["test", "validation"])
def test_a_training_row_with_held_out_text_is_a_leak(
    tmp_path: Path, case: str, text: str, held_out: str
) -> None:
    found = profiled(tmp_path, [(held_out, LONG), ("train", text), ("train", OTHER)])
    assert found["is_test_leak"].to_list() == [False, True, False], case
    assert found["leak_overlap"][1] >= 0.5
    assert found["leak_overlap"][2] == 0
    assert found["is_exact_duplicate"].sum() == 0


def test_a_leaked_row_copied_many_times_is_a_leak_each_time(tmp_path: Path) -> None:
    found = profiled(tmp_path, [("test", LONG), *[("train", LONG)] * 30])
    assert found["is_test_leak"].sum() == 30


def test_a_held_out_row_within_a_much_longer_row_is_a_leak(tmp_path: Path) -> None:
    around = " ".join(f"w{n}" for n in range(300))
    part = " ".join(LONG.split()[:20])
    rows = [
        ("test", LONG),
        ("train", f"{around} {LONG} {around}"),
        ("train", f"{around} {part} u v"),
    ]
    found = profiled(tmp_path, rows)
    assert found["is_test_leak"].to_list() == [False, True, False]
    assert found["leak_overlap"][1] < 0.1


def test_rows_that_quote_one_sentence_are_no_leaks(tmp_path: Path) -> None:
    quote = " ".join(LONG.split()[:12])
    rows = [("test", f"{quote} {OTHER}"), ("train", f"{quote} {LONG[90:]} x y z")]
    found = profiled(tmp_path, rows)
    assert 0 < found["leak_overlap"][1] < 0.5
    assert not found["is_test_leak"].any()


def test_rows_of_one_template_are_no_leaks(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    frame = (
        "{} is a resident of the town of {} and works there as a {} ; the neighbours know {} well. "
        "This entry is part of the register of persons kept by the district office and may be "
        "corrected at any time upon a written request to the officer who is in charge of it."
    )
    texts = [frame.format(*(f"w{n}" for n in rng.integers(0, 5000, 4))) for _ in range(60)]
    splits = ["test" if i % 5 == 0 else "train" for i in range(60)]
    found = profiled(tmp_path, list(zip(splits, texts, strict=True)))
    assert not found["is_test_leak"].any()


def test_texts_shorter_than_an_ngram_leak_only_as_a_whole(tmp_path: Path) -> None:
    rows = [("test", "Anna lives in Oslo."), ("train", "anna lives in oslo."),
            ("train", "Anna lives in Bergen."), ("train", f"Anna lives in Oslo. {LONG}")]  # fmt: skip
    assert profiled(tmp_path, rows)["is_test_leak"].to_list() == [False, True, False, False]


def test_a_profile_is_the_same_to_the_byte_each_time(tmp_path: Path) -> None:
    rows = [("train", LONG), ("train", edited(LONG, 4)), ("test", OTHER), ("validation", "")]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        profiled(tmp_path / name, rows)
    for file in ("signals.parquet", "profile.json"):
        assert (tmp_path / "a/out" / file).read_bytes() == (tmp_path / "b/out" / file).read_bytes()


def test_the_profile_counts_splits_languages_and_clusters(tmp_path: Path) -> None:
    signals = profiled(tmp_path, [("train", LONG), ("train", LONG), ("test", OTHER)])
    summary = orjson.loads((tmp_path / "out/profile.json").read_bytes())
    assert summary["splits"] == {"test": 1, "train": 2}
    assert summary["languages"] == {"en": 3}
    assert summary["duplicates"]["exact_clusters"] == 1
    assert summary["quantiles"]["words"]["1"] == signals["words"].max()
    assert "group_region" in signals.columns
