"""The command about the store that is no flow: gc."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from tasks.settings import Environment

_DAY = 86_400.0


def add(commands: Any) -> None:
    """Add it to the command line's subparsers."""
    command = commands.add_parser("gc", help="show, and delete if told to, what no run needs")
    command.add_argument(
        "--keep", type=int, default=14, metavar="N",
        help="the last N nights stay whole (14), as do the last N searches",
    )  # fmt: skip
    command.add_argument("--delete", action="store_true", help="do it, and not only show it")
    command.set_defaults(run=_gc)


def _gc(options: argparse.Namespace) -> int:
    Environment().apply()
    from tasks.stage import open_store
    from tasks.tracking import retention

    store = open_store()
    found = retention.survey(store, options.keep)
    for folder, reason in found.kept:
        sys.stdout.write(f"  kept  {_line(folder)}  {reason}\n")
    for folder in found.unused:
        sys.stdout.write(f"unused  {_line(folder)}\n")
    size = sum(folder.size for folder in found.unused)
    said = f"{len(found.unused):,} of {len(found.unused) + len(found.kept):,} folders are unused"
    sys.stdout.write(f"{said}, {size / 1e6:,.1f} MB\n")
    if options.delete:
        sys.stdout.write(f"deleted {retention.sweep(store, found) / 1e6:,.1f} MB\n")
    elif found.unused:
        sys.stdout.write("nothing was deleted; add --delete to do it\n")
    return 0


def _line(folder: Any) -> str:
    days = (time.time() - folder.changed) / _DAY
    return f"{folder.stage:<16} {folder.key[:12]}  {folder.size / 1e6:>9,.1f} MB  {days:>5.1f} days"
