"""Earlier nights are found again, in an order that a repeated night finds too."""

from pathlib import Path

import pytest

from tasks.configuration import Configuration
from tasks.records import Outcome, Record
from tasks.stage import stage
from tasks.store import MANIFEST
from tasks.tracking import history, runs


@stage
def augment(*, text: str, out: Path) -> Outcome:
    (out / "corpus.txt").write_text(text)
    return Outcome(summary="wrote")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path / "runs"))
    monkeypatch.delenv("PLUMBLINE_TRACKING_URI", raising=False)
    monkeypatch.delenv("PLUMBLINE_STORE", raising=False)


@stage
def pretrain(corpus: Path, *, out: Path) -> Outcome:
    (out / "model.txt").write_text((corpus / "corpus.txt").read_text())
    return Outcome(summary="trained")


def night(text: str, *, succeeded: bool = True, trained: bool = True) -> Record:
    opened = runs.open_night(f"night-{text}", Configuration(), None)
    with runs.subflow("prepare", Configuration(), opened):
        record = augment(text=text)
    if trained:
        with runs.subflow("train", Configuration(), opened):
            pretrain(record)
    runs.close_night(opened, succeeded=succeeded)
    return record


def found(most: int, tonight: Record) -> list[str]:
    records = history.earlier("augment", most, tonight)
    return [(Path(record.uri) / "corpus.txt").read_text() for record in records]


def test_the_last_finished_nights_are_found_newest_first() -> None:
    monday, tuesday = night("monday"), night("tuesday")
    night("failed", succeeded=False)
    night("only looked at", trained=False)
    wednesday = night("wednesday")
    tonight = augment(text="tonight")
    assert found(2, tonight) == ["wednesday", "tuesday"]
    assert found(9, tonight) == ["wednesday", "tuesday", "monday"]
    # A night that is repeated finds what it found the first time.
    assert found(9, wednesday) == ["tuesday", "monday"]
    night("tuesday")
    assert found(9, tuesday) == ["monday"]
    assert found(9, monday) == []
    assert found(9, tonight) == ["tuesday", "wednesday", "monday"]


def test_a_night_whose_output_is_damaged_is_passed_over() -> None:
    monday = night("monday")
    tuesday = night("tuesday")
    (Path(tuesday.uri) / MANIFEST).unlink()
    assert found(9, augment(text="tonight")) == ["monday"]
    (Path(monday.uri) / "corpus.txt").write_text("tampered")
    assert found(9, augment(text="tonight")) == []


def test_what_a_stage_left_is_found_again_by_its_contents() -> None:
    monday = night("monday")
    night("tuesday")
    assert history.left("augment", monday.digest) == monday
    assert history.left("augment", "0" * 64) is None
    assert history.left("clean", monday.digest) is None
    (Path(monday.uri) / MANIFEST).unlink()
    assert history.left("augment", monday.digest) is None
