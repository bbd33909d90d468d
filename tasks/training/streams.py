"""A corpus read and tokens written a batch at a time, so that neither need fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

_ROWS = 4096  # read at once
_CHARACTERS = 1 << 21  # encoded at once; an encoding takes some 100 times the bytes of its ids


def batches(path: Path, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The rows of a parquet file, those of the columns that it has, in its order."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        there = [name for name in columns if name in file.schema_arrow.names]
        for batch in file.iter_batches(batch_size=_ROWS, columns=there):
            yield from _of_bounded_text(pl.DataFrame(pl.from_arrow(batch)))


def _of_bounded_text(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The rows in parts of so many characters, or of one row that has more."""
    if "text" not in rows.columns:
        yield rows
        return
    rows = rows.with_columns(pl.col("text").fill_null(""))
    ends = rows["text"].str.len_chars().cum_sum().to_numpy()
    first = 0
    while first < len(ends):
        before = int(ends[first - 1]) if first else 0
        last = int(np.searchsorted(ends, before + _CHARACTERS, side="right"))
        last = max(last, first + 1)
        yield rows[first:last]
        first = last


@dataclass(frozen=True)
class Sample:
    """Training text to learn a vocabulary from.

    Attributes:
        texts: Of the chosen rows.
        characters: In all training rows.
        rows: Training rows there are.
        blank: Whether none of them has a letter.
    """

    texts: pl.Series
    characters: int
    rows: int
    blank: bool


def training_sample(path: Path, most: int, seed: int) -> Sample:
    """The training texts, or about `most` characters of them if there are more.

    Args:
        path: `corpus.parquet`.
        most: Characters, roughly; whole rows are chosen, each with the same chance.
        seed: Decides which.
    """
    rows, characters, blank = 0, 0, True
    for batch in _training(path):
        rows += len(batch)
        characters += int(batch.str.len_chars().sum())
        blank = blank and not batch.str.contains(r"\S").any()
    share = most / max(characters, 1)
    rng = np.random.default_rng(seed)
    parts = [pl.Series("text", [], dtype=pl.String)]
    for batch in _training(path):
        parts.append(
            batch if share >= 1 else batch.filter(pl.Series(rng.random(len(batch)) < share))
        )
    return Sample(pl.concat(parts), characters, rows, blank)


def _training(path: Path) -> Iterator[pl.Series]:
    for batch in batches(path, ("text", "split")):
        yield batch.filter(pl.col("split") == "train")["text"]


@dataclass
class SplitWriter:
    """The files of one split's tokens, written as they come.

    Args:
        folder: Gets `tokens_<split>.npy` (flat), `offsets_<split>.npy` (int64, rows + 1) and
            `row_ids_<split>.parquet` (row_id, source, replayed).
        split: Its name.
        dtype: Of the tokens.
        unknown: The token that stands for what has none.
    """

    folder: Path
    split: str
    dtype: DTypeLike
    unknown: int
    rows: int = 0
    size: int = 0
    words: int = 0
    unknowns: int = 0
    _files: list[Any] = field(default_factory=list)

    def __enter__(self) -> SplitWriter:
        import pyarrow as pa
        import pyarrow.parquet as pq

        from models.text.growing import GrowingArray

        self._files = [
            GrowingArray(self.folder / f"tokens_{self.split}.npy", self.dtype),
            GrowingArray(self.folder / f"offsets_{self.split}.npy", np.int64),
        ]
        self._files[1].append(np.zeros(1, np.int64))
        self._schema = pa.schema(
            [("row_id", pa.string()), ("source", pa.string()), ("replayed", pa.bool_())]
        )
        path = self.folder / f"row_ids_{self.split}.parquet"
        self._files.append(pq.ParquetWriter(path, self._schema, compression="zstd"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for file in self._files:
            file.close()

    def add(self, rows: pl.DataFrame, encoded: Sequence[Sequence[int]], *, replayed: bool) -> None:
        """Append rows (row_id, text, perhaps source) with the tokens of their texts."""
        import pyarrow as pa

        sizes = np.fromiter(map(len, encoded), np.int64, len(encoded))
        total = int(sizes.sum())
        tokens: NDArray[Any] = np.fromiter(chain.from_iterable(encoded), self.dtype, total)
        tokens_file, offsets_file, ids_file = self._files
        tokens_file.append(tokens)
        offsets_file.append(self.size + np.cumsum(sizes))
        source = rows["source"] if "source" in rows.columns else [None] * rows.height
        columns = [rows["row_id"].to_list(), list(source), [replayed] * rows.height]
        arrays = [pa.array(c, f.type) for c, f in zip(columns, self._schema, strict=True)]
        ids_file.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self.rows += rows.height
        self.size += total
        self.words += int(rows["text"].str.count_matches(r"\S+").sum() or 0)
        self.unknowns += int((tokens == self.unknown).sum())

    @property
    def stats(self) -> dict[str, float]:
        """Counts of what was written."""
        return {
            "rows": self.rows,
            "tokens": self.size,
            "unknown_share": self.unknowns / max(self.size, 1),
            "tokens_per_word": self.size / max(self.words, 1),
        }
