"""The figures behind the published filters for web text: Gopher, C4 and FineWeb.

Sources: Gopher's quality and repetition rules are in appendix A of Rae et al. 2021 (arXiv:2112.11446),
C4's in section 2.2 of Raffel et al. 2020 (arXiv:1910.10683), FineWeb's own in section 3.6 of Penedo et
al. 2024 (arXiv:2406.17557). Where a paper leaves a choice, the reading is that of the filters that are
run today (datatrove, with which `benchmarks/curation.py` compares the decisions); words and lines are
those of `scan`. Their thresholds are not here but in the suites `gopher`, `c4` and `fineweb`.

Readings of ours:

- words without a letter or a number (a dash alone) count as words of a ratio, not of a length;
- stop words are found in any case and between marks;
- the mean word length is not given where most words are of scripts without spaces, whose "words" of
  one character say nothing about length;
- C4 drops lines and judges what is left; here lines are counted, and `c4_sentences` are those of the lines
  that it would keep. A curly bracket or "lorem ipsum" counts only in such a line, as in C4's code.

Not covered: C4's list of bad words, C4's paragraph filter, citations such as `[12]` within a line (at its
end they are looked past), and sentences told from abbreviations (only an initial such as `J.` is told
from a full stop).
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

HELP: Mapping[str, str] = {
    "gopher_words": "words that hold a letter or a number, as white space separates them",
    "gopher_word_length": "characters per such word; none where most are of a script without spaces",
    "gopher_hash_ratio": "hash signs per word",
    "gopher_ellipsis_ratio": "ellipses (... or …) per word",
    "gopher_bullet_lines": "share of lines that begin with a bullet",
    "gopher_ellipsis_lines": "share of lines that end with an ellipsis",
    "gopher_lettered_words": "share of words that hold a letter",
    "gopher_stop_words": "how many of the, be, to, of, and, that, have, with occur (0 to 8)",
    "gopher_repeated_line_characters": "share of characters in lines that repeat an earlier one",
    "gopher_repeated_paragraphs": "share of paragraphs that repeat an earlier one",
    "gopher_repeated_paragraph_characters": "share of characters in such paragraphs",
    **{
        f"gopher_top_{n}gram": f"share of characters in the most frequent word {n}-gram"
        for n in range(2, 5)
    },
    **{
        f"gopher_repeated_{n}grams": f"share of characters in word {n}-grams that repeat earlier ones"
        for n in range(5, 11)
    },
    "c4_sentences": "sentences in the lines that C4 keeps",
    "c4_unpunctuated_lines": "share of lines that C4 drops since they do not end as a sentence does",
    "c4_short_lines": "share of lines that C4 drops for fewer than three words",
    "c4_long_words": "lines that C4 drops for a word of over 1000 characters",
    "c4_javascript": "lines that C4 drops for the word javascript",
    "c4_policy": "lines that C4 drops for the phrases of cookie and privacy notices",
    "c4_lorem_ipsum": "lines with lorem ipsum, for which C4 drops the text",
    "c4_brackets": "lines with a curly bracket, for which C4 drops the text",
    "fineweb_punctuated_lines": "share of lines that end with a full stop or its like",
    "fineweb_short_lines": "share of lines of at most 30 characters",
    "fineweb_repeated_characters": "share of characters, line feeds apart, in repeated lines",
    "fineweb_new_lines": "line feeds per word",
}
_STOP_WORDS = 8


def filter_signals(counts: pl.DataFrame) -> pl.DataFrame:
    """The figures of all rules, the columns of `HELP` in its order.

    Args:
        counts: What `scan.scan_texts` counted.
    """
    columns = {**_gopher_quality(), **_gopher_repetition(), **_c4(), **_fineweb()}
    return counts.select(columns[name].alias(name) for name in HELP)


def ratio(part: str | pl.Expr, whole: str | pl.Expr) -> pl.Expr:
    """A share or a rate; 0 where there is nothing to share."""
    part, whole = (pl.col(one) if isinstance(one, str) else one for one in (part, whole))
    return pl.when(whole > 0).then(part / whole).otherwise(0.0)


def _gopher_quality() -> dict[str, pl.Expr]:
    stops = pl.sum_horizontal(
        ((pl.col("stops") // 2**bit) % 2).cast(pl.Int64) for bit in range(_STOP_WORDS)
    )
    spaced = pl.col("spaceless") * 2 <= pl.col("holding")
    return {
        "gopher_words": pl.col("holding"),
        "gopher_word_length": pl.when(spaced).then(ratio("holding_characters", "holding")),
        "gopher_hash_ratio": ratio("hashes", "words"),
        "gopher_ellipsis_ratio": ratio("ellipses", "words"),
        "gopher_bullet_lines": ratio("bullets", "lines"),
        "gopher_ellipsis_lines": ratio("trailing", "lines"),
        "gopher_lettered_words": ratio("lettered", "words"),
        "gopher_stop_words": stops,
    }


def _gopher_repetition() -> dict[str, pl.Expr]:
    return {
        "gopher_repeated_line_characters": ratio("repeated_line_characters", "characters"),
        "gopher_repeated_paragraphs": ratio("repeated_paragraphs", "paragraphs"),
        "gopher_repeated_paragraph_characters": ratio(
            "repeated_paragraph_characters", "characters"
        ),
        **{f"gopher_top_{n}gram": ratio(f"top_{n}", "characters") for n in range(2, 5)},
        **{f"gopher_repeated_{n}grams": ratio(f"again_{n}", "characters") for n in range(5, 11)},
    }


def _c4() -> dict[str, pl.Expr]:
    return {
        "c4_sentences": pl.col("sentences"),
        "c4_unpunctuated_lines": ratio("unpunctuated", "lines"),
        "c4_short_lines": ratio("few_words", "lines"),
        "c4_long_words": pl.col("long_words"),
        "c4_javascript": pl.col("javascript"),
        "c4_policy": pl.col("policy"),
        "c4_lorem_ipsum": pl.col("lorem"),
        "c4_brackets": pl.col("brackets"),
    }


def _fineweb() -> dict[str, pl.Expr]:
    unbroken = pl.col("characters") - pl.col("newlines")
    return {
        "fineweb_punctuated_lines": ratio("punctuated", "lines"),
        "fineweb_short_lines": ratio("short", "lines"),
        "fineweb_repeated_characters": ratio("repeated_line_characters", unbroken),
        "fineweb_new_lines": ratio("newlines", "words"),
    }
