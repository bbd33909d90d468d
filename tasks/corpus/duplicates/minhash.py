"""MinHash signatures, and the bands by which similar texts are found among many.

For a random permutation of all shingles, the first shingle of two sets is the same one with
probability J, their Jaccard similarity (Broder 1997, https://doi.org/10.1109/SEQUEN.1997.666900).
So the share of p permutations that agree estimates J without bias and with standard deviation
sqrt(J (1 - J) / p): 0.043 at J = 0.5 and the usual 128.

A signature is cut into p // r bands of r values (Leskovec et al., Mining of Massive Datasets,
ch. 3). Texts with a band in common are candidates. A pair of similarity J has none in common, and
is missed, with probability (1 - J^r)^(p // r), at most one in a thousand at the threshold. At the
usual threshold of 0.7 and 128 permutations r is 4 and 0.015 % of the pairs at the threshold are
missed, fewer above it.

In place of permutations stand x -> a x + b modulo 2^32 with odd a, where x is 32 bits of a mixed
hash. Each is one to one; the x are as good as random, so each gives an unbiased estimate, and a
test holds the error of their mean against the formula above.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.corpus.duplicates.spill import spilled

Keys = NDArray[np.uint32]
Positions = NDArray[np.int64]

SHINGLE = 3
SCHEME = 1  # of the hashes and the keys; a change of either makes earlier indexes useless
_SEED = 7
_MOST_MISSED = 1e-3
_WIDEST_BAND = 8
_ROWS = 50_000  # whose signatures are held together


class Hashes(Protocol):
    """Hashed words of texts, as `hashing.Hashed` and `wordgrams.Words` have them."""

    @property
    def starts(self) -> Positions:
        """Where each text's words begin, and the end: (n + 1,)."""

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """Each word's hash: (words,)."""


def band_width(threshold: float, permutations: int) -> int:
    """The widest band that misses few pairs at the threshold; wide bands make few false candidates."""
    return max(
        r
        for r in range(1, _WIDEST_BAND + 1)
        if r == 1 or missed(threshold, r, permutations) <= _MOST_MISSED
    )


def missed(similarity: float, width: int, permutations: int) -> float:
    """Probability that two texts of a similarity J share no band: (1 - J^r)^(p // r)."""
    return float((1 - similarity**width) ** (permutations // width))


def signatures(
    words: Hashes, permutations: int, size: int = SHINGLE, rows: Positions | None = None
) -> Keys:
    """MinHash signatures: (rows, permutations).

    Args:
        words: Of the texts.
        permutations: Length of a signature.
        size: Words of a shingle.
        rows: Which texts; all if not given.
    """
    from tasks.corpus.duplicates import kernels_grams as kernels

    rows = np.arange(len(words.starts) - 1) if rows is None else rows
    found = np.empty((len(rows), permutations), np.uint32)
    kernels.minhash(words.hashes, words.starts, rows, size, *_coefficients(permutations), found)
    return found


def band_keys(
    words: Hashes, rows: Positions, width: int, permutations: int, folder: Path | None = None
) -> Keys:
    """A 32-bit key of each band of the rows' signatures, on disk: (bands, all texts).

    Two texts share a key by chance once in 4e9, which costs one comparison.

    Args:
        words: Of the texts.
        rows: Which texts; the keys of the others stay 0.
        width: Values of a band.
        permutations: Length of a signature.
        folder: Where the file is put.
    """
    from tasks.corpus.duplicates import kernels_grams as kernels

    keys = spilled((permutations // width, len(words.starts) - 1), np.uint32, folder)
    for begin in range(0, len(rows), _ROWS):
        some = rows[begin : begin + _ROWS]
        found = np.empty((len(keys), len(some)), np.uint32)
        kernels.band_keys(signatures(words, permutations, rows=some), width, found)
        keys[:, some] = found
    return keys


@cache
def _coefficients(permutations: int) -> tuple[Keys, Keys]:
    rng = np.random.Generator(np.random.PCG64(_SEED))
    factors, terms = rng.integers(0, 2**32, (2, permutations), np.uint32)
    return np.ascontiguousarray(factors | np.uint32(1)), np.ascontiguousarray(terms)
