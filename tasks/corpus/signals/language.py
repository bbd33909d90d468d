"""The language of each text: by script, by English function words, else by letter n-grams.

The n-gram frequencies of 55 languages are langdetect's. Its own detector draws n-grams at random
and takes some five milliseconds a text; here all n-grams of a text's beginning are counted, which
is the naive Bayes that those draws approximate, needs no seed, and takes a thirtieth of the time.
What cannot be told is `und`, with confidence 0, as ISO 639 has it.

Not covered: text in several languages, which is given the one that fills most of its beginning.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.signals.patterns import EMAIL, URL

UNKNOWN = "und"
_JUDGED = 200
# Function words that are English and nothing else, so that a few of them settle it.
_ENGLISH = (
    r"\b(?:the|and|with|which|this|that|from|they|their|there|these|those|his|she|have|has|had|"
    r"been|were|would|could|should|what|when|while|who|you|your|our|into|about|than|through|are|"
    r"for|it's|isn't|of|by)\b"
)
_SCRIPTS = {
    "ja": r"[\p{Hiragana}\p{Katakana}]",
    "ko": r"\p{Hangul}",
    "zh": r"\p{Han}",
    "th": r"\p{Thai}",
    "el": r"\p{Greek}",
    "he": r"\p{Hebrew}",
    "ka": r"\p{Georgian}",
    "hy": r"\p{Armenian}",
}
_LEAST_CONFIDENCE = 0.9
_FEWEST_LETTERS = 12
# n-grams of a word overlap, so their evidence is not independent: each letter is counted about
# three times, and so is the log likelihood divided.
_OVERLAP = 3.0
# langdetect's own smoothing of an n-gram's probability in a language that never shows it.
_SMOOTHING = 0.5 / 10_000
_WORD = re.compile(r"[^\W\d_]+")


def languages(texts: pl.Series, stopword_ratio: pl.Series) -> pl.DataFrame:
    """Identify each text's language.

    Args:
        texts: The texts, not null.
        stopword_ratio: Share of English function words of each text.

    Returns:
        `language` (ISO 639-1 code or `und`) and `language_confidence` (0 to 1; 1 where the
        script or the function words settle it).
    """
    begin = pl.col("begin")
    frame = pl.DataFrame({"begin": texts.str.slice(0, _JUDGED), "stop": stopword_ratio})
    frame = frame.with_columns(begin.str.count_matches(r"\p{L}").alias("letters"))
    frame = pl.concat([frame, _english(frame), _script_counts(frame["begin"])], how="horizontal")
    # Japanese is known by its kana however many Han characters stand between them.
    japanese = pl.col("ja") * 4 >= pl.max_horizontal("zh", pl.lit(1))
    frame = frame.with_columns(
        pl.when(japanese).then(pl.col("ja") + pl.col("zh")).otherwise(0).alias("ja"),
        pl.when(japanese).then(0).otherwise(pl.col("zh")).alias("zh"),
    )
    by_script = pl.coalesce(
        pl.when((pl.col(code) * 2 > pl.col("letters")) & (pl.col(code) >= 2)).then(pl.lit(code))
        for code in _SCRIPTS
    )
    settled = pl.when(pl.col("english")).then(pl.lit("en")).otherwise(by_script)
    return _with_detected(frame.with_columns(settled.alias("language")))


def _english(frame: pl.DataFrame) -> pl.DataFrame:
    """Which texts function words settle; only texts with enough of those are searched."""
    likely = frame["stop"] >= 0.2
    rows = likely.arg_true()
    asked = frame["begin"].gather(rows).str.to_lowercase()
    found = likely.scatter(rows, asked.str.count_matches(_ENGLISH) >= 2)
    return found.alias("english").to_frame()


def _script_counts(begins: pl.Series) -> pl.DataFrame:
    """Characters of each script, of which ASCII has none."""
    none = pl.Series([0], dtype=pl.UInt32).new_from_index(0, len(begins))
    rows = (begins.str.len_bytes() != begins.str.len_chars()).arg_true()
    asked = begins.gather(rows)
    counts = [
        none.clone().scatter(rows, asked.str.count_matches(pattern)).alias(code)
        for code, pattern in _SCRIPTS.items()
    ]
    return pl.DataFrame(counts)


def _with_detected(frame: pl.DataFrame) -> pl.DataFrame:
    """Judge by n-grams what is still open, each different text once."""
    is_open = pl.col("language").is_null() & (pl.col("letters") >= _FEWEST_LETTERS)
    asked = frame.filter(is_open)["begin"].unique().sort()
    answers = [_detect(text) for text in asked]
    detected = pl.DataFrame(
        {
            "begin": asked,
            "guess": pl.Series([code for code, _ in answers], dtype=pl.String),
            "sure": pl.Series([sure for _, sure in answers], dtype=pl.Float64),
        }
    )
    sure = pl.when(pl.col("language").is_not_null()).then(1.0).otherwise(pl.col("sure"))
    return frame.join(detected, on="begin", how="left", maintain_order="left").select(
        pl.coalesce("language", "guess", pl.lit(UNKNOWN)).alias("language"),
        sure.fill_null(0.0).alias("language_confidence"),
    )


def _detect(text: str) -> tuple[str, float]:
    """The likeliest language and its probability; `und` where no language is likely enough."""
    places, likelihoods, codes = _profiles()
    grams = [places[gram] for gram in _grams(text) if gram in places]
    if not grams:
        return UNKNOWN, 0.0
    logs = likelihoods[grams].sum(axis=0, dtype=np.float64) / _OVERLAP
    odds = np.exp(logs - logs.max())
    best = int(odds.argmax())
    confidence = round(float(odds[best] / odds.sum()), 4)
    return (codes[best], confidence) if confidence >= _LEAST_CONFIDENCE else (UNKNOWN, 0.0)


def _grams(text: str) -> list[str]:
    """Pieces of one to three characters of the words, with one space around each word."""
    plain = re.sub(rf"{URL}|{EMAIL}", " ", text)
    grams: list[str] = []
    for word in _WORD.findall(plain):
        if word.isupper() and len(word) > 1:
            continue
        padded = f" {word} "
        grams += word
        grams += map("".join, zip(padded, padded[1:], strict=False))
        grams += map("".join, zip(padded, padded[1:], padded[2:], strict=False))
    return grams


@cache
def _profiles() -> tuple[dict[str, int], NDArray[np.float32], list[str]]:
    """Places of the known n-grams, their log probabilities (n-grams, languages), the codes."""
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory

    factory: Any = DetectorFactory()
    factory.load_profile(PROFILES_DIRECTORY)
    table: dict[str, list[float]] = factory.word_lang_prob_map
    # Profiles are read in the order of the folder; by code, results are the same everywhere.
    order = np.argsort(factory.langlist)
    chances = np.array(list(table.values()), np.float32)[:, order]
    codes = [factory.langlist[place].split("-")[0] for place in order]
    return {gram: place for place, gram in enumerate(table)}, np.log(chances + _SMOOTHING), codes
