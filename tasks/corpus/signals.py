"""What is measured of each text on its own: one row of numbers, judged later by the suites.

Every signal depends on its row alone, so a row may be measured anywhere and at any time with the
same result. Where a known filter measures the same thing it is named: Gopher (Rae et al. 2021,
arXiv:2112.11446), C4 (Raffel et al. 2020, arXiv:1910.10683), FineWeb (Penedo et al. 2024,
arXiv:2406.17557).

| signal | definition |
|---|---|
| characters | code points |
| words | runs of letters and digits; each Han or kana character is one, and each cluster of Thai, Lao, Khmer and Burmese (`patterns.WORD`; Gopher counts at white space) |
| mean_word_length | characters per word, 0 without words (Gopher: 3 to 10) |
| alpha_ratio, digit_ratio, space_ratio, symbol_ratio | share of characters that are letters or marks of any script, decimal digits, white space, and anything else; they sum to 1 |
| upper_ratio | share of the cased letters that are capitals |
| stopword_ratio | share of words that are English function words (Gopher asks for two) |
| unique_word_ratio | different words per word |
| repeated_line_ratio | share of non-empty lines that repeat an earlier one (Gopher, FineWeb) |
| repeated_ngram_ratio | share of word 5-grams that repeat an earlier one (Gopher's shortest length that repeats little in whole novels) |
| markup_count | HTML and XML tags, comments, entities (`patterns.MARKUP`) |
| mojibake_score | marks of a wrong codec per 100 characters: ftfy's badness, and U+FFFD |
| control_characters | `patterns.CONTROL`: no line breaks, no tabs |
| url_count | web addresses (`patterns.URL`) |
| email_count and its like, pii_count, secret_count | personal data and secrets (`personal`) |
| loop_ratio | share of the words in immediate repetitions of a short unit (`loops`) |
| boilerplate_count | lines and sentences made mostly of phrases of web pages (C4 drops such lines) |
| gibberish_score | share of judged letters in words of implausible letter pairs (`gibberish`), with a credit of 12 plausible letters |
| mentions_female, mentions_male | terms of the fairness lexicon |
"""  # noqa: E501

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus import patterns
from tasks.corpus.boilerplate import boilerplate_counts
from tasks.corpus.gibberish import implausible_letters
from tasks.corpus.language import languages
from tasks.corpus.loops import loop_signals
from tasks.corpus.personal import personal_signals
from tasks.corpus.wordgrams import Words, split_words, word_grams
from tasks.fairness.lexicons import mention_counts

_REPEATED = 5
# Letters of plausible words that every text is credited with, so that one odd word in a short text
# condemns nothing.
_CREDIT = 12
_ADDRESS = rf"{patterns.URL}|{patterns.EMAIL}|@\w+"


def row_signals(texts: pl.Series, words: Words | None = None) -> pl.DataFrame:
    """Measure texts, one row each, in their order; null counts as empty.

    Args:
        texts: The texts.
        words: Their words, if they are split already.
    """
    texts = texts.fill_null("").alias("text")
    words = split_words(texts) if words is None else words
    table = pl.concat(
        [
            _characters(texts), _words(words), _lines(texts), _counts(texts),
            _gibberish(texts, words), _mentions(texts),
        ],
        how="horizontal",
    )  # fmt: skip
    language = languages(texts, table["stopword_ratio"])
    table = table.with_columns(personal_signals(texts).get_columns())
    return pl.concat([table, loop_signals(words), language], how="horizontal")


