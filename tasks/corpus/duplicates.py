"""Which training rows repeat another: exactly, or nearly.

Exact: equal after NFC, lower case and one space for any white space (so a copy with another
line break or capital is still a copy).

Near: the sets of word 3-grams have a Jaccard similarity |A & B| / |A | B| of at least the
threshold (Lee et al. 2022, arXiv:2107.06499, do the same with 5-grams on long documents).
Candidates come from MinHash signatures cut into bands (Broder 1997; banding as in Leskovec et al.,
Mining of Massive Datasets, ch. 3), the widest that miss at most one pair in a thousand at the
threshold. Every candidate is then compared exactly.

Rows are read in order and compared with the rows kept so far. A row is marked only if a kept row
is that similar to it. Joining all similar pairs instead would chain rows whose ends have nothing
in common, which in a corpus of similar phrasing throws away most of it.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.wordgrams import Grams, Words, word_grams

Flags = NDArray[np.bool_]
Clusters = NDArray[np.int64]

SHINGLE = 3
_SEED = 7
_MOST_MISSED = 1e-3
_WIDEST_BAND = 8
# Candidates whose signatures agree this many standard deviations less than the threshold asks are
# not compared exactly; the estimate's standard deviation is at most 0.5 / sqrt(permutations).
_DEVIATIONS = 4.0


def normalised(texts: pl.Series) -> pl.Series:
    """The form in which texts are compared for equality."""
    spaced = texts.fill_null("").str.normalize("NFC").str.to_lowercase()
    return spaced.str.replace_all(r"\s+", " ").str.strip_chars()


def exact_clusters(texts: pl.Series) -> Clusters:
    """The place of the first row with the same normalised text: (rows,).

    Texts without a character are each their own: they have nothing in common.
    """
    frame = normalised(texts).alias("text").to_frame().with_row_index("row")
    first = pl.col("row").first().over("text")
    own = pl.when(pl.col("text") == "").then(pl.col("row")).otherwise(first)
    return frame.select(own.cast(pl.Int64)).to_series().to_numpy().copy()


def repeats(clusters: Clusters, among: Flags) -> tuple[Flags, Clusters]:
    """Rows among those given whose cluster has an earlier one among them, and that first one.

    Returns:
        Which rows repeat another (rows,); the first row among those given of each row's cluster,
        the row itself where it is not among them (rows,).
    """
    first = np.arange(len(clusters))
    places = np.flatnonzero(among)
    _, begins, ids = np.unique(clusters[places], return_index=True, return_inverse=True)
    first[places] = places[begins[ids]]
    return first != np.arange(len(clusters)), first


def near_clusters(words: Words, among: Flags, threshold: float, permutations: int) -> Clusters:
    """For each row the kept row that it nearly repeats, itself if none: (rows,).

    Args:
        words: The texts' words.
        among: The rows that are compared; the others are left alone.
        threshold: Least Jaccard similarity of the sets of word 3-grams.
        permutations: Length of the MinHash signatures.
    """
    grams = word_grams(words, SHINGLE)
    leaders = np.arange(len(among))
    rows = np.flatnonzero(among & (words.counts > 0))
    if len(rows) < 2:
        return leaders
    signatures = _signatures(grams, rows, permutations)
    buckets, shared = _buckets(signatures, band_width(threshold, permutations))
    kept: dict[int, list[int]] = defaultdict(list)
    for place in np.flatnonzero(shared):
        mine = buckets[place].tolist()
        found = sorted({other for bucket in mine for other in kept.get(bucket, ())})
        leader = _first_similar(place, found, signatures, grams, rows, threshold)
        if leader is None:
            for bucket in mine:
                kept[bucket].append(int(place))
        else:
            leaders[rows[place]] = rows[leader]
    return leaders


def band_width(threshold: float, permutations: int) -> int:
    """The widest band of r values that misses few pairs at the threshold t of p permutations.

    A pair of similarity t shares none of the p / r bands with probability (1 - t^r)^(p / r). Wider
    bands make fewer false candidates.
    """
    return max(
        r
        for r in range(1, _WIDEST_BAND + 1)
        if r == 1 or (1 - threshold**r) ** (permutations // r) <= _MOST_MISSED
    )


def similarity(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> float:
    """Jaccard similarity of two arrays of different hashes."""
    common = len(np.intersect1d(left, right, assume_unique=True))
    return common / max(1, len(left) + len(right) - common)


def _first_similar(
    place: np.intp,
    others: list[int],
    signatures: NDArray[np.uint32],
    grams: Grams,
    rows: NDArray[np.int64],
    threshold: float,
) -> int | None:
    """The first of the other rows that is similar enough."""
    if not others:
        return None
    agreeing = (signatures[others] == signatures[place]).mean(axis=1)
    own = grams.of(rows[place])
    margin = _DEVIATIONS * 0.5 / signatures.shape[1] ** 0.5
    for other in np.asarray(others)[agreeing >= threshold - margin]:
        if similarity(own, grams.of(rows[other])) >= threshold:
            return int(other)
    return None


def _signatures(grams: Grams, rows: NDArray[np.int64], permutations: int) -> NDArray[np.uint32]:
    """MinHash signatures of some rows: (rows, permutations)."""
    from rensa import RMinHash

    lengths = np.diff(grams.starts)[rows]
    inside = np.zeros(len(grams.starts) - 1, bool)
    inside[rows] = True
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        np.ascontiguousarray(grams.hashes[inside[grams.rows]]), offsets, permutations, _SEED
    )
    return np.array(matrix.to_rows(), np.uint32)


def _buckets(signatures: NDArray[np.uint32], width: int) -> tuple[NDArray[np.int64], Flags]:
    """Each row's bucket in each band, and which rows share any bucket: (rows, bands), (rows,)."""
    bands = signatures.shape[1] // width
    buckets = np.zeros((len(signatures), bands), np.int64)
    shared = np.zeros(len(signatures), bool)
    used = 0
    for band in range(bands):
        values = np.ascontiguousarray(signatures[:, band * width : (band + 1) * width])
        keys = values.view([("", np.uint32)] * width).ravel()
        _, ids, counts = np.unique(keys, return_inverse=True, return_counts=True)
        buckets[:, band] = ids + used
        shared |= counts[ids] > 1
        used += len(counts)
    return buckets, shared
