"""The compose file, read as processes of this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from flows.automations import _automation, _read
from flows.stack import postgres, secrets, waiting
from flows.stack.compose import PORTS, Service, read_services, read_variables
from tasks.errors import UserError

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
MOVED = {name: port + 1000 for name, port in PORTS.items()}


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    secrets.make(tmp_path / ".env", ROOT / ".env.example")
    return read_variables(tmp_path / ".env")


@pytest.fixture
def services(variables: dict[str, str], tmp_path: Path) -> dict[str, Service]:
    found = read_services(COMPOSE, variables, tmp_path / "runs" / "stack", MOVED, ("gpu",))
    return {service.name: service for service in found}


def test_each_service_runs_its_own_command_with_this_machines_addresses_and_folders(
    services: dict[str, Service], tmp_path: Path
) -> None:
    home = tmp_path / "runs"
    declared = yaml.safe_load(COMPOSE.read_text())["services"]
    assert set(services) == set(declared)
    for name, service in services.items():
        assert len(service.command) == len(declared[name]["command"])
        assert service.command[0] == declared[name]["command"][0]
    assert services["prefect"].command[3:] == (
        "server", "start", "--host", "127.0.0.1", "--port", "5200", "--no-services",
    )  # fmt: skip
    assert services["s3"].command[-2:] == ("127.0.0.1:10000", str(home / "stack" / "objects"))
    assert services["worker-cpu"].environment["PLUMBLINE_HOME"] == str(home)
    assert services["worker-cpu"].environment["PGHOST"] == "127.0.0.1"
    assert services["worker-cpu"].environment["PGPORT"] == "6432"
    assert services["mlflow"].environment["MLFLOW_AUTH_CONFIG_PATH"] == str(
        ROOT / "deployments/mlflow-auth.ini"
    )
    assert (ROOT / "deployments/mlflow-auth.ini").exists()
    assert (
        services["prefect"].environment["PREFECT_SERVER_UI_API_URL"] == "http://127.0.0.1:5200/api"
    )
    assert "requirepass $REDIS_PASSWORD\n" in services["redis"].command[2]
    assert "--bind 127.0.0.1 --port 7379" in services["redis"].command[2]
    worker = services["worker-cpu"]
    sources = worker.environment["PLUMBLINE_SOURCES"].split(",")
    assert Path(sources[0]) in worker.folders
    assert sources[1] == "s3://plumbline/sources"


def test_what_a_person_sets_stays_as_it_is(variables: dict[str, str], tmp_path: Path) -> None:
    given = variables | {
        "PLUMBLINE_SOURCES": "/data/corpora", "PLUMBLINE_NOTIFY_WEBHOOK": "http://hook:5000/"
    }  # fmt: skip
    found = {s.name: s for s in read_services(COMPOSE, given, tmp_path, MOVED)}
    told = found["worker-cpu"].environment
    assert told["PLUMBLINE_SOURCES"] == "/data/corpora"
    assert told["PLUMBLINE_NOTIFY_WEBHOOK"] == "http://hook:5000/"


def test_everything_listens_on_loopback_and_no_name_of_a_service_is_left(
    services: dict[str, Service],
) -> None:
    for service in services.values():
        texts = [*service.command, *service.check, *service.environment.values()]
        for text in texts:
            assert "0.0.0.0" not in text
            assert not re.search(r"\b(postgres|redis|s3|prefect|mlflow):\d", text), text
            assert not re.search(r"(?<![\w/])/(app|data)\b", text), text


def test_a_service_comes_after_those_it_waits_for(services: dict[str, Service]) -> None:
    names = list(services)
    for service in services.values():
        assert all(names.index(other) < names.index(service.name) for other in service.after)
    assert "deploy" in services["worker-gpu"].after
    assert not services["deploy"].again


def test_a_profile_that_is_not_asked_for_is_left_out(
    variables: dict[str, str], tmp_path: Path
) -> None:
    found = [service.name for service in read_services(COMPOSE, variables, tmp_path)]
    assert "worker-cpu" in found
    assert "worker-gpu" not in found


def test_a_secret_that_is_missing_is_named(variables: dict[str, str], tmp_path: Path) -> None:
    del variables["REDIS_PASSWORD"]
    with pytest.raises(
        UserError, match=r"REDIS_PASSWORD is not set, which \w+ of the compose file"
    ):
        read_services(COMPOSE, variables, tmp_path)


def test_bad_files_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "round.yml").write_text(
        "services: {a: {command: [a], depends_on: {b: {}}}, b: {command: [b], depends_on: {a: {}}}}"
    )
    with pytest.raises(UserError, match="the services a, b wait for one another"):
        read_services(tmp_path / "round.yml", {}, tmp_path)
    (tmp_path / "none.yml").write_text("volumes: {}")
    with pytest.raises(UserError, match=r"none\.yml cannot be read"):
        read_services(tmp_path / "none.yml", {}, tmp_path)
    (tmp_path / ".env").write_text("A=1\nnonsense\n")
    with pytest.raises(UserError, match=r"\.env:2 is no assignment"):
        read_variables(tmp_path / ".env")


def test_secrets_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert secrets.make(path, ROOT / ".env.example")
    first = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert not secrets.make(path, ROOT / ".env.example")
    assert path.read_text() == first
    made = {name: value for name, value in read_variables(path).items() if name in first}
    assert made["PREFECT_AUTH"].startswith("plumbline:")
    assert len({made[name] for name in ("REDIS_PASSWORD", "MLFLOW_PASSWORD", "S3_SECRET")}) == 3
    assert re.search(r"^PLUMBLINE_NOTIFY_WEBHOOK=$", first, re.M)


def test_the_compose_file_holds_no_secret_and_publishes_on_loopback_only() -> None:
    text = COMPOSE.read_text()
    for service in yaml.safe_load(text)["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    secret = re.findall(r"^\s*(\w*(?:PASSWORD|SECRET|AUTH|KEY)\w*): (.*)$", text, re.M)
    given = [value for name, value in secret if not name.endswith(("CONFIG_PATH", "USERNAME"))]
    assert len(given) >= 10
    assert all("${" in value for value in given), given


def test_every_variable_is_explained_and_every_database_is_made() -> None:
    text = COMPOSE.read_text()
    explained = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"(?<!\$)\$\{(\w+)", text)) == set(
        re.findall(r"^(\w+)=", explained, re.M)
    )
    assert not re.search(r"^\w+=.", explained, re.M), "an example holds a secret"
    users = (ROOT / "deployments/mlflow-auth.ini").read_text()
    used = set(re.findall(r"postgresql(?:\+asyncpg)?:///(\w+)", text + users))
    script = (ROOT / "deployments/databases.sql").read_text()
    assert used == {*re.findall(r"CREATE DATABASE (\w+)", script), "prefect"}  # made by the image


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="apt-get install docker-compose")
def test_docker_compose_finds_the_file_valid(variables: dict[str, str], tmp_path: Path) -> None:
    told = "\n".join(f"{name}={value}" for name, value in variables.items() if name.isupper())
    (tmp_path / "all.env").write_text(told)
    command = [
        "docker-compose",
        "--env-file",
        str(tmp_path / "all.env"),
        "-f",
        str(COMPOSE),
        "config",
        "-q",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_trial_is_the_night_that_the_tests_run() -> None:
    declared = yaml.safe_load((ROOT / "deployments/prefect.yaml").read_text())["deployments"]
    trial = next(d for d in declared if d["name"] == "trial")
    smoke = yaml.safe_load((ROOT / "deployments/smoke.yaml").read_text())
    assert trial["parameters"] == {"configuration": smoke}


def test_every_automation_is_one_and_messages_wait_for_somebody_to_get_them() -> None:
    path = ROOT / "deployments/automations.yaml"
    items = _read(path)
    silent = [item for item in items if _automation(item, None, path) is None]
    assert {item["name"] for item in silent} == {
        "plumbline failed nights", "plumbline late nights", "plumbline refused candidates",
    }  # fmt: skip
    assert len(items) - len(silent) == 2
    with pytest.raises(UserError, match="the automation 'plumbline x' in"):
        _automation({"name": "plumbline x", "trigger": {"type": "never"}}, None, path)


def test_a_database_of_somebody_else_is_never_emptied(
    services: dict[str, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(postgres.shutil, "which", lambda *_, **__: "/usr/bin/initdb")
    service = services["postgres"]
    (folder,) = service.folders
    folder.mkdir(parents=True)
    (folder / "PG_VERSION").write_text("15")
    with pytest.raises(UserError, match="holds a database that this stack did not make"):
        postgres.prepare(service)
    assert (folder / "PG_VERSION").read_text() == "15"


def test_services_are_up_while_four_readers_of_groups_ask_for_messages() -> None:
    reading = [{"cmd": "xreadgroup", "idle": "1"}] * 4
    others = [{"cmd": "xread", "idle": "1"}, {"cmd": "exec", "idle": "0"}]
    assert waiting.readers(reading + others) == 4
    assert waiting.readers([*reading[1:], {"cmd": "xreadgroup", "idle": "90"}]) == 3


def test_every_server_and_worker_has_a_health_check() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    lasting = {name for name, told in services.items() if told.get("restart") != "no"}
    assert lasting == {name for name, told in services.items() if told.get("healthcheck")}
