"""What is measured of the rows of one shard on their own: the unit that `profile` maps over shards.

The result depends on the shard's texts and the user's signals alone, so it is kept by their digests,
and a later night with the same shard measures nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tasks.corpus.shards import Corpus, TableWriter, read_rows
from tasks.corpus.signals.measure import row_signals
from tasks.corpus.signals.registry import load_signals
from tasks.parts import Part

FILE = "signals.parquet"


def shard_parts(corpus: Corpus, signals: Sequence[str], own_signals: str) -> list[Part]:
    """One piece of work a shard.

    Args:
        corpus: The rows.
        signals: Modules of the user's signals.
        own_signals: Digest of those modules.
    """
    return [
        Part(
            known_by=f"{shard.digest}+{own_signals}" if own_signals else shard.digest,
            arguments={
                "corpus": str(corpus.path.absolute()), "begin": shard.begin, "end": shard.end,
                "signals": list(signals),
            },
        )
        for shard in corpus.shards
    ]  # fmt: skip


def shard_signals(*, corpus: str, begin: int, end: int, signals: Sequence[str], out: Path) -> None:
    """Write `signals.parquet`, one row of signals per row of a shard.

    Args:
        corpus: The parquet file of the rows.
        begin: Place of the shard's first row.
        end: After the last.
        signals: Modules of the user's signals.
        out: The folder.

    Raises:
        UserError: A signal of the user's fails.
    """
    texts = read_rows(Path(corpus), begin, end, ["text"])["text"]
    found = row_signals(texts, own=load_signals(signals))
    with TableWriter(out / FILE, found.schema) as writer:
        writer.write(found)
