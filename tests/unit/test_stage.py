"""The mechanism: a stage runs once per key, and its failure has a name."""

from pathlib import Path

import pytest

from tasks.configuration import Cleaning, Pretraining
from tasks.errors import Refused, StageFailed, UserError
from tasks.records import Outcome, Rows
from tasks.stage import open_store, stage

calls: list[str] = []


@stage
def letters(*, config: Cleaning, seed: int, out: Path) -> Outcome:
    calls.append("letters")
    (out / "text.txt").write_text(f"{config.fix_unicode} {seed}")
    return Outcome(summary="wrote", rows=Rows(entered=2, kept=1, quarantined=1))


@stage
def doubled(letters: Path, *, out: Path) -> Outcome:
    calls.append("doubled")
    (out / "text.txt").write_text((letters / "text.txt").read_text() * 2)
    return Outcome(summary="doubled")


@stage
def fragile(*, how: str, out: Path) -> Outcome:
    (out / "half.txt").write_text("half")
    if how == "user":
        raise UserError("column 'texd' is missing", "There is 'text'.")
    if how == "refuse":
        return Outcome(summary="looked", refusal="expectation x failed")
    raise ZeroDivisionError("by zero")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path / "runs"))
    monkeypatch.delenv("PLUMBLINE_STORE", raising=False)
    calls.clear()


def test_the_same_key_is_computed_once_and_a_changed_one_again() -> None:
    first = letters(config=Cleaning(), seed=1)
    assert letters(config=Cleaning(), seed=1) == first
    assert calls == ["letters"]
    assert letters(config=Cleaning(), seed=2).key != first.key
    assert letters(config=Cleaning(fix_unicode=False), seed=1).key != first.key


def test_what_changes_no_result_changes_no_key() -> None:
    often, seldom = (
        letters.key({"config": Pretraining(checkpoint_seconds=seconds), "seed": 1})
        for seconds in (5, 300)
    )
    assert often == seldom
    other = letters.key({"config": Pretraining(checkpoint_seconds=5, layers=3), "seed": 1})
    assert other != often


def test_a_stage_depends_on_the_contents_of_its_inputs_not_on_their_keys() -> None:
    one = letters(config=Cleaning(), seed=1)
    same = letters(config=Cleaning(mask_pii=False), seed=1)  # another key, the same bytes
    assert one.key != same.key
    assert doubled(one) == doubled(same)
    assert calls.count("doubled") == 1


def test_a_damaged_input_is_recomputed_not_used() -> None:
    record = letters(config=Cleaning(), seed=1)
    (Path(record.uri) / "text.txt").write_text("tampered")
    assert letters(config=Cleaning(), seed=1).digest == record.digest
    assert calls == ["letters", "letters"]


def test_checkpoints_of_a_process_killed_after_its_commit_go_when_its_result_is_reused() -> None:
    record = letters(config=Cleaning(), seed=1)
    scratch = open_store().scratch("letters", record.key)
    (scratch / "step-10").write_text("x")
    assert letters(config=Cleaning(), seed=1) == record
    assert not scratch.exists()


def test_an_unforeseen_error_names_the_stage_and_keeps_the_traceback(tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match=r"stage 'fragile' failed: ZeroDivisionError: by zero"):
        fragile(how="bug")
    (log,) = (tmp_path / "runs" / "errors").iterdir()
    assert "ZeroDivisionError" in log.read_text()


def test_a_users_mistake_comes_through_unchanged_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="column 'texd' is missing"):
        fragile(how="user")
    assert not list((tmp_path / "runs" / "store").glob("fragile/*"))


def test_a_refusal_keeps_the_folder_and_refuses_again_without_computing() -> None:
    for _ in range(2):
        with pytest.raises(Refused, match="expectation x failed"):
            fragile(how="refuse")


def test_lost_rows_are_an_error() -> None:
    with pytest.raises(ValueError, match="rows were lost: 10 entered, 7 kept, 2 quarantined"):
        Rows(entered=10, kept=7, quarantined=2)


def test_a_misspelt_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="seed"):
        letters(config=Cleaning(), sed=1)
