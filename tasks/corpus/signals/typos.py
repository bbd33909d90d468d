"""Misspelt and misread words, against the words that the corpus' own trusted part uses often.

A word is taken for a slip if it is rare, and a word at least twenty times as frequent is one slip
away:

- one letter left out, added, exchanged, or two neighbours swapped: four slips in five of Damerau
  (1964, doi:10.1145/363958.363994), not in the first letter, which few miss (Yannakoudakis and
  Fawthrop 1983), and not a letter more or less at the end, which is mostly grammar;
- a shape that recognition of print confuses: rn and m, cl and d, 0 and o, 1 and l, the long s and
  s or f, and a few more;
- two function words run together ("ofthe").

A word cut in two by a hyphen at a line's end counts too, where the whole word is a known one.

Each different word is judged once, whatever the number of texts: the frequent words with one
letter left out are a table, in which the rare words with one letter left out are looked up.

Only rows in a language with a list of function words (English) are judged, the others have no
value. Not covered: slips that make another word ("form" for "from"), errors that the corpus makes
as often as not, names one letter from a frequent word, and spelling that differs by country if
the corpus nearly always has the other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.signals.patterns import stop_words
from tasks.corpus.signals.word_counts import WordCounts, hashes_of
from tasks.corpus.signals.wordgrams import Words

SIGNALS = {"typo_ratio": "share of the words that are one slip from a frequent word of the corpus"}

Flags = NDArray[np.bool_]

LANGUAGES = ("en",)
_FREQUENT = 20  # occurrences in the trusted rows
_TIMES = 20  # as frequent as the slip
_MOST_FREQUENT = 30_000  # words that slips are looked for at
_SHORTEST = 4  # letters; shorter words are near too many others
_AT_ONCE = 100_000  # rare words looked up together
_CONFUSED = (
    ("rn", "m"), ("m", "rn"), ("cl", "d"), ("d", "cl"), ("vv", "w"), ("li", "h"), ("h", "li"),
    ("ii", "u"), ("0", "o"), ("1", "l"), ("1", "i"), ("5", "s"), ("8", "b"), ("ſ", "s"), ("f", "s"),
    ("ﬁ", "fi"), ("ﬂ", "fl"),
)  # fmt: skip
_CUT = re.compile(r"([^\W\d_]{2,})-[ \t]*\r?\n[ \t]*([^\W\d_]{2,})")


def typo_signals(
    texts: pl.Series, words: Words, languages: pl.Series, trusted: Flags
) -> pl.DataFrame:
    """`typo_ratio` of each text, null in languages that are not judged.

    Args:
        texts: The texts.
        words: Their words.
        languages: Their languages.
        trusted: Which rows frequent words may be counted on.
    """
    counts = WordCounts()
    counts.add(words, judged_rows(languages) & trusted)
    return Slips.among(counts).ratios(texts, words, languages)


def judged_rows(languages: pl.Series) -> Flags:
    """Which rows are in a language that is judged: (rows,)."""
    return languages.is_in(LANGUAGES).to_numpy()


@dataclass(frozen=True)
class Slips:
    """What is known of a corpus' words once all are counted.

    Attributes:
        hashes: Of the words that are slips, ascending.
        known: Words that trusted rows have twice or more, and function words.
    """

    hashes: NDArray[np.uint64]
    known: frozenset[str]

    @classmethod
    def among(cls, counts: WordCounts) -> Slips:
        """Judge each different word once."""
        table = counts.table()
        often = table["count"].to_numpy()
        hashes = table["hash"].to_numpy()[misspelt(table["word"], often)]
        known = frozenset(table.filter(pl.col("count") >= 2)["word"]) | frozenset(stop_words())
        return cls(np.sort(hashes), known)

    def ratios(self, texts: pl.Series, words: Words, languages: pl.Series) -> pl.DataFrame:
        """`typo_ratio` of some of the texts that were counted."""
        slips = words.sums(np.isin(hashes_of(words), self.hashes))
        slips += _cut_words(texts, self.known)
        ratio = np.where(judged_rows(languages), slips / np.maximum(words.counts, 1), np.nan)
        return pl.DataFrame({"typo_ratio": pl.Series(ratio).fill_nan(None)})


def misspelt(vocabulary: pl.Series, counts: NDArray[np.int64]) -> Flags:
    """Which words are slips: (words,).

    Args:
        vocabulary: Different words in lower case.
        counts: How often each occurs in the trusted rows.
    """
    table = _Frequent.of(vocabulary, counts)
    slips = np.zeros(len(vocabulary), bool)
    rare = counts * _TIMES < (int(counts.max()) if len(counts) else 0)
    able = (vocabulary.str.len_chars() >= _SHORTEST).to_numpy()
    places = np.flatnonzero(rare & able & ~vocabulary.is_in(stop_words()).to_numpy())
    for start in range(0, len(places), _AT_ONCE):
        part = places[start : start + _AT_ONCE]
        asked = pl.DataFrame({"word": vocabulary.gather(part), "place": part, "own": counts[part]})
        for found in (_edited(asked, table), _misread(asked, table), _joined(asked)):
            slips[found.to_numpy()] = True
    return slips


@dataclass(frozen=True)
class _Frequent:
    """The words that slips are looked for at.

    Attributes:
        words: `meant`, `often`: a word and its occurrences.
        shortened: `short`, `gap`, `meant`, `often`: each with one letter left out, and which.
    """

    words: pl.DataFrame
    shortened: pl.DataFrame

    @classmethod
    def of(cls, vocabulary: pl.Series, counts: NDArray[np.int64]) -> _Frequent:
        words = (
            pl.DataFrame({"meant": vocabulary, "often": counts})
            .filter(pl.col("often") >= _FREQUENT)
            .filter(pl.col("meant").str.contains(r"^\p{L}{3,}$"))
            .sort("often", "meant", descending=[True, False])
            .head(_MOST_FREQUENT)
        )
        return cls(words, _shortened(words, "meant"))


def _shortened(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Each word once for each letter but the first, without it: `short` and `gap` are added."""
    word = pl.col(column)
    gaps = pl.int_ranges(1, word.str.len_chars().cast(pl.Int64)).alias("gap")
    long = frame.with_columns(gaps).filter(pl.col("gap").list.len() > 0).explode("gap")
    left, right = word.str.slice(0, pl.col("gap")), word.str.slice(pl.col("gap") + 1)
    return long.with_columns((left + right).alias("short"))


