"""What a reader passes to ingest: rows, rejects, and the columns a source must have."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any

from tasks.configuration import Source
from tasks.errors import UserError


@dataclass(frozen=True)
class Row:
    """One parsed row: its columns, the name of its source, and the split if the source gave one."""

    values: dict[str, Any]
    source: str
    split: str | None = None


@dataclass(frozen=True)
class Reject:
    """One row that did not parse: what could be kept of it, and why."""

    text: str
    reason: str
    detail: str
    source: str
    split: str | None = None


@dataclass(frozen=True)
class File:
    """One file of a source, how to open it, and the split that its name says, if it does."""

    path: str
    format: str
    fs: Any
    split: str | None = None

    @property
    def name(self) -> str:
        """The file's name without endings, which names the source whatever the format."""
        return PurePosixPath(self.path).name.split(".")[0] or PurePosixPath(self.path).name

    def open(self) -> IO[bytes]:
        """The file's bytes, unpacked where the ending says they are packed."""
        handle: IO[bytes] = self.fs.open(self.path, "rb", compression="infer")
        return handle

    def row(self, values: dict[str, Any]) -> Row:
        """A row of this file."""
        return Row(values, self.name, self.split)

    def reject(self, text: str, reason: str, detail: str) -> Reject:
        """A row of this file that did not parse."""
        return Reject(text, reason, detail, self.name, self.split)


def wanted_columns(config: Source) -> list[str]:
    """Every column that the configuration names."""
    named = (
        config.text,
        config.label,
        config.timestamp,
        config.split,
        config.origin,
        *config.groups,
    )
    return [name for name in named if name]


def require_columns(found: list[str], config: Source, where: str) -> None:
    """Refuse a source that lacks a column or has it twice, naming the columns it has."""
    for name in wanted_columns(config):
        if found.count(name) == 1:
            continue
        listed = ", ".join(map(repr, found[:30])) or "none"
        if name in found:
            raise UserError(f"{where} has two columns {name!r}; it has {listed}", "Rename one.")
        near = difflib.get_close_matches(name, found, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "Name the right one, such as TEXT=column."
        raise UserError(f"{where} has no column {name!r}; it has {listed}", hint)
