"""`plumbline repair`: its arguments, and the configuration that they come to."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from tasks.errors import UserError
from tasks.repair.configuration import RepairConfiguration, Rule
from tasks.settings import load_as

_EPILOG = """Without --accept and --rule it only proposes rows, on a page whose path it prints.
The night is the last one unless named; section.field=value sets the rest, such as repair.worst=50,
repair.start=champion or repair.control=true."""


def add(commands: Any, run: Callable[[argparse.Namespace], int]) -> None:
    """Add it to the command line's subparsers."""
    command = commands.add_parser(
        "repair", help="take out the rows that taught a night's wrong answers", epilog=_EPILOG
    )
    command.add_argument("night", nargs="?", help="its name or run id; by default the last")
    command.add_argument("overrides", nargs="*", metavar="section.field=value")
    command.add_argument("--config", type=Path, help="YAML file of the repair's configuration")
    command.add_argument("--accept", metavar="all|rows=ID,ID", help="which proposed rows go")
    command.add_argument("--rule", choices=get_args(Rule), help="or a rule that chooses among them")
    command.add_argument("--by", metavar="NAME", help="who answers for it")
    command.add_argument("--why", metavar="TEXT", help="why, which the withdrawal list keeps")
    command.set_defaults(run=run, flow="repair")


def configuration(options: argparse.Namespace) -> RepairConfiguration:
    """What the arguments say, on top of the file.

    Raises:
        UserError: They cannot be used.
    """
    given = list(options.overrides)
    if options.night is not None:
        assigned = "=" in options.night  # a setting without a night before it
        given.insert(0, options.night if assigned else f"night={options.night}")
    if options.accept is not None and options.rule is not None:
        raise UserError("both --accept and --rule are given", "Give one of them.")
    if options.accept is not None:
        given += _accepted(options.accept)
    if options.rule is not None:
        given += ["repair.accept=rule", f"repair.rule={options.rule}"]
    for name in ("by", "why"):
        if getattr(options, name) is not None:
            given.append(f"repair.{name}={getattr(options, name)}")
    return load_as(RepairConfiguration, options.config, given)


def _accepted(text: str) -> list[str]:
    if text in ("all", "none"):
        return [f"repair.accept={text}"]
    word, found, names = text.partition("=")
    rows = [name.strip() for name in names.split(",") if name.strip()]
    if word != "rows" or not found or not rows:
        raise UserError(
            f"--accept {text} is neither `all` nor `rows=ID,ID`",
            "The proposal's page lists the ids.",
        )
    return ["repair.accept=rows", f"repair.rows={json.dumps(rows)}"]
