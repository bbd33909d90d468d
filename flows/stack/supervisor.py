"""The process that keeps the stack's services running, and says how they are in a file."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from flows.stack import postgres, state
from flows.stack.compose import Service
from flows.stack.state import DONE, FAILED, READY, STARTING
from tasks.errors import UserError
from tasks.processes import identity_of

_PATIENCE = 240.0  # seconds until a service must be ready, on a busy machine
_STARTS = 4  # before the first success, what ends so often is not started again
_BETWEEN_STARTS = 2.0  # seconds before what ended is started again
_STEADY = 5.0  # seconds after which what has no check is taken to have started
_TICK = 0.3
# What a service must not inherit from who started the stack.
_PRIVATE = ("PREFECT_", "PLUMBLINE_", "MLFLOW_", "AWS_", "PG", "POSTGRES_", "REDIS_", "S3_")


class Supervisor:
    """Starts services in order, starts again what ends, and stops all of it when told to.

    Args:
        services: Each after those it waits for.
        folder: For logs and for `state.json`: service to its process and state.
    """

    def __init__(self, services: Sequence[Service], folder: Path) -> None:
        self._services = list(services)
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._identities: dict[str, str] = {}
        self._states: dict[str, str] = {}
        self._started: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._starts: Counter[str] = Counter()
        self._was_ready: set[str] = set()
        self._stopping = False

    def run(self) -> None:
        """Until a signal says to stop.

        Raises:
            UserError: A service does not become ready.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop_soon)
        (self._folder / "logs").mkdir(parents=True, exist_ok=True)
        try:
            self._start_all()
            while not self._stopping:
                self._revive()
                for service in self._services:
                    self._look(service)
                time.sleep(_TICK)
        finally:
            state.stop(self._told())
            state.clear(self._folder)

    def _start_all(self) -> None:
        """Side by side, as far as they do not wait for one another."""
        deadline = time.monotonic() + _PATIENCE
        waiting = list(self._services)
        while (waiting or STARTING in self._states.values()) and not self._stopping:
            for service in list(waiting):
                if all(self._states.get(name) in (READY, DONE) for name in service.after):
                    waiting.remove(service)
                    self._start(service)
            self._revive()
            for service in self._services:
                self._look(service)
            if time.monotonic() > deadline:
                late = [s.name for s in self._services if self._states.get(s.name) != READY]
                raise UserError(
                    f"{', '.join(late)} did not become ready within {_PATIENCE:.0f} s",
                    f"The logs are in {self._folder / 'logs'}.",
                )
            time.sleep(_TICK)

    def _start(self, service: Service) -> None:
        for folder in service.folders:
            folder.mkdir(parents=True, exist_ok=True)
        user = None
        if service.name == "postgres":
            user = postgres.prepare(service)
        environment = process_environment(service)
        # The program is looked for on the service's own PATH, which finds this environment's first.
        program = shutil.which(service.command[0], path=environment["PATH"])
        if program is None:
            raise UserError(
                f"the service {service.name} needs the program {service.command[0]}, which is not here",
                _MISSING.get(service.command[0], "Install it, or use `docker compose up`."),
            )
        with self._log(service.name).open("ab") as log:
            self._running[service.name] = subprocess.Popen(
                [program, *service.command[1:]],
                cwd=self._folder if user is None else service.folders[0],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True, **postgres.as_user(user),
            )  # fmt: skip
        # Asked for once, since a process that has ended has no time of birth any more.
        self._identities[service.name] = identity_of(self._running[service.name].pid)
        self._started[service.name] = time.monotonic()
        self._starts[service.name] += 1
        self._say(service.name, STARTING)

    def _look(self, service: Service) -> None:
        """Say so once a service that is starting has become ready."""
        starting = self._states.get(service.name) == STARTING and service.name not in self._ended
        if starting and self._is_ready(service):
            self._was_ready.add(service.name)
            self._say(service.name, READY)

    def _is_ready(self, service: Service) -> bool:
        if not service.check:  # a one-off is ready once it is done, another one if it stays
            return service.again and time.monotonic() - self._started[service.name] > _STEADY
        try:
            done = subprocess.run(
                service.check, env=process_environment(service), check=False, timeout=10,
                capture_output=True, cwd=self._folder,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def _revive(self) -> None:
        """Notice what has ended, and start it again after a moment if it is to stay."""
        for service in self._services:
            process = self._running.get(service.name)
            if process is None or process.poll() is None:
                continue
            if not service.again:
                ending = FAILED if process.returncode else DONE
                if self._states[service.name] != ending:
                    self._say(service.name, ending)
            elif service.name not in self._was_ready and self._starts[service.name] >= _STARTS:
                self._say(service.name, FAILED)
            elif service.name not in self._ended:
                self._ended[service.name] = time.monotonic()
                self._say(service.name, STARTING)
            elif time.monotonic() - self._ended[service.name] > _BETWEEN_STARTS:
                del self._ended[service.name]
                self._start(service)
            if self._states[service.name] == FAILED:
                raise UserError(
                    f"{service.name} failed", f"Its output is in {self._log(service.name)}."
                )

    def _stop_soon(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _log(self, name: str) -> Path:
        return self._folder / "logs" / f"{name}.log"

    def _say(self, name: str, told: str) -> None:
        self._states[name] = told
        state.write(self._folder, self._told())

    def _told(self) -> dict[str, state.Running]:
        return {
            name: state.Running(self._states[name], self._identities[name])
            for name in self._running
        }


_MISSING = {
    "redis-server": "On Debian: apt-get install redis-server. Or use `docker compose up`.",
    "rclone": "It comes with the team's extra: pip install 'plumbline[team]'.",
}


def process_environment(service: Service) -> dict[str, str]:
    """What a service's process finds: this machine's variables, less private ones, and its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE)}
    places = [str(Path(sys.executable).parent), *postgres.programs(service), kept.get("PATH", "")]
    return {**kept, "PATH": os.pathsep.join(places), **service.environment}
