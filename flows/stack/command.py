"""`plumbline stack up`, `down`, `status`: the team's servers on this machine, in the background."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import psutil

from flows.ports import require_free
from flows.stack import secrets, state
from flows.stack.compose import PORTS, Service, only, read_services, read_variables
from flows.stack.state import DONE, READY
from flows.stack.supervisor import Supervisor
from tasks.errors import UserError
from tasks.processes import identity_of, is_alive
from tasks.settings import CLIENTS_NOTE, ROOT, Environment

_PATIENCE = 300.0  # seconds until the whole stack must be ready
# What a client of the stack is told, among what its workers are told.
_CLIENTS = "worker-cpu"
# What a client keeps of its own: it runs from its own folders, beside the worker, and reads what its
# user may read.
_OWN = (
    "PLUMBLINE_HOME",
    "PLUMBLINE_ROOT",
    "PREFECT_HOME",
    "PREFECT_WORKER_WEBSERVER_PORT",
    "PLUMBLINE_SOURCES",
)


def add(commands: Any) -> None:
    """Add the command to the command line."""
    command = commands.add_parser(
        "stack", help="the team's servers of docker-compose.yml, natively"
    )
    command.add_argument(
        "action", choices=("up", "down", "status", "serve"), nargs="?", default="up"
    )
    command.add_argument("services", nargs="*", help="only these and what they wait for")
    command.add_argument("--env-file", type=Path, default=ROOT / ".env")
    command.add_argument("--profile", action="append", default=[], help="such as gpu")
    command.add_argument(
        "--port", action="append", default=[], metavar="SERVICE=PORT", help="such as prefect=4201"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do what was asked for.

    Raises:
        UserError: A program is missing, a port is taken, or a service does not start.
    """
    folder = Environment().stack_folder
    if options.action == "down":
        return down(folder)
    if options.action == "status":
        return status(folder)
    if options.action == "up" and secrets.make(options.env_file, ROOT / ".env.example"):
        sys.stdout.write(f"wrote {options.env_file} with random secrets\n")
    services = read_services(
        ROOT / "docker-compose.yml", read_variables(options.env_file), folder,
        ports := _ports(options.port), tuple(options.profile),
    )  # fmt: skip
    told = _told_to_clients(services)
    services = only(services, options.services)
    if options.action == "serve":
        Supervisor(services, folder).run()
        return 0
    return up(services, folder, PORTS | ports, options, told)


def up(
    services: Sequence[Service], folder: Path, ports: Mapping[str, int],
    options: argparse.Namespace, told: Mapping[str, str],
) -> int:  # fmt: skip
    """Start everything and come back once it is ready."""
    if supervisor(folder) is not None:
        sys.stdout.write("the stack is already running; `make stack-down` stops it\n")
        return status(folder)
    for service in services:
        if service.name in ports:
            port = ports[service.name]
            choose = f"plumbline stack up --port {service.name}={port + 1}"
            require_free(f"the service {service.name}", port, choose)
    folder.mkdir(parents=True, exist_ok=True)
    arguments = ["--env-file", str(options.env_file.absolute())]
    arguments += [part for name in options.profile for part in ("--profile", name)]
    arguments += [part for given in options.port for part in ("--port", given)]
    state.clear(folder)  # of a supervisor that was killed, and whose services are gone
    log = folder / "supervisor.log"
    with log.open("wb") as handle:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "stack", "serve", *options.services, *arguments], cwd=ROOT,
            stdin=subprocess.DEVNULL, stdout=handle, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    (folder / "supervisor.pid").write_text(f"{process.pid}\n")
    _note_clients(told, folder, identity_of(process.pid))
    started, shown = time.monotonic(), set[str]()
    while time.monotonic() - started < _PATIENCE:
        if process.poll() is not None:
            break
        for name, told_of in state.read(folder).items():
            if name not in shown and told_of.state in (READY, DONE):
                shown.add(name)
                sys.stdout.write(f"  ✓ {name:<18} {time.monotonic() - started:4.0f} s\n")
                sys.stdout.flush()
        if len(shown) == len(services):
            return _greet(ports, shown)
        time.sleep(0.2)
    down(folder)
    raise UserError("the stack did not start", log.read_text().strip() or f"See {folder}/logs.")


def _greet(ports: Mapping[str, int], shown: set[str]) -> int:
    if "prefect" in shown:
        sys.stdout.write(
            f"Prefect  http://127.0.0.1:{ports['prefect']}  log in with PREFECT_AUTH of .env\n"
        )
    if "mlflow" in shown:
        sys.stdout.write(
            f"MLflow   http://127.0.0.1:{ports['mlflow']}  user plumbline, password MLFLOW_PASSWORD of .env\n"
        )
    sys.stdout.write(
        "make deploy registers schedules and forms again; make stack-down stops everything\n"
    )
    return 0


def down(folder: Path) -> int:
    """Stop everything; data is kept."""
    process = supervisor(folder)
    (folder / CLIENTS_NOTE).unlink(missing_ok=True)
    if process is None:
        left = {n: told for n, told in state.read(folder).items() if is_alive(told.process)}
        state.stop(left)  # of a supervisor that was killed
        state.clear(folder)
        found = f"stopped {', '.join(left)}, which outlived their supervisor" if left else (
            "the stack is not running"
        )  # fmt: skip
        sys.stdout.write(f"{found}\n")
        return 0
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(120)
    except psutil.TimeoutExpired as error:
        raise UserError(f"the stack's supervisor, process {process.pid}, does not end") from error
    sys.stdout.write("stopped; what it holds is kept\n")
    return 0


def status(folder: Path) -> int:
    """Print each service's state."""
    services = state.read(folder) if supervisor(folder) is not None else {}
    for name, told in services.items():
        sys.stdout.write(f"  {name:<18} {told.state:<9} process {told.pid}\n")
    if not services:
        sys.stdout.write("the stack is not running; start it with make stack\n")
    return 0


def supervisor(folder: Path) -> psutil.Process | None:
    """The process that keeps the services running, if there is one."""
    try:
        process = psutil.Process(int((folder / "supervisor.pid").read_text()))
        return process if "stack" in process.cmdline() and process.is_running() else None
    except (OSError, ValueError, psutil.Error):
        return None


def _told_to_clients(services: Sequence[Service]) -> dict[str, str]:
    told = next(s.environment for s in services if s.name == _CLIENTS)
    return {name: value for name, value in told.items() if name not in _OWN and value}


def _note_clients(told: Mapping[str, str], folder: Path, process: str) -> None:
    """Leave for this checkout's other commands what a worker is told, while the supervisor lives."""
    note = {"process": process, "environment": dict(told)}
    secrets.write_private(folder / CLIENTS_NOTE, orjson.dumps(note))


def _ports(given: Sequence[str]) -> dict[str, int]:
    found = {}
    for text in given:
        name, _, port = text.partition("=")
        if name not in PORTS or not port.isdigit():
            raise UserError(
                f"--port {text} is none", f"Name one of {', '.join(PORTS)}: prefect=4201."
            )
        found[name] = int(port)
    return found
