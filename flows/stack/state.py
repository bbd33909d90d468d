"""What the supervisor leaves for other commands: how its services are, and which processes they are."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from tasks.processes import is_alive

STARTING, READY, DONE, FAILED = "starting", "ready", "done", "failed"
_FILE = "state.json"
_PATIENCE = 20.0  # seconds that a service may take to end
_GLANCE = 0.1


@dataclass(frozen=True)
class Running:
    """A service that was started.

    Attributes:
        state: `STARTING`, `READY`, `DONE` or `FAILED`.
        process: Number and time of birth, as `processes.identity_of` has them.
    """

    state: str
    process: str

    @property
    def pid(self) -> int:
        """The process's number, which is its group's too."""
        return int(self.process.partition(":")[0])


def write(folder: Path, services: Mapping[str, Running]) -> None:
    """Leave the states of all services, in the order in which they were started."""
    part = folder / f"{_FILE}.part"
    part.write_bytes(orjson.dumps({name: asdict(told) for name, told in services.items()}))
    part.replace(folder / _FILE)


def read(folder: Path) -> dict[str, Running]:
    """What was left; nothing if no stack is running, or none was stopped otherwise than by `clear`."""
    try:
        found = orjson.loads((folder / _FILE).read_bytes())
        return {name: Running(**told) for name, told in found.items()}
    except (OSError, orjson.JSONDecodeError, TypeError):
        return {}


def clear(folder: Path) -> None:
    """Forget the services."""
    (folder / _FILE).unlink(missing_ok=True)


def stop(services: Mapping[str, Running]) -> None:
    """End services that still run: clients before servers, and the database last."""
    for name, told in reversed(list(services.items())):
        if not is_alive(told.process):
            continue
        # PostgreSQL calls it a fast shutdown: open connections are closed.
        os.killpg(told.pid, signal.SIGINT if name == "postgres" else signal.SIGTERM)
        deadline = time.monotonic() + _PATIENCE
        while is_alive(told.process) and time.monotonic() < deadline:
            time.sleep(_GLANCE)
        if is_alive(told.process):
            os.killpg(told.pid, signal.SIGKILL)
