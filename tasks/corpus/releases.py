"""The release list: who took what out of quarantine, when, and why.

One JSON object a line, in `releases.jsonl` at the root of the store, beside the stages' folders and
in no repository. Lines are only ever added: a release is taken back by a later line that withdraws
it, so the list stays a record of who decided what. A line's number is its place. No text is kept,
only ids and digests; the quarantine has the texts.

A released test leak trains on the text that the model is judged by, which makes every figure of the
night too good, so leaks are refused unless a person says `even_leaks`, which the line then keeps.
"""

from __future__ import annotations

import difflib
import getpass
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime

import orjson
import polars as pl
from pydantic import ValidationError

from expectations.rules import SuiteError, row_rules, suite_names
from tasks.corpus.clean import EMPTY, EXACT, LEAK, NEAR
from tasks.corpus.rows import digest
from tasks.corpus.spared import Released
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


def drawn_up(
    quarantined: pl.DataFrame,
    kept: Collection[str],
    *,
    row_ids: Sequence[str],
    rules: Sequence[str],
    who: str | None,
    why: str,
    even_leaks: bool = False,
    night: str = "",
) -> Release:
    """A release that can be added, of rows that are in quarantine and of rules that there are.

    Args:
        quarantined: The night's quarantine, empty if no row is named.
        kept: Ids of the night's rows that were not quarantined, to tell those from unknown ones.
        row_ids: Rows to release.
        rules: Reasons to release whole.
        who: Who answers for it; the account's name if None.
        why: The reason, in words.
        even_leaks: That leaks may be among them.
        night: The run whose quarantine it is.

    Raises:
        UserError: It says no reason, names nothing, or names what cannot be released.
    """
    if not why.strip():
        raise UserError("a release needs a reason", 'Say why, as in --why "poems, not noise".')
    if not row_ids and not rules:
        raise UserError("nothing is named to be released", "Name a row or a rule: --row, --rule.")
    _require_rules(rules, quarantined)
    rows = _rows(quarantined, kept, tuple(dict.fromkeys(row_ids)))
    leaks = [row.row_id for row in rows if LEAK in row.reasons]
    if (leaks or LEAK in rules) and not even_leaks:
        what = _some("row", leaks) if leaks else f"rule {LEAK!r}"
        raise UserError(
            f"{what} cannot be released just so: the text is that of validation or test rows, and "
            "to train on it makes every figure of the night too good",
            "Add --even-leaks if that is what you want; the list keeps that you did.",
        )
    told = bool(leaks) or LEAK in rules
    return Release(
        who=_who(who), why=why.strip(), night=night, rules=tuple(dict.fromkeys(rules)), rows=rows,
        even_leaks=told,
    )  # fmt: skip


def withdrawal(number: int, who: str | None, why: str = "") -> Release:
    """The line that takes a release back."""
    return Release(who=_who(who), why=why.strip(), withdraws=number)


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


def faults(reason: str, detail: str | None) -> tuple[str, ...]:
    """Every fault of a quarantined row: what it is filed under, and the other rules it breaks."""
    named = [part.partition(":")[0] for part in (detail or "").split("; ")]
    known = rule_names()
    return (reason, *(name for name in dict.fromkeys(named) if name != reason and name in known))


def rule_names() -> list[str]:
    """The row rules of all suites.

    Raises:
        UserError: A suite cannot be read.
    """
    try:
        return [rule.name for suite in suite_names() for rule in row_rules(suite)]
    except SuiteError as error:
        raise UserError(str(error), "Suites are the files under expectations/suites/.") from error


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
        what = "is withdrawn already" if _withdrawn(number, lines) else "is not in the list"
        have = f"{', '.join(map(str, standing))} can be" if standing else "none can be"
        raise UserError(f"release {number} {what}", f"Of the list, {have} withdrawn.")


def _withdrawn(number: int, lines: Sequence[Release]) -> bool:
    return any(line.withdraws == number for line in lines)


def _require_rules(rules: Iterable[str], quarantined: pl.DataFrame) -> None:
    by_clean = quarantined.filter(pl.col("stage") == "clean")["reason"].unique().sort().to_list()
    known = [*dict.fromkeys([*rule_names(), LEAK, EXACT, NEAR, *by_clean])]
    for rule in rules:
        _require_releasable(rule, "ingest" if rule in _not_rows(quarantined) else "clean", "rule")
        if rule not in known:
            near = difflib.get_close_matches(rule, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UserError(f"there is no rule {rule!r}{hint}", f"Rules are {', '.join(known)}.")


def _not_rows(quarantined: pl.DataFrame) -> list[str]:
    return quarantined.filter(pl.col("stage") == "ingest")["reason"].unique().to_list()


def _require_releasable(reason: str, stage: str, what: str) -> None:
    """Refuse what leaves nothing that could be put back."""
    if stage == "ingest":
        raise UserError(
            f"{what} {reason!r} cannot be released: reading the source made no row of it",
            "Mend the source, or the source settings; `plumbline quarantine` shows the details.",
        )
    if reason == EMPTY:
        raise UserError(
            f"{what} {reason!r} cannot be released: nothing is left of the text",
            "Switch off the repair that empties it, such as clean.strip_markup=false.",
        )


def _rows(
    quarantined: pl.DataFrame, kept: Collection[str], row_ids: tuple[str, ...]
) -> tuple[ReleasedRow, ...]:
    found = {
        row["row_id"]: row
        for row in quarantined.filter(pl.col("row_id").is_in(row_ids)).iter_rows(named=True)
    }
    missing = [row_id for row_id in row_ids if row_id not in found]
    if missing:
        there = [row_id for row_id in missing if row_id in kept]
        if there:
            raise UserError(f"{_some('row', there)} is not in quarantine: the night kept it")
        raise UserError(
            f"{_some('row', missing)} is not in the night's quarantine",
            "`plumbline quarantine --reason ...` shows ids, and --night names another night.",
        )
    rows = []
    for row_id in row_ids:
        row = found[row_id]
        named = f"row {row_id}, which is quarantined as"
        _require_releasable(row["reason"], row["stage"], named)
        reasons = faults(row["reason"], row["detail"])
        rows.append(ReleasedRow(row_id=row_id, digest=digest(row["text"]), reasons=reasons))
    return tuple(rows)


def _some(what: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{what} {', '.join(names[:_NAMED])}{more}"


def _who(given: str | None) -> str:
    if given is not None and not given.strip():
        raise UserError("--who is empty", "Name the person who answers for it.")
    try:
        return (given or getpass.getuser()).strip()
    except (KeyError, OSError) as error:
        raise UserError("this account has no name", "Say who you are with --who.") from error
