"""The release list: who took what out of quarantine, when, and why.

One JSON object a line, in `releases.jsonl` at the root of the store, beside the stages' folders and
in no repository. Lines are only ever added: a release is taken back by a later line that withdraws
it, so the list stays a record of who decided what. A line's number is its place. No text is kept,
only ids and digests; the quarantine has the texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import orjson
from pydantic import ValidationError

from tasks.corpus.findings import EXACT
from tasks.corpus.quarantine.spared import Released
from tasks.errors import UserError
from tasks.records import Frozen
from tasks.stage import open_store
from tasks.store import Store

FILE = "releases.jsonl"
_NAMED = 3


class ReleasedRow(Frozen):
    """A row as it was quarantined: its id, its text's digest, and every fault named there."""

    row_id: str
    digest: str
    reasons: tuple[str, ...]


class Release(Frozen):
    """One line of the list.

    Attributes:
        number: Its place in the list, from 1.
        when: ISO time, UTC.
        who: The person who answers for it.
        why: In that person's words; a withdrawal may go without.
        night: The run in whose quarantine the rows were seen.
        rules: Reasons released whole.
        rows: Rows released.
        even_leaks: Whether the person was told that leaks are among them.
        withdraws: The number of the release that this line takes back.
    """

    number: int = 0
    when: str = ""
    who: str
    why: str = ""
    night: str = ""
    rules: tuple[str, ...] = ()
    rows: tuple[ReleasedRow, ...] = ()
    even_leaks: bool = False
    withdraws: int | None = None


def listed(store: Store | None = None) -> list[Release]:
    """Every line of the store's list.

    Raises:
        UserError: A line cannot be read.
    """
    store = store or open_store()
    return _read(store.read_file(FILE), f"{store.root}/{FILE}")


def now() -> Released:
    """What is released in this machine's store, ready to be part of a stage's key.

    Every word of the list but who, when and why, so that a release that is withdrawn and made again
    is no new input.
    """
    return effect(listed())


def effect(lines: Sequence[Release]) -> Released:
    """What the releases that stand come to; copies by id, all else by the text's digest."""
    reasons: dict[str, set[str]] = {}
    standing = in_force(lines)
    for row in (row for line in standing for row in line.rows):
        for reason in row.reasons:
            name = row.row_id if reason == EXACT else row.digest
            reasons.setdefault(name, set()).add(reason)
    return Released(
        rules=tuple(sorted({rule for line in standing for rule in line.rules})),
        rows={name: tuple(sorted(reasons[name])) for name in sorted(reasons)},
    )


def in_force(lines: Sequence[Release]) -> list[Release]:
    """The releases that nobody has withdrawn."""
    withdrawn = {line.withdraws for line in lines}
    return [line for line in lines if line.withdraws is None and line.number not in withdrawn]


def add(release: Release, store: Store | None = None) -> Release:
    """Write a line, and return it with its number and time.

    Raises:
        UserError: It withdraws what is not there, or is withdrawn already.
    """
    store = store or open_store()
    made: list[Release] = []

    def change(content: bytes) -> bytes:
        lines = _read(content, f"{store.root}/{FILE}")
        if release.withdraws is not None:
            _require_standing(release.withdraws, lines)
        when = datetime.now(UTC).isoformat(timespec="seconds")
        made[:] = [release.model_copy(update={"number": len(lines) + 1, "when": when})]
        shown = made[0].model_dump(mode="json", exclude_defaults=True)
        return content + orjson.dumps(shown, option=orjson.OPT_APPEND_NEWLINE)

    store.amend_file(FILE, change)
    return made[0]


def shown(lines: Sequence[Release]) -> str:
    """The list for a person: each line's number, time, who, what and why, and whether it stands."""
    standing = {line.number for line in in_force(lines)}
    made = []
    for line in lines:
        what = f"withdraws {line.withdraws}" if line.withdraws is not None else _what(line)
        gone = line.withdraws is None and line.number not in standing
        made.append(f"{line.number}  {line.when}  {line.who}: {what}{' (withdrawn)' * gone}\n")
        if line.why:
            made.append(f"   {line.why}\n")
    return "".join(made) or "nothing has been released\n"


def _what(line: Release) -> str:
    rules = [f"rule {rule}" for rule in line.rules]
    rows = [f"row {row.row_id} from {', '.join(row.reasons)}" for row in line.rows[:_NAMED]]
    more = [f"{len(line.rows) - _NAMED} more rows"] if len(line.rows) > _NAMED else []
    return "; ".join([*rules, *rows, *more]) + (", even leaks" if line.even_leaks else "")


def _read(content: bytes, where: str) -> list[Release]:
    lines = []
    for number, line in enumerate(content.splitlines(), 1):
        try:
            release = Release.model_validate_json(line)
        except ValidationError as error:
            problem = "; ".join(f"{item['msg']}" for item in error.errors())
            raise UserError(
                f"line {number} of the release list {where} cannot be read: {problem}",
                "Mend the line; the list is written by `plumbline release` alone.",
            ) from error
        lines.append(release.model_copy(update={"number": number}))
    return lines


def _require_standing(number: int, lines: Sequence[Release]) -> None:
    standing = [line.number for line in in_force(lines)]
    if number not in standing:
        withdrawn = any(line.withdraws == number for line in lines)
        itself = any(line.number == number and line.withdraws is not None for line in lines)
        what = "is withdrawn already" if withdrawn else "is not in the list"
        what = "is itself a withdrawal" if itself else what
        have = f"{', '.join(map(str, standing))} can be" if standing else "none can be"
        raise UserError(f"release {number} {what}", f"Of the list, {have} withdrawn.")
