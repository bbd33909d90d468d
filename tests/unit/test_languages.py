"""Nothing assumes English or spaces: Chinese, Japanese and Thai rows through profile and clean."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from expectations.rules import failing_rows, row_rules
from tasks.configuration import Cleaning, Profiling
from tasks.corpus.clean import clean
from tasks.corpus.duplicates.hashing import hash_texts
from tasks.corpus.duplicates.repeats import near_clusters
from tasks.corpus.profile import profile
from tasks.corpus.rows import digest, row_ids
from tasks.corpus.signals.measure import row_signals
from tasks.corpus.signals.patterns import WORD
from tasks.corpus.signals.wordgrams import split_words
from tasks.log import Log

DATA = os.environ.get("PLUMBLINE_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="PLUMBLINE_DATA is not set")
THAI = "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิต่างมีเหตุผลและมโนธรรม"
JAPANESE = "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"


def chinese(count: int, phrases: int = 4) -> list[str]:
    """Rows of some different phrases each."""
    path = Path(DATA or "") / "identity_templates/zh-cn.parquet"
    pool = (
        pl.read_parquet(path)["phrase"].unique(maintain_order=True).sample(count * phrases, seed=3)
    )
    parts = [pool[i * phrases : (i + 1) * phrases].to_list() for i in range(count)]
    return ["，".join(part) + "。" for part in parts]


def cleaned(folder: Path, texts: list[str]) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The signals, the rows kept and the quarantine."""
    raw, profiled, out = (folder / name for name in ("raw", "profiled", "out"))
    for path in (raw, profiled, out):
        path.mkdir()
    digests = [digest(text) for text in texts]
    rows = pl.DataFrame(
        {
            "row_id": row_ids(digests), "digest": digests, "text": texts,
            "label": ["0"] * len(texts), "split": ["train"] * len(texts),
            "source": ["s"] * len(texts),
        }
    )  # fmt: skip
    rows.write_parquet(raw / "corpus.parquet")
    profile.fn(raw, config=Profiling(), out=profiled, log=Log())
    clean.fn(raw, profiled, config=Cleaning(), out=out, log=Log())
    signals = pl.read_parquet(profiled / "signals.parquet")
    names = ("corpus.parquet", "quarantine.parquet")
    kept, gone = (pl.read_parquet(out / name) for name in names)
    return signals, kept, gone


@needs_data
def test_a_clean_chinese_corpus_passes(tmp_path: Path) -> None:
    signals, _, gone = cleaned(tmp_path, chinese(600))
    assert gone.height <= 3
    assert (signals["language"] == "zh").mean() > 0.99  # type: ignore[operator]
    assert signals["typo_ratio"].null_count() == (signals["language"] == "zh").sum()
    assert signals["perplexity"].null_count() == 0


@needs_data
def test_single_chinese_phrases_pass_the_row_rules() -> None:
    path = Path(DATA or "") / "identity_templates/zh-cn.parquet"
    texts = pl.read_parquet(path)["phrase"].unique(maintain_order=True)[::20]
    signals = row_signals(texts).with_columns(
        row_id=pl.int_range(pl.len()).cast(pl.String), split=pl.lit("train")
    )
    assert failing_rows(signals, row_rules())["row_id"].n_unique() <= 0.005 * len(texts)


@needs_data
def test_defects_planted_in_chinese_rows_are_found(tmp_path: Path) -> None:
    texts = chinese(400)
    mojibake = [t.encode().decode("latin-1") for t in texts[:5]]
    lost = [t[:6] + "\ufffd\ufffd" + t[8:] for t in texts[5:10]]
    marked = [f"<p>{t}</p><br/>" for t in texts[10:15]]
    exact = texts[15:20]
    originals = chinese(30, 8)[:5]
    near = [t.replace("，", "，也", 1) for t in originals]
    looped = ["点击这里立即购买" * 6, "哈哈" * 12]
    corpus = [
        *texts[20:],
        *originals,
        *texts[15:20],
        *mojibake,
        *lost,
        *marked,
        *exact,
        *near,
        *looped,
    ]
    signals, kept, gone = cleaned(tmp_path, corpus)
    start = 380 + 5 + 5
    places = {row_id: place for place, row_id in enumerate(signals["row_id"])}
    reasons = {places[row_id]: reason for row_id, reason in gone.select("row_id", "reason").rows()}
    assert (signals["mojibake_score"][start : start + 10] > 0.2).all()
    assert (signals["markup_count"][start + 10 : start + 15] == 3).all()
    assert set(kept["text"]) >= {*texts[:5], *texts[10:15]}  # repaired
    assert [reasons.get(i) for i in range(start + 5, start + 10)] == ["mojibake"] * 5
    assert [reasons.get(i) for i in range(start + 15, start + 20)] == ["exact_duplicate"] * 5
    assert [reasons.get(i) for i in range(start + 20, start + 25)] == ["near_duplicate"] * 5
    assert {reasons.get(i) for i in (start + 25, start + 26)} <= {"repeated_ngrams", "loops"}
    assert len(gone) <= 5 + 5 + 5 + 2 + 3


def test_words_are_read_as_the_pattern_defines_them() -> None:
    texts = pl.Series(
        [
            THAI, JAPANESE, "rock’n’roll isn't 'quoted' b'' x_y 123", "ΣΑΣ İstanbul ǅ ﬁ E\u0301tude",
            "ខ្មែរ မြန်မာ ลาว ພາສາລາວ", "각각 \u1100\u1161\u11a8", "", "Łódź中文abcไทย",
        ]
    )  # fmt: skip
    plain = texts.str.normalize("NFC").str.to_lowercase().str.replace_all("’", "'")
    words = split_words(texts)
    read = words.vocabulary.gather(words.ids).to_list()
    assert words.vocabulary.n_unique() == len(words.vocabulary)
    assert read == [word for row in plain.str.extract_all(WORD) for word in row]
    assert words.counts.tolist() == plain.str.count_matches(WORD).to_list()
    assert words.hashes.tolist() == hash_texts(texts).hashes.tolist()


@pytest.mark.parametrize("text", [THAI * 2, JAPANESE * 2])
def test_an_edit_in_a_script_without_spaces_changes_the_pieces_it_touches_alone(text: str) -> None:
    halves = text[: len(text) // 2]
    edited = halves[:5] + halves[6:]
    words = split_words(pl.Series([halves, edited]))
    ids = [set(words.ids[words.starts[i] : words.starts[i + 1]].tolist()) for i in (0, 1)]
    assert len(ids[0] ^ ids[1]) <= 4
    both = np.ones(2, bool)
    assert near_clusters(words, both, 0.7, 128).tolist() == [0, 0]


def test_english_and_thai_rows_are_not_held_to_each_others_measure() -> None:
    signals = row_signals(pl.Series([THAI, JAPANESE, "ดี", "Yes, indeed."])).with_columns(
        row_id=pl.Series(["th", "ja", "short", "en"]), split=pl.lit("train")
    )
    found = failing_rows(signals, row_rules())
    assert found.select("row_id", "reason").rows() == [("short", "too_short")]
