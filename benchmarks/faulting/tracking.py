"""An MLflow server that is killed while a night reports to it, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

from faulting.ground import Ground
from faulting.kills import strike
from faulting.nights import Broken, NotInjected
from faulting.ports import free_port

_PATIENCE = 180.0  # seconds in which a server starts
_AWAY = 10.0  # seconds at least


def kill_server(ground: Ground, title: str) -> str:
    """Killed inside a stage, and back some seconds after that stage was finished without it."""
    server = _serve(ground)
    night = ground.night()
    night.wait_until(lambda: ground.is_working_on(title))
    server.kill()
    began = time.monotonic()
    night.wait_until(lambda: ground.is_finished(title))
    night.wait_for(_AWAY)
    waiting = _waiting(ground)
    server.start()
    away = time.monotonic() - began
    ended = night.wait()
    if ended.status or "Traceback" in ended.err:
        raise Broken(f"it ended with {ended.status}: {ended.err[-800:]}")
    return f"away for {away:.0f} s, {waiting} reports waiting then"


def kill_both(ground: Ground, title: str) -> str:
    """Killed inside a stage, as is the night once two reports wait; the next one delivers them."""
    server = _serve(ground)
    _kill_both(ground, server, title)
    server.start()
    return f"{_waiting(ground)} reports left to the next night"


def kill_delivery(ground: Ground, title: str) -> str:
    """The same, and the night that delivers is killed when it has done so with the first report."""
    server = _serve(ground)
    _kill_both(ground, server, title)
    server.start()
    before = _waiting(ground)
    strike(ground, "os.rename", "*/outbox.jsonl", signal.SIGKILL)
    if _waiting(ground) != before:
        raise NotInjected("the first report was crossed out already")
    return f"{before} reports left, the first of them delivered"


def _kill_both(ground: Ground, server: Server, title: str) -> None:
    night = ground.night()
    night.wait_until(lambda: ground.is_working_on(title))
    server.kill()
    night.wait_until(lambda: _waiting(ground) > 1)
    night.send(signal.SIGKILL, group=True)


def _waiting(ground: Ground) -> int:
    """Reports in the outbox."""
    path = ground.home / "outbox.jsonl"
    return len(path.read_text("utf-8").splitlines()) if path.exists() else 0


def _serve(ground: Ground) -> Server:
    """A server for the nights of this ground."""
    server = Server(ground.home)
    ground.later(server.kill)
    server.start()
    ground.environment["PLUMBLINE_TRACKING_URI"] = server.address
    return server


class Server:
    """An MLflow server on loopback over a home's database.

    Args:
        home: The home.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            RuntimeError: It does not.
        """
        off = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(self._port),
             "--backend-store-uri", f"sqlite:///{self._home / 'mlflow.db'}",
             "--artifacts-destination", str(self._home / "mlartifacts")],
            env={**os.environ, **off}, cwd=self._home.parent, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            try:
                urlopen(f"{self.address}/health", timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError("the MLflow server did not start")

    def kill(self) -> None:
        """SIGKILL to it and its workers."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
