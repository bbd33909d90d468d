"""The night that drift is measured from: the last accepted one, a chosen one, or a folder."""

from pathlib import Path

import pytest

from tasks.configuration import Configuration
from tasks.errors import UserError
from tasks.records import Outcome, Record
from tasks.stage import stage
from tasks.tracking import references, runs


@stage
def snapshot(*, text: str, out: Path) -> Outcome:
    (out / "text.txt").write_text(text)
    return Outcome(summary="kept")


@stage
def pretrain(taken: Path, *, out: Path) -> Outcome:
    (out / "model.txt").write_text((taken / "text.txt").read_text())
    return Outcome(summary="trained")


@stage
def decide(taken: Path, *, promoted: bool, out: Path) -> Outcome:
    return Outcome(summary="decided", metrics={"promoted": float(promoted)})


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path / "runs"))
    monkeypatch.delenv("PLUMBLINE_TRACKING_URI", raising=False)
    monkeypatch.delenv("PLUMBLINE_STORE", raising=False)


def night(text: str, *, promoted: bool = True) -> tuple[Record, str]:
    opened = runs.open_night(f"night-{text}", Configuration(), None)
    with runs.subflow("prepare", Configuration(), opened):
        record = snapshot(text=text)
    with runs.subflow("train", Configuration(), opened):
        pretrain(record)
    with runs.subflow("assess", Configuration(), opened):
        decide(record, promoted=promoted)
    runs.close_night(opened, succeeded=True)
    return record, opened.run_id


def test_drift_is_measured_from_the_last_night_whose_model_was_accepted() -> None:
    assert references.of_night("last accepted", "snapshot", snapshot(text="tonight")) is None
    monday, run_id = night("monday")
    tuesday, _ = night("tuesday", promoted=False)
    tonight = snapshot(text="tonight")
    assert references.of_night("last accepted", "snapshot", tonight) == monday
    assert references.of_night("night-tuesday", "snapshot", tonight) == tuesday
    assert references.of_night(run_id, "snapshot", tonight) == monday
    # A repeated night is measured from where it was measured from before.
    assert references.of_night("last accepted", "snapshot", monday) is None
    with pytest.raises(UserError, match="validation.reference is 'wednesday': there is no night"):
        references.of_night("wednesday", "snapshot", tonight)
    with pytest.raises(UserError, match="the night left no whole 'snapshot_clean' in the store"):
        references.of_night(run_id, "snapshot_clean", tonight)


def test_a_folder_is_meant_where_there_is_one(tmp_path: Path) -> None:
    assert references.folder_of(str(tmp_path)) == tmp_path
    assert references.folder_of(str(tmp_path / "no")) is None
    assert references.folder_of("last accepted") is references.folder_of("none") is None
