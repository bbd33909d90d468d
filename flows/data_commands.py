"""The commands about data that are no flow: quarantine, release, propose, suites."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import Any

from tasks.errors import UserError
from tasks.settings import Environment, load_configuration


def add(commands: Any) -> None:
    """Add them to the command line's subparsers."""
    _add_quarantine(commands)
    _add_release(commands)
    propose = commands.add_parser("propose", help="draw up a suite from a corpus that you trust")
    propose.add_argument("corpus", nargs="?", help="what source.location takes")
    propose.add_argument("overrides", nargs="*", metavar="section.field=value")
    propose.add_argument("--config", type=Path, help="YAML file of the run configuration")
    propose.add_argument("--night", help="a night's cleaned rows instead: its name, id or `last`")
    propose.add_argument("--name", help="name of the suite; by default the corpus's")
    propose.add_argument("--low", type=float, default=0.001, help="quantile of the lower bounds")
    propose.add_argument("--high", type=float, default=0.999, help="quantile of the upper bounds")
    propose.add_argument("--output", type=Path, help="file to write; by default NAME.json here")
    propose.add_argument("--force", action="store_true", help="replace a file that is there")
    propose.add_argument(
        "--row-rules",
        action="store_true",
        help="write the intervals as rules that cleaning can use",
    )
    propose.set_defaults(run=_propose)
    suites = commands.add_parser("suites", help="say in sentences what the suites ask")
    suites.add_argument("names", nargs="*", metavar="NAME", help="suites; by default all")
    suites.add_argument("--check", type=Path, metavar="FILE", help="whether a night could use it")
    suites.set_defaults(run=_suites)


def _add_quarantine(commands: Any) -> None:
    command = commands.add_parser("quarantine", help="show what a night took out, and why")
    command.add_argument("night", nargs="?", help="its name or run id; by default the last")
    command.add_argument("--reason", help="show the rows quarantined for it")
    command.add_argument("--examples", type=int, help="most rows shown of a reason (5)")
    command.add_argument("--split", help="only rows of this split")
    command.add_argument("--search", metavar="TEXT", help="only rows with this in their text")
    command.add_argument("--export", type=Path, metavar="FILE", help=".csv, .parquet or .jsonl")
    command.add_argument("--force", action="store_true", help="replace a file that is there")
    command.add_argument(
        "--withdrawals", action="store_true", help="who took what out of training, and why"
    )
    command.set_defaults(run=_quarantine)


def _add_release(commands: Any) -> None:
    command = commands.add_parser("release", help="return quarantined rows to the next night")
    command.add_argument("--row", action="append", default=[], metavar="ID", help="repeat for more")
    command.add_argument(
        "--rule", action="append", default=[], metavar="REASON", help="no row is taken out for it"
    )
    command.add_argument("--why", help="the reason, which the release list keeps")
    command.add_argument("--who", help="who answers for it; by default this account")
    command.add_argument("--night", help="whose quarantine the rows are in; by default the last")
    command.add_argument(
        "--even-leaks", action="store_true", help="train on rows that hold held-out text"
    )
    command.add_argument("--list", action="store_true", help="who released what, and why")
    command.add_argument("--withdraw", type=int, metavar="N", help="take release N back")
    command.set_defaults(run=_release)


def _quarantine(options: argparse.Namespace) -> int:
    Environment().apply()
    from tasks.corpus.quarantine import releases, withdrawals
    from tasks.corpus.quarantine import shelf as quarantine
    from tasks.corpus.suites import files as suites

    lines = withdrawals.listed()
    if options.withdrawals:
        sys.stdout.write(withdrawals.shown(lines))
        return 0
    if options.examples is not None and options.examples < 1:
        raise UserError(f"--examples is {options.examples}", "Show at least one row.")
    night, folders = _night(options.night, ("ingest", "clean"))
    everything = withdrawals.explained(quarantine.gather(folders), lines)
    rows = quarantine.chosen(
        everything, reason=options.reason, split=options.split, search=options.search
    )
    if options.export:
        quarantine.export(rows, options.export, force=options.force)
        sys.stdout.write(f"{rows.height:,} rows in {options.export}\n")
        return 0
    stopped = "" if "clean" in folders else "; it was stopped before cleaning"
    sys.stdout.write(f"night {night.name}, {night.started}, run {night.run_id[:8]}{stopped}\n")
    if options.reason or options.search is not None or options.examples:
        meanings = suites.rules_in_words()
        sys.stdout.write(quarantine.shown(rows, options.examples or 5, meanings))
        return 0
    sys.stdout.write(quarantine.counted(rows, releases.now()))
    if waiting := withdrawals.pending(everything, lines):
        sys.stdout.write(f"{waiting:,} more rows are withdrawn; the next night takes them out\n")
    return 0


