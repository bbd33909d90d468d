"""Each signal on texts that fit on a line."""

from __future__ import annotations

import string
from typing import Any

import numpy as np
import polars as pl
import pytest

from tasks.corpus.signals.language import languages
from tasks.corpus.signals.measure import row_signals


def measure(text: str | None) -> dict[str, Any]:
    return row_signals(pl.Series([text], dtype=pl.String)).row(0, named=True)


def random_words(count: int, seed: int) -> str:
    rng = np.random.default_rng(seed)
    letters = list(string.ascii_lowercase)
    return " ".join("".join(rng.choice(letters, rng.integers(3, 11))) for _ in range(count))


FOREIGN = [
    "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
    "W Szczebrzeszynie chrząszcz brzmi w trzcinie i Szczebrzeszyn z tego słynie.",
    "Příliš žluťoučký kůň úpěl ďábelské ódy, strč prst skrz krk.",
    "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm.",
    "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan.",
    "人人生而自由，在尊严和权利上一律平等。",
    "すべての人間は、生まれながらにして自由である。",
    "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกัน",
    "Все люди рождаются свободными и равными в своём достоинстве.",
]


@pytest.mark.parametrize(
    ("signal", "text", "expected"),
    [
        ("characters", "añ c", 4),
        ("words", "It's a state-of-the-art tool.", 7),
        ("words", "我爱北京天安门。", 7),
        ("words", "すべての人間", 6),
        ("words", "abc中文def", 4),
        ("words", "สวัสดีครับ", 7),
        ("words", "ខ្មែរ ကမ္ဘာ ໄທ", 5),
        ("words", "... !!!", 0),
        ("mean_word_length", "a bbb", 2.0),
        ("alpha_ratio", "ab1!", 0.5),
        ("alpha_ratio", "हिन्दी", 1.0),
        ("digit_ratio", "a1 2", 0.5),
        ("space_ratio", "a b\n", 0.5),
        ("symbol_ratio", "a#b#", 0.5),
        ("upper_ratio", "ABc 我", 2 / 3),
        ("upper_ratio", "我", 0.0),
        ("stopword_ratio", "The cat isn’t on the mat", 4 / 6),
        ("unique_word_ratio", "A a b", 2 / 3),
        ("repeated_line_ratio", "a\nb\na\n\n", 1 / 3),
        ("repeated_line_ratio", "one line", 0.0),
        ("repeated_ngram_ratio", "a b c d e a b c d e", 1 / 6),
        ("repeated_ngram_ratio", "a b c d e f", 0.0),
        ("markup_count", '<p class="x">a &amp; b</p>', 3),
        ("markup_count", "<br/><!-- note --><custom-tag id='1'></custom-tag>", 4),
        ("markup_count", "if a < b and 3 > 2, I <3 R&D; a <b and c> <unk>", 0),
        ("mojibake_score", "cafÃ© " + "x" * 94, 1.0),
        ("mojibake_score", "café “quoted” – naïve Ünïcödé", 0.0),
        ("control_characters", "a\x00b\x07\ufeff", 3),
        ("control_characters", "a\tb\nc\u200d", 0),
        ("url_count", "see https://a.org/x?y=1 and www.b.com", 2),
        ("email_count", "to jo.doe+x@mail.example.org, or me@x.de.", 2),
        ("email_count", "at @home, 3@4 and a@b", 0),
        ("phone_count", "+44 20 7946 0958 or (555) 123-4567 or 555-123-4567", 3),
        ("phone_count", "Call us at 555 0199!", 1),
        ("phone_count", "from 1990-1995, 12345678, 1,000,000, 978-3-16-148410-0, 2020-01-02", 0),
        ("ip_count", "from 192.168.0.1 and 2001:0db8:0000:0000:0000:ff00:0042:8329", 2),
        ("ip_count", "section 3.2.1.4, version 999.1.1.1", 0),
        ("pii_count", "a@b.org or 10.20.30.40", 2),
        ("boilerplate_count", "He spoke.\nWe use cookies.\nSign in | Contact us\n", 3),
        ("boilerplate_count", "She told him to click here and then to read more of her long book.", 0),
        ("mentions_female", "She met her brother.", 2),
        ("mentions_male", "She met her brother.", 1),
        ("language", "The people of the village and their houses.", "en"),
        ("language", "12 %", "und"),
    ],
)  # fmt: skip
def test_a_signal_has_its_defined_value(signal: str, text: str, expected: Any) -> None:
    value = measure(text)[signal]
    assert value == (pytest.approx(expected) if isinstance(expected, float) else expected)


@pytest.mark.parametrize("text", [None, ""])
def test_an_empty_text_has_every_signal_and_no_nan(text: str | None) -> None:
    row = measure(text)
    assert row.pop("language") == "und"
    assert set(row.values()) == {0}


def test_the_character_shares_sum_to_one() -> None:
    row = measure("Ünï 12 – 我们 \n!")
    assert sum(row[f"{k}_ratio"] for k in ("alpha", "digit", "space", "symbol")) == pytest.approx(1)


@pytest.mark.parametrize("count", [12, 40])
def test_random_letters_are_gibberish(count: int) -> None:
    texts = pl.Series([random_words(count, seed) for seed in range(50)])
    assert (row_signals(texts)["gibberish_score"] > 0.5).mean() >= 0.9  # type: ignore[operator]


@pytest.mark.parametrize("text", FOREIGN)
def test_no_language_is_gibberish_or_lacks_letters(text: str) -> None:
    row = measure(text)
    assert row["gibberish_score"] < 0.3
    assert row["alpha_ratio"] > 0.7
    assert row["words"] >= 5
    assert row["mojibake_score"] == 0


def test_names_and_addresses_are_no_gibberish() -> None:
    text = "Krzyżewski and Mkhitaryan met Ng, see https://t.co/QGBMGU3w3o and xkqzvw@qxzj.org"
    assert measure(text)["gibberish_score"] < 0.3


@pytest.mark.parametrize(
    ("text", "code"),
    zip(FOREIGN, ["de", "pl", "cs", "vi", "fi", "zh", "ja", "th", "ru"], strict=True),
)
def test_languages_are_told_apart(text: str, code: str) -> None:
    row = measure(text)
    assert (row["language"], row["language_confidence"] >= 0.9) == (code, True)


def test_a_language_does_not_depend_on_the_other_rows() -> None:
    alone = [languages(pl.Series([t]), pl.Series([0.0])).row(0) for t in FOREIGN]
    assert languages(pl.Series(FOREIGN), pl.Series([0.0] * len(FOREIGN))).rows() == alone


def test_signals_do_not_depend_on_the_other_rows() -> None:
    texts = pl.Series([*FOREIGN, "We use cookies.", random_words(20, 1), ""])
    together = row_signals(texts)
    apart = pl.concat([row_signals(texts[i : i + 1]) for i in range(len(texts))])
    assert together.equals(apart)
