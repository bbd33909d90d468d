"""Which rows repeat another: exactly, or nearly.

Exact: equal after NFC, lower case and one space for any white space (so a copy with another
line break or capital is still a copy). Equal means equal BLAKE2b-128 digests.

Near: the sets of word 3-grams have a Jaccard similarity |A & B| / |A | B| of at least the
threshold (Lee et al. 2022, arXiv:2107.06499, do the same with 5-grams on long documents); in
scripts without spaces a character stands for a word. Candidates come from the bands of MinHash
signatures (`minhash`), which misses at most one pair in a thousand at the threshold. Every
candidate is then compared exactly.

Rows are read in order and compared with the rows kept so far. A row is marked only if a kept row
is that similar to it, and that row is the representative of its cluster. Joining all similar pairs
instead would chain rows whose ends have nothing in common, which in a corpus of similar phrasing
throws away most of it.

In memory are held, whatever the length of the texts, some 60 bytes a row and 24 bytes for each
band that a row shares with another. Words, keys and the shingles of candidates are on disk.

Not found: near duplicates of a row that shares all its common bands with more than 256 kept rows
each. Such bands are phrasing of the corpus, and comparing within them would take quadratic time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.duplicates.hashing import Digests, hash_texts
from tasks.corpus.duplicates.minhash import SHINGLE, Hashes, Keys, band_keys, band_width
from tasks.corpus.duplicates.spill import Spill

Flags = NDArray[np.bool_]
Clusters = NDArray[np.int64]

_CROWD = 256  # kept rows that a band's bucket holds at most
_SETS = 20_000  # rows whose shingles are made together


def exact_clusters(texts: pl.Series) -> Clusters:
    """The place of the first row with the same normalised text: (rows,)."""
    return digest_clusters(hash_texts(texts).digests)


def digest_clusters(digests: Digests) -> Clusters:
    """The place of the first row with the same digest: (rows,).

    Texts without a character are each their own: they have nothing in common.
    """
    order = np.lexsort((digests[:, 1], digests[:, 0]))  # equal ones in the order of the rows
    new = np.ones(len(order), np.bool_)
    new[1:] = (digests[order[1:]] != digests[order[:-1]]).any(axis=1)
    first = np.empty(len(order), np.int64)
    first[order] = order[np.flatnonzero(new)][np.cumsum(new) - 1]
    blank = ~digests.any(axis=1)
    first[blank] = np.flatnonzero(blank)
    return first


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


def near_clusters(words: Hashes, among: Flags, threshold: float, permutations: int) -> Clusters:
    """For each row the kept row that it nearly repeats, itself if none: (rows,).

    Args:
        words: The texts' words.
        among: The rows that are compared; the others are left alone.
        threshold: Least Jaccard similarity of the sets of word 3-grams.
        permutations: Length of the MinHash signatures.
    """
    rows = np.flatnonzero(among & (np.diff(words.starts) > 0))
    keys = band_keys(words, rows, band_width(threshold, permutations), permutations)
    return clusters_of_keys(words, keys, among, threshold)


def clusters_of_keys(
    words: Hashes, keys: Keys, among: Flags, threshold: float, folder: Path | None = None
) -> Clusters:
    """`near_clusters` of rows whose band keys are known.

    Args:
        words: The texts' words.
        keys: Of each band and row, (bands, rows).
        among: The rows that are compared.
        threshold: Least similarity.
        folder: Where the candidates' shingles are put.
    """
    from tasks.corpus.duplicates import kernels_grams as kernels

    found = np.arange(len(among))
    rows = np.flatnonzero(among & (np.diff(words.starts) > 0))
    members, buckets, given = _shared_buckets(keys, rows)
    order = np.argsort(members, kind="stable")
    shared, counts = np.unique(members, return_counts=True)
    edges = np.concatenate([[0], np.cumsum(counts)])
    candidates = rows[shared]
    sets, set_starts = _shingle_sets(words, candidates, folder)
    leaders = kernels.leaders(edges, buckets[order], given, sets, set_starts, threshold, _CROWD)
    found[candidates] = candidates[leaders]
    return found


def similarity(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> float:
    """Jaccard similarity of two arrays of different hashes."""
    common = len(np.intersect1d(left, right, assume_unique=True))
    return common / max(1, len(left) + len(right) - common)


def _shared_buckets(
    keys: Keys, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int32], int]:
    """Each (place in rows, bucket) of a bucket with more than one row, and how many buckets."""
    from tasks.corpus.duplicates import kernels_grams as kernels

    bits = max(4, int(2 * len(rows)).bit_length())
    members, buckets = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
    used = 0
    for band in keys:
        numbers = np.empty(len(rows), np.int32)
        given = kernels.bucket_band(band, rows, bits, numbers)
        inside = np.flatnonzero(numbers >= 0).astype(np.int32)
        members.append(inside)
        buckets.append(numbers[inside] + np.int32(used))
        used += given
    return np.concatenate(members), np.concatenate(buckets), used


def _shingle_sets(
    words: Hashes, rows: NDArray[np.int64], folder: Path | None
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The different shingles of some rows, in order and on disk, and where each row's begin."""
    from tasks.corpus.duplicates import kernels_grams as kernels

    spill: Spill[np.uint64] = Spill(np.uint64, folder)
    starts, total = [np.zeros(1, np.int64)], 0
    for begin in range(0, len(rows), _SETS):
        some = rows[begin : begin + _SETS]
        room = int((words.starts[some + 1] - words.starts[some]).sum())
        out, ends = np.empty(room, np.uint64), np.empty(len(some), np.int64)
        used = kernels.shingle_sets(words.hashes, words.starts, some, SHINGLE, out, ends)
        spill.append(out[:used])
        starts.append(ends + total)
        total += used
    return spill.array(), np.concatenate(starts)
