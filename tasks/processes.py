"""Which process did something, and whether it still lives: how what a killed one left is known."""

from __future__ import annotations

import os
import socket


def identity() -> dict[str, str]:
    """This process: its host, and its number with its time of birth, since numbers are reused."""
    return {"host": socket.gethostname(), "process": f"{os.getpid()}:{_birth(os.getpid())}"}


def is_dead(host: str, process: str) -> bool:
    """Whether a process of this machine is gone; of another machine's nothing is known."""
    return host == socket.gethostname() and not _alive(process)


def _alive(process: str) -> bool:
    pid, _, birth = process.partition(":")
    return pid.isdigit() and birth != "" and _birth(int(pid)) == birth


def _birth(pid: int) -> str:
    import psutil

    try:
        return f"{psutil.Process(pid).create_time():.0f}"
    except psutil.NoSuchProcess:
        return ""
