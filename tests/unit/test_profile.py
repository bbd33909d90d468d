"""Signals of a corpus in shards: the same however it is cut, and a later night measures only what is new."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.configuration import Cleaning, Profiling, Source
from tasks.corpus import shards
from tasks.corpus.clean import clean
from tasks.corpus.ingest import ingest
from tasks.corpus.profile import profile
from tasks.log import Log

WORDS = "the ferry leaves for island at dawn and comes back late with men who fish there".split()


def cut_every(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Boundaries every so many rows."""
    for name, size in (("TARGET", rows), ("LEAST", rows // 5), ("MOST", 4 * rows)):
        monkeypatch.setattr(shards, name, size)


def source(path: Path, count: int) -> Source:
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(WORDS, 14)) for _ in range(count)]
    odd = ["<b>late</b>  " + texts[1], texts[2], texts[3] + " too", "teh ferry leavs", "zq xv kj"]
    texts = [*odd, *texts]
    labels = [str(number % 2) for number in range(len(texts))]
    pl.DataFrame({"text": texts, "label": labels}).write_csv(path)
    return Source(location=str(path), label="label")


def night(folder: Path, config: Source) -> dict[str, pl.DataFrame]:
    """What ingest, profile and clean leave."""
    places = [folder / name for name in ("ingest", "profile", "clean")]
    for place in places:
        place.mkdir(parents=True)
    ingest.fn(config=config, seed=0, content="", out=places[0], log=Log())
    profile.fn(places[0], config=Profiling(), out=places[1], log=Log())
    clean.fn(places[0], places[1], config=Cleaning(), out=places[2], log=Log())
    return {
        f"{place.name}/{file.name}": pl.read_parquet(file)
        for place in places
        for file in sorted(place.glob("*.parquet"))
    }


def test_nothing_that_is_found_depends_on_where_a_corpus_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = source(tmp_path / "rows.csv", 900)
    whole = night(tmp_path / "whole", config)
    cut_every(monkeypatch, 50)
    cut = night(tmp_path / "cut", config)
    assert len(shards.Corpus(tmp_path / "cut" / "ingest" / "corpus.parquet").shards) > 5
    assert {name: table.equals(cut[name]) for name, table in whole.items()} == dict.fromkeys(
        whole, True
    )
    assert whole["profile/signals.parquet"]["perplexity"].null_count() == 0
    assert whole["clean/quarantine.parquet"].height >= 2
    assert not any(path.is_dir() for path in (tmp_path / "cut" / "clean").iterdir())


def test_a_later_night_measures_only_the_shards_that_it_has_not_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_every(monkeypatch, 50)
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path / "known"))
    monkeypatch.delenv("PLUMBLINE_STORE", raising=False)
    few, more = (source(tmp_path / f"{count}.csv", count) for count in (600, 700))

    def signals_of(config: Source, content: str) -> tuple[str, str]:
        record = profile(ingest(config=config, seed=0, content=content), config=Profiling())
        return record.outcome.summary, record.digest

    first, _ = signals_of(few, "few")
    assert "measured, 0 reused" in first
    second, known = signals_of(more, "more")
    measured, reused = (int(part.split()[0]) for part in second.split("; ")[1].split(", "))
    assert 1 <= measured <= 5 < reused
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path / "unknown"))
    third, fresh = signals_of(more, "more")
    assert ", 0 reused" in third
    assert fresh == known