def _night(name: str | None, titles: tuple[str, ...]) -> tuple[Any, dict[str, Path]]:
    """A night that came as far as the first of some stages, and the folders of all that it has."""
    from tasks.stage import open_store
    from tasks.tracking import history

    night, records = history.night(name, titles)
    return night, {title: open_store().fetch(record) for title, record in records.items()}


def _release(options: argparse.Namespace) -> int:
    Environment().apply()
    from tasks.corpus.quarantine import releases, releasing

    asked = [bool(options.list), options.withdraw is not None, bool(options.row or options.rule)]
    if sum(asked) != 1:
        raise UserError(
            "one thing at a time" if sum(asked) else "nothing is named to be released",
            "Give --row or --rule with --why, or --list, or --withdraw.",
        )
    if options.list:
        sys.stdout.write(releases.shown(releases.listed()))
        return 0
    if options.withdraw is not None:
        line = releasing.withdrawal(options.withdraw, options.who, options.why or "")
    else:
        line = _drawn_up(options)
    made = releases.add(line)
    sys.stdout.write(f"release {made.number} is in the list; the next night honours it\n")
    return 0


def _drawn_up(options: argparse.Namespace) -> Any:
    """The release asked for, of a night's rows if any is named."""
    from tasks.corpus.quarantine import releasing, withdrawals
    from tasks.corpus.quarantine import shelf as quarantine

    night: Any = None
    folders: dict[str, Path] = {}
    withdrawn = withdrawals.by_row(withdrawals.listed())
    # A rule can be released before there is any night; a night may know more reasons.
    with contextlib.suppress(*() if options.row or options.night else (UserError,)):
        night, folders = _night(options.night, ("clean", "ingest"))
    return releasing.drawn_up(
        quarantine.gather(folders), quarantine.kept(folders),
        row_ids=options.row, rules=options.rule, who=options.who, why=options.why or "",
        even_leaks=options.even_leaks, night=night.run_id if night else "",
        withdrawn={name: row.digest for name, row in withdrawn.items()},
    )  # fmt: skip


def _propose(options: argparse.Namespace) -> int:
    if bool(options.corpus) == bool(options.night):
        raise UserError("a proposal needs a corpus", "Give one, or --night, and not both.")
    c = None
    if options.corpus:
        given = [f"source.location={options.corpus}", *options.overrides]
        c = load_configuration(options.config, given)
    Environment().apply()
    from expectations.propose import Trusted
    from tasks.corpus.suites import proposal

    proposal.require_quantiles(options.low, options.high)
    name = options.name or proposal.named(options.corpus or "night")
    path = proposal.destination(options.output, name, force=options.force)
    frame, origin = proposal.measured(c) if c else proposal.of_night(options.night)
    trusted = Trusted(frame, options.low, options.high, options.row_rules)
    suite = proposal.write(path, trusted, name, origin)
    for column, why in suite["meta"]["proposed"]["left_out"].items():
        sys.stderr.write(f"left out {column}: {why}\n")
    sys.stdout.write(f"{len(suite['expectations'])} expectations in {path}\n")
    return 0


def _suites(options: argparse.Namespace) -> int:
    Environment().apply()
    from tasks.corpus.suites import files as suites

    if options.check:
        sys.stdout.write(f"{options.check} can be used\n{suites.checked(options.check)}")
    else:
        sys.stdout.write(suites.described(options.names))
    return 0
