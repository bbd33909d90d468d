"""Which training rows hold text of the rows that the model is judged by.

A row's overlap is the share of its word n-grams that occur in the held-out rows (the method of
GPT-3's appendix C, Brown et al. 2020, arXiv:2005.14165). Overlap alone accuses innocent rows of a
corpus whose texts share their phrasing, so:

- an n-gram found in more than a few different texts is phrasing of the corpus, and no sign of any
  one text; it counts as not found;
- a row is a leak if it equals a held-out row, or if its overlap reaches the limit and either the
  overlap rests on many n-grams or one held-out row is nearly the same;
- a row is a leak too if it holds nearly all of one held-out row's n-grams, however long it is itself
  (containment, Broder 1997, doi:10.1109/SEQUEN.1997.666900): a test sentence within a page is as
  much given away as one that stands alone.

Not covered: paraphrases, translations, and answers given away in other words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.duplicates.minhash import SHINGLE, Hashes
from tasks.corpus.duplicates.repeats import Clusters, Flags
from tasks.corpus.duplicates.shared_grams import Block, SharedGrams, gram_blocks, table

# Texts that may share an n-gram before it counts as phrasing of the corpus: the held-out text, the
# row that leaks it, and a few edited copies of either.
_PHRASING = 10
# With this many n-grams a high overlap is no accident of phrasing.
_MANY = 20
# Share of a held-out row's n-grams in one row that gives it away, and the fewest n-grams that tell a
# row from a quotation.
_CONTAINED, _FEWEST = 0.8, 5
_TRAIN, _VALIDATION, _TEST = 1, 2, 4
_HELD = _VALIDATION | _TEST

Pairs = NDArray[np.int64]


@dataclass(frozen=True)
class Leaks:
    """What was found: the overlap and the verdict for each row, both (rows,)."""

    overlap: NDArray[np.float64]
    leaked: Flags


class HeldOut:
    """Training rows compared with validation and test, and validation rows with test.

    The n-grams that splits share are found once; rows can then be judged among fewer and fewer.

    Args:
        words: The texts' words.
        clusters: The exact clusters.
        splits: Each row's split.
        size: Words per n-gram.
        folder: Where files are put.
    """

    def __init__(
        self,
        words: Hashes,
        clusters: Clusters,
        splits: pl.Series,
        size: int,
        folder: Path | None = None,
    ) -> None:
        from tasks.corpus.duplicates import kernels_shared as kernels

        self._words, self._clusters = words, clusters
        names = {"train": _TRAIN, "validation": _VALIDATION, "test": _TEST}
        self._roles = roles = np.zeros(len(clusters), np.uint8)
        for name, bit in names.items():
            roles[(splits == name).to_numpy()] = bit
        counts = np.diff(words.starts)
        self._lengths = np.where(counts >= size, counts - size + 1, np.minimum(counts, 1))
        seen, shift = table(int(words.starts[-1]))
        for block in gram_blocks(words, size):
            part = roles[block.begin : block.end]
            kernels.mark_roles(block.grams, block.bounds, part, shift, seen)

        def collect(block: Block, out: NDArray[np.uint64], rows: Pairs) -> int:
            part = roles[block.begin : block.end]
            return kernels.collect_roles(
                block.grams, block.bounds, part, block.begin, shift, seen, out, rows
            )

        self._shared = SharedGrams(gram_blocks(words, size), collect, folder)

    def leaks(self, among: Flags, *, share: float, threshold: float) -> Leaks:
        """Judge the training rows.

        Args:
            among: The rows that still count.
            share: Overlap from which a training row may be a leak.
            threshold: Jaccard similarity of a row that is nearly the same.

        Returns:
            Overlaps (0 for other splits) and leaks, which only training rows can be.
        """
        roles = np.where(among, self._roles, np.uint8(0))
        train, held = roles == _TRAIN, (roles & _HELD) != 0
        overlap = self._overlaps(roles)
        equal = train & np.isin(self._clusters, self._clusters[held])
        suspected = train & ~equal & (overlap >= share)
        leaked = equal | (suspected & (self._lengths >= _MANY))
        leaked[self._holders(roles, train & ~leaked)] = True
        unsure = suspected & ~leaked
        if unsure.any():
            leaked[self._twins(roles, unsure, threshold)] = True
        overlap[equal] = 1.0
        return Leaks(overlap, leaked)

    def _overlaps(self, roles: NDArray[np.uint8]) -> NDArray[np.float64]:
        counts = np.zeros(len(roles), np.int64)
        for judged, against in ((_TRAIN, _HELD), (_VALIDATION, _TEST)):
            for _, rows, found in self._found(roles, judged, against):
                counts += np.bincount(rows[found], minlength=len(roles))
        return np.asarray(counts / np.maximum(1, self._lengths))

    def _found(
        self, roles: NDArray[np.uint8], judged: int, against: int
    ) -> Iterator[tuple[NDArray[np.uint64], Pairs, Flags]]:
        """N-grams in order, their rows, and which are text of the rows to judge against."""
        from tasks.corpus.duplicates import kernels_shared as kernels

        for grams, rows in self._shared.shards():
            found = np.zeros(len(grams), np.bool_)
            kernels.mark_found(
                grams, rows, self._clusters, roles, judged, against, _PHRASING, found
            )
            yield grams, rows, found

    def _holders(self, roles: NDArray[np.uint8], asked: Flags) -> Pairs:
        """The asked rows that hold nearly all n-grams of one held-out row.

        An n-gram that is phrasing of the corpus is no sign of any text, so the row must have enough
        others; those count against all of the held-out row's.
        """
        pairs = [np.zeros((0, 2), np.int64)]
        pairs += self._partners(roles, asked)
        both, times = np.unique(np.concatenate(pairs), axis=0, return_counts=True)
        lengths = self._lengths[both[:, 1]]
        holds = (times >= _CONTAINED * lengths) & (times >= _FEWEST)
        return np.unique(both[holds, 0])

    def _partners(self, roles: NDArray[np.uint8], asked: Flags) -> Iterator[Pairs]:
        """For each n-gram found in the asked rows, each pair of a row and a held-out row that has it."""
        from tasks.corpus.duplicates import kernels_shared

        for grams, rows, found in self._found(roles, _TRAIN, _HELD):
            given = (grams, rows, found, asked, roles, _HELD)
            pairs = np.empty(
                (kernels_shared.partners(*given, np.zeros((0, 2), np.int64)), 2), np.int64
            )
            kernels_shared.partners(*given, pairs)
            yield pairs

    def _twins(self, roles: NDArray[np.uint8], unsure: Flags, threshold: float) -> Pairs:
        """The unsure rows to which a held-out row that shares text with them is nearly the same."""
        from tasks.corpus.duplicates import kernels_grams as kernels

        some = [np.zeros((0, 2), np.int64)]
        some += [np.unique(pairs, axis=0) for pairs in self._partners(roles, unsure)]
        pairs = np.unique(np.concatenate(some), axis=0)
        alike = np.zeros(len(pairs), np.bool_)
        words = self._words.hashes, self._words.starts
        kernels.similar_pairs(*words, *words, pairs, SHINGLE, threshold, alike)
        return np.unique(pairs[alike, 0])
