"""A night's rows as a repair needs them: what was trained on, as it was read, and its copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from tasks.corpus.findings import EXACT, NEAR
from tasks.corpus.rows import digest
from tasks.corpus.statements.stating import Texts, any_stated


@dataclass(frozen=True)
class Copy:
    """A quarantined copy: its id, and its text's digest as it was read."""

    row_id: str
    digest: str


@dataclass(frozen=True)
class NightRows:
    """The training rows of a night.

    Attributes:
        ids: Of the rows that were read and trained on, without made-up ones.
        texts: Theirs, as they were trained on.
        sources: Where each is said to come from.
        digests: Of each row's text as it was read, by id.
        parents: Of each made-up row, the row it was made from.
        copies: Training rows in quarantine as duplicates, with their texts as they were read.
    """

    ids: tuple[str, ...]
    texts: Texts
    sources: dict[str, str]
    digests: dict[str, str]
    parents: dict[str, str]
    copies: tuple[tuple[Copy, str], ...]

    @classmethod
    def read(cls, augmented: Path, ingested: Path, cleaned: Path) -> NightRows:
        """Those of the folders of `augment`, `ingest` and `clean`."""
        trained = pl.read_parquet(augmented / "corpus.parquet").filter(pl.col("split") == "train")
        made_up = trained.filter(pl.col("parent").is_not_null())
        original = trained.filter(pl.col("parent").is_null())
        names = original["row_id"].to_list()
        read = pl.read_parquet(ingested / "corpus.parquet", columns=["row_id", "digest"])
        gone = pl.read_parquet(cleaned / "quarantine.parquet").filter(
            (pl.col("split") == "train") & pl.col("reason").is_in([EXACT, NEAR])
        )
        return cls(
            ids=tuple(names),
            texts=Texts(original["text"].to_list()),
            sources=dict(zip(names, original["source"].fill_null(""), strict=True)),
            digests=dict(read.filter(pl.col("row_id").is_in(names)).iter_rows()),
            parents=dict(made_up.select("row_id", "parent").iter_rows()),
            copies=tuple(
                (Copy(name, digest(text or "")), text or "")
                for name, text in gone.select("row_id", "text").iter_rows()
            ),
        )

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.ids)}

    def text(self, row_id: str) -> str:
        """A row's text as it was trained on."""
        return str(self.texts.texts[self._places[row_id]])

    def origin(self, row_id: str) -> str | None:
        """The row that was read, of itself or of a made-up one; None if it is not of this night."""
        name = self.parents.get(row_id, row_id)
        return name if name in self.digests else None

    def made_from(self, row_id: str) -> list[str]:
        """The made-up rows of a row."""
        return sorted(name for name, parent in self.parents.items() if parent == row_id)

    def copies_of(self, row_id: str, stated: Sequence[tuple[str, str]]) -> list[Copy]:
        """Quarantined duplicates that would come back without the row, and say what it says.

        Args:
            row_id: The row.
            stated: The wrong (subject, answer) pairs for which it is a candidate.
        """
        mine = self.digests[row_id]
        return [
            copy for copy, text in self.copies if copy.digest == mine or any_stated(text, stated)
        ]
