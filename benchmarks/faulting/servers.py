"""The team's servers, killed while a night uses them: Prefect's API and services, PostgreSQL, a worker.

One stack serves all faults of a run, one at a time; its supervisor starts again what is killed, as
`restart: unless-stopped` does in containers.
"""

from __future__ import annotations

import atexit
import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil
import yaml

from faulting.ground import Ground
from faulting.nights import ROOT, SMALL, Broken, Night, NotInjected
from faulting.ports import free_port
from flows.stack import state
from tasks.processes import is_alive
from tasks.settings import CLIENTS_NOTE

_PATIENCE = 240.0  # seconds in which a server is back, or a slot is free
_SERVERS = ("prefect-services",)  # and what it waits for: the API, PostgreSQL, Redis
_one_at_a_time = threading.Lock()


def kill_prefect(ground: Ground, title: str) -> str:
    """Prefect's API is killed inside a stage."""
    return _kill(ground, title, "prefect")


def kill_services(ground: Ground, title: str) -> str:
    """What keeps Prefect's schedules and automations is killed inside a stage."""
    return _kill(ground, title, "prefect-services")


def kill_postgres(ground: Ground, title: str) -> str:
    """PostgreSQL is killed inside a stage, with all its connections."""
    return _kill(ground, title, "postgres")


def kill_worker(ground: Ground, title: str) -> str:
    """A worker and the run that it executes are killed inside a stage, and no slot stays taken."""
    stack = _use(ground)
    run = stack.begin()
    worker = _Worker(ground)
    ground.later(worker.kill)
    _wait(lambda: ground.is_working_on(title), worker.process, NotInjected)
    worker.kill()
    began = time.monotonic()
    # The automation for zombie runs notices; a person would retry the run, or wait for the next night.
    _wait(lambda: stack.ask(f"/flow_runs/{run}")["state_type"] == "CRASHED")
    noticed = time.monotonic() - began
    _wait(lambda: not stack.slots())
    return f"crashed {noticed:.0f} s later, no slot taken"


def _kill(ground: Ground, title: str, service: str) -> str:
    stack = _use(ground)
    night = ground.night()
    night.wait_until(lambda: ground.is_working_on(title))
    stack.kill(service)
    began = time.monotonic()
    ended = night.wait()
    stack.await_ready()
    if "Traceback" in ended.err:
        raise Broken(f"it ended with {ended.status}: {ended.err[-800:]}")
    ended_how = "went on" if ended.status == 0 else f"ended with {ended.status}"
    return f"the night {ended_how}; all back within {time.monotonic() - began:.0f} s"


def _use(ground: Ground) -> _Stack:
    """Have this ground's nights report to the stack, and nobody else's meanwhile."""
    _one_at_a_time.acquire()
    ground.later(_one_at_a_time.release)
    stack = _stack()
    stack.await_ready()
    ground.environment |= stack.told
    return stack


def _wait(
    happened: Callable[[], bool],
    process: subprocess.Popen[bytes] | None = None,
    otherwise: type[Exception] = Broken,
) -> None:
    """Look until something is so; after the harm, what does not come is what was not survived."""
    deadline = time.monotonic() + _PATIENCE
    while not happened():
        if process is not None and process.poll() is not None:
            raise NotInjected("the worker ended first")
        if time.monotonic() > deadline:
            raise otherwise("it did not happen")
        time.sleep(0.05)


@cache
def _stack() -> _Stack:
    return _Stack()


class _Stack:
    """Prefect with its database on loopback, in a folder that PostgreSQL's user may enter."""

    def __init__(self) -> None:
        place = tempfile.TemporaryDirectory(prefix="plumbline-faults-", dir="/var/tmp")
        Path(place.name).chmod(0o755)
        self._home = Path(place.name, "runs")
        self._environment = Night.variables(self._home)
        ports = [
            part
            for name in ("postgres", "redis", "prefect")
            for part in ("--port", f"{name}={free_port()}")
        ]
        env_file = ["--env-file", str(Path(place.name, ".env"))]
        atexit.register(place.cleanup)
        atexit.register(self._command, "stack", "down")
        self._command("stack", "up", *_SERVERS, *env_file, *ports)
        self._folder = self._home / "stack"
        told = json.loads((self._folder / CLIENTS_NOTE).read_bytes())["environment"]
        self.told = {name: told[name] for name in told if name.startswith("PREFECT_")}
        self._environment |= self.told
        self._command("deploy")

    def _command(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "flows.cli", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"plumbline {arguments[0]} failed: {done.stdout}{done.stderr}")

    def kill(self, service: str) -> None:
        """SIGKILL to a service's process group."""
        os.killpg(state.read(self._folder)[service].pid, signal.SIGKILL)

    def await_ready(self) -> None:
        """Until all services are there, and Prefect answers."""

        def ready() -> bool:
            services = state.read(self._folder).values()
            if not all(told.state == state.READY and is_alive(told.process) for told in services):
                return False
            try:
                self.ask("/admin/version")
            except OSError:
                return False
            return True

        _wait(ready)

    def ask(self, path: str, body: Any = None) -> Any:
        """Prefect's API."""
        login = base64.b64encode(self.told["PREFECT_API_AUTH_STRING"].encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.told["PREFECT_API_URL"] + path, data, headers)
        with urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def begin(self) -> str:
        """A night for whichever worker comes."""
        found = self.ask("/deployments/name/nightly/on-demand")
        parameters = {"configuration": yaml.safe_load(SMALL.read_text())}
        run = self.ask(f"/deployments/{found['id']}/create_flow_run", {"parameters": parameters})
        return str(run["id"])

    def slots(self) -> int:
        """Slots that are taken, of all deployments and pools."""
        limits = self.ask("/v2/concurrency_limits/filter", {})
        return sum(int(limit["active_slots"]) for limit in limits)


class _Worker:
    """A worker that executes nights in a ground's home."""

    def __init__(self, ground: Ground) -> None:
        variables = {**Night.variables(ground.home), **ground.environment}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "worker", "--pool", "cpu"], cwd=ROOT,
            env=variables | {"PREFECT_WORKER_QUERY_SECONDS": "1"}, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def kill(self) -> None:
        """SIGKILL to it and to every run of its."""
        if self.process.poll() is not None:
            return
        for process in [
            psutil.Process(self.process.pid),
            *psutil.Process(self.process.pid).children(recursive=True),
        ]:
            process.kill()
        self.process.wait()
