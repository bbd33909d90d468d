"""Cleaning against the known truth: the fictional corpus says which rows were spoilt, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from tasks.configuration import Cleaning, Defects, Profiling, Source
from tasks.corpus.clean import clean
from tasks.corpus.fictional import generate
from tasks.corpus.ingest import ingest
from tasks.corpus.profile import profile
from tasks.log import Log
from tasks.records import Outcome

PEOPLE, SEED = 120, 5
# kind -> (least precision, least recall); what quarantine or repair calls it
LIMITS = {
    "exact_duplicate": (0.99, 0.99),
    "leak": (0.99, 0.99),
    "mojibake": (0.99, 0.99),
    "markup": (0.99, 0.99),
    "email": (0.99, 0.99),
    "near_duplicate": (0.95, 0.95),
    "boilerplate": (0.95, 0.95),
    "gibberish": (0.99, 0.99),
}
QUARANTINED = {
    "exact_duplicate": "exact_duplicate",
    "near_duplicate": "near_duplicate",
    "leak": "test_leak",
    "gibberish": "gibberish",
}


@dataclass(frozen=True)
class Night:
    """What came of the fictional corpus."""

    raw: pl.DataFrame
    planted: pl.DataFrame
    kept: pl.DataFrame
    quarantine: pl.DataFrame
    repairs: pl.DataFrame
    again: pl.DataFrame
    outcome: Outcome


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    root = tmp_path_factory.mktemp("planted")
    folders = {n: root / n for n in ("ingested", "profiled", "cleaned", "profiled_again")}
    for folder in folders.values():
        folder.mkdir()
    ingested, profiled, cleaned, again = folders.values()
    source = Source(people=PEOPLE)
    ingest.fn(config=source, seed=SEED, content="fictional", out=ingested, log=Log())
    profile.fn(ingested, config=Profiling(), out=profiled, log=Log())
    outcome = clean.fn(ingested, profiled, config=Cleaning(), out=cleaned, log=Log())
    profile.fn(cleaned, config=Profiling(), out=again, log=Log())

    def read(folder: Path, name: str) -> pl.DataFrame:
        return pl.read_parquet(folder / name)

    return Night(
        raw=read(ingested, "corpus.parquet"),
        planted=generate(PEOPLE, Defects(), SEED).planted,
        kept=read(cleaned, "corpus.parquet"),
        quarantine=read(cleaned, "quarantine.parquet"),
        repairs=read(cleaned, "repairs.parquet"),
        again=read(again, "signals.parquet"),
        outcome=outcome,
    )


def found_rows(night: Night, kind: str) -> set[str]:
    if kind in QUARANTINED:
        return set(night.quarantine.filter(pl.col("reason") == QUARANTINED[kind])["row_id"])
    return set(night.repairs.filter(pl.col("rule") == kind)["row_id"])


def score(night: Night, kind: str) -> tuple[int, int, int]:
    """True, false and missed findings. Of a copy and its original either may be kept."""
    found = found_rows(night, kind)
    of_kind = night.planted.filter(pl.col("kind") == kind)
    pairs = [(row, origin or row) for row, origin in of_kind.select("row_id", "origin").iter_rows()]
    if kind == "leak":
        pairs = [(row, row) for row, _ in pairs]
    hits = [pair for pair in pairs if found & set(pair)]
    innocent = found - {row for pair in pairs for row in pair}
    return len(hits), len(innocent), len(pairs) - len(hits)


def table(night: Night) -> str:
    lines = [f"{'kind':<16} planted  true  false  missed  precision  recall"]
    for kind in LIMITS:
        true, false, missed = score(night, kind)
        precision, recall = true / max(1, true + false), true / max(1, true + missed)
        lines.append(
            f"{kind:<16} {true + missed:7} {true:5} {false:6} {missed:7} {precision:10.3f} {recall:7.3f}"
        )
    return "\n".join(lines)


@pytest.mark.parametrize("kind", LIMITS)
def test_every_planted_kind_is_found_and_little_else(night: Night, kind: str) -> None:
    true, false, missed = score(night, kind)
    precision, recall = true / max(1, true + false), true / max(1, true + missed)
    assert true + missed > 0, f"nothing of {kind} was planted"
    least_precision, least_recall = LIMITS[kind]
    assert precision >= least_precision, table(night)
    assert recall >= least_recall, table(night)


def test_no_clean_row_is_quarantined(night: Night) -> None:
    touched = set(night.planted["row_id"]) | set(night.planted["origin"].drop_nulls())
    wrong = night.quarantine.filter(~pl.col("row_id").is_in(list(touched)))
    assert wrong.select("reason", "detail", "text").rows() == []


def test_repair_leaves_clean_rows_as_they_are(night: Night) -> None:
    before = night.raw.filter(~pl.col("row_id").is_in(night.planted["row_id"].to_list()))
    after = night.kept.select("row_id", pl.col("text").alias("repaired"))
    changed = before.join(after, on="row_id").filter(pl.col("text") != pl.col("repaired"))
    assert changed.select("text", "repaired").rows() == []


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
