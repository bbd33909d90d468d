"""Earlier nights are found again, in an order that a repeated night finds too."""

from pathlib import Path

import pytest

from tasks.configuration import Configuration
from tasks.errors import UserError
from tasks.manifest import MANIFEST
from tasks.records import Outcome, Record
from tasks.stage import stage
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


@stage
def decide(corpus: Path, *, promoted: bool, out: Path) -> Outcome:
    (out / "verdict.txt").write_text(str(promoted))
    return Outcome(summary="decided", metrics={"promoted": float(promoted)})


@stage
def clean(corpus: Path, *, out: Path) -> Outcome:
    (out / "corpus.txt").write_text((corpus / "corpus.txt").read_text() + ", cleaned")
    return Outcome(summary="cleaned")


def judged(text: str, *, promoted: bool) -> Record:
    opened = runs.open_night(f"night-{text}", Configuration(), None)
    with runs.subflow("prepare", Configuration(), opened):
        record = augment(text=text)
        cleaned = clean(record)
    with runs.subflow("train", Configuration(), opened):
        pretrain(cleaned)
        decide(cleaned, promoted=promoted)
    runs.close_night(opened, succeeded=True)
    return record


def test_nights_are_told_apart_by_another_stage_and_only_accepted_ones_are_found_if_asked() -> None:
    monday = judged("monday", promoted=True)
    tuesday = judged("tuesday", promoted=False)
    tonight = augment(text="tonight")

    def corpora(tonight: Record, *, accepted: bool) -> list[str]:
        records = history.earlier("clean", 9, tonight, like="augment", accepted=accepted)
        return [(Path(record.uri) / "corpus.txt").read_text() for record in records]

    assert corpora(tonight, accepted=False) == ["tuesday, cleaned", "monday, cleaned"]
    assert corpora(tonight, accepted=True) == ["monday, cleaned"]
    assert corpora(tuesday, accepted=True) == ["monday, cleaned"]
    assert corpora(monday, accepted=False) == []


def test_a_night_is_found_by_name_by_run_and_as_the_last_one_whatever_became_of_it() -> None:
    def asked(name: str | None) -> str:
        return (
            Path(history.night(name, ("augment",))[1]["augment"].uri) / "corpus.txt"
        ).read_text()

    with pytest.raises(UserError, match="there is no night yet"):
        asked(None)
    night("monday")
    night("tuesday", succeeded=False, trained=False)
    assert asked(None) == asked("last") == "tuesday"
    assert asked("night-monday") == "monday"
    assert asked(history.night("night-monday", ("augment",))[0].run_id[:8]) == "monday"
    with pytest.raises(UserError, match=r"no night 'wednesday'\n.* night-tuesday .*night-monday"):
        asked("wednesday")


def test_a_night_that_left_nothing_whole_says_so() -> None:
    (Path(night("monday").uri) / MANIFEST).unlink()
    with pytest.raises(UserError, match="the night left no whole 'augment' in the store"):
        history.night("night-monday", ("augment",))


def test_what_a_stage_left_is_found_again_by_its_contents() -> None:
    monday = night("monday")
    night("tuesday")
    assert history.left("augment", monday.digest) == monday
    assert history.left("augment", "0" * 64) is None
    assert history.left("clean", monday.digest) is None
    (Path(monday.uri) / MANIFEST).unlink()
    assert history.left("augment", monday.digest) is None
