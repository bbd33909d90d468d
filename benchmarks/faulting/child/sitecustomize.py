"""Loaded by Python itself in a night that is to be struck: a signal at an exact moment.

An audit hook sees what the process is about to do, so a night can be killed just before a folder
is moved into the store, or just after, without a line for it in the code that is tried.

`FAULT_STRIKE` is a JSON object: `event`, an audit event such as `os.rename`; `path`, a pattern that
one of its arguments must match; `signal`, the number of what is sent.
"""

import json
import os
import sys
from fnmatch import fnmatchcase
from typing import Any


def _arm(event: str, path: str, signal: int) -> None:
    """Send this process a signal at the first matching event."""
    struck = []

    def strike(seen: str, arguments: tuple[Any, ...]) -> None:
        if seen != event or struck:
            return
        if any(fnmatchcase(os.fsdecode(a), path) for a in arguments if _is_path(a)):
            struck.append(True)
            os.kill(os.getpid(), signal)

    sys.addaudithook(strike)


def _is_path(argument: object) -> bool:
    return isinstance(argument, str | bytes | os.PathLike)


if "FAULT_STRIKE" in os.environ:
    _arm(**json.loads(os.environ["FAULT_STRIKE"]))
