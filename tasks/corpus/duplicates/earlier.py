"""Which of tonight's rows an earlier night had: its index of duplicates, left by one and read by the next.

Cleaning leaves the index beside the corpus, one row for each row kept: the digests of its text as
it was read and as it was repaired, and the keys of its MinHash bands. A later night that is given
that folder looks up its own digests, takes the keys of rows it has seen over instead of computing
them, and compares only the rows that are new. Near duplicates are compared exactly, with the
earlier corpus read once, in batches.

Where the index is missing, or was made with other settings, it is made anew from the corpus.

In memory are held 32 bytes for each earlier row and 16 bytes for each pair of candidates, of which
a new row has at most 256 a band; the keys are on disk.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.configuration import Profiling
from tasks.corpus.duplicates.hashing import Digests, Hashed, hash_texts
from tasks.corpus.duplicates.minhash import SCHEME, SHINGLE, Keys, band_keys, band_width
from tasks.corpus.duplicates.spill import Spill, spilled
from tasks.errors import UserError
from tasks.records import Outcome
from tasks.stage import stage
from tasks.training.streams import batches

INDEX = "duplicates.parquet"
_CORPUS = "corpus.parquet"
_DIGESTS = ("text_high", "text_low", "raw_high", "raw_low")
_ROWS = 100_000  # written and read together
_CROWD = 256  # earlier rows with one key, from which the key is phrasing of the corpus

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]


@stage
def earlier_night(*, location: str, content: str, out: Path) -> Outcome:
    """Take an earlier night's corpus over from a folder, with its index if it has one.

    Args:
        location: The folder that the configuration names.
        content: Digest of its files, by which the result is known.
        out: Receives `corpus.parquet` and `duplicates.parquet`.
    """
    for name in (_CORPUS, INDEX):
        if (Path(location) / name).is_file():
            shutil.copyfile(Path(location) / name, out / name)
    return Outcome(summary=f"taken from {location}")


def folder_digest(location: str) -> str:
    """Digest of an earlier night's files.

    Raises:
        UserError: The folder holds no corpus.
    """
    folder = Path(location)
    if not (folder / _CORPUS).is_file():
        raise UserError(
            f"profile.earlier is {location!r}, and there is no {_CORPUS} in it",
            "Name the folder that an earlier night's `clean` wrote, `last`, `champion` or `none`.",
        )
    digest = hashlib.sha256()
    for name in (_CORPUS, INDEX):
        if (folder / name).is_file():
            with (folder / name).open("rb") as handle:
                digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()


def write_index(
    folder: Path, row_ids: pl.Series, digests: Digests, raw: Digests, keys: Keys, kept: Flags,
    config: Profiling,
) -> None:  # fmt: skip
    """Leave the index of the kept rows, in the order of the corpus.

    Args:
        folder: Receives `duplicates.parquet`.
        row_ids: Of all rows.
        digests: Of their texts as repaired, (rows, 2).
        raw: Of their texts as read, (rows, 2).
        keys: Of their bands, (bands, rows).
        kept: Which rows are kept.
        config: The settings that the keys were made with.
    """
    import pyarrow.parquet as pq

    rows = np.flatnonzero(kept)
    writer = None
    for begin in range(0, max(1, len(rows)), _ROWS):
        some = rows[begin : begin + _ROWS]
        both = np.hstack([digests[some], raw[some]])
        columns = {name: both[:, place] for place, name in enumerate(_DIGESTS)}
        columns |= {name: band[some] for name, band in zip(_bands(len(keys)), keys, strict=True)}
        frame = pl.DataFrame({"row_id": row_ids.gather(some), **columns}).to_arrow()
        frame = frame.replace_schema_metadata({"plumbline": _scheme(config)})
        writer = writer or pq.ParquetWriter(folder / INDEX, frame.schema, compression="zstd")
        writer.write_table(frame)
    if writer is not None:
        writer.close()


class Earlier:
    """An earlier night's rows.

    Args:
        folder: With its corpus, and its index if it left one.
        config: Tonight's settings.
        scratch: Where files are put.
    """

    def __init__(self, folder: Path, config: Profiling, scratch: Path | None = None) -> None:
        self._folder, self._config = folder, config
        self._digests, self._raw, self._keys = _read(folder, config, scratch)

    def places(self, digests: Digests) -> tuple[Places, Flags]:
        """The earlier row with each text, -1 for none; which texts were seen, raw or repaired."""
        repaired, raw = (_lookup(digests, known) for known in (self._digests, self._raw))
        return repaired, (repaired >= 0) | (raw >= 0)

    def keys(self, places: Places) -> Keys:
        """The keys of earlier rows: (bands, places)."""
        return np.asarray(self._keys[:, places])

    def near(self, words: Hashed, keys: Keys, among: Flags) -> Flags:
        """Which of tonight's rows are nearly the same as an earlier one.

        Args:
            words: Of tonight's texts.
            keys: Of tonight's bands, (bands, rows).
            among: The rows that are looked at.
        """
        from tasks.corpus.duplicates import kernels_grams as kernels

        found = np.zeros(len(among), np.bool_)
        pairs = self._candidates(keys, np.flatnonzero(among & (words.counts > 0)))
        pairs = pairs[np.argsort(pairs[:, 1], kind="stable")]
        begin = 0
        for batch in _texts(self._folder):
            first, last = np.searchsorted(pairs[:, 1], [begin, begin + len(batch)])
            some = pairs[first:last] - np.array([0, begin], np.int64)
            wanted, some[:, 1] = np.unique(some[:, 1], return_inverse=True)
            begin += len(batch)
            if not len(some):
                continue
            some = some[np.argsort(some[:, 0], kind="stable")]
            theirs = hash_texts(batch.gather(wanted))
            alike = np.zeros(len(some), np.bool_)
            kernels.similar_pairs(
                words.hashes, words.starts, theirs.hashes, theirs.starts, some, SHINGLE,
                self._config.near_duplicate_similarity, alike,
            )  # fmt: skip
            found[some[alike, 0]] = True
        return found

    def _candidates(self, keys: Keys, rows: Places) -> Places:
        """Pairs (tonight's row, earlier row) that have a band in common: (pairs, 2)."""
        full = self._digests.any(axis=1)
        pairs = np.zeros((0, 2), np.int64)
        for mine, theirs in zip(keys, self._keys, strict=True):
            earlier = pl.DataFrame({"key": theirs}).with_row_index("place").filter(pl.Series(full))
            earlier = earlier.filter(pl.len().over("key") <= _CROWD)
            tonight = pl.DataFrame({"row": rows, "key": mine[rows]})
            both = tonight.join(earlier, on="key").select("row", pl.col("place").cast(pl.Int64))
            pairs = np.unique(np.concatenate([pairs, both.to_numpy()]), axis=0)
        return pairs


def _read(folder: Path, config: Profiling, scratch: Path | None) -> tuple[Digests, Digests, Keys]:
    """Digests of the texts and of the raw texts, and the keys on disk."""
    import pyarrow.parquet as pq

    path = folder / INDEX
    if not path.is_file() or _scheme_of(path) != _scheme(config):
        return _made(folder, config, scratch)
    with pq.ParquetFile(path) as file:
        keys = spilled((_band_count(config), file.metadata.num_rows), np.uint32, scratch)
        digests, begin = [np.zeros((0, 4), np.uint64)], 0
        for batch in file.iter_batches(batch_size=_ROWS):
            frame = pl.DataFrame(pl.from_arrow(batch))
            digests.append(frame.select(_DIGESTS).to_numpy())
            part = frame.select(_bands(len(keys))).to_numpy().T
            keys[:, begin : begin + frame.height] = part
            begin += frame.height
    both = np.concatenate(digests)
    return both[:, :2], both[:, 2:], keys


def _made(folder: Path, config: Profiling, scratch: Path | None) -> tuple[Digests, Digests, Keys]:
    """The same from the earlier corpus, of which a batch at a time is held."""
    digests, spill = [np.zeros((0, 2), np.uint64)], Spill[np.uint32](np.uint32, scratch)
    width = band_width(config.near_duplicate_similarity, config.permutations)
    for batch in _texts(folder):
        words = hash_texts(batch)
        digests.append(words.digests)
        rows = np.flatnonzero(words.counts > 0)
        spill.append(band_keys(words, rows, width, config.permutations).T.ravel())
    found = np.concatenate(digests)
    return found, found, spill.array().reshape(len(found), _band_count(config)).T


def _texts(folder: Path) -> Iterator[pl.Series]:
    waiting: list[pl.Series] = []
    for batch in batches(folder / _CORPUS, ("text",)):
        waiting.append(batch["text"])
        if sum(map(len, waiting)) >= _ROWS // 4:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)


def _lookup(digests: Digests, known: Digests) -> Places:
    """The first known row with each digest, -1 for none or an empty text."""
    theirs = pl.DataFrame({"a": known[:, 0], "b": known[:, 1]}).with_row_index("place")
    theirs = theirs.unique(["a", "b"], keep="first", maintain_order=True)
    mine = pl.DataFrame({"a": digests[:, 0], "b": digests[:, 1]})
    both = mine.join(theirs, on=["a", "b"], how="left", maintain_order="left")
    places = both["place"].cast(pl.Int64).fill_null(-1).to_numpy()
    return np.where(digests.any(axis=1), places, -1)


def _bands(count: int) -> list[str]:
    return [f"band_{number:03}" for number in range(count)]


def _band_count(config: Profiling) -> int:
    return config.permutations // band_width(config.near_duplicate_similarity, config.permutations)


def _scheme(config: Profiling) -> str:
    """What two indexes must have in common to be compared."""
    width = band_width(config.near_duplicate_similarity, config.permutations)
    return f"scheme {SCHEME}, {SHINGLE}-grams, {config.permutations} permutations, bands of {width}"


def _scheme_of(path: Path) -> str:
    import pyarrow.parquet as pq

    metadata = pq.read_schema(path).metadata or {}
    return bytes(metadata.get(b"plumbline", b"")).decode()
