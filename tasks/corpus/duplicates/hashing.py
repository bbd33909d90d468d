"""What the comparison of texts needs of them: a hash of every word and a digest of the whole.

Texts are read in blocks and never held together. The words' hashes, 8 bytes each, go to a file
(`spill`); in memory stay 24 bytes a row, whatever the length of the texts. Words are those of
`patterns.WORD`, in NFC, lower case and with straight apostrophes, so that characters stand for
words in scripts without spaces.

The hashes depend on nothing but the text: they are the same on every machine and in every version
of the libraries, so those of an earlier night can be compared with tonight's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.duplicates.spill import Spill
from tasks.corpus.signals.buffers import buffers, stretches
from tasks.corpus.signals.patterns import CLUSTER_PARTS, WORD

Digests = NDArray[np.uint64]
Hashes = NDArray[np.uint64]
Positions = NDArray[np.int64]

_BLOCK = 8_000_000  # bytes of text looked at together
# Code points that may be letters or marks; those between are unassigned or private.
_ASSIGNED = (*range(0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xE0200))


@dataclass(frozen=True)
class Hashed:
    """The words of n texts, end to end, and the texts' digests.

    Attributes:
        starts: Where each text's words begin, and the end: (n + 1,).
        hashes: Each word's hash, on disk: (words,).
        digests: BLAKE2b-128 of each text in NFC and lower case with one space for any white
            space and none at its ends; zeros where nothing is left: (n, 2).
    """

    starts: Positions
    hashes: Hashes
    digests: Digests

    @property
    def counts(self) -> Positions:
        """Words per text: (n,)."""
        return np.diff(self.starts)


def hash_texts(texts: pl.Series | Iterable[pl.Series], folder: Path | None = None) -> Hashed:
    """Hash texts; null counts as empty.

    Args:
        texts: A column, or a column in parts, of which one is held at a time.
        folder: Where the file of hashes is put.
    """
    spill: Spill[np.uint64] = Spill(np.uint64, folder)
    counts, digests = [np.zeros(0, np.int64)], [np.zeros((0, 2), np.uint64)]
    for part in [texts] if isinstance(texts, pl.Series) else texts:
        for block in blocks(part.fill_null("")):
            found, hashes, digested = _hash_block(block)
            counts.append(found)
            spill.append(hashes)
            digests.append(digested)
    starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    return Hashed(starts, spill.array(), np.concatenate(digests))


def blocks(texts: pl.Series) -> Iterator[pl.Series]:
    """The texts in parts of some megabytes, at least one text each."""
    return (texts[part] for part in stretches(texts, _BLOCK))


def _hash_block(texts: pl.Series) -> tuple[Positions, Hashes, Digests]:
    """Words per text, the hash of every word, the digest of every text.

    Texts with other than ASCII characters are normalised by Polars first, and hashed after the
    others; then all are put in order.
    """
    from tasks.corpus.duplicates import kernels_text as kernels

    ascii_only = texts.str.len_bytes() == texts.str.len_chars()
    order = np.concatenate([ascii_only.arg_true().to_numpy(), (~ascii_only).arg_true().to_numpy()])
    others = texts.filter(~ascii_only).str.normalize("NFC").str.to_lowercase()
    data, offsets = buffers(pl.concat([texts.filter(ascii_only), others]))
    folded, places = np.empty(len(data), np.uint8), np.zeros(len(offsets), np.int64)
    kernels.fold(data, offsets, classes(), folded, places)
    digests = np.zeros((len(texts), 2), np.uint64)
    digests[order] = _digests(folded, places)
    hashes, found = np.empty(len(data) + 1, np.uint64), np.zeros(len(texts), np.int64)
    total = kernels.hash_words(folded, places, classes(), hashes, found)
    if not len(others):
        return found, hashes[:total], digests
    begins, counts = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)
    begins[order], counts[order] = np.cumsum(found) - found, found
    moved = np.empty(total, np.uint64)
    kernels.moved(hashes, begins, counts, moved)
    return counts, moved, digests


def _digests(folded: NDArray[np.uint8], places: Positions) -> Digests:
    """BLAKE2b-128 of each text; zeros where nothing is left of it: (texts, 2)."""
    view, blank = memoryview(folded), bytes(16)  # type: ignore[arg-type]
    ends = places.tolist()
    joined = b"".join(
        hashlib.blake2b(view[begin:end], digest_size=16).digest() if end > begin else blank
        for begin, end in zip(ends, ends[1:], strict=False)
    )
    return np.frombuffer(joined, "<u8").reshape(-1, 2).astype(np.uint64)


@cache
def classes() -> NDArray[np.uint8]:
    """What `patterns.WORD` makes of each code point: (0x110000,).

    0 is outside words, 1 part of a run of letters, 2 a word of its own, 4 white space; of scripts
    without spaces 3 is the base of a cluster, 5 a vowel before it, 6 a sign after it and 7 one that
    stacks the next base. Found by trying the pattern on each, so there is one definition of a word.
    """
    points = np.array(_ASSIGNED)
    alone = pl.Series([chr(point) for point in _ASSIGNED])
    inside = alone.str.contains(WORD).arg_true().to_numpy()
    some = alone.gather(inside)
    single = ((some + some).str.count_matches(WORD) == 2).to_numpy()
    letters = ((some + "'" + some).str.count_matches(WORD) == 1).to_numpy()
    found = np.zeros(0x110000, np.uint8)
    found[points[alone.str.contains(r"\s").arg_true().to_numpy()]] = 4
    found[points[inside]] = np.where(single & ~letters, 2, 1)
    for number, part in ((3, "base"), (5, "before"), (6, "after"), (7, "stacking")):
        found[points[alone.str.contains(CLUSTER_PARTS[part]).arg_true().to_numpy()]] = number
    return found
