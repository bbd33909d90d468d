"""Which training documents belong together, and what share of the presentations each lot has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.configuration import Tokenization
from tasks.errors import UserError
from tasks.training.streams import batches

REPLAY = "replay"
_LISTED = 20  # sources named in an error


@dataclass(frozen=True)
class Part:
    """Documents packed together.

    Attributes:
        documents: int64, their numbers, rising.
        share: Of the presentations.
        source: The source that they are of; None for all that is not named.
        replayed: Whether they are of earlier nights.
    """

    documents: NDArray[np.int64]
    share: float
    source: str | None = None
    replayed: bool = False

    def described(self) -> dict[str, Any]:
        """For `packing.json`."""
        return {"source": self.source, "replayed": self.replayed, "share": self.share}


def parts(tokenized: Path, split: str, config: Tokenization) -> list[Part]:
    """A split's documents by what they are mixed by; one part where nothing is mixed.

    Replayed rows have `replay_share`, named sources their own shares, and the rest of tonight's rows
    what is left, which is their natural share of each other. Where there is no rest, or nothing
    replayed, the others have proportionally more. Replayed rows are no source's, whatever file they
    once came from.

    Raises:
        UserError: A named source has no row, or nothing that has a share holds any text.
    """
    names = sorted(config.mixture)
    codes = _codes(tokenized / f"row_ids_{split}.parquet", names)
    lots = {code: np.flatnonzero(codes == code) for code in range(len(names) + 2)}
    if missing := [name for code, name in enumerate(names, 2) if not len(lots[code])]:
        known = _sources(tokenized / f"row_ids_{split}.parquet")
        raise UserError(
            f"tokenize.mixture names {', '.join(map(repr, missing))}, of which there is no training "
            f"row; the sources are {', '.join(map(repr, known[:_LISTED])) or 'without names'}",
            "A source is called as its file, without ending.",
        )
    taken = sum(config.mixture.values())
    replayed = config.replay_share if len(lots[1]) else 0.0
    rest = max(0.0, 1.0 - taken - replayed)
    found = [Part(lots[0], rest if len(lots[0]) else 0.0)]
    found += [Part(lots[c], config.mixture[n], n) for c, n in enumerate(names, 2)]
    found.append(Part(lots[1], replayed, replayed=True))
    found = [part for part in found if len(part.documents)]
    whole = sum(part.share for part in found)
    if found and whole <= 0:
        raise UserError(
            "no training row has a share of the presentations",
            "Lower tokenize.replay_share, or give tokenize.mixture other shares.",
        )
    return [Part(p.documents, p.share / whole, p.source, p.replayed) for p in found] or [
        Part(np.zeros(0, np.int64), 1.0)
    ]


def _codes(path: Path, names: list[str]) -> NDArray[np.int32]:
    """For each document 0, 1 if it is replayed, or 2 and more for the named sources."""
    found = [np.zeros(0, np.int32)]
    for batch in batches(path, ("source", "replayed")):
        code = pl.col("source").replace_strict(
            names, list(range(2, len(names) + 2)), default=0, return_dtype=pl.Int32
        )
        code = pl.when("replayed").then(1).otherwise(code.fill_null(0))
        found.append(batch.select(code.cast(pl.Int32).alias("code"))["code"].to_numpy())
    return np.concatenate(found)


def _sources(path: Path) -> list[str]:
    names = pl.scan_parquet(path).filter(~pl.col("replayed")).select("source").unique().collect()
    return sorted(names["source"].drop_nulls())
