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
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.signals.buffers import buffers, stretches
from tasks.corpus.signals.scan import code_point_bits, kernels

_STRETCH = 1 << 20  # bytes read together
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
    lexicon, texts = _lexicon(axis), texts.fill_null("")
    counts = np.zeros((len(texts), len(lexicon.names)), np.int64)
    for part in stretches(texts, _STRETCH):
        data, offsets = buffers(texts[part])
        kernels().phrases.count_terms(data, offsets, *lexicon.arrays, counts[part])
    return pl.DataFrame(counts, schema=list(lexicon.names))


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


@dataclass(frozen=True)
class _Lexicon:
    """The terms of an axis as the compiled pass reads them.

    Attributes:
        names: The values.
        arrays: The arguments of `phrases.count_terms` between the texts' and the counts.
    """

    names: tuple[str, ...]
    arrays: tuple[NDArray[np.generic], ...]


@cache
def _lexicon(axis: str) -> _Lexicon:
    """Terms longest first, since the first that fits is taken."""
    lexicon = terms()[axis]
    names = tuple(dict.fromkeys(lexicon.values()))
    ordered = sorted(lexicon, key=lambda term: (-len(term), term))
    data, bounds = buffers(pl.Series(ordered))
    exact = np.array([term != term.lower() for term in ordered])
    values = np.array([names.index(lexicon[term]) for term in ordered])
    places = 1 << (8 * len(ordered)).bit_length()
    keys, heads = np.zeros(places, np.uint64), np.full(places, -1, np.int64)
    following, bits = np.full(len(ordered), -1, np.int64), code_point_bits()
    kernels().phrases.enter_terms(data, bounds, bits, keys, heads, following)
    return _Lexicon(names, (bits, data, bounds, exact, values, keys, heads, following))
