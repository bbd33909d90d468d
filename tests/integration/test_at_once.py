"""Two nights at once in one home: neither meets a half-made table, and a model is registered once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks.records import Night, Outcome, Record
from tasks.tracking import registering
from tasks.tracking.registry import Standing

FIRST_QUESTION = """
import mlflow
from tasks.tracking.connection import experiment_id

print("ready", flush=True)
input()
print(experiment_id())
"""


@pytest.mark.slow
def test_processes_that_first_ask_at_the_same_moment_are_all_answered(tmp_path: Path) -> None:
    environment = {**os.environ, "PLUMBLINE_HOME": str(tmp_path / "runs")}
    environment.pop("PLUMBLINE_TRACKING_URI", None)
    asking = [
        subprocess.Popen(
            [sys.executable, "-c", FIRST_QUESTION], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]  # fmt: skip
    for process in asking:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in asking:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    told = [process.communicate(timeout=120) for process in asking]
    assert [process.returncode for process in asking] == [0, 0, 0], told
    assert len({out for out, _ in told}) == 1


@pytest.mark.slow
def test_a_first_question_that_is_killed_half_way_leaves_no_half_made_tables(
    tmp_path: Path,
) -> None:
    home = tmp_path / "runs"
    environment = {**os.environ, "PLUMBLINE_HOME": str(home)}
    environment.pop("PLUMBLINE_TRACKING_URI", None)
    line = [sys.executable, "-c", FIRST_QUESTION]
    killed = subprocess.Popen(
        line, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    assert killed.stdin is not None
    killed.stdin.write(b"\n")
    killed.stdin.flush()
    part = home / "mlflow.part"
    deadline = time.monotonic() + 120
    while not (part.exists() and part.stat().st_size > 100_000):  # of some 600,000
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.001)
    killed.kill()
    killed.communicate()
    assert not (home / "mlflow.db").exists()
    done = subprocess.run(
        line, env=environment, input="\n", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not part.exists()


def test_a_model_that_two_nights_settle_at_once_is_registered_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path / "runs"))
    made: list[SimpleNamespace] = []

    def register(*_: object, **__: object) -> SimpleNamespace:
        time.sleep(0.2)  # in which the other night asks whether it is registered
        made.append(SimpleNamespace(version=str(len(made) + 1)))
        return made[-1]

    monkeypatch.setattr(registering, "_register", register)
    monkeypatch.setattr(registering, "version_of", lambda _: made[-1] if made else None)
    monkeypatch.setattr(registering, "current", lambda: made[-1] if made else None)
    told: list[str] = []

    def settle(name: str) -> None:
        night = Night(name=name, run_id=name, started="")
        standing = Standing(opponent=None, champion_version=None)
        told.append(registering.settle(night, record("finetune"), record("decide"), standing))

    nights = [threading.Thread(target=settle, args=(name,)) for name in ("heron", "otter")]
    for night in nights:
        night.start()
    for night in nights:
        night.join()
    assert len(made) == 1
    assert told == ["version 1 of plumbline is champion"] * 2


def record(stage: str) -> Record:
    outcome = Outcome(summary="", metrics={"promoted": 1.0})
    return Record(stage=stage, key="k", uri="u", digest="d" * 64, seconds=1.0, outcome=outcome)
