"""What is measured of each text on its own: one row of numbers, judged later by the suites.

Every signal depends on its row alone, so a row may be measured anywhere and at any time with the
same result. Where a known filter measures the same thing it is named: Gopher (Rae et al. 2021,
arXiv:2112.11446), C4 (Raffel et al. 2020, arXiv:1910.10683), FineWeb (Penedo et al. 2024,
arXiv:2406.17557).

Each is named with a line of help in `HELP`, those of the published filters in `filters.HELP`; a user
adds others (`registry`). Words are those of `wordgrams` unless a filter says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.signals import filters, loops, patterns, personal
from tasks.corpus.signals.boilerplate import boilerplate_counts
from tasks.corpus.signals.filters import filter_signals, ratio
from tasks.corpus.signals.gibberish import implausible_letters
from tasks.corpus.signals.kernels import layout
from tasks.corpus.signals.language import languages
from tasks.corpus.signals.loops import loop_signals
from tasks.corpus.signals.personal import personal_signals
from tasks.corpus.signals.registry import Signal, measure_signals
from tasks.corpus.signals.scan import distinct_grams, scan_texts
from tasks.corpus.signals.wordgrams import Words, split_words
from tasks.fairness.lexicons import mention_counts

HELP: Mapping[str, str] = {
    "characters": "code points",
    "alpha_ratio": "share of characters that are letters or marks of any script",
    "digit_ratio": "share of characters that are decimal digits",
    "upper_ratio": "share of the cased letters that are capitals",
    "symbol_ratio": "share of characters that are no letters, digits or white space",
    "space_ratio": "share of characters that are white space",
    "words": "runs of letters and digits; each Han or kana character and each Thai cluster is one",
    "mean_word_length": "characters per word, 0 without words",
    "stopword_ratio": "share of words that are English function words",
    "unique_word_ratio": "different words per word",
    "repeated_ngram_ratio": "share of word 5-grams that repeat an earlier one",
    "repeated_line_ratio": "share of lines that repeat an earlier one (Gopher's duplicate lines)",
    "markup_count": "HTML and XML tags, comments, entities",
    "control_characters": "control characters other than line breaks and tabs",
    "url_count": "addresses of pages",
    "mojibake_score": "marks of a wrong codec per 100 characters: ftfy's badness, and U+FFFD",
    "boilerplate_count": "lines and sentences made mostly of phrases of web pages",
    "gibberish_score": "share of judged letters in words of implausible letter pairs (0 to 1)",
    "mentions_female": "terms of the fairness lexicon for women",
    "mentions_male": "terms of the fairness lexicon for men",
    "language": "ISO 639-1 code, or und",
    "language_confidence": "how sure the language is (0 to 1)",
    **personal.SIGNALS,
    **loops.SIGNALS,
    **filters.HELP,
}
_REPEATED = 5
# Letters of plausible words that every text is credited with, so that one odd word in a short text
# condemns nothing.
_CREDIT = 12
# Long stretches of ASCII, which no mark of a wrong codec reaches into by more than three characters.
_ASCII = re.compile(r"(?<=[\x00-\x7f]{4})[\x00-\x7f]+(?=[\x00-\x7f]{4})")
_ADDRESS = rf"{patterns.URL}|{patterns.EMAIL}|@\w+"


def row_signals(
    texts: pl.Series, words: Words | None = None, own: Sequence[Signal] = ()
) -> pl.DataFrame:
    """Measure texts, one row each, in their order; null counts as empty.

    Args:
        texts: The texts.
        words: Their words, if they are split already.
        own: Signals of the user's.

    Raises:
        UserError: A signal of the user's fails.
    """
    texts = texts.fill_null("").alias("text")
    words = split_words(texts) if words is None else words
    counts = scan_texts(texts)
    table = pl.concat(
        [
            _characters(counts), _words(words), _counts(texts, counts),
            _gibberish(texts, words, counts["hints"].to_numpy()), _mentions(texts),
        ],
        how="horizontal",
    )  # fmt: skip
    language = languages(texts, table["stopword_ratio"])
    personal_data = personal_signals(texts, counts["hints"].to_numpy())
    parts = [table, personal_data, loop_signals(words), language, filter_signals(counts)]
    table = pl.concat(parts, how="horizontal")
    if not own:
        return table
    return pl.concat([table, measure_signals(texts, own, table.columns)], how="horizontal")


def help_lines(own: Sequence[Signal] = ()) -> dict[str, str]:
    """What each signal says, ours and then the user's."""
    return {**HELP, **{name: line for one in own for name, line in one.help.items()}}


