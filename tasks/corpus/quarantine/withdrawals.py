"""The withdrawal list: who took what out of training, when, and why.

The inverse of the release list (see `releases`), kept like it: one JSON object a line, in
`withdrawals.jsonl` at the root of the store. Lines are only ever added. A withdrawal is undone by
releasing its rows from the reason `repair`, so that one list says what stays in spite of a finding.
No text is kept, only ids and digests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import orjson
import polars as pl
from pydantic import ValidationError

from tasks.corpus.quarantine import releases
from tasks.corpus.quarantine.withdrawn import REASON, Withdrawn
from tasks.corpus.rows import digest
from tasks.errors import UserError
from tasks.records import Frozen
from tasks.stage import open_store
from tasks.store import Store

FILE = "withdrawals.jsonl"
_NAMED = 3


class WithdrawnRow(Frozen):
    """A row as it was when it was withdrawn: its id, and its text's digest as it was read."""

    row_id: str
    digest: str


class Withdrawal(Frozen):
    """One line of the list.

    Attributes:
        number: Its place in the list, from 1.
        when: ISO time, UTC.
        who: The person who answers for it.
        why: In that person's words.
        night: The run whose model learnt from the rows.
        chosen: How the rows were chosen: `all`, `rows`, or the name of a rule.
        rows: Rows withdrawn, copies among them.
    """

    number: int = 0
    when: str = ""
    who: str
    why: str
    night: str = ""
    chosen: str = ""
    rows: tuple[WithdrawnRow, ...]


def listed(store: Store | None = None) -> list[Withdrawal]:
    """Every line of the store's list.

    Raises:
        UserError: A line cannot be read.
    """
    store = store or open_store()
    return _read(store.read_file(FILE), f"{store.root}/{FILE}")


def now() -> Withdrawn:
    """What is withdrawn in this machine's store, ready to be part of a stage's key."""
    return effect(listed())


def effect(lines: Iterable[Withdrawal]) -> Withdrawn:
    """What the withdrawals come to: the digests of all their rows."""
    return Withdrawn(digests=tuple(sorted({row.digest for line in lines for row in line.rows})))


def add(withdrawal: Withdrawal, store: Store | None = None) -> Withdrawal | None:
    """Write a line for the rows that are not withdrawn yet, and return it with number and time.

    Returns:
        None where all of its rows are withdrawn already; nothing is then written.

    Raises:
        UserError: A row is released from `repair`, so that its withdrawal would be without effect.
    """
    store = store or open_store()
    _require_effect(withdrawal, store)
    made: list[Withdrawal] = []

    def change(content: bytes) -> bytes:
        lines = _read(content, f"{store.root}/{FILE}")
        there = set(effect(lines).digests)
        fresh = tuple(row for row in withdrawal.rows if row.digest not in there)
        if not fresh:
            made.clear()
            return content
        when = datetime.now(UTC).isoformat(timespec="seconds")
        told = {"number": len(lines) + 1, "when": when, "rows": fresh}
        made[:] = [withdrawal.model_copy(update=told)]
        shown = made[0].model_dump(mode="json", exclude_defaults=True)
        return content + orjson.dumps(shown, option=orjson.OPT_APPEND_NEWLINE)

    store.amend_file(FILE, change)
    return made[0] if made else None


def by_row(lines: Sequence[Withdrawal]) -> dict[str, WithdrawnRow]:
    """Every withdrawn row by its id."""
    return {row.row_id: row for line in lines for row in line.rows}


def explained(rows: pl.DataFrame, lines: Sequence[Withdrawal]) -> pl.DataFrame:
    """Quarantined rows; those withdrawn say in `detail` by whom, when and why.

    Args:
        rows: Of a quarantine, with `text`, `reason` and `detail`.
        lines: The list.
    """
    said = {row.digest: _sentence(line) for line in lines for row in line.rows}
    details = [
        said.get(digest(text or ""), detail) if reason == REASON else detail
        for text, reason, detail in rows.select("text", "reason", "detail").iter_rows()
    ]
    return rows.with_columns(pl.Series("detail", details, pl.String))


def pending(rows: pl.DataFrame, lines: Sequence[Withdrawal], store: Store | None = None) -> int:
    """How many withdrawn rows a night's quarantine does not have yet and the next one's will."""
    released = releases.effect(releases.listed(store))
    there = set(rows.filter(pl.col("reason") == REASON)["row_id"])
    return sum(
        name not in there and not released.covers(REASON, row.digest, name)
        for name, row in by_row(lines).items()
    )


def shown(lines: Sequence[Withdrawal]) -> str:
    """The list for a person: each line's number, time, who, which rows, and why."""
    made = []
    for line in lines:
        names = ", ".join(row.row_id for row in line.rows[:_NAMED])
        more = f" and {len(line.rows) - _NAMED} more" if len(line.rows) > _NAMED else ""
        how = f" (chosen by {line.chosen})" if line.chosen not in ("", "rows") else ""
        rows = "row" if len(line.rows) == 1 else "rows"
        made.append(f"{line.number}  {line.when}  {line.who}: {rows} {names}{more}{how}\n")
        made.append(f"   {line.why}\n")
    return "".join(made) or "nothing has been withdrawn\n"


def _sentence(line: Withdrawal) -> str:
    # A semicolon would read as the beginning of another fault.
    why = line.why.replace(";", ",")
    return f"{REASON}: withdrawal {line.number} by {line.who} on {line.when[:10]}: {why}"


def _require_effect(withdrawal: Withdrawal, store: Store) -> None:
    for line in releases.in_force(releases.listed(store)):
        released = releases.effect([line])
        rows = [r.row_id for r in withdrawal.rows if released.covers(REASON, r.digest, r.row_id)]
        if rows:
            some = ", ".join(rows[:_NAMED])
            raise UserError(
                f"release {line.number} of the list says that {some} stays in training",
                f"Take it back with `plumbline release --withdraw {line.number}`, or leave the "
                "row out of what you accept.",
            )


def _read(content: bytes, where: str) -> list[Withdrawal]:
    lines = []
    for number, line in enumerate(content.splitlines(), 1):
        try:
            read = Withdrawal.model_validate_json(line)
        except ValidationError as error:
            problem = "; ".join(f"{item['msg']}" for item in error.errors())
            raise UserError(
                f"line {number} of the withdrawal list {where} cannot be read: {problem}",
                "Mend the line; the list is written by `plumbline repair` alone.",
            ) from error
        lines.append(read.model_copy(update={"number": number}))
    return lines
