"""The model of the trusted part: its probabilities, and what it finds surprising."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from tasks.corpus.signals.character_model import CharacterModel, kneser_ney
from tasks.corpus.signals.perplexity import perplexities, perplexities_in_parts

DATA = os.environ.get("PLUMBLINE_DATA")
WORDS = "the ferry leaves for island at dawn and comes back late with men who fish there".split()
HAN = "我 你 他 们 去 学 校 图 书 馆 看 今 天 明 很 好 大 小 城 市 里 人 多 山 水".split()


def sentences(words: list[str], count: int, seed: int, joint: str = " ") -> list[str]:
    rng = np.random.default_rng(seed)
    return [joint.join(rng.choice(words, 14)) for _ in range(count)]


def judge(texts: list[str], languages: list[str], untrusted: int = 0) -> list[float | None]:
    trusted = np.arange(len(texts)) < len(texts) - untrusted
    found = perplexities(pl.Series(texts), pl.Series(languages), trusted)
    return found["perplexity"].to_list()


def test_the_probabilities_after_any_context_sum_to_one() -> None:
    counts = np.random.default_rng(1).poisson(0.3, (7, 7, 7))
    assert kneser_ney(counts).sum(axis=-1) == pytest.approx(1, abs=1e-5)


def test_two_orders_have_the_values_of_the_formula() -> None:
    counts = np.array([[0, 3, 1], [2, 0, 0], [1, 0, 0]])
    # Bigrams once: 2, twice: 1, so D = 2 / 4. Before 0 came two kinds, before 1 and 2 one each:
    # once: 2, twice: 1, so D = 1 / 2 there as well.
    unigram = np.array([1.5, 0.5, 0.5]) / 4 + 0.5 * 3 / 4 / 3
    assert kneser_ney(counts)[0] == pytest.approx(
        np.array([0, 2.5, 0.5]) / 4 + 0.5 * 2 / 4 * unigram
    )


def test_a_text_unlike_the_trusted_ones_is_surprising_in_each_language() -> None:
    english, chinese = sentences(WORDS, 400, 1), sentences(HAN, 1600, 2, "")
    odd = ["xq zvk jjw qpx kzz wvx qqj", "xq zvk jjw qpx", "鬱龘麤齉灪爨癵籱饢驫"]
    texts = [*english, *chinese, *odd]
    bits = judge(texts, ["en"] * 400 + ["zh"] * 1600 + ["en", "und", "zh"], untrusted=3)
    assert max(bits[:400]) < 2.5 < 5 < bits[-3]  # type: ignore[operator, type-var]
    assert max(bits[400:-3]) < 6 < 15 < bits[-1]  # type: ignore[operator, type-var]
    assert bits[-2] is not None  # judged by the whole corpus


def test_a_copied_row_does_not_make_itself_likely() -> None:
    odd = "zwq vxk jqp zzv kqx wjj pqv xzk"
    base = sentences(WORDS, 400, 1)
    alone = judge([*base, odd], ["en"] * 401)
    copied = judge([*base, *[odd] * 50], ["en"] * 450)
    assert copied[-1] == pytest.approx(alone[-1], rel=0.05)


def test_bits_do_not_depend_on_the_order_of_rows_and_empty_rows_have_none() -> None:
    texts = [*sentences(WORDS, 300, 3), ""]
    bits = judge(texts, ["en"] * 301)
    assert judge(texts[::-1], ["en"] * 301)[::-1] == bits
    assert bits[-1] is None


def test_bits_do_not_depend_on_how_texts_are_parted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.corpus.signals.perplexity._GROUPS", 1)
    texts = pl.Series([*sentences(WORDS, 400, 1), *sentences(HAN, 1600, 2, ""), "", "xq zvk jjw"])
    languages = pl.Series(["en"] * 400 + ["zh"] * 1600 + ["und"] * 2)
    trusted = np.arange(2002) % 7 > 0
    whole = perplexities(texts, languages, trusted)
    parts = [texts[:1], texts[1:900], texts[900:900], texts[900:]]
    assert perplexities_in_parts(lambda: parts, languages, trusted).equals(whole)


def test_too_few_trusted_rows_judge_nothing() -> None:
    assert judge(sentences(WORDS, 60, 1), ["en"] * 60) == [None] * 60


def test_long_texts_are_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pl.Series(sentences(WORDS, 60, 1))
    whole = CharacterModel.of(texts).bits(texts)
    monkeypatch.setattr("tasks.corpus.signals.character_model._PIECE", 100)
    assert (CharacterModel.of(texts).bits(texts) == whole).all()


@pytest.mark.skipif(DATA is None, reason="PLUMBLINE_DATA is not set")
def test_reviews_with_shuffled_letters_stand_out_of_real_reviews() -> None:
    texts = pl.read_parquet(Path(DATA or "") / "sentiment/mr_polarity.parquet")["text"][:2000]
    rng = np.random.default_rng(5)
    bad = np.arange(2000) % 20 == 0
    noisy = [
        "".join(rng.permutation(list(text))) if flag else text
        for text, flag in zip(texts, bad, strict=True)
    ]
    found = perplexities(pl.Series(noisy), pl.Series(["en"] * 2000), np.ones(2000, bool))
    assert roc_auc_score(bad, found["perplexity"].to_numpy()) > 0.99
    assert 1.5 < found["perplexity"].median() < 4  # type: ignore[operator]
