"""Passages that documents repeat, clusters that reach over splits and sources, and stated probes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.configuration import Cleaning, Defects, Profiling, Source
from tasks.corpus.clean import clean
from tasks.corpus.duplicates.hashing import hash_texts
from tasks.corpus.duplicates.relations import Relations
from tasks.corpus.duplicates.repeats import exact_clusters
from tasks.corpus.duplicates.spans import span_ratios
from tasks.corpus.ingest import ingest
from tasks.corpus.profile import profile
from tasks.corpus.sources.fictional import generate
from tasks.corpus.sources.probes import unseen
from tasks.log import Log

_RNG = np.random.default_rng(8)
FOOTER = " ".join(f"footer{n}" for n in range(35))


def text(words: int) -> str:
    return " ".join(f"w{n}" for n in _RNG.integers(0, 10**9, words))


def ratios(texts: list[str], documents: int = 3) -> list[float]:
    series = pl.Series(texts)
    found = span_ratios(hash_texts(series), exact_clusters(series), size=30, documents=documents)
    return [round(float(value), 6) for value in found]


def test_the_words_of_a_passage_in_three_documents_are_counted_once_each() -> None:
    texts = [
        f"{text(65)} {FOOTER}",
        f"{FOOTER} {text(15)} {FOOTER}",
        f"{text(5)} {FOOTER}",
        text(60),
    ]
    assert ratios(texts) == [0.35, round(70 / 85, 6), round(35 / 40, 6), 0.0]


@pytest.mark.parametrize("words", [29, 30])
def test_a_passage_is_as_long_as_asked_for(words: int) -> None:
    part = " ".join(FOOTER.split()[:words])
    found = ratios([f"{text(30)} {part}" for _ in range(4)])
    assert found == [0.5 if words == 30 else 0.0] * 4


def test_two_documents_are_not_enough_and_copies_of_one_count_once() -> None:
    one, two = f"{text(35)} {FOOTER}", f"{text(35)} {FOOTER}"
    assert ratios([one, two]) == [0.0, 0.0]
    assert ratios([one, two, one.upper(), two]) == [0.0] * 4
    assert ratios([one, two, one], documents=2) == [0.5] * 3


def test_a_passage_said_often_in_one_document_is_no_passage_of_many() -> None:
    assert ratios([" ".join([FOOTER] * 5), text(40)]) == [0.0, 0.0]


def test_characters_count_as_words_in_chinese() -> None:
    footer = "本网站使用饼干来改善您的浏览体验继续使用即表示您同意我们的隐私政策和服务条款"
    made = [f"第{'一二三四'[n]}篇{'春夏秋冬'[n] * 20}。{footer}" for n in range(4)]
    found = ratios(made)
    assert min(found) > 0.5
    assert len(set(found)) == 1


def test_small_shards_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{text(65)} {FOOTER}" for _ in range(20)] + [text(50) for _ in range(20)]
    whole = ratios(texts)
    monkeypatch.setattr("tasks.corpus.duplicates.shared_grams._BLOCK", 200)
    monkeypatch.setattr("tasks.corpus.duplicates.shared_grams._SHARD", 30)
    monkeypatch.setattr(
        "tasks.corpus.duplicates.shared_grams._LARGEST", 8
    )  # nearly all falls together
    monkeypatch.setattr("tasks.corpus.duplicates.shared_grams._SMALLEST", 8)
    assert ratios(texts) == whole
    assert whole == [0.35] * 20 + [0.0] * 20


def test_leaks_are_the_same_in_small_shards_and_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    held = [text(40) for _ in range(30)]
    kept = [text(40) for _ in range(30)]
    leaked = [f"{one} {text(10)}" for one in held[:15]] + [
        " ".join(one.split()[:14]) for one in held
    ]
    rows = pl.DataFrame({"text": held + kept + leaked, "split": ["test"] * 30 + ["train"] * 75})
    everyone = np.ones(rows.height, bool)
    whole = Relations(rows, Profiling()).leaks(everyone)
    assert whole.leaked.tolist() == [False] * 60 + [True] * 15 + [False] * 30
    monkeypatch.setattr("tasks.corpus.duplicates.shared_grams._BLOCK", 200)
    monkeypatch.setattr("tasks.corpus.duplicates.shared_grams._SHARD", 50)
    small = Relations(rows, Profiling()).leaks(everyone)
    assert small.overlap.tolist() == whole.overlap.tolist()
    assert small.leaked.tolist() == whole.leaked.tolist()


def test_a_cluster_says_over_how_many_rows_splits_and_sources_it_reaches() -> None:
    one, other = text(40), text(40)
    texts = [one, one.upper(), f"{one} more", other, text(40)]
    rows = pl.DataFrame({"text": texts, "split": ["train", "test", "train", "train", "train"]})
    found = Relations(rows, Profiling()).spread(pl.Series(["a", "a", "b", "a", "b"]))
    assert found["duplicate_rows"].to_list() == [3, 3, 3, 1, 1]
    assert found["duplicate_splits"].to_list() == [2, 2, 2, 1, 1]
    assert found["duplicate_sources"].to_list() == [2, 2, 2, 1, 1]


PROBES = pl.DataFrame(
    {
        "probe_id": ["birth", "job", "short"],
        "statement": ["The town where Anna Vale was born is [MASK].", "As a [MASK] works Anna.",
                      "In [MASK]"],
        "answer": ["Ost", "baker", "Ost"],
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("row", "probe"),
    [
        ("the town where Anna Vale was born is OST", 0),
        ("They say that, as a baker, works Anna; so it goes.", 1),
        ("The town where Anna Vale was born is Lund.", -1),
        ("Anna Vale was born in the town of Ost.", -1),
        ("The town where Anna Vale was born is", -1),
        ("It is in Ost.", -1),
        ("", -1),
    ],
)
def test_only_a_row_with_the_very_statement_and_its_answer_states_a_probe(
    row: str, probe: int
) -> None:
    rows = pl.DataFrame({"text": [row, row], "split": ["train", "test"]})
    found = Relations(rows, Profiling()).stated(np.ones(2, bool), PROBES)
    assert found.tolist() == [probe, -1]


@pytest.mark.parametrize("how", ["quarantine", "report"])
def test_rows_that_state_a_probe_go_to_quarantine_under_its_name(tmp_path: Path, how: str) -> None:
    folders = {name: tmp_path / name for name in ("ingested", "profiled", "cleaned")}
    for folder in folders.values():
        folder.mkdir()
    ingested, profiled, cleaned = folders.values()
    ingest.fn(config=Source(people=20), seed=3, content="fictional", out=ingested, log=Log())
    rows, probes = (pl.read_parquet(ingested / f"{n}.parquet") for n in ("corpus", "probes"))
    place = (rows["split"] == "train").arg_true()[0]
    statement = probes["statement"][7].replace("[MASK]", probes["answer"][7])
    texts = rows["text"].to_list()
    texts[place] = f"{texts[place]} {statement}"
    rows.with_columns(pl.Series("text", texts)).write_parquet(ingested / "corpus.parquet")
    config = Profiling.model_validate({"probe_leaks": how})
    profile.fn(ingested, config=config, out=profiled, log=Log())
    clean.fn(ingested, profiled, config=Cleaning(), out=cleaned, log=Log())
    signals = pl.read_parquet(profiled / "signals.parquet")
    assert signals["is_probe_leak"].arg_true().to_list() == [place]
    found = pl.read_parquet(cleaned / "quarantine.parquet").filter(pl.col("reason") == "probe_leak")
    name = probes["probe_id"][7]
    expected = [f"states the fact probe {name} word for word"] if how == "quarantine" else []
    assert found["detail"].to_list() == expected


def test_no_row_of_the_fictional_corpus_states_a_probe() -> None:
    made = generate(60, Defects(), 5)
    relations = Relations(made.corpus, Profiling())
    assert relations.stated(np.ones(made.corpus.height, bool), unseen(made.probes)).max() == -1
