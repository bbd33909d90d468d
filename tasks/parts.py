"""A stage's work in parts: one function over many shards, each leaving a folder of its own.

The base class works here and now, in one process, and keeps nothing; that suits tests. What the
stage mechanism offers in its place (`tasks.mapping`) looks parts up in the store first, and may have
the others made by several workers. What comes out is the same, byte by byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tasks.log import Log

SHARDS = (
    "shards.json"  # in a stage's folder: what its parts are known by, so that they are not deleted
)
HALF = 20  # hexadecimal digits of a key that say what was worked on; as many say by which code
Unit = Callable[..., None]


@dataclass(frozen=True)
class Part:
    """One piece of work.

    Attributes:
        known_by: Digest of all that the result depends on, but for the code.
        arguments: What the function is given, besides `out`; plain values and paths, which every
            worker must be able to open.
    """

    known_by: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Made:
    """The results.

    Attributes:
        folders: Of each part, in their order.
        made: How many were made now.
    """

    folders: tuple[Path, ...]
    made: int

    @property
    def summary(self) -> str:
        """Such as `; 12 of 40 shards measured, 28 reused`; of one shard there is nothing to say."""
        total = len(self.folders)
        if total < 2:
            return ""
        return f"; {self.made:,} of {total:,} shards measured, {total - self.made:,} reused"


def listed(parts: Sequence[Part]) -> bytes:
    """The contents of `SHARDS`: it says nothing of the code, which may change and find the same."""
    return orjson.dumps([part.known_by for part in parts], option=orjson.OPT_INDENT_2)


def half_key(known_by: str) -> str:
    """How the keys begin of all that was made of a part, by whichever code."""
    return hashlib.sha256(known_by.encode()).hexdigest()[:HALF]


class Parts:
    """Has a function work on parts; this base does so at once and keeps nothing."""

    def map(self, unit: Unit, parts: Sequence[Part], *, folder: Path, log: Log) -> Made:
        """The results of a function on each part.

        Args:
            unit: A function of a module of ours, `unit(out=folder, **arguments)`, that writes into an
                empty folder what follows from its arguments alone.
            parts: The pieces of work.
            folder: Where results are put that nobody keeps.
            log: Progress.
        """
        folders = []
        for number, part in enumerate(parts):
            out = folder / f"{number:06}"
            out.mkdir(parents=True)
            unit(out=out, **part.arguments)
            folders.append(out)
            log.progress(number + 1, len(parts), f"{number + 1:,} of {len(parts):,} shards")
        return Made(tuple(folders), len(folders))
