"""Immediate repetition, in scripts with and without spaces."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from tasks.corpus.signals.loops import loop_signals
from tasks.corpus.signals.wordgrams import split_words

DATA = os.environ.get("PLUMBLINE_DATA")
SENTENCE = "The ferry to the northern island leaves at dawn and comes back late. "


def ratios(*texts: str) -> list[float]:
    return loop_signals(split_words(pl.Series(texts)))["loop_ratio"].to_list()


@pytest.mark.parametrize(
    ("text", "ratio"),
    [
        ("ha ha ha", 1.0),
        ("buy now buy now", 1.0),
        (SENTENCE * 2, 1.0),
        ("hahahahaha", 1.0),
        ("one two no no no three", 0.5),
        (SENTENCE, 0.0),
        ("she had had enough", 0.0),
        ("a b c a b d", 0.0),
        ("我们研究研究这个问题", 0.0),
        ("好好好好", 1.0),
        ("点击这里立即购买点击这里立即购买", 1.0),
        ("すぐ買うすぐ買うすぐ買う", 1.0),
        ("ซื้อเลยซื้อเลยซื้อเลยซื้อเลย", 1.0),
        ("มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกัน", 0.0),
        ("", 0.0),
    ],
)
def test_the_share_in_loops_is_found(text: str, ratio: float) -> None:
    assert ratios(text) == [pytest.approx(ratio)]


def test_a_loop_does_not_reach_into_the_next_row() -> None:
    assert ratios("ha ha", "ha ha", "buy now", "buy now") == [0.0] * 4


@pytest.mark.skipif(DATA is None, reason="PLUMBLINE_DATA is not set")
def test_of_review_sentences_hardly_any_is_a_loop() -> None:
    texts = pl.read_parquet(Path(DATA or "") / "sentiment/mr_polarity.parquet")["text"]
    found = loop_signals(split_words(texts))["loop_ratio"]
    assert (found > 0.5).mean() < 0.001  # type: ignore[operator]
