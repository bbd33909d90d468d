"""What is trained on: made-up documents of realistic lengths, and how each contender lays them out.

Lengths are lognormal with median 40 and mean 66 tokens, as sentences and paragraphs of mixed text
have them; the ids are drawn at random, since what a step costs does not depend on them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

VOCABULARY = 8192
PAD, UNKNOWN, BEGIN, END, MASK, FIRST = range(6)  # of our vocabularies; FIRST is the first word
MEDIAN, MEAN = 40.0, 66.0
MASK_RATE = 0.15


class Documents(NamedTuple):
    """Token ids of all documents after one another, without special tokens.

    Attributes:
        tokens: int32, flat.
        offsets: int64, (documents + 1) bounds.
    """

    tokens: Int32
    offsets: Int64

    def each(self) -> list[Int32]:
        """The documents as separate arrays."""
        return np.split(self.tokens, self.offsets[1:-1])


def made_up(count: int, seed: int, vocabulary: int = VOCABULARY) -> Documents:
    """Documents of random words with lognormal lengths of at least one token."""
    rng = np.random.default_rng(seed)
    spread = math.sqrt(2 * math.log(MEAN / MEDIAN))
    lengths = np.maximum(1, np.rint(rng.lognormal(math.log(MEDIAN), spread, count))).astype(int)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Documents(rng.integers(FIRST, vocabulary, offsets[-1]).astype(np.int32), offsets)


def padded(documents: Documents, length: int) -> Int32:
    """One document a row, cut to `length` with its special tokens, then padding: (N, length)."""
    each = documents.each()
    rows = np.full((len(each), length), PAD, np.int32)
    for row, document in zip(rows, each, strict=True):
        kept = document[: length - 2]
        row[0], row[1 : len(kept) + 1], row[len(kept) + 1] = BEGIN, kept, END
    return rows


def grouped(documents: Documents, length: int) -> Int32:
    """All documents with their special tokens after one another, cut every `length` tokens.

    As Hugging Face's `run_mlm.py` groups texts: no padding, and attention sees the neighbours. The
    rest that does not fill a row is dropped, as it is there.
    """
    sizes = np.diff(documents.offsets)
    place = np.arange(len(documents.tokens)) + 1 + 2 * np.repeat(np.arange(len(sizes)), sizes)
    stream = np.full(len(documents.tokens) + 2 * len(sizes), BEGIN, np.int32)
    stream[place] = documents.tokens
    stream[np.cumsum(sizes + 2) - 1] = END
    whole = len(stream) // length * length
    return stream[:whole].reshape(-1, length)


def fill(rows: Int32) -> float:
    """Share of the positions that are not padding."""
    return float((rows != PAD).mean())
