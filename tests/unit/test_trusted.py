"""Which rows are trusted, and that profile measures the others against them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from tasks.configuration import Profiling
from tasks.corpus.profile import profile
from tasks.corpus.rows import digest, row_ids
from tasks.corpus.signals.trusted import SIGNALS, trusted_rows
from tasks.log import Log

WORDS = "the ferry leaves for island at dawn and comes back late with men who fish there".split()


def corpus(count: int) -> list[str]:
    rng = np.random.default_rng(4)
    return [" ".join(rng.choice(WORDS, 14)) + "." for _ in range(count)]


def profiled(folder: Path, texts: list[str]) -> pl.DataFrame:
    digests = [digest(text) for text in texts]
    pl.DataFrame(
        {
            "row_id": row_ids(digests), "digest": digests, "text": texts, "source": "s",
            "label": pl.Series([None] * len(texts), dtype=pl.String), "split": "train",
        }
    ).write_parquet(folder / "corpus.parquet")  # fmt: skip
    profile.fn(folder, config=Profiling(), out=folder, log=Log())
    return pl.read_parquet(folder / "signals.parquet")


def test_rows_that_break_a_rule_or_repeat_another_are_not_trusted(tmp_path: Path) -> None:
    texts = [*corpus(20), "<p>the ferry leaves</p>", "12 34 56", corpus(20)[0]]
    signals = profiled(tmp_path, texts)
    assert trusted_rows(signals).tolist() == [True] * 20 + [False] * 3


def test_profile_measures_each_row_against_the_trusted_ones(tmp_path: Path) -> None:
    odd = "xqzj vkwp qqzx jvbk wzxq pfgq zzkv xwjq"
    texts = [*corpus(500), odd, "the ferrry leaves for iland at dawn and comes back"]
    signals = profiled(tmp_path, texts)
    assert set(SIGNALS) < set(signals.columns)
    assert signals["perplexity"].arg_max() == signals["outlier_score"].arg_max() == 500
    assert signals["typo_ratio"].arg_max() == 501
    assert signals["typo_ratio"][501] == 2 / 10
    assert signals["outlier_signal"][500] is not None
    assert signals.columns.count("timestamp") == 1


def test_profile_gives_the_same_bytes_again(tmp_path: Path) -> None:
    profiled(tmp_path, corpus(300))
    once = (tmp_path / "signals.parquet").read_bytes()
    profiled(tmp_path, corpus(300))
    assert (tmp_path / "signals.parquet").read_bytes() == once
