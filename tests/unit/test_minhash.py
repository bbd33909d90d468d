"""Hashed words and MinHash signatures against what they stand for."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.corpus.duplicates.hashing import blocks, hash_texts
from tasks.corpus.duplicates.minhash import band_keys, band_width, missed, signatures
from tasks.corpus.duplicates.repeats import near_clusters, similarity
from tasks.corpus.duplicates.spill import Spill
from tasks.corpus.signals.wordgrams import split_words, word_grams

ROOT = Path(__file__).parents[2]
HASHES = [6741652983799702317, 12659840982561629430]
SIGNATURES = [[502249236, 3469493797, 282092112, 3204620329]]
SCRIPTS = [
    "Hello, World! Don’t stop 'quoted' o' the 3rd", "她出生在北方的一个小城。", "สวัสดีชาวโลกทั้งหลาย abc",
    "", None, "Café CAFE\u0301 ΣΑΣ İstanbul 12a'b'c ''x", "a'她 b' c　ｆｕｌｌ", "don't DON’T cafe\u0301",
    "привет мир, привет", "한국어 텍스트 텍스트", "日本語のテキスト", " \n\t ", "क्या हाल है",
]  # fmt: skip


def test_words_are_those_of_the_pattern_in_every_script() -> None:
    split, hashed = split_words(pl.Series(SCRIPTS)), hash_texts(pl.Series(SCRIPTS))
    assert hashed.starts.tolist() == split.starts.tolist()
    names = {int(word): word_id for word, word_id in zip(hashed.hashes, split.ids, strict=True)}
    assert [names[int(word)] for word in hashed.hashes] == split.ids.tolist()
    assert len(names) == len(split.vocabulary)


def test_clusters_are_those_of_the_pattern_whatever_stands_side_by_side() -> None:
    rng = np.random.default_rng(0)
    points = [*range(0xE00, 0xE60), *range(0xE80, 0xEE0), 0x1000, 0x1039, 0x1031, 0x1780, 0x17D2,
              0x17B6, 0x301, 97, 0x5973, 32]  # fmt: skip
    texts = pl.Series(["".join(map(chr, rng.choice(points, 12))) for _ in range(2000)])
    split, hashed = split_words(texts), hash_texts(texts)
    assert hashed.starts.tolist() == split.starts.tolist()


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        (" Two\n\n  Words\t", "two words"),
        ("CAFE\u0301\u00a0A\u3000B\u2028C", "café a b c"),
        ("ΣΑΣ", "σας"),
    ],
)
def test_a_digest_is_of_the_text_in_lower_case_with_single_spaces(text: str, normal: str) -> None:
    expected = hashlib.blake2b(normal.encode(), digest_size=16).digest()
    assert hash_texts(pl.Series([text])).digests.astype("<u8").tobytes() == expected


def test_hashes_are_the_same_today_as_in_the_index_of_an_earlier_night() -> None:
    words = hash_texts(pl.Series(["Don’t 北"]))
    assert words.hashes.tolist() == HASHES
    assert signatures(words, 4).tolist() == SIGNATURES


def test_texts_come_out_in_order_however_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pl.Series(SCRIPTS * 3)
    whole = hash_texts(texts)
    monkeypatch.setattr("tasks.corpus.duplicates.hashing._BLOCK", 40)
    assert len(list(blocks(texts.fill_null("")))) > 5
    for parts in (texts, [texts[:7], texts[7:]]):
        found = hash_texts(parts)
        assert found.starts.tolist() == whole.starts.tolist()
        assert found.hashes.tolist() == whole.hashes.tolist()
        assert found.digests.tolist() == whole.digests.tolist()


def pairs_of(similar: float, rng: np.random.Generator, shared: int = 200) -> tuple[str, str]:
    """Two texts without common words but a run at their beginning, for about this similarity."""
    own = round(shared * (1 - similar) / (2 * similar))
    words = [f"w{n}" for n in rng.integers(0, 10**9, shared + 2 * own)]
    run = words[:shared]
    return " ".join(run + words[shared : shared + own]), " ".join(run + words[shared + own :])


def test_estimated_similarity_has_no_bias_and_the_error_that_theory_gives() -> None:
    rng, permutations = np.random.default_rng(11), 112
    texts = [text for J in np.linspace(0.1, 0.9, 200) for text in pairs_of(float(J), rng)]
    words = hash_texts(pl.Series(texts))
    found = signatures(words, permutations, 5)
    estimated = (found[::2] == found[1::2]).mean(axis=1)
    grams = word_grams(split_words(pl.Series(texts)), 5)
    true = np.array([similarity(grams.of(i), grams.of(i + 1)) for i in range(0, len(texts), 2)])
    variance = true * (1 - true) / permutations
    error = estimated - true
    assert abs(error.mean()) < 3.3 * np.sqrt(variance.mean() / len(true))
    # The sum of squares over its expectation is about chi-square over 200: sd 0.1.
    assert 0.67 < (error**2 / variance).mean() < 1.33


def test_the_bands_miss_pairs_as_often_as_the_formula_says() -> None:
    rng, permutations, width = np.random.default_rng(5), 64, 8
    texts = [text for _ in range(400) for text in pairs_of(0.7, rng, shared=60)]
    words = hash_texts(pl.Series(texts))
    keys = band_keys(words, np.arange(len(texts)), width, permutations)
    grams = word_grams(split_words(pl.Series(texts)), 3)
    true = [similarity(grams.of(i), grams.of(i + 1)) for i in range(0, len(texts), 2)]
    expected = np.array([missed(J, width, permutations) for J in true])
    apart = (keys[:, ::2] != keys[:, 1::2]).all(axis=0)
    assert expected.mean() > 0.3
    assert abs(apart.mean() - expected.mean()) < 4 * np.sqrt(
        (expected * (1 - expected)).mean() / 400
    )
    assert missed(0.7, band_width(0.7, 128), 128) < 2e-4


def test_chinese_rows_are_compared_by_characters() -> None:
    text = "她出生在北方的一个小城，多年来一直在那里当面包师，邻居们都认识她，也都喜欢她做的面包。"
    other = "渡船清晨离开北岛的港口，日落之后很久才回来，灯塔看守人从早春起就一直在等消息。"
    words = hash_texts(pl.Series([text, other, text.replace("面包师", "裁缝师"), text + "真的"]))
    found = near_clusters(words, np.ones(4, bool), 0.7, 128)
    assert found.tolist() == [0, 1, 0, 0]


def test_a_row_in_a_crowd_of_similar_phrasing_is_still_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a band is crowded its later rows are not looked at, and other bands still lead to them."""
    monkeypatch.setattr("tasks.corpus.duplicates.repeats._CROWD", 8)
    rng = np.random.default_rng(2)
    frame = "the register of persons kept by the district office says that {} lives in {} since {}"
    places = [" ".join(f"w{n}" for n in rng.integers(0, 10**6, 12)) for _ in range(120)]
    texts = [frame.format(place, place[::-1], place[:9]) for place in places]
    found = near_clusters(hash_texts(pl.Series(texts + texts[60:])), np.ones(180, bool), 0.7, 128)
    assert found.tolist() == [*range(120), *range(60, 120)]


def test_a_spill_gives_back_what_it_was_given_and_leaves_no_file(tmp_path: Path) -> None:
    spill: Spill[np.int64] = Spill(np.int64, tmp_path)
    for part in ([1, 2], [], [3]):
        spill.append(np.array(part, np.int64))
    found = spill.array()
    assert found.tolist() == [1, 2, 3]
    assert list(tmp_path.iterdir()) == []
    assert Spill[np.int64](np.int64, tmp_path).array().tolist() == []


def test_importing_the_data_stages_loads_no_compiler() -> None:
    code = (
        "import sys, tasks.corpus.profile, tasks.corpus.clean, tasks.training.replay\n"
        "print('numba' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
