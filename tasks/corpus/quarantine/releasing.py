"""What may be released from quarantine, and by whom: a release is drawn up here before it is listed.

Refused are rows that no text is left of, rows that reading the source made nothing of, names that
are none, and leaks. A released test leak trains on the text that the model is judged by, which makes
every figure of the night too good, so leaks take a person who says `even_leaks`; the list keeps it.
"""

from __future__ import annotations

import difflib
import getpass
from collections.abc import Collection, Iterable, Mapping, Sequence

import polars as pl

from expectations.rules import row_rules
from expectations.suite_files import SuiteError, suite_names
from tasks.corpus.findings import EMPTY, EXACT, LEAK, NEAR
from tasks.corpus.quarantine.releases import Release, ReleasedRow
from tasks.corpus.quarantine.withdrawn import REASON as WITHDRAWN
from tasks.corpus.rows import digest
from tasks.errors import UserError

_NAMED = 3


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
    withdrawn: Mapping[str, str] | None = None,
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
        withdrawn: Ids of the rows withdrawn from training, which the next night quarantines, to the
            digests of their texts.

    Raises:
        UserError: It says no reason, names nothing, or names what cannot be released.
    """
    if not why.strip():
        raise UserError("a release needs a reason", 'Say why, as in --why "poems, not noise".')
    if not row_ids and not rules:
        raise UserError("nothing is named to be released", "Name a row or a rule: --row, --rule.")
    _require_rules(rules, quarantined)
    there = set(quarantined["row_id"])
    early = {name: value for name, value in (withdrawn or {}).items() if name not in there}
    names = tuple(dict.fromkeys(row_ids))
    rows = _rows(quarantined, kept, tuple(name for name in names if name not in early))
    rows += tuple(
        ReleasedRow(row_id=name, digest=early[name], reasons=(WITHDRAWN,))
        for name in names
        if name in early
    )
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


def faults(reason: str, detail: str | None, known: Collection[str]) -> tuple[str, ...]:
    """Every fault of a quarantined row: what it is filed under, and the other rules it breaks.

    Args:
        reason: What it is filed under.
        detail: What cleaning said, a `rule: ...` for each rule, separated by semicolons.
        known: Names of row rules, from `rule_names`.
    """
    named = [part.partition(":")[0] for part in (detail or "").split("; ")]
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


def _require_rules(rules: Iterable[str], quarantined: pl.DataFrame) -> None:
    by_clean = quarantined.filter(pl.col("stage") == "clean")["reason"].unique().sort().to_list()
    known = [*dict.fromkeys([*rule_names(), LEAK, EXACT, NEAR, WITHDRAWN, *by_clean])]
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
    rows, known = [], rule_names()
    for row_id in row_ids:
        row = found[row_id]
        named = f"row {row_id}, which is quarantined as"
        _require_releasable(row["reason"], row["stage"], named)
        reasons = faults(row["reason"], row["detail"], known)
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
