"""The processes beside a run: the two UIs, the deployments they show, and the worker behind them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path
from typing import NoReturn
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import psutil

from flows.ports import HOST, require_free
from tasks.errors import UserError
from tasks.settings import EMBEDDED, Environment
from tasks.tracking.connection import make_tables

POOLS = ("cpu", "gpu")
_PATIENCE = 120.0  # seconds a server may take to start on a busy machine


def serve(environment: Environment, prefect_port: int, mlflow_port: int) -> int:
    """Start both servers, print their addresses, and stop them when interrupted.

    Raises:
        UserError: A port is taken, or a server does not start.
    """
    for name, port in (("prefect", prefect_port), ("mlflow", mlflow_port)):
        require_free(f"the {name} UI", port, f"make ui {name.upper()}_PORT={port + 1}")
    logs = environment.home.absolute() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    commands = {
        "prefect": [*_prefect(), "server", "start", "--host", HOST, "--port", str(prefect_port)],
        "mlflow": [*_mlflow(), "--host", HOST, "--port", str(mlflow_port),
                   "--backend-store-uri", environment.tracking],
    }  # fmt: skip
    addresses = {
        "prefect": (f"http://{HOST}:{prefect_port}", "/api/health"),
        "mlflow": (f"http://{HOST}:{mlflow_port}", "/health"),
    }
    # The page in the browser must be told which port its API has.
    more = {"PREFECT_SERVER_UI_API_URL": f"{addresses['prefect'][0]}/api"}
    make_tables(environment.tracking)  # whole, however soon the server is stopped
    processes = {
        name: _start(command, logs / f"{name}.log", more) for name, command in commands.items()
    }
    note = environment.prefect_address_file
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        for name, (address, health) in addresses.items():
            _await(name, address + health, processes[name], logs / f"{name}.log")
            sys.stdout.write(f"{name:<8} {address}\n")
            sys.stdout.flush()
        # A night started meanwhile uses this server rather than a second one on the same database.
        note.write_text(addresses["prefect"][0] + "/api")
        sys.stdout.write("Press Ctrl+C to stop both.\n")
        sys.stdout.flush()
        while True:
            for name, process in processes.items():
                if process.poll() is not None:
                    raise UserError(
                        f"the {name} server ended", f"Its output is in {logs / name}.log"
                    )
            time.sleep(0.5)
    except KeyboardInterrupt:
        pass
    finally:
        note.unlink(missing_ok=True)
        for process in processes.values():
            _stop(process)
    return 0


def stop_orphans(home: Path) -> None:
    """End embedded Prefect servers of this home whose flow process was killed and left them behind."""
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or [])
        if "prefect.server.api.server:create_app" not in command:
            continue
        try:
            ours = process.environ().get("PREFECT_HOME") == str(home.absolute() / "prefect")
            if ours and not _has_flow(process):
                process.terminate()
        except psutil.Error:  # another user's, or gone meanwhile
            continue


def _has_flow(server: psutil.Process) -> bool:
    """Whether the process that started an embedded server is still there."""
    parent = server.parent()
    return parent is not None and any("python" in part for part in parent.cmdline()[:1])


def deploy(root: Path) -> int:
    """Make the work pools and register every deployment; repeating it changes nothing.

    Raises:
        UserError: No Prefect server answers.
    """
    _require_server()
    environment = {**os.environ, "PLUMBLINE_ROOT": os.environ.get("PLUMBLINE_ROOT", str(root))}
    # No variables, and no environment to merge with: what a form adds to a run is left out.
    template = ["--base-job-template", "deployments/pool.json"]
    for pool in POOLS:
        create = ["--no-prompt", "work-pool", "create", "--type", "process", "--overwrite"]
        _run([*_prefect(), *create, *template, pool], root, environment)
    _run([*_prefect(), "work-pool", "set-concurrency-limit", "gpu", "1"], root, environment)
    everything = ["deploy", "--all", "--prefect-file", "deployments/prefect.yaml"]
    _run([*_prefect(), "--no-prompt", *everything], root, environment)
    from flows.automations import register

    told = register(root / "deployments" / "automations.yaml")
    sys.stdout.write(f"deployed, with {len(told)} automations; start a worker with: make worker\n")
    if not any("failed" in name for name in told):
        sys.stdout.write("nobody is told of failed nights: set PLUMBLINE_NOTIFY_WEBHOOK\n")
    return 0


def work(root: Path, pool: str) -> NoReturn:
    """Execute the deployed runs of one pool until interrupted.

    Raises:
        UserError: No Prefect server answers.
    """
    _require_server()
    command = [*_prefect(), "worker", "start", "--pool", pool, "--type", "process"]
    if os.environ.get("PREFECT_WORKER_WEBSERVER_PORT"):
        command.append("--with-healthcheck")  # on the port and host that were chosen for it
    # Become the worker, so that a signal meant for it reaches it.
    os.chdir(root)
    os.execv(sys.executable, command)


def _require_server() -> None:
    """See that a server answers, and lets us in: its health is for everyone, its version is not."""
    address = os.environ.get("PREFECT_API_URL", "")
    login = os.environ.get("PREFECT_API_AUTH_STRING")
    headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"} if login else {}
    try:
        request = Request(f"{address}/admin/version", headers=headers)  # noqa: S310  (the user's own address)
        with urlopen(request, timeout=5):  # noqa: S310
            return
    except HTTPError as error:
        raise UserError(
            f"the Prefect server at {address} does not let us in ({error.code})",
            "Set PREFECT_API_AUTH_STRING to what the server's PREFECT_SERVER_API_AUTH_STRING is.",
        ) from error
    except (ValueError, OSError) as error:
        where = f"at {address}" if address else "on this machine"
        raise UserError(
            f"no Prefect server answers {where}",
            "Start one with `make ui`, or set PREFECT_API_URL.",
        ) from error


def _run(command: list[str], root: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UserError(f"`{' '.join(command[1:])}` failed:\n{done.stdout}{done.stderr}")


def _prefect() -> list[str]:
    return [sys.executable, "-m", "prefect"]


def _mlflow() -> list[str]:
    return [sys.executable, "-m", "mlflow", "server"]


def _start(command: list[str], log: Path, more: dict[str, str]) -> subprocess.Popen[bytes]:
    with log.open("wb") as handle:
        # A server that people look at keeps what the embedded one does without.
        environment = {
            name: value
            for name, value in os.environ.items()
            if name != "PREFECT_API_URL" and EMBEDDED.get(name) != value
        } | more
        return subprocess.Popen(
            command,
            stdout=handle,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )


def _await(name: str, url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urlopen(url, timeout=2):  # noqa: S310  (our own loopback address)
                return
        except (URLError, OSError):
            time.sleep(0.3)
    raise UserError(f"the {name} server did not start", f"Its output is in {log}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and its children: they were started as a process group of their own."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
