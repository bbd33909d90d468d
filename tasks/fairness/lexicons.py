"""Groups of people by what a text mentions, for corpora whose columns name none.

A mention is not a membership: "she thanked her father" speaks of a woman and of a man, and says
nothing of who wrote it. So a mention column asks one question alone: do texts that speak of one
group carry other labels, or other errors, than texts that speak of another?

The terms are our own (`terms.tsv`: axis, value, term), chosen to be wrong rarely rather than to
find everything:

- words that mostly mean something else are left out ("king" and "lord" are names and titles of
  works, "actor" is said of anyone) or kept only beside a person word ("old man", never "old");
- a term written in lower case is found in any case, one written with a capital only so
  ("Polish" the people, not "polish" the verb; "Miss" the title);
- the longest term wins, so "African American" is no mention of Africans.

Not covered: languages other than English, given names, slurs, disability, gender identity beyond
female and male, and irony, quotation or a surname such as Christian. Nationality is by region,
since single nations are too rare to judge.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import polars as pl

TERMS = Path(__file__).with_name("terms.tsv")
GROUP_PREFIX = "group_"
MENTION_PREFIX = "mention_"
UNKNOWN = "unknown"
NOBODY = "none"
# Values that are no group of people: they are shown and never compared with one.
NOT_GROUPS = frozenset({UNKNOWN, NOBODY, "both", "several"})


@cache
def terms() -> dict[str, dict[str, str]]:
    """The lexicon: axis -> term -> value, in the order of the file."""
    table = pl.read_csv(TERMS, separator="\t", quote_char=None)
    axes: dict[str, dict[str, str]] = {}
    for axis, value, term in table.iter_rows():
        axes.setdefault(axis, {})[term] = value
    return axes


def mention_counts(texts: pl.Series, axis: str) -> pl.DataFrame:
    """How often each text mentions each value of an axis.

    Args:
        texts: The texts; null counts as empty.
        axis: `gender`, `religion`, `age`, `nationality`, `ethnicity` or `sexuality`.

    Returns:
        One column of counts per value (`female`, `male`), rows as in `texts`.
    """
    lexicon = terms()[axis]
    values = list(dict.fromkeys(lexicon.values()))
    found = (
        texts.fill_null("")
        .str.extract_all(_pattern(axis))
        .rename("term")
        .to_frame()
        .with_row_index("row")
        .explode("term", empty_as_null=False)
        .with_columns(_value_of(lexicon).alias("value"))
        .filter(pl.col("value").is_not_null())
    )
    rows = pl.int_range(len(texts), dtype=pl.UInt32, eager=True).alias("row").to_frame()
    for value in values:
        counts = found.filter(pl.col("value") == value).group_by("row").agg(pl.len().alias(value))
        rows = rows.join(counts, on="row", how="left", maintain_order="left")
    return rows.select(pl.col(v).fill_null(0).cast(pl.Int64) for v in values)


def mentions(texts: pl.Series, axis: str) -> pl.Series:
    """The one value of an axis that a text mentions; else `none`, or `both`/`several`."""
    counts = mention_counts(texts, axis)
    values = counts.columns
    many = "both" if len(values) == 2 else "several"
    hits = pl.sum_horizontal(pl.col(v) > 0 for v in values)
    single = pl.coalesce(pl.when(pl.col(v) > 0).then(pl.lit(v)) for v in values)
    label = (
        pl.when(hits == 0).then(pl.lit(NOBODY)).when(hits == 1).then(single).otherwise(pl.lit(many))
    )
    return counts.select(label.alias(MENTION_PREFIX + axis)).to_series()


def with_groups(frame: pl.DataFrame, *, lexicon: bool) -> tuple[pl.DataFrame, list[str]]:
    """The frame with its group columns filled in, and their names.

    Args:
        frame: Rows with `text` and perhaps `group_*` columns.
        lexicon: Whether to find groups by mentions where no column names any.

    Returns:
        The frame and the group columns, sorted: the `group_*` columns that hold anything (null
        becomes `unknown`), else the `mention_*` columns of the axes that any text mentions.
    """
    named = sorted(
        c
        for c in frame.columns
        if c.startswith(GROUP_PREFIX) and frame[c].null_count() < frame.height
    )
    if named:
        return frame.with_columns(pl.col(named).cast(pl.String).fill_null(UNKNOWN)), named
    if not lexicon or not frame.height:
        return frame, []
    found = [mentions(frame["text"], axis) for axis in terms()]
    found = [column for column in found if (column != NOBODY).any()]
    return frame.with_columns(found), sorted(column.name for column in found)


def short(column: str) -> str:
    """A group column's name for metrics: `group_gender` -> `gender`, mentions stay as they are."""
    return re.sub(r"[^\w.\- ]", "_", column.removeprefix(GROUP_PREFIX))


@cache
def _pattern(axis: str) -> str:
    """One alternation, longest first, since the leftmost alternative that fits is taken."""
    alternatives = []
    for term in sorted(terms()[axis], key=lambda t: (-len(t), t)):
        spaced = r"[\s-]+".join(re.escape(word) for word in term.split(" "))
        alternatives.append(spaced if term != term.lower() else f"(?i:{spaced})")
    return r"\b(?:" + "|".join(alternatives) + r")\b"


def _value_of(lexicon: dict[str, str]) -> pl.Expr:
    """What a found term stands for: looked up as written first, then in lower case."""
    plain = pl.col("term").str.replace_all(r"[\s-]+", " ")
    exact = plain.replace_strict(lexicon, default=None, return_dtype=pl.String)
    lower = plain.str.to_lowercase().replace_strict(lexicon, default=None, return_dtype=pl.String)
    return pl.coalesce(exact, lower)
