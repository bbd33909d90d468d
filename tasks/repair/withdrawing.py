"""Taking the accepted rows out: the line in the withdrawal list, and what cleaning made of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from tasks.console import console
from tasks.corpus.profile import CORPUS
from tasks.corpus.quarantine import withdrawals
from tasks.corpus.quarantine.withdrawals import WithdrawnRow
from tasks.corpus.quarantine.withdrawn import Withdrawn
from tasks.records import Frozen, Record
from tasks.repair.choosing import accepted, withdrawal
from tasks.repair.propose import PROPOSAL
from tasks.repair.repairing import Begun
from tasks.stage import open_store


class Accepted(Frozen):
    """What was accepted, copies apart.

    Attributes:
        rows: Ids of the accepted rows of the proposal.
        withdrawn: Those and their copies.
        effect: All that is withdrawn in the store now.
    """

    rows: tuple[str, ...]
    withdrawn: tuple[WithdrawnRow, ...]
    effect: Withdrawn


def withdraw(begun: Begun, proposed: Record) -> Accepted:
    """Write what is accepted into the withdrawal list; what it has already is not written again.

    Raises:
        UserError: Nothing can be accepted, or a row is released from this reason.
    """
    table = pl.read_parquet(open_store().fetch(proposed) / PROPOSAL)
    chosen = accepted(table, begun.told)
    line = withdrawal(chosen, begun.told, begun.night.run_id)
    made = withdrawals.add(line)
    if made is None:
        console.print("  [dim]all accepted rows are withdrawn already[/dim]")
    else:
        console.print(f"  withdrawal {made.number}: {len(made.rows):,} rows, by {made.who}")
    names = tuple(sorted(chosen["row_id"]))
    return Accepted(rows=names, withdrawn=line.rows, effect=withdrawals.now())


def random_rows(begun: Begun, proposed: Record, taken: Accepted) -> Withdrawn:
    """For the control: as many other training rows, drawn at random, in the place of the accepted.

    Candidates of the proposal are not drawn, since taking them out is what the control is compared
    with. Not covered: a near copy of a drawn row comes back from quarantine.

    Returns:
        The drawn rows, and what is withdrawn besides this repair.
    """
    store = open_store()
    candidates = pl.read_parquet(store.fetch(proposed) / PROPOSAL)["row_id"]
    read = pl.read_parquet(store.fetch(begun.left["ingest"]) / CORPUS)
    trained = pl.read_parquet(store.fetch(begun.left["clean"]) / CORPUS, columns=["row_id"])
    free = read.filter(
        (pl.col("split") == "train")
        & pl.col("row_id").is_in(trained["row_id"].implode())
        & ~pl.col("row_id").is_in(candidates.implode())
    ).sort("row_id")["digest"]
    wanted = min(len(taken.rows), len(free))
    generator = np.random.default_rng([begun.configuration.seed, len(taken.rows)])
    drawn = free.gather(np.sort(generator.choice(len(free), size=wanted, replace=False)))
    others = set(taken.effect.digests) - {row.digest for row in taken.withdrawn}
    return Withdrawn(digests=tuple(sorted({*others, *drawn})))


def other_changes(before: Record, after: Record, taken: Accepted) -> dict[str, int]:
    """Training rows that cleaning keeps now and did not, or the reverse, beside those accepted."""
    old, new = (_training(record) for record in (before, after))
    return {
        "came back": len(new - old),
        "went besides": len(old - new - {row.row_id for row in taken.withdrawn}),
    }


def _training(cleaned: Record) -> set[str]:
    rows = pl.read_parquet(open_store().fetch(cleaned) / CORPUS, columns=["row_id", "split"])
    kept: Sequence[str] = rows.filter(pl.col("split") == "train")["row_id"].to_list()
    return set(kept)
