"""Rows that people have released from quarantine: cleaning leaves them where they are.

A release lifts a fault, never a row: a row whose text is released from `few_letters` is still
repaired, and still quarantined if it breaks another rule, leaks or is a copy. Two things are known
of a released row:

- the digest of its text as it was read, for every fault that lies in the text or in what other rows
  hold of it. A row's id counts the copies before it, so it can change when a source gains or loses
  rows; the text is the same, and it was the text that somebody read and vouched for. Where the same
  text comes again, it is released again.
- its id, for `exact_duplicate`. All copies have one text, so the text would bring back every one of
  them; the id brings back as many as were released.

A row that is kept because of a release is judged after cleaning as if it had no value of the signal
that it was released for, since a person has judged that one. Not covered: a released leak or near
duplicate is not compared with the other rows again, so a copy of it that is released too stays too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import polars as pl

from tasks.records import Frozen

RELEASED = "released.parquet"
SCHEMA = {"row_id": pl.String, "reason": pl.String, "column": pl.String}


class Released(Frozen):
    """What is released, and nothing of who did it and why, which changes no row.

    Attributes:
        rules: Reasons that no row is quarantined for, sorted.
        rows: Digest of a text, or id of a row, to the reasons it is not quarantined for, sorted.
    """

    rules: tuple[str, ...] = ()
    rows: dict[str, tuple[str, ...]] = {}

    def covers(self, reason: str, *names: str) -> bool:
        """Whether a row of that digest and id is released from a reason."""
        return reason in self.rules or any(reason in self.rows.get(name, ()) for name in names)


class Reasoned(Protocol):
    """Why a row is quarantined."""

    @property
    def reason(self) -> str:
        """The name of the fault."""


_Found = TypeVar("_Found", bound=Reasoned)


class Spared(Generic[_Found]):
    """Takes what is released out of what cleaning finds, and keeps a note of it.

    Args:
        rows: The rows as they arrived, with `row_id` and `digest`.
        released: What is released, None for nothing.
    """

    def __init__(self, rows: pl.DataFrame, released: Released | None) -> None:
        self._rows = rows
        self._released = released or Released()
        self._lifted: list[pl.DataFrame] = [pl.DataFrame(schema=SCHEMA)]

    def lift(self, broken: pl.DataFrame) -> pl.DataFrame:
        """Broken row rules (`row_id`, `reason`, `column`, ...) without those that are released."""
        if not (self._released.rules or self._released.rows) or broken.is_empty():
            return broken
        lifted = broken.select(
            pl.col("reason").is_in(list(self._released.rules))
            | pl.struct("row_id", "reason").is_in(self._pairs().implode())
        ).to_series()
        self._lifted.append(broken.filter(lifted).select(list(SCHEMA)))
        return broken.filter(~lifted)

    def sift(self, found: Mapping[int, _Found]) -> dict[int, _Found]:
        """Findings by place without those that are released."""
        ids, digests = self._rows["row_id"], self._rows["digest"]
        released = {
            row: (ids[row], finding.reason, None)
            for row, finding in found.items()
            if self._released.covers(finding.reason, digests[row], ids[row])
        }
        if released:
            self._lifted.append(pl.DataFrame(list(released.values()), SCHEMA, orient="row"))
        return {row: finding for row, finding in found.items() if row not in released}

    def kept(self, gone: Collection[int]) -> pl.DataFrame:
        """The lifted faults of the rows that are kept: `row_id`, `reason`, `column` (of a rule).

        Args:
            gone: Places of the rows that are quarantined all the same.
        """
        lost = self._rows["row_id"].gather(sorted(gone))
        found = pl.concat(self._lifted).unique(
            maintain_order=True
        )  # a shortened row is judged twice
        return found.filter(~pl.col("row_id").is_in(lost.implode()))

    def _pairs(self) -> pl.Series:
        """Every (row_id, reason) among the rows that is released by text or by id."""
        listed = self._released.rows.items()
        names = pl.DataFrame(
            [(name, reason) for name, reasons in listed for reason in reasons],
            {"name": pl.String, "reason": pl.String},
            orient="row",
        )
        named = self._rows.select("row_id", name=pl.col("digest"))
        both = pl.concat([named, self._rows.select("row_id", name=pl.col("row_id"))])
        return both.join(names, on="name").select(pl.struct("row_id", "reason")).to_series()


def first_reasons(released: pl.DataFrame) -> pl.DataFrame:
    """Each released row once, with the reason it would have been filed under."""
    return released.unique("row_id", keep="first", maintain_order=True)


def excused(signals: pl.DataFrame, corpus: Path) -> pl.DataFrame:
    """The signals of a corpus without the values in spite of which people released rows.

    A row without a value meets every rule, so what a person has judged is not judged again.

    Args:
        signals: One row per row of the corpus, with `row_id`.
        corpus: Its folder; only a cleaned one has `released.parquet`.
    """
    path = corpus / RELEASED
    if not path.exists():
        return signals
    released = pl.read_parquet(path).drop_nulls("column")
    for (column,), part in sorted(released.group_by("column")):
        if column in signals.columns:
            mine = pl.col("row_id").is_in(part["row_id"].implode())
            signals = signals.with_columns(pl.when(~mine).then(pl.col(str(column))))
    return signals
