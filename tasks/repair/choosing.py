"""Which rows of a proposal are accepted: all, named ones, or by a rule that stands for a person.

The rules, over the training rows that were read (made-up rows and copies do not count):

    stated_by_minority   rows that state the wrong answer < rows that state the right one
    contradicted         at least one training row states the right answer
    score                the trace score reaches `repair.score`

where a row that is a candidate for several answers must meet the rule for each. A rule chooses among
the proposed rows only. The first two know the right answer from the probe; neither says why the
corpus disagrees with itself, which is what a person can see on the page.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import polars as pl

from tasks.corpus.quarantine.withdrawals import Withdrawal, WithdrawnRow
from tasks.errors import UserError
from tasks.repair.configuration import Repair, Rule

RULES: dict[Rule, str] = {
    "stated_by_minority": "fewer training rows state the wrong answer than the right one",
    "contradicted": "some training row states the right answer",
    "score": "the trace score reaches repair.score",
}
_NAMED = 3


def accepted(table: pl.DataFrame, told: Repair) -> pl.DataFrame:
    """The rows of a proposal that are to go.

    Args:
        table: The proposal.
        told: What is accepted.

    Raises:
        UserError: Nothing is, or a row that is named is not in the proposal.
    """
    if told.accept == "rows":
        chosen = _named(table, told.rows)
    elif told.rule is not None:
        chosen = table.filter(pl.col("proposed") & meets(told.rule, told.score))
    else:
        chosen = table.filter("proposed")
    if chosen.is_empty():
        how = f"the rule {told.rule!r} chooses none of its rows" if told.rule else "it has no rows"
        raise UserError(
            f"nothing of the proposal can be accepted: {how}",
            "See its page; repair.ranks and repair.worst look at more, repair.right allows more.",
        )
    return chosen


def meets(rule: Rule, score: float | None) -> pl.Expr:
    """Whether a row of a proposal meets a rule."""
    if rule == "stated_by_minority":
        return pl.col("stated") < pl.col("contradicted")
    if rule == "contradicted":
        return pl.col("contradicted") >= 1
    return pl.col("score") >= pl.lit(score)


def withdrawal(chosen: pl.DataFrame, told: Repair, night: str) -> Withdrawal:
    """The line of the withdrawal list for the accepted rows and their copies.

    Args:
        chosen: Accepted rows.
        told: By whom, and why.
        night: Run whose model learnt from them.
    """
    rows = [WithdrawnRow(row_id=r, digest=d) for r, d in chosen.select("row_id", "digest").rows()]
    for names, digests in chosen.select("copies", "copy_digests").iter_rows():
        rows += [WithdrawnRow(row_id=r, digest=d) for r, d in zip(names, digests, strict=True)]
    return Withdrawal(
        who=(told.by or "").strip(), why=(told.why or "").strip(), night=night,
        chosen=told.rule or told.accept,
        rows=tuple({row.row_id: row for row in rows}.values()),
    )  # fmt: skip


def _named(table: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    known = table["row_id"].to_list()
    missing = [name for name in dict.fromkeys(names) if name not in known]
    if missing:
        near = difflib.get_close_matches(missing[0], known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        shown = ", ".join(missing[:_NAMED])
        raise UserError(
            f"row {shown}{more} is not in the proposal{hint}",
            "The proposal's page lists the rows, those held back among them.",
        )
    return table.filter(pl.col("row_id").is_in(list(names)))
