"""Which training rows hold text of the rows that the model is judged by.

A row's overlap is the share of its word n-grams that occur in the held-out rows (the method of
GPT-3's appendix C, Brown et al. 2020, arXiv:2005.14165). Overlap alone accuses innocent rows of a
corpus whose texts share their phrasing, so:

- an n-gram found in more than a few different texts is phrasing of the corpus, and no sign of any
  one text; it counts as not found;
- a row is a leak if it equals a held-out row, or if its overlap reaches the limit and either the
  overlap rests on many n-grams or one held-out row is nearly the same.

Not covered: paraphrases, translations, and answers given away in other words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.duplicates import SHINGLE, Clusters, Flags, similarity
from tasks.corpus.wordgrams import Grams, Words, word_grams

# Texts that may share an n-gram before it counts as phrasing of the corpus: the held-out text, the
# row that leaks it, and a few edited copies of either.
_PHRASING = 10
# With this many n-grams a high overlap is no accident of phrasing.
_MANY = 20


@dataclass(frozen=True)
class Leaks:
    """What was found: the overlap and the verdict for each row, both (rows,)."""

    overlap: NDArray[np.float64]
    leaked: Flags


def find_leaks(
    words: Words,
    clusters: Clusters,
    splits: pl.Series,
    among: Flags,
    *,
    size: int,
    share: float,
    threshold: float,
) -> Leaks:
    """Compare training rows with validation and test, and validation rows with test.

    Args:
        words: The texts' words.
        clusters: The exact clusters.
        splits: Each row's split.
        among: The rows that still count.
        size: Words per n-gram.
        share: Overlap from which a training row may be a leak.
        threshold: Jaccard similarity of a row that is nearly the same.

    Returns:
        Overlaps (0 for other splits) and leaks, which only training rows can be.
    """
    grams = word_grams(words, size)
    train, validation, test = (
        (splits == name).to_numpy() & among for name in ("train", "validation", "test")
    )
    held_out = validation | test
    overlap = np.zeros(len(among))
    found = _found(grams, clusters, train, held_out)
    for judged, against in (
        (train, found),
        (validation, _found(grams, clusters, validation, test)),
    ):
        shares = _share(against, grams)
        overlap[judged] = shares[judged]
    equal = train & np.isin(clusters, clusters[held_out])
    lengths = np.diff(grams.starts)
    suspected = train & ~equal & (overlap >= share)
    leaked = equal | (suspected & (lengths >= _MANY))
    for row in np.flatnonzero(suspected & ~leaked):
        leaked[row] = _has_twin(row, words, grams, found, held_out, threshold)
    overlap[equal] = 1.0
    return Leaks(overlap, leaked)


def _found(grams: Grams, clusters: Clusters, judged: Flags, against: Flags) -> Flags:
    """Which n-grams of the judged rows are text of the other rows, and not phrasing: (n-grams,)."""
    rows = grams.rows
    here = np.flatnonzero((judged | against)[rows])
    frame = pl.DataFrame(
        {"gram": grams.hashes[here], "text": clusters[rows[here]], "held": against[rows[here]]}
    )
    held = frame.filter("held")["gram"].unique()
    shared = frame.with_row_index("place").filter(pl.col("gram").is_in(held.implode()))
    rare = pl.col("text").n_unique().over("gram") <= _PHRASING
    found = np.zeros(len(rows), bool)
    found[here[shared.filter(rare)["place"].to_numpy()]] = True
    return found & judged[rows]


def _share(found: Flags, grams: Grams) -> NDArray[np.float64]:
    total = np.concatenate([[0], np.cumsum(found)])
    counts = total[grams.starts[1:]] - total[grams.starts[:-1]]
    return np.asarray(counts / np.maximum(1, np.diff(grams.starts)))


def _has_twin(
    row: np.intp, words: Words, grams: Grams, found: Flags, held_out: Flags, threshold: float
) -> bool:
    """Whether any held-out row that shares text with this row is nearly the same."""
    mine = slice(grams.starts[row], grams.starts[row + 1])
    shared = np.isin(grams.hashes, grams.hashes[mine][found[mine]])
    others = np.unique(grams.rows[shared])
    own = _shingles(words, row)
    return any(
        similarity(own, _shingles(words, other)) >= threshold for other in others[held_out[others]]
    )


def _shingles(words: Words, row: np.intp) -> NDArray[np.uint64]:
    part = words.hashes[words.starts[row] : words.starts[row + 1]]
    alone = Words(np.array([0, len(part)]), np.zeros(len(part), np.int64), words.vocabulary, part)
    return word_grams(alone, SHINGLE).of(0)
