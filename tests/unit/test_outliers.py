"""Rows far from the others of their language, and the signal that says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from tasks.corpus.signals.outliers import outlier_signals


def rows(count: int, language: str, mean: float, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "language": [language] * count,
            "characters": rng.lognormal(5, 0.3, count).astype(int),
            "perplexity": rng.normal(mean, 0.3, count),
            "stopword_ratio": rng.normal(0.4, 0.05, count),
        }
    )


def judge(frame: pl.DataFrame, trusted: Any = True) -> pl.DataFrame:
    return outlier_signals(frame, np.full(frame.height, trusted) & True)


@pytest.mark.parametrize(
    ("signal", "value"), [("characters", 90_000), ("perplexity", 9.0), ("stopword_ratio", 1.5)]
)
def test_a_planted_row_is_the_oddest_and_its_signal_is_named(signal: str, value: float) -> None:
    usual = rows(300, "en", 2.5)
    odd = usual[:1].with_columns(pl.lit(value).cast(usual.schema[signal]).alias(signal))
    found = judge(pl.concat([usual, odd]))
    score, name = found.row(-1)
    assert name == signal
    assert score > 8 > max(found["outlier_score"][:-1])


def test_a_row_is_compared_with_its_own_language() -> None:
    found = judge(pl.concat([rows(300, "en", 2.5, 1), rows(100, "zh", 9.0, 2)]))
    assert found["outlier_score"].max() < 6  # type: ignore[operator]


def test_a_language_of_few_rows_is_compared_with_all() -> None:
    found = judge(pl.concat([rows(300, "en", 2.5, 1), rows(10, "zh", 9.0, 2)]))
    assert found["outlier_score"][300:].min() > 10  # type: ignore[operator]
    assert set(found["outlier_signal"][300:]) == {"perplexity"}


def test_english_signals_judge_no_other_language() -> None:
    german = rows(10, "de", 2.5, 2).with_columns(pl.lit(0.0).alias("stopword_ratio"))
    found = judge(pl.concat([rows(300, "en", 2.5, 1), german]))
    assert "stopword_ratio" not in set(found["outlier_signal"][300:])


def test_rows_that_are_not_trusted_say_nothing_of_what_is_usual() -> None:
    frame = pl.concat([rows(100, "en", 2.5, 1), rows(300, "en", 9.0, 2)])
    found = outlier_signals(frame, np.arange(400) < 100)
    assert found["outlier_score"][100:].min() > 10  # type: ignore[operator]


def test_nearly_equal_rows_make_no_row_infinitely_odd() -> None:
    frame = rows(100, "en", 2.5).with_columns(perplexity=pl.lit(2.5), stopword_ratio=pl.lit(0.4))
    changed = frame.with_row_index("i").with_columns(
        pl.when(pl.col("i") == 0).then(2.9).otherwise("perplexity").alias("perplexity")
    )
    assert judge(changed)["outlier_score"][0] < 5


def test_too_few_rows_judge_nothing() -> None:
    assert judge(rows(10, "en", 2.5))["outlier_score"].null_count() == 10
    assert judge(rows(10, "en", 2.5)[:0]).height == 0
