"""The team's stack as a person meets it: logins, forms, runs, messages. Slow; needs system packages."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest
import yaml

from flows.stack import postgres, state
from flows.stack.compose import PORTS
from tasks.processes import is_alive

ROOT = Path(__file__).parents[2]
PLUMBLINE = Path(sys.executable).with_name("plumbline")
SETTLED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def _missing() -> list[str]:
    path = os.pathsep.join([*postgres.programs(), os.environ["PATH"]])
    needed = {"initdb": "postgresql", "redis-server": "redis-server"}
    return [package for program, package in needed.items() if not shutil.which(program, path=path)]


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(_missing()), reason=f"apt-get install {' '.join(_missing())}"),
]
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@dataclass
class Stack:
    """A running stack, and what its servers have told."""

    home: Path
    environment: dict[str, str]
    ports: dict[str, int]
    secrets: dict[str, str]
    messages: list[dict[str, str]]

    def plumbline(self, *arguments: str) -> str:
        done = subprocess.run(
            [PLUMBLINE, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def prefect(self, path: str, body: Any = None, method: str | None = None) -> Any:
        login = base64.b64encode(self.secrets["PREFECT_AUTH"].encode()).decode()
        return self.ask(f"http://127.0.0.1:{self.ports['prefect']}/api{path}", login, body, method)

    def mlflow(self, path: str, body: Any = None) -> Any:
        login = base64.b64encode(f"plumbline:{self.secrets['MLFLOW_PASSWORD']}".encode()).decode()
        return self.ask(
            f"http://127.0.0.1:{self.ports['mlflow']}/api/2.0/mlflow{path}", login, body
        )

    @staticmethod
    def ask(url: str, login: str | None, body: Any = None, method: str | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if login:
            headers["Authorization"] = f"Basic {login}"
        with urlopen(Request(url, data, headers, method=method), timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def begin(self, deployment: str, job: dict[str, Any] | None = None, **parameters: Any) -> str:
        found = self.prefect(f"/deployments/name/nightly/{deployment}")
        asked = {"parameters": parameters} | ({"job_variables": job} if job else {})
        run = self.prefect(f"/deployments/{found['id']}/create_flow_run", asked)
        return str(run["id"])

    def hears(self, subject: str, seconds: float = 60) -> dict[str, str]:
        deadline = time.monotonic() + seconds
        while not (found := [told for told in self.messages if subject in told["subject"]]):
            assert time.monotonic() < deadline, self.messages
            time.sleep(0.5)
        return found[0]

    def settled(self, run: str, seconds: float = 400) -> dict[str, Any]:
        return self.until(run, lambda found: found["state_type"] in SETTLED, seconds)

    def until(self, run: str, holds: Any, seconds: float = 400) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while True:
            found = self.prefect(f"/flow_runs/{run}")
            if holds(found):
                return dict(found)
            assert time.monotonic() < deadline, found["state_name"]
            time.sleep(1)


def _free_ports() -> dict[str, int]:
    probes = {name: socket.socket() for name in PORTS}
    for probe in probes.values():
        probe.bind(("127.0.0.1", 0))
    ports = {name: int(probe.getsockname()[1]) for name, probe in probes.items()}
    for probe in probes.values():
        probe.close()
    return ports


@pytest.fixture(scope="module")
def messages() -> Iterator[tuple[int, list[dict[str, str]]]]:
    told: list[dict[str, str]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, told
    server.shutdown()


@pytest.fixture(scope="module")
def stack(messages: tuple[int, list[dict[str, str]]]) -> Iterator[Stack]:
    # PostgreSQL's user must be able to enter the folder, which pytest's own are not for.
    place = Path(tempfile.mkdtemp(prefix="plumbline-stack-", dir="/var/tmp"))
    place.chmod(0o755)
    home, ports = place / "runs", _free_ports()
    private = ("PREFECT_", "PLUMBLINE_", "MLFLOW_", "PG")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(private)}
    environment = {
        **kept,
        "PLUMBLINE_HOME": str(home),
        "PLUMBLINE_NOTIFY_WEBHOOK": f"http://127.0.0.1:{messages[0]}/",
    }
    given = [part for name, port in ports.items() for part in ("--port", f"{name}={port}")]
    env_file = place / ".env"
    running = Stack(home, environment, ports, {}, messages[1])
    try:
        running.plumbline("stack", "up", "--profile", "gpu", "--env-file", str(env_file), *given)
        lines = [line for line in env_file.read_text().splitlines() if line and line[0] != "#"]
        running.secrets.update(line.split("=", 1) for line in lines)
        yield running
    finally:
        for log in sorted((home / "stack" / "logs").glob("*.log")):
            sys.stdout.write(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}\n")
        subprocess.run([PLUMBLINE, "stack", "down"], env=environment, check=False)
        shutil.rmtree(place, ignore_errors=True)


def test_nothing_is_answered_without_a_login(stack: Stack) -> None:
    addresses = [
        f"http://127.0.0.1:{stack.ports['prefect']}/api/admin/version",
        f"http://127.0.0.1:{stack.ports['mlflow']}/api/2.0/mlflow/experiments/search?max_results=1",
    ]
    for address in addresses:
        for login in (None, base64.b64encode(b"admin:password").decode()):
            with pytest.raises(HTTPError) as refused:
                stack.ask(address, login)
            assert refused.value.code == 401
    with pytest.raises(HTTPError) as refused:
        stack.ask(f"http://127.0.0.1:{stack.ports['s3']}/plumbline?list-type=2", None)
    assert refused.value.code in (400, 403)  # rclone calls a request without a signature bad
    assert oct((stack.home.parent / ".env").stat().st_mode)[-3:] == "600"


def test_every_server_listens_on_loopback_only(stack: Stack) -> None:
    listening = [
        (service, socket.laddr.ip)
        for service, told in state.read(stack.home / "stack").items()
        if is_alive(told.process)
        for process in (
            psutil.Process(told.pid),
            *psutil.Process(told.pid).children(recursive=True),
        )
        for socket in process.net_connections()
        if socket.status == psutil.CONN_LISTEN
    ]
    assert {"postgres", "redis", "s3", "prefect", "mlflow", "worker-cpu"} <= {
        s for s, _ in listening
    }
    assert {address for _, address in listening} == {"127.0.0.1"}


def test_no_secret_stands_in_a_command_or_a_log(stack: Stack) -> None:
    hidden = [
        value.split(":")[-1]
        for name, value in stack.secrets.items()
        if "NOTIFY" not in name and value
    ]
    assert len(hidden) == 7
    pids = [told.pid for told in state.read(stack.home / "stack").values()]
    commands = [
        " ".join(process.cmdline())
        for pid in pids
        if psutil.pid_exists(pid)
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    ]
    logs = [
        log.read_text(errors="replace") for log in (stack.home / "stack" / "logs").glob("*.log")
    ]
    assert len(commands) > 8
    assert not [secret for secret in hidden if any(secret in text for text in commands + logs)]


def test_deploying_again_changes_nothing(stack: Stack) -> None:
    def names() -> tuple[list[str], list[str]]:
        found = stack.prefect("/deployments/filter", {}), stack.prefect("/automations/filter", {})
        return sorted(d["name"] for d in found[0]), sorted(a["name"] for a in found[1])

    declared = yaml.safe_load((ROOT / "deployments/prefect.yaml").read_text())["deployments"]
    automations = yaml.safe_load((ROOT / "deployments/automations.yaml").read_text())
    wanted = sorted(d["name"] for d in declared), sorted(a["name"] for a in automations)
    assert names() == wanted
    stack.plumbline("deploy")
    assert names() == wanted


def test_a_killed_night_is_told_of_and_goes_on_from_where_it_was(stack: Stack) -> None:
    run = stack.begin("trial", configuration=_trial(seed=21))
    folder = stack.home / "cache" / "fetched"
    deadline = time.monotonic() + 300
    before = set(folder.glob("tokenize/*"))
    while not set(folder.glob("tokenize/*")) - before:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for process in psutil.process_iter(["cmdline"]):
        if "prefect.engine" in " ".join(process.info["cmdline"] or []) and (
            process.environ().get("PREFECT__FLOW_RUN_ID") == run
        ):
            process.kill()
    assert stack.settled(run)["state_type"] == "CRASHED"
    name = stack.prefect(f"/flow_runs/{run}")["name"]
    stack.hears(f"{name} ended as Crashed")
    time.sleep(12)  # a worker may end over a retry within the first seconds after a crash
    again = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
    stack.prefect(f"/flow_runs/{run}/set_state", again)
    stack.until(run, lambda found: found["run_count"] == 2)
    assert stack.settled(run)["state_type"] == "COMPLETED"
    parts = stack.prefect(
        "/flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": [run]}}}
    )
    subflows = [run, *(part["id"] for part in parts)]
    tasks = {"task_runs": {"flow_run_id": {"any_": subflows}}, "limit": 200}
    names = [
        task["name"]
        for task in stack.prefect("/task_runs/filter", tasks)
        if task["state_name"] == "Cached"
    ]
    assert {"ingest", "clean", "tokenize"} <= set(names)


def test_a_night_is_begun_from_the_form_watched_and_read_in_the_browser(stack: Stack) -> None:
    if BROWSER is None:
        pytest.skip("apt-get install chromium")
    from playwright.sync_api import expect, sync_playwright

    prefect, mlflow = (f"http://127.0.0.1:{stack.ports[name]}" for name in ("prefect", "mlflow"))
    deployment = stack.prefect("/deployments/name/nightly/trial")["id"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1280, "height": 1600}).new_page()
        page.goto(f"{prefect}/login")
        page.get_by_placeholder("admin:pass").fill(stack.secrets["PREFECT_AUTH"])
        page.keyboard.press("Enter")
        page.wait_for_url("**/dashboard")
        page.goto(f"{prefect}/deployments/deployment/{deployment}/run")
        # In the order in which they are declared, with what the trial sets filled in.
        labels = page.locator("label")
        expect(labels.nth(2)).to_have_text("Seed (Optional)", timeout=30_000)
        first = page.locator("input[type=number]").first
        expect(first).to_have_value("20")
        first.fill("21")
        page.locator("input").first.fill("from-the-form")
        page.get_by_role("button", name="Submit").click()
        page.get_by_text("from-the-form").first.click(timeout=60_000)
        page.wait_for_url("**/runs/**", timeout=60_000)
        run = page.url.split("/flow-run/")[-1].split("?")[0]
        found = stack.settled(run)
        assert found["state_type"] == "COMPLETED", found["state"]["message"]
        assert found["name"] == "from-the-form"
        page.reload()
        expect(page.get_by_text("Completed").first).to_be_visible(timeout=30_000)

        login = {"username": "plumbline", "password": stack.secrets["MLFLOW_PASSWORD"]}
        page = browser.new_context(
            viewport={"width": 1280, "height": 1600}, http_credentials=login
        ).new_page()
        night = _night(stack, "from-the-form")
        page.goto(
            f"{mlflow}/#/experiments/{night['experiment_id']}/runs/{night['run_id']}/artifacts"
        )
        expect(page.get_by_text("page.html").first).to_be_visible(timeout=60_000)
        page.get_by_text("page.html").first.click()
        inside = page.frame_locator("iframe").first
        expect(inside.get_by_text("from-the-form").first).to_be_visible(timeout=60_000)
        browser.close()


def _night(stack: Stack, name: str) -> dict[str, str]:
    experiment = stack.mlflow("/experiments/get-by-name?experiment_name=plumbline")["experiment"]
    asked = {
        "experiment_ids": [experiment["experiment_id"]],
        "filter": f"attributes.run_name = '{name}'",
    }
    (run,) = stack.mlflow("/runs/search", asked)["runs"]
    assert run["info"]["status"] == "FINISHED"
    return dict(run["info"])


def test_a_night_that_no_worker_takes_is_told_of_as_late(stack: Stack) -> None:
    stack.prefect("/work_pools/cpu", {"is_paused": True}, "PATCH")
    try:
        run = stack.begin("trial", configuration=_trial(seed=21))
        name = stack.prefect(f"/flow_runs/{run}")["name"]
        stack.hears(f"{name} is late", 120)
        given_up = {"state": {"type": "CANCELLED", "name": "Cancelled"}, "force": True}
        stack.prefect(f"/flow_runs/{run}/set_state", given_up)
    finally:
        stack.prefect("/work_pools/cpu", {"is_paused": False}, "PATCH")


def test_a_night_trains_on_the_other_pool_with_references_only(stack: Stack) -> None:
    first = _trial(seed=21)
    run = stack.begin(
        "trial", configuration={**first, "decide": {"bootstrap": 210}}, train_on="gpu"
    )
    assert stack.settled(run)["state_type"] == "COMPLETED"
    filtered = {"flow_runs": {"parent_flow_run_id": {"any_": [run]}}}
    children = {c["name"].split()[-1]: c for c in stack.prefect("/flow_runs/filter", filtered)}
    assert set(children) == {"prepare", "train", "assess"}
    assert children["train"]["work_pool_name"] == "gpu"
    handed = children["train"]["parameters"]["prepared"]
    assert handed["clean"]["uri"].startswith("s3://plumbline/store/clean/")
    assert len(json.dumps(handed)) < 60_000
    # The page comes from the other worker's home, by way of MLflow.
    name = stack.prefect(f"/flow_runs/{run}")["name"]
    (page,) = (stack.home / "nights").glob(f"*-{name}-*/page.html")
    assert name in page.read_text("utf-8")
    assert list((stack.home / "stack/runs-gpu/runs/nights").glob(f"*-{name}-*/page.html"))
    stack.hears(f"{name} was refused")


def test_a_form_reads_no_other_file_and_a_failed_night_is_told_of(stack: Stack) -> None:
    # Not even with a variable that would lift the limit, as the form's last field offers.
    run = stack.begin(
        "trial",
        {"env": {"PLUMBLINE_SOURCES": ""}, "command": "true"},
        configuration={**_trial(seed=21), "source": {"location": "/etc/passwd", "format": "txt"}},
    )
    assert stack.settled(run)["state_type"] == "FAILED"
    name = stack.prefect(f"/flow_runs/{run}")["name"]
    told = stack.hears(f"{name} ended as Failed")
    assert "source.location is '/etc/passwd', which lies outside" in told["body"]


def test_a_night_that_a_critical_expectation_stops_is_told_of(stack: Stack) -> None:
    folder = stack.home / "stack/sources/sources"
    folder.mkdir(parents=True, exist_ok=True)
    spoilt = [f"<div><p>Row {i}</p></div> <b>broken</b> &amp; <i>left</i>" for i in range(80)]
    (folder / "noise.txt").write_text("\n".join(spoilt))
    source = {"location": str(folder / "noise.txt")}
    run = stack.begin("trial", configuration={**_trial(seed=21), "source": source})
    assert stack.settled(run)["state_type"] == "FAILED"
    assert "critical expectation" in stack.hears("validate stopped")["body"]


def test_everything_is_stopped_although_its_supervisor_was_killed(stack: Stack) -> None:
    services = state.read(stack.home / "stack").values()
    running = [told for told in services if is_alive(told.process)]
    assert len(running) >= 8
    supervisor = psutil.Process(int((stack.home / "stack/supervisor.pid").read_text()))
    supervisor.kill()
    supervisor.wait(10)
    assert any(is_alive(told.process) for told in running)
    assert "which outlived their supervisor" in stack.plumbline("stack", "down")
    time.sleep(1)
    assert not [told for told in running if is_alive(told.process)]


def _trial(seed: int) -> dict[str, Any]:
    return {**yaml.safe_load((ROOT / "deployments/smoke.yaml").read_text()), "seed": seed}
