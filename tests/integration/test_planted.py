"""Cleaning against the known truth: the fictional corpus says which rows were spoilt, and how."""

from __future__ import annotations

import polars as pl
import pytest
from planted_scores import Night, Score, clean_fictional, score, struck_rows, table

PEOPLE, SEED = 120, 5
# kind -> (least precision, least recall)
LIMITS = {
    "exact_duplicate": (0.99, 0.99),
    "leak": (0.99, 0.99),
    "mojibake": (0.99, 0.99),
    "markup": (0.99, 0.99),
    "email": (0.99, 0.99),
    "near_duplicate": (0.95, 0.95),
    "boilerplate": (0.95, 0.95),
    "gibberish": (0.99, 0.99),
    # Counts cannot tell where a false version is stated as often as the true one.
    "false_fact": (0.98, 0.85),
    "false_fact_flagged": (0.85, 0.95),
}


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return clean_fictional(PEOPLE, SEED, tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def scores(night: Night) -> dict[str, Score]:
    return {kind: score(night, kind) for kind in LIMITS}


@pytest.mark.parametrize("kind", LIMITS)
def test_every_planted_kind_is_found_and_little_else(scores: dict[str, Score], kind: str) -> None:
    found = scores[kind]
    assert found.true + found.missed > 0, f"nothing of {kind} was planted"
    least_precision, least_recall = LIMITS[kind]
    assert found.precision >= least_precision, table(scores)
    assert found.recall >= least_recall, table(scores)


def test_no_clean_row_is_quarantined(night: Night) -> None:
    touched = set(night.planted["row_id"]) | set(night.planted["origin"].drop_nulls())
    wrong = night.quarantine.filter(~pl.col("row_id").is_in(list(touched)))
    assert wrong.select("reason", "detail", "text").rows() == []


def test_repair_leaves_clean_rows_as_they_are(night: Night) -> None:
    """Apart from sentences that other rows contradict, which no repair is to blame for."""
    touched = {*night.planted["row_id"], *struck_rows(night)}
    before = night.raw.filter(~pl.col("row_id").is_in(list(touched)))
    after = night.kept.select("row_id", pl.col("text").alias("repaired"))
    changed = before.join(after, on="row_id").filter(pl.col("text") != pl.col("repaired"))
    assert changed.select("text", "repaired").rows() == []


def test_a_row_loses_its_disputed_sentences_and_nothing_else(night: Night) -> None:
    disputed = night.contradictions.filter(pl.col("row_id").is_in(list(struck_rows(night))))
    lost = disputed.filter(pl.col("verdict").is_in(["struck", "undecided"]))
    planted = night.planted.filter(pl.col("kind") != "false_fact")["row_id"]
    texts = dict(night.raw.select("row_id", "text").iter_rows())
    kept = night.kept.filter(~pl.col("row_id").is_in(planted.implode()))
    compared = 0
    for row_id, text in kept.select("row_id", "text").iter_rows():
        sentences = set(lost.filter(pl.col("row_id") == row_id)["sentence"])
        if sentences:
            before = [s for s in texts[row_id].removesuffix(".").split(". ") if s not in sentences]
            assert ". ".join(before).rstrip(".") == text.rstrip("."), row_id
            compared += 1
    assert compared > 50


@pytest.mark.parametrize("kind", ["mojibake", "boilerplate"])
def test_repair_restores_the_text_that_was_spoilt(night: Night, kind: str) -> None:
    truth = night.planted.filter(pl.col("kind") == kind).select("row_id", "detail")
    both = truth.join(night.kept.select("row_id", "text"), on="row_id")
    assert both.height > 0.9 * truth.height
    wrong = both.filter(pl.col("text") != pl.col("detail"))
    assert wrong.select("detail", "text").rows() == []


def test_rows_are_conserved(night: Night) -> None:
    ids = [*night.kept["row_id"], *night.quarantine["row_id"]]
    assert sorted(ids) == sorted(night.raw["row_id"])
    assert night.outcome.rows is not None
    assert night.outcome.rows.entered == night.raw.height


def test_profiling_the_cleaned_rows_finds_no_duplicates_and_no_leaks(night: Night) -> None:
    flags = ["is_exact_duplicate", "is_near_duplicate", "is_test_leak"]
    assert night.again.select(pl.col(flags).sum()).row(0) == (0, 0, 0)
