"""The signals of a row that depend on other rows: duplicates, leaks, repeated passages."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.configuration import Profiling
from tasks.corpus.duplicates.earlier import Earlier, write_index
from tasks.corpus.duplicates.hashing import hash_texts
from tasks.corpus.duplicates.leaks import HeldOut, Leaks
from tasks.corpus.duplicates.minhash import Keys, band_keys, band_width
from tasks.corpus.duplicates.repeats import (
    Clusters,
    Flags,
    clusters_of_keys,
    digest_clusters,
    repeats,
)
from tasks.corpus.duplicates.spans import span_ratios
from tasks.corpus.duplicates.stated import stated


class Relations:
    """Compares the rows of a corpus with each other.

    The texts are read once, when this is made; then their hashes are compared. Where rows that
    count are given, the others are neither compared nor marked.

    Args:
        rows: Rows with `split`, and with `text` unless that is given apart.
        config: The thresholds.
        folder: Where files are put that are too large for memory; they leave no trace.
        earlier: Folder of an earlier night's corpus.
        texts: The rows' texts in parts, of which one is held at a time.
    """

    def __init__(
        self,
        rows: pl.DataFrame,
        config: Profiling,
        folder: Path | None = None,
        earlier: Path | None = None,
        texts: Iterable[pl.Series] | None = None,
    ) -> None:
        self._splits, self._config, self._folder = rows["split"], config, folder
        self._words = hash_texts(rows["text"] if texts is None else texts, folder)
        self._exact = digest_clusters(self._words.digests)
        self._earlier = Earlier(earlier, config, folder) if earlier else None

    def leaks(self, counted: Flags) -> Leaks:
        """Overlaps with held-out rows, and which training rows are leaks."""
        config = self._config
        return self._held_out.leaks(
            counted, share=config.leak_share, threshold=config.near_duplicate_similarity
        )

    def duplicates(self, counted: Flags) -> pl.DataFrame:
        """Training rows that an earlier training row makes superfluous.

        Returns:
            `exact_cluster` (place of the first row of any split with the same text),
            `is_exact_duplicate`, `near_cluster` (place of the row that is kept in a row's stead,
            its own if there is none), `is_near_duplicate` (never also exact).
        """
        train = (self._splits == "train").to_numpy() & counted
        repeated, first = repeats(self._exact, train)
        near = self._near(train & ~repeated)
        is_near = near != np.arange(len(near))
        near[repeated] = near[first[repeated]]
        return pl.DataFrame(
            {
                "exact_cluster": self._exact,
                "is_exact_duplicate": repeated,
                "near_cluster": near,
                "is_near_duplicate": is_near,
            }
        )

    def spread(self, sources: pl.Series) -> pl.DataFrame:
        """How far each row's cluster reaches, over all splits, exact and near copies together.

        Returns:
            `duplicate_rows` (rows of the cluster, 1 for a row that none is like),
            `duplicate_splits` and `duplicate_sources` (different ones among them).
        """
        first = self._exact == np.arange(len(self._exact))
        cluster = self._near(first)[self._exact]
        frame = pl.DataFrame({"cluster": cluster, "split": self._splits, "source": sources})
        return frame.select(
            pl.len().over("cluster").cast(pl.Int64).alias("duplicate_rows"),
            pl.col("split").n_unique().over("cluster").cast(pl.Int64).alias("duplicate_splits"),
            pl.col("source").n_unique().over("cluster").cast(pl.Int64).alias("duplicate_sources"),
        )

    def repeated_spans(self) -> NDArray[np.float64]:
        """Share of each row's words in passages that many different documents have."""
        size, documents = self._config.span_words, self._config.span_documents
        return span_ratios(
            self._words, self._exact, size=size, documents=documents, folder=self._folder
        )

    def stated(self, counted: Flags, probes: pl.DataFrame | None) -> NDArray[np.int64]:
        """The place of a probe that each training row states word for word, -1 for none."""
        return stated(self._words, (self._splits == "train").to_numpy() & counted, probes)

    def seen(self, counted: Flags) -> pl.DataFrame:
        """Training rows that the earlier night had: `seen_before`, or nearly, `near_seen_before`."""
        exact = near = np.zeros(len(counted), np.bool_)
        if self._earlier is not None:
            train = (self._splits == "train").to_numpy() & counted
            exact = train & self._earlier.places(self._words.digests)[1]
            near = self._earlier.near(self._words, self._keys, train & ~exact)
        return pl.DataFrame({"seen_before": exact, "near_seen_before": near})

    def write_index(
        self, folder: Path, row_ids: pl.Series, raw: pl.Series | Iterable[pl.Series], kept: Flags
    ) -> None:
        """Leave an index of the kept rows to later nights; `raw` are the texts as they were read."""
        before = hash_texts(raw, self._folder).digests
        write_index(folder, row_ids, self._words.digests, before, self._keys, kept, self._config)

    def _near(self, among: Flags) -> Clusters:
        threshold = self._config.near_duplicate_similarity
        return clusters_of_keys(self._words, self._keys, among, threshold, self._folder)

    @cached_property
    def _keys(self) -> Keys:
        """Keys of all rows' bands: those that the earlier night had from it, the others computed."""
        width = band_width(self._config.near_duplicate_similarity, self._config.permutations)
        known = np.full(len(self._exact), -1)
        if self._earlier is not None:
            known = self._earlier.places(self._words.digests)[0]
        rows = np.flatnonzero((known < 0) & (self._words.counts > 0))
        keys = band_keys(self._words, rows, width, self._config.permutations, self._folder)
        if self._earlier is not None:
            keys[:, known >= 0] = self._earlier.keys(known[known >= 0])
        return keys

    @cached_property
    def _held_out(self) -> HeldOut:
        return HeldOut(
            self._words, self._exact, self._splits, self._config.leak_ngram, self._folder
        )
