"""The servers of `make ui`, on loopback."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PLUMBLINE = Path(sys.executable).with_name("plumbline")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PLUMBLINE_"))}
    return {**kept, "PLUMBLINE_HOME": str(home), **more}


def post(url: str, body: dict) -> list[dict]:
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, str]]:
    home = tmp_path_factory.mktemp("ui") / "runs"
    ports = free_port(), free_port()
    command = [PLUMBLINE, "ui", "--prefect-port", str(ports[0]), "--mlflow-port", str(ports[1])]
    process = subprocess.Popen(command, env=environment(home), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    try:
        assert lines[0].split() == ["prefect", f"http://127.0.0.1:{ports[0]}"], lines
        assert lines[1].split() == ["mlflow", f"http://127.0.0.1:{ports[1]}"], lines
        yield home, lines[0].split()[1], lines[1].split()[1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.mark.slow
def test_both_uis_answer_on_loopback(ui: tuple[Path, str, str]) -> None:
    for address in ui[1:]:
        with urlopen(address, timeout=30) as page:
            assert b"<html" in page.read().lower()
    with urlopen(f"{ui[1]}/ui-settings", timeout=30) as settings:
        assert json.load(settings)["api_url"] == f"{ui[1]}/api"


@pytest.mark.slow
def test_deploying_twice_gives_each_deployment_once_and_the_nightly_its_schedule(
    ui: tuple[Path, str, str],
) -> None:
    home, prefect, _ = ui
    for _ in range(2):  # the address comes from the note that the running UI leaves
        subprocess.run(
            [PLUMBLINE, "deploy"], env=environment(home), check=True, capture_output=True
        )
    declared = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]
    found = post(f"{prefect}/api/deployments/filter", {})
    assert sorted(d["name"] for d in found) == sorted(d["name"] for d in declared)
    nightly = next(d for d in found if d["name"] == "nightly")
    assert [s["schedule"]["cron"] for s in nightly["schedules"]] == ["0 2 * * *"]
    form = nightly["parameter_openapi_schema"]["definitions"]["Pretraining"]["properties"][
        "mask_rate"
    ]
    assert form["description"]
    assert form["exclusiveMaximum"] == 1
    # A schedule that silently creates no runs is the trap that the sqlalchemy pin avoids.
    deadline = time.monotonic() + 90
    runs: list[dict] = []
    while not runs and time.monotonic() < deadline:
        time.sleep(1)
        wanted = {"flow_runs": {"deployment_id": {"any_": [nightly["id"]]}}}
        runs = post(f"{prefect}/api/flow_runs/filter", wanted)
    assert {run["state_name"] for run in runs} == {"Scheduled"}


@pytest.mark.slow
def test_a_taken_port_is_one_error_that_names_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [PLUMBLINE, "ui", "--mlflow-port", str(port), "--prefect-port", str(free_port())]
        done = subprocess.run(
            command, env=environment(tmp_path / "runs"), capture_output=True, text=True, check=False
        )
    assert done.returncode == 2
    assert f"port {port} for the mlflow UI is taken" in done.stderr
    assert "Traceback" not in done.stderr


def test_deploying_without_a_server_says_how_to_start_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [PLUMBLINE, "deploy"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no Prefect server answers on this machine" in done.stderr
    assert "make ui" in done.stderr