def _characters(counts: pl.DataFrame) -> pl.DataFrame:
    total = pl.col("characters")
    symbols = total - pl.col("letters") - pl.col("digits") - pl.col("spaces")
    return counts.select(
        total,
        ratio("letters", total).alias("alpha_ratio"),
        ratio("digits", total).alias("digit_ratio"),
        ratio("upper", pl.col("upper") + pl.col("lower")).alias("upper_ratio"),
        ratio(symbols, total).alias("symbol_ratio"),
        ratio("spaces", total).alias("space_ratio"),
        ratio("repeated_lines", "lines").alias("repeated_line_ratio"),
        pl.col("controls").alias("control_characters"),
    )


def _words(words: Words) -> pl.DataFrame:
    vocabulary, counts = words.vocabulary, words.counts
    letters = words.sums(vocabulary.str.len_chars().to_numpy())
    stops = words.sums(vocabulary.is_in(patterns.stop_words()).to_numpy())
    grams = np.where(counts >= _REPEATED, counts - _REPEATED + 1, np.minimum(counts, 1))
    different = distinct_grams(words.starts, words.hashes, _REPEATED)
    return pl.DataFrame(
        {
            "words": counts,
            "mean_word_length": _divided(letters, counts),
            "stopword_ratio": _divided(stops, counts),
            "unique_word_ratio": _divided(distinct_grams(words.starts, words.hashes, 1), counts),
            "repeated_ngram_ratio": _divided(grams - different, grams),
        }
    )


def _counts(texts: pl.Series, counts: pl.DataFrame) -> pl.DataFrame:
    """Matches of the patterns, each looked for only in texts that hold what it cannot do without."""
    wanted = {
        "markup_count": (layout.MAY_MARKUP, patterns.MARKUP),
        "url_count": (layout.MAY_URL, patterns.URL),
    }
    hints = counts["hints"].to_numpy()
    found = {name: np.zeros(len(texts), np.int64) for name in wanted}
    for name, (hint, pattern) in wanted.items():
        rows = np.flatnonzero(hints & hint)
        found[name][rows] = texts.gather(rows).str.count_matches(pattern).to_numpy()
    return pl.DataFrame(found).with_columns(
        pl.Series("mojibake_score", _mojibake(texts, np.flatnonzero(hints & layout.MAY_MOJIBAKE))),
        pl.Series("boilerplate_count", boilerplate_counts(texts)),
    )


def _mojibake(texts: pl.Series, suspects: NDArray[np.intp]) -> NDArray[np.float64]:
    """Badness as ftfy counts it, and lost characters, per 100 characters.

    Neither ASCII nor quotes and dashes alone can be mojibake, nor does ftfy look further than three
    characters from one that can, so the rest of a long text is left out.
    """
    from ftfy.badness import badness

    score = np.zeros(len(texts))
    for row in suspects:
        text = texts[int(row)]
        near = _ASCII.sub("", text)
        score[row] = 100 * (badness(near) + near.count("\ufffd")) / len(text)
    return score


def _gibberish(texts: pl.Series, words: Words, hints: NDArray[np.int64]) -> pl.DataFrame:
    """Addresses of pages and people are letters without a language, so they are left out."""
    score = _gibberish_scores(words)
    addressed = np.flatnonzero(hints & (layout.MAY_URL | layout.MAY_EMAIL))
    if len(addressed):
        plain = texts.gather(addressed).str.replace_all(_ADDRESS, " ")
        score[addressed] = _gibberish_scores(split_words(plain))
    return pl.DataFrame({"gibberish_score": score})


def _gibberish_scores(words: Words) -> NDArray[np.float64]:
    bad, judged = (words.sums(values) for values in implausible_letters(words.vocabulary))
    return np.asarray(bad / (judged + _CREDIT))


def _mentions(texts: pl.Series) -> pl.DataFrame:
    counts = mention_counts(texts, "gender")
    return counts.select(pl.col("female", "male").cast(pl.Int64).name.prefix("mentions_"))


def _divided(part: NDArray[np.generic], whole: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.asarray(part / np.maximum(whole.astype(np.float64), 1.0))
