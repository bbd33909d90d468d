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
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.duplicates.spill import Spill
from tasks.corpus.signals.buffers import buffers, stretches
from tasks.corpus.signals.scan import code_point_bits
from tasks.corpus.signals.wordgrams import read

Digests = NDArray[np.uint64]
Hashes = NDArray[np.uint64]
Positions = NDArray[np.int64]

_BLOCK = 8_000_000  # bytes of text looked at together


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
    kernels.fold(data, offsets, code_point_bits(), folded, places)
    digests = np.zeros((len(texts), 2), np.uint64)
    digests[order] = _digests(folded, places)
    found, hashes, _, _ = read(folded[: places[-1]], places, places=False)
    if not len(others):
        return found, hashes, digests
    begins, counts = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)
    begins[order], counts[order] = np.cumsum(found) - found, found
    moved = np.empty(len(hashes), np.uint64)
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
