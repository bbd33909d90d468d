"""Rows that people have withdrawn from training: cleaning takes them out, whatever rules they meet.

A row is withdrawn because a model learnt something false from it, which no rule saw. It is known by
the digest of its text as it was read: the row's id counts the copies before it and can change, and
every copy of the text says the same. So all copies go with it, tonight's and a later night's.

Only training rows go. A held-out row of that text stays, since what a model is judged by must not
depend on what it was taught. Where people have released the text from this reason, it stays too.

Not covered: the same statement in other words, which is another text.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from tasks.corpus.findings import Finding
from tasks.records import Frozen

REASON = "repair"
_DETAIL = "withdrawn from training, for what a model learnt from it"


class Withdrawn(Frozen):
    """What is withdrawn, and nothing of who did it and why, which changes no row.

    Attributes:
        digests: Of the texts as they were read, sorted.
    """

    digests: tuple[str, ...] = ()


def taken_out(
    rows: pl.DataFrame, findings: Collection[int], withdrawn: Withdrawn | None
) -> dict[int, Finding]:
    """The withdrawn training rows by place, without those that have a fault of their own.

    Args:
        rows: The rows as they arrived, with `digest` and `split`.
        findings: Places of the rows that go for another reason.
        withdrawn: What is withdrawn, None for nothing.
    """
    if withdrawn is None or not withdrawn.digests:
        return {}
    named = pl.col("digest").is_in(list(withdrawn.digests)) & (pl.col("split") == "train")
    places = rows.select(named.fill_null(False)).to_series().arg_true()
    return {row: Finding(REASON, _DETAIL) for row in map(int, places) if row not in findings}
