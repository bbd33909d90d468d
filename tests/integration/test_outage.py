"""A night goes on while MLflow is away, and MLflow is told everything afterwards, once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tasks.configuration import Configuration
from tasks.records import Outcome
from tasks.stage import stage
from tasks.tracking import outbox, patience, runs
from tasks.tracking.connection import client


@stage
def count(*, text: str, out: Path) -> Outcome:
    (out / "note.txt").write_text(text)
    return Outcome(
        summary="counted", metrics={"letters": float(len(text))}, artifacts=("note.txt",)
    )


class Server:
    """An MLflow server on loopback that can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(self.port),
             "--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}",
             "--artifacts-destination", str(self.folder / "artifacts")],
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true",
                 "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        for _ in range(600):
            try:
                urlopen(f"{self.uri}/health", timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the server did not start")

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, 9)
            self.process.wait()
            self.process = None


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server(tmp_path)
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path / "runs"))
    monkeypatch.setenv("PLUMBLINE_TRACKING_URI", made.uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(outbox, "_failed_at", [float("-inf")])
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.mark.slow
def test_stages_finish_while_mlflow_is_away_and_it_is_told_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = runs.open_night("heron", Configuration(), None)
    with runs.subflow("prepare", Configuration(), night):
        run_id = runs.current_run()
        assert run_id is not None
        count(text="before", title="first")
        server.stop()
        count(text="while it is away", title="second")
        count(text="still", title="third")
        assert outbox.waiting() == 2
        server.start()
        monkeypatch.setattr(outbox, "_failed_at", [float("-inf")])  # the minute's rest is over
        count(text="afterwards", title="fourth")
    runs.close_night(night, succeeded=True)
    assert outbox.waiting() == 0

    told = client().get_run(run_id)
    for title, text in (("first", "before"), ("second", "while it is away"), ("third", "still"),
                        ("fourth", "afterwards")):  # fmt: skip
        values = [m.value for m in client().get_metric_history(run_id, f"{title}.letters")]
        assert values == [len(text)]
        assert [f.path for f in client().list_artifacts(run_id, title)] == [f"{title}/note.txt"]
    assert told.info.status == "FINISHED"
    assert client().get_run(night.run_id).info.status == "FINISHED"


@pytest.mark.slow
def test_a_delivery_that_breaks_off_is_repeated_without_a_figure_told_twice(server: Server) -> None:
    night = runs.open_night("heron", Configuration(), None)
    with runs.subflow("prepare", Configuration(), night):
        run_id = runs.current_run()
        assert run_id is not None
        record = count(text="once", title="first")
    report = outbox.StageReport(
        run_id=run_id, title="again", record=record, folder=record.uri, seconds=1.0,
        reused=False, at=outbox.now(),
    )  # fmt: skip
    report.deliver()
    client().delete_tag(run_id, "plumbline.stage.again")  # as if it had not come that far
    report.deliver()
    assert len(client().get_metric_history(run_id, "again.letters")) == 1


@pytest.mark.slow
def test_whoever_needs_an_answer_waits_for_it_and_gives_up_by_name(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = runs.open_night("heron", Configuration(), None)
    server.stop()
    monkeypatch.setenv("PLUMBLINE_MLFLOW_PATIENCE", "0.001")
    monkeypatch.setattr(patience, "_SECONDS_BETWEEN", 0.01)
    with pytest.raises(patience.Unreachable, match=f"MLflow at {server.uri} went away"):
        client().get_run(night.run_id)
    monkeypatch.setenv("PLUMBLINE_MLFLOW_PATIENCE", "5")
    asked = []

    def restart_at_the_third_attempt() -> str:
        asked.append(1)
        if len(asked) == 3:
            server.start()
        return str(client()._client.get_run(night.run_id).info.run_name)  # type: ignore[attr-defined]

    assert patience.patiently(restart_at_the_third_attempt) == "heron"
    assert len(asked) == 3


def test_a_server_that_says_no_is_not_away() -> None:
    from mlflow.exceptions import MlflowException

    assert not patience.is_away(MlflowException("Run 'x' not found"))
    assert patience.is_away(MlflowException("API request to http://x failed with exception y"))
    assert patience.is_away(
        MlflowException("API request to endpoint /x failed with error code 503")
    )
    assert patience.is_away(ConnectionRefusedError(111, "Connection refused"))
