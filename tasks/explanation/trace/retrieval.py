"""Training rows by their words: BM25.

    BM25(q, d) = sum over words w of q of
                 idf(w) * f(w, d) * (k1 + 1) / (f(w, d) + k1 * (1 - b + b * |d| / mean |d|))
    idf(w)     = log(1 + (N - n(w) + 1/2) / (n(w) + 1/2))

f counts w in d, n the rows that have w (Robertson and Zaragoza 2009; idf as in Lucene, never
negative). Words are those that every stage counts, clusters in scripts without spaces among them.
For rows that state a fact no method that learns is known to beat it (Akyurek et al. 2022,
https://arxiv.org/abs/2205.11482); of rows that cause an answer without stating it, it knows nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.signals.wordgrams import split_words

K1, B = 1.2, 0.75


class Bm25:
    """An index of texts by their words.

    Args:
        texts: N of them; null counts as empty.
    """

    def __init__(self, texts: pl.Series) -> None:
        from scipy.sparse import csc_array

        words = split_words(texts)
        self._known = {word: number for number, word in enumerate(words.vocabulary)}
        rows = np.repeat(np.arange(len(texts)), words.counts)
        counts = csc_array(
            (np.ones(len(rows), np.float32), (rows, words.ids)),
            shape=(len(texts), len(words.vocabulary)),
        )
        counts.sum_duplicates()
        lengths = words.counts / max(1.0, float(words.counts.mean())) if len(texts) else rows
        damped = K1 * (1 - B + B * lengths)
        having = np.diff(counts.indptr)
        idf = np.log1p((len(texts) - having + 0.5) / (having + 0.5))
        tf = counts.data
        weights = tf * (K1 + 1) / (tf + damped[counts.indices])
        counts.data = (weights * np.repeat(idf, having)).astype(np.float32)
        self._weights: Any = counts

    def scores(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """BM25 of every text for each query, (Q, N); a word asked twice counts twice."""
        words = split_words(pl.Series(queries, dtype=pl.String))
        asked = [self._known.get(word, -1) for word in words.vocabulary]
        found = np.zeros((len(queries), self._weights.shape[0]), np.float32)
        for query in range(len(queries)):
            ids = [asked[i] for i in words.ids[words.starts[query] : words.starts[query + 1]]]
            columns = [i for i in ids if i >= 0]
            if columns:
                found[query] = np.asarray(self._weights[:, columns].sum(axis=1)).ravel()
        return found