def _characters(texts: pl.Series) -> pl.DataFrame:
    def left(pattern: str) -> pl.Expr:
        return pl.col("text").str.replace_all(pattern, "").str.len_chars()

    frame = texts.to_frame().select(
        pl.col("text").str.len_chars().alias("characters"),
        left(r"[^\p{L}\p{M}]+").alias("letters"),
        left(r"[^\p{Nd}]+").alias("digits"),
        left(r"\S+").alias("spaces"),
        left(r"[^\p{Lu}]+").alias("upper"),
        left(r"[^\p{Ll}]+").alias("lower"),
    )
    total = pl.col("characters")
    symbols = total - pl.col("letters") - pl.col("digits") - pl.col("spaces")
    return frame.select(
        total.cast(pl.Int64),
        _ratio(pl.col("letters"), total).alias("alpha_ratio"),
        _ratio(pl.col("digits"), total).alias("digit_ratio"),
        _ratio(pl.col("upper"), pl.col("upper") + pl.col("lower")).alias("upper_ratio"),
        _ratio(symbols, total).alias("symbol_ratio"),
        _ratio(pl.col("spaces"), total).alias("space_ratio"),
    )


def _words(words: Words) -> pl.DataFrame:
    vocabulary, counts = words.vocabulary, words.counts
    letters = words.sums(vocabulary.str.len_chars().to_numpy())
    stops = words.sums(vocabulary.is_in(patterns.stop_words()).to_numpy())
    grams = word_grams(words, _REPEATED)
    return pl.DataFrame(
        {
            "words": counts,
            "mean_word_length": _divided(letters, counts),
            "stopword_ratio": _divided(stops, counts),
            "unique_word_ratio": _divided(word_grams(words, 1).distinct(), counts),
            "repeated_ngram_ratio": _divided(
                np.diff(grams.starts) - grams.distinct(), np.diff(grams.starts)
            ),
        }
    )


def _lines(texts: pl.Series) -> pl.DataFrame:
    stripped = pl.element().str.strip_chars()
    several = pl.when(pl.col("text").str.contains("\n", literal=True)).then(pl.col("text"))
    lines = several.str.split("\n").list.eval(stripped.filter(stripped != ""))
    total, different = lines.list.len(), lines.list.n_unique()
    repeated = _ratio(total.cast(pl.Int64) - different.cast(pl.Int64), total).fill_null(0.0)
    return texts.to_frame().select(repeated.alias("repeated_line_ratio"))


def _counts(texts: pl.Series) -> pl.DataFrame:
    def count(pattern: str) -> pl.Expr:
        return pl.col("text").str.count_matches(pattern).cast(pl.Int64)

    frame = texts.to_frame().select(
        count(patterns.MARKUP).alias("markup_count"),
        count(patterns.CONTROL).alias("control_characters"),
        count(patterns.URL).alias("url_count"),
    )
    return frame.with_columns(
        pl.Series("mojibake_score", _mojibake(texts)),
        pl.Series("boilerplate_count", boilerplate_counts(texts)),
    )


def _mojibake(texts: pl.Series) -> NDArray[np.float64]:
    """Badness as ftfy counts it, and lost characters, per 100 characters; ASCII cannot be mojibake."""
    from ftfy.badness import badness

    score = np.zeros(len(texts))
    for row in texts.str.contains(r"[^\x00-\x7f]").arg_true():
        text = texts[row]
        score[row] = 100 * (badness(text) + text.count("\ufffd")) / len(text)
    return score


def _gibberish(texts: pl.Series, words: Words) -> pl.DataFrame:
    """Addresses of pages and people are letters without a language, so they are left out."""
    score = _gibberish_scores(words)
    addressed = texts.str.contains(r"[@/]|www\.").arg_true()
    if len(addressed):
        plain = texts.gather(addressed).str.replace_all(_ADDRESS, " ")
        score[addressed.to_numpy()] = _gibberish_scores(split_words(plain))
    return pl.DataFrame({"gibberish_score": score})


def _gibberish_scores(words: Words) -> NDArray[np.float64]:
    bad, judged = (words.sums(values) for values in implausible_letters(words.vocabulary))
    return np.asarray(bad / (judged + _CREDIT))


def _mentions(texts: pl.Series) -> pl.DataFrame:
    counts = mention_counts(texts, "gender")
    return counts.select(pl.col("female", "male").cast(pl.Int64).name.prefix("mentions_"))


def _ratio(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(part / whole).otherwise(0.0)


def _divided(part: NDArray[np.generic], whole: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.asarray(part / np.maximum(whole.astype(np.float64), 1.0))
