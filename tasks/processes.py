"""Which process did something, and whether it still lives: how what a killed one left is known."""

from __future__ import annotations

import os
import socket
from pathlib import Path

_ENDED = "ZX"  # states of a process that is over and that nobody has asked about yet
_BIRTH = 18  # the field `starttime` of /proc/PID/stat, counted from the one after the state


def identity() -> dict[str, str]:
    """This process: its host, and its number with its time of birth, since numbers are reused."""
    return {"host": socket.gethostname(), "process": identity_of(os.getpid())}


def identity_of(pid: int) -> str:
    """A process of this machine: its number with its time of birth."""
    return f"{pid}:{_birth(pid)}"


def is_dead(host: str, process: str) -> bool:
    """Whether a process of this machine is gone; of another machine's nothing is known."""
    return host == socket.gethostname() and not is_alive(process)


def is_alive(process: str) -> bool:
    """Whether a process of this machine is still the one that it was."""
    pid, _, birth = process.partition(":")
    return pid.isdigit() and birth != "" and _birth(int(pid)) == birth


def _birth(pid: int) -> str:
    """When a process was born, in ticks since the machine was; empty if it is no more.

    Not as a time of day, which changes for the living when the clock is set.
    """
    try:
        told = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    except FileNotFoundError:
        return "" if Path("/proc/self/stat").exists() else _birth_elsewhere(pid)
    except ProcessLookupError:  # gone between opening and reading
        return ""
    state, *others = told.rpartition(")")[2].split()  # the name before it may hold anything
    return "" if state in _ENDED else f"{others[_BIRTH]}.{boot[:8]}"


def _birth_elsewhere(pid: int) -> str:
    """The same on systems that have no /proc, where it is a time of day."""
    import psutil

    try:
        return f"{psutil.Process(pid).create_time():.0f}"
    except psutil.NoSuchProcess:
        return ""
