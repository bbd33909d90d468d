"""A corpus in shards: where it is cut, how it is written, and how it is read a shard at a time.

A shard ends after a row whose text's digest falls on a boundary, one row in `TARGET` by chance
(content-defined chunking: Muthitacharoen et al. 2001, doi:10.1145/502059.502052). So where a corpus
is cut depends on the rows near the cut alone: rows that are added, changed or taken out make other
shards only where they are, and what was measured of all the others is known already.

A shard has at least `LEAST` rows, or copies of a text on a boundary would each be a shard of their
own, and at most `MOST` rows and `BYTES` of text, which bounds the memory that one takes. These
limits shift later cuts only up to the next boundary that both corpora honour.

Every file of rows that a stage leaves has one row group a shard, so reading one shard reads no other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.rows import digest

TARGET = 10_000  # rows from one boundary to the next, on average
LEAST, MOST = TARGET // 5, 4 * TARGET  # rows of a shard, but for the last
BYTES = 64_000_000  # of text, from which a shard ends at the next row
_PLACE = -8  # hexadecimal digits at the end of a digest; ids and splits are made of the others


@dataclass(frozen=True)
class Shard:
    """Some rows of a corpus that follow each other.

    Attributes:
        begin: Place of the first row.
        end: After the last.
        digest: Of the texts, in their order; rows of other labels or splits are the same shard.
    """

    begin: int
    end: int
    digest: str

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.end - self.begin


def cuts(digests: pl.Series, sizes: pl.Series) -> list[int]:
    """The ends of the shards that are whole; rows after the last end wait for more.

    Args:
        digests: Of the rows' texts, in hexadecimal digits.
        sizes: Of the texts (bytes).
    """
    numbers = digests.str.slice(_PLACE).str.to_integer(base=16, dtype=pl.Int64)
    boundaries = (numbers % TARGET == 0).arg_true().to_numpy().astype(np.int64)
    weights = sizes.cast(pl.Int64).cum_sum().to_numpy()
    ends: list[int] = []
    begin = 0
    while begin < len(digests):
        after = int(np.searchsorted(boundaries, begin + LEAST - 1))
        before = int(weights[begin - 1]) if begin else 0
        ending = (
            int(boundaries[after]) + 1 if after < len(boundaries) else len(digests) + 1,
            begin + MOST,
            int(np.searchsorted(weights, before + BYTES)) + 1,
        )
        if min(ending) > len(digests):
            break
        begin = min(ending)
        ends.append(begin)
    return ends


class ShardWriter:
    """Writes rows to a parquet file, one row group a shard, and holds no more than one shard.

    For use in a `with` block; without a row the file has its columns and no row.

    Args:
        path: The file.
        schema: Its columns; `digest` and `text` say where shards end.
    """

    def __init__(self, path: Path, schema: dict[str, Any] | pl.Schema) -> None:
        self._file = TableWriter(path, schema)
        self._waiting = self._file.empty

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if kind is None and self._waiting.height:
            self._file.write(self._waiting)
        self._file.close()

    def write(self, rows: pl.DataFrame) -> None:
        """Add rows at the end."""
        self._waiting = pl.concat([self._waiting, rows.select(self._waiting.columns)])
        begin = 0
        for end in cuts(self._waiting["digest"], _sizes(self._waiting["text"])):
            self._file.write(self._waiting[begin:end])
            begin = end
        self._waiting = self._waiting[begin:]


class TableWriter:
    """Writes a parquet file table by table, one row group each."""

    def __init__(self, path: Path, schema: dict[str, Any] | pl.Schema) -> None:
        import pyarrow.parquet as pq

        self.empty = pl.DataFrame(schema=schema)
        self._writer = pq.ParquetWriter(path, self.empty.to_arrow().schema, compression="zstd")

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, rows: pl.DataFrame) -> None:
        """Add a row group, if there is a row."""
        if rows.height:
            table = rows.select(self.empty.columns).to_arrow().cast(self._writer.schema)
            self._writer.write_table(table, row_group_size=rows.height)

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()


class Corpus:
    """The rows of a parquet file, in shards.

    Args:
        path: The file; one without `digest` is cut by digests that are made now.
        shards: Where it is cut, if that is known.
    """

    def __init__(self, path: Path, shards: Sequence[Shard] | None = None) -> None:
        self.path = path
        self.schema = pl.read_parquet_schema(path)
        if shards is not None:
            self.shards = tuple(shards)

    @cached_property
    def shards(self) -> tuple[Shard, ...]:
        """All shards, in the order of the rows; one without rows if there are none."""
        named = self._named()
        ends = cuts(named["digest"], named["size"])
        bounds = [0, *ends] if ends and ends[-1] == named.height else [0, *ends, named.height]
        return tuple(
            Shard(begin, end, _together(named["digest"][begin:end]))
            for begin, end in zip(bounds, bounds[1:], strict=False)
        )

    @property
    def height(self) -> int:
        """How many rows there are."""
        return self.shards[-1].end

    def read(self, shard: Shard, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The rows of one shard, all columns or some."""
        return read_rows(self.path, shard.begin, shard.end, columns)

    def each(self, *columns: str) -> Iterator[tuple[Shard, pl.DataFrame]]:
        """Every shard with its rows, of which those of one are held at a time."""
        for shard in self.shards:
            yield shard, self.read(shard, columns or None)

    def texts(self) -> Iterator[pl.Series]:
        """The texts, a shard at a time; null is empty."""
        for _, rows in self.each("text"):
            yield rows["text"].fill_null("")

    def columns(self, *names: str) -> pl.DataFrame:
        """Some columns of all rows; not for texts, which may not fit into memory."""
        return pl.read_parquet(self.path, columns=list(names))

    def texts_of(self, places: Iterable[int]) -> dict[int, str]:
        """The texts of some rows by place."""
        wanted = np.unique(np.fromiter(places, np.int64))
        found: dict[int, str] = {}
        for shard, some in within(self.shards, wanted):
            texts = self.read(shard, ["text"])["text"].fill_null("").gather(some - shard.begin)
            found |= zip(some.tolist(), texts, strict=True)
        return found

    def _named(self) -> pl.DataFrame:
        """`digest` and `size` (bytes) of every row."""
        size = pl.col("text").str.len_bytes().fill_null(0).alias("size")
        if "digest" in self.schema:
            return pl.scan_parquet(self.path).select("digest", size).collect(engine="streaming")
        texts = pl.read_parquet(self.path, columns=["text"])["text"].fill_null("")
        digests = pl.Series("digest", [digest(text) for text in texts], pl.String)
        return pl.DataFrame({"digest": digests, "size": _sizes(texts)})


def read_rows(
    path: Path, begin: int, end: int, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """Some rows of a parquet file that follow each other."""
    rows = pl.scan_parquet(path).slice(begin, end - begin)
    return (rows if columns is None else rows.select(columns)).collect()


def within(
    shards: Sequence[Shard], places: NDArray[np.int64]
) -> Iterator[tuple[Shard, NDArray[np.int64]]]:
    """The shards that hold some places, given in order, each with those that it holds."""
    bounds = np.searchsorted(places, [shard.begin for shard in shards] + [shards[-1].end])
    for shard, first, last in zip(shards, bounds, bounds[1:], strict=False):
        if first < last:
            yield shard, places[first:last]


def _sizes(texts: pl.Series) -> pl.Series:
    return texts.str.len_bytes().fill_null(0)


def _together(digests: pl.Series) -> str:
    return hashlib.blake2b("".join(digests).encode(), digest_size=16).hexdigest()