def _edited(asked: pl.DataFrame, table: _Frequent) -> pl.Series:
    """Places of the words that are one edit from a frequent word."""
    asked = asked.filter(pl.col("word").str.contains(r"^\p{L}+$"))
    shortened = _shortened(asked, "word")
    last = pl.col("word").str.len_chars() - 1
    added = shortened.join(table.words, left_on="short", right_on="meant").filter(
        pl.col("gap") < last
    )
    left_out = asked.join(table.shortened, left_on="word", right_on="short").filter(
        pl.col("gap") < last + 1
    )
    # Both without a letter are alike: the same place was exchanged, neighbours may be swapped.
    both = shortened.join(table.shortened, on="short", suffix="_meant").filter(
        pl.col("word").str.len_chars() == pl.col("meant").str.len_chars()
    )
    first = pl.min_horizontal("gap", "gap_meant")
    apart = (pl.col("gap") - pl.col("gap_meant")).abs()
    turned = pl.col("meant").str.slice(first, 1) == pl.col("word").str.slice(first + 1, 1)
    turned &= pl.col("meant").str.slice(first + 1, 1) == pl.col("word").str.slice(first, 1)
    exchanged = both.filter((apart == 0) | ((apart == 1) & turned))
    places = [_often(found) for found in (added, left_out, exchanged)]
    return pl.concat(places)


def _misread(asked: pl.DataFrame, table: _Frequent) -> pl.Series:
    """Places of the words that are a frequent word with one shape misread: first, last or all."""
    found = [asked["place"].clear()]
    for seen, meant in _CONFUSED:
        word = pl.col("word")
        suspects = asked.filter(word.str.contains(seen, literal=True))
        for read in (
            word.str.replace(seen, meant, literal=True),
            word.str.replace(f"^(.*){seen}", f"${{1}}{meant}"),
            word.str.replace_all(seen, meant, literal=True),
        ):
            right = suspects.with_columns(read.alias("meant")).join(table.words, on="meant")
            found.append(_often(right))
    return pl.concat(found)


def _joined(asked: pl.DataFrame) -> pl.Series:
    """Places of the words never seen in trusted rows that are two function words in one."""
    stops = [word for word in stop_words() if word.isalpha() and len(word) > 1]
    pairs = {first + second for first in stops for second in stops}
    return asked.filter(pl.col("word").is_in(pairs) & (pl.col("own") <= 1))["place"]


def _often(found: pl.DataFrame) -> pl.Series:
    """Places of the words that the word meant is frequent enough beside."""
    return found.filter(pl.col("often") >= _TIMES * pl.col("own").clip(1))["place"]


def _cut_words(texts: pl.Series, known: frozenset[str]) -> NDArray[np.int64]:
    """How many known words of each text a line's end cuts in two: (texts,)."""
    cut = np.zeros(len(texts), np.int64)
    for row in texts.fill_null("").str.contains(r"\p{L}-[ \t]*\r?\n").arg_true():
        pairs = _CUT.findall(texts[row])
        cut[row] = sum((left + right).lower() in known for left, right in pairs)
    return cut
