"""A repair finds its night, says what the night lacks, and is one run however often it is run."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from flows.cli import main
from tasks.configuration import Configuration, Source
from tasks.errors import UserError
from tasks.records import Night, Outcome, Record
from tasks.repair import repairing, withdrawing
from tasks.repair.candidates import SCHEMA
from tasks.repair.configuration import Repair, RepairConfiguration
from tasks.repair.starting import starting_point, training
from tasks.stage import stage
from tasks.tracking import repairs, runs
from tasks.tracking.connection import client

CONFIGURATION = Configuration(seed=7, source=Source(people=33))


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path / "runs"))
    for name in ("TRACKING_URI", "STORE"):
        monkeypatch.delenv(f"PLUMBLINE_{name}", raising=False)


@stage
def left(*, name: str, rows: dict[str, str], out: Path) -> Outcome:
    """What a stage leaves: training rows by id."""
    frame = {"row_id": list(rows), "digest": list(rows.values()), "split": ["train"] * len(rows)}
    pl.DataFrame(frame).write_parquet(out / "corpus.parquet")
    return Outcome(summary=name)


@stage
def nothing(*, why: str, out: Path) -> Outcome:
    (out / "nothing.txt").write_text(why)
    return Outcome(summary=why, skipped=why)


ROWS = {f"{name}-0": f"digest of {name}" for name in "abcdef"}
ALL = ("hallucination", "trace", "ingest", "clean", "augment", "finetune")


def night(*titles: str, name: str = "monday", skipped: str = "") -> Night:
    opened = runs.open_night(name, CONFIGURATION, None)
    with runs.subflow("assess", CONFIGURATION, opened):
        for title in titles:
            if title == skipped:
                nothing(why="there are no probes", title=title)
            else:
                left(name=title, rows=ROWS, title=title)
    runs.close_night(opened, succeeded=True)
    return opened


def begun(**told: object) -> repairing.Begun:
    night(*ALL)
    with repairing.repair(RepairConfiguration(repair=Repair(**told))) as found:  # type: ignore[arg-type]
        return found


def test_a_night_that_lacks_what_a_repair_needs_is_refused_in_words() -> None:
    def refused(**told: str) -> str:
        with (
            pytest.raises(UserError) as said,
            repairing.repair(RepairConfiguration(**told)),  # type: ignore[arg-type]
        ):
            pass
        return str(said.value)

    assert "there is no night yet" in refused()
    night("hallucination", "clean")
    assert "night monday has no trace from its wrong answers to training rows" in refused()
    night("hallucination", "trace", name="tuesday")
    assert "left no whole 'ingest', 'clean', 'augment', 'finetune'" in refused(night="tuesday")
    night(*ALL, name="wednesday", skipped="hallucination")
    assert "night wednesday has no wrong answers to repair: there are no probes" in refused()
    assert "there is no night 'friday'" in refused(night="friday")


def test_a_repair_of_the_same_night_and_settings_is_one_run_and_no_night() -> None:
    opened = night(*ALL)
    first, second = (repairs.open_repair(opened, Repair(worst=3)) for _ in range(2))
    other = repairs.open_repair(opened, Repair(worst=4))
    assert first == second
    assert other.run_id != first.run_id
    repairs.log_outcome(first, "3 of 4 gone", {"targets_gone": 3.0})
    repairs.close_repair(first, succeeded=True)
    run = client().get_run(first.run_id)
    assert (run.info.status, run.data.metrics["targets_gone"]) == ("FINISHED", 3.0)
    assert run.data.tags["plumbline.night"] == opened.run_id
    assert run.data.tags["plumbline.kind"] == "repair"
    assert repairs.configuration_of(opened) == CONFIGURATION


def test_training_starts_where_the_night_did_and_never_from_the_nights_own_model() -> None:
    found = begun()
    assert starting_point(found) is None
    assert training(found, None) == CONFIGURATION.pretrain
    with pytest.raises(UserError, match="there is none beside the night's own model"):
        starting_point(begun(start="champion"))


def test_a_share_of_the_tokens_needs_a_model_to_go_on_from() -> None:
    found = begun(tokens_share=0.25)
    with pytest.raises(UserError, match="the night started from scratch"):
        training(found, None)
    start = found.left["finetune"]
    assert training(found, start).tokens == CONFIGURATION.pretrain.tokens // 4


def proposal(*names: str) -> Record:
    """A proposal of rows, each with a copy."""

    @stage
    def proposed(*, names: list[str], out: Path) -> Outcome:
        row = {
            "proposed": True, "reason": "", "score": 1.0, "rank": 1, "wrong": ["p"], "right": [],
            "cost": [], "stated": 1, "contradicted": 2, "made_up": [], "excerpt": "",
        }  # fmt: skip
        rows = [
            row | {"row_id": f"{n}-0", "digest": ROWS[f"{n}-0"], "copies": [f"{n}-1"],
                   "copy_digests": [f"copy of {n}"]}
            for n in names
        ]  # fmt: skip
        pl.DataFrame(rows, SCHEMA).write_parquet(out / "proposal.parquet")
        return Outcome(summary="")

    return proposed(names=list(names))


def test_what_is_accepted_is_withdrawn_once_and_the_control_draws_other_rows() -> None:
    found, made = begun(accept="rows", rows=("a-0",), by="ann", why="false"), proposal("a", "b")
    taken = withdrawing.withdraw(found, made)
    assert taken.rows == ("a-0",)
    assert taken.effect.digests == ("copy of a", "digest of a")
    assert withdrawing.withdraw(found, made) == taken
    drawn = withdrawing.random_rows(found, made, taken)
    assert drawn == withdrawing.random_rows(found, made, taken)
    (digest,) = drawn.digests
    assert digest in {ROWS[f"{name}-0"] for name in "cdef"}  # no candidate, and nothing withdrawn


def test_other_rows_that_cleaning_moved_are_counted() -> None:
    found, made = begun(accept="all", by="ann", why="false"), proposal("a")
    taken = withdrawing.withdraw(found, made)
    after = left(name="clean", rows=dict.fromkeys(("b-0", "c-0", "d-0", "e-0", "z-0"), ""))
    assert withdrawing.other_changes(found.left["clean"], after, taken) == {
        "came back": 1, "went besides": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--accept", "all"), "repair.by is empty"),
        (("last", "--accept", "rows=a-0", "--by", "ann"), "repair.why is empty"),
        (("--accept", "some"), "--accept some is neither `all` nor `rows=ID,ID`"),
        (("--accept", "rows="), "--accept rows= is neither"),
        (("--accept", "all", "--rule", "contradicted"), "both --accept and --rule are given"),
        (("repair.worst=0",), "repair.worst: Input should be greater than or equal to 1"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused_in_words(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["repair", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_arguments_come_to_a_configuration() -> None:
    import argparse

    from flows import repair_command

    parser = argparse.ArgumentParser()
    repair_command.add(parser.add_subparsers(), lambda options: 0)

    def read(*arguments: str) -> RepairConfiguration:
        return repair_command.configuration(parser.parse_args(["repair", *arguments]))

    assert read() == RepairConfiguration()
    assert read("12345678").night == "12345678"
    assert read("repair.worst=3").repair.worst == 3
    signed = ("--by", "ann: me", "--why", "it's [false]")
    told = read("monday", "repair.worst=3", "--accept", "rows=a-0, 12-1", *signed).repair
    assert (told.accept, told.rows, told.by, told.why) == (
        "rows", ("a-0", "12-1"), "ann: me", "it's [false]",
    )  # fmt: skip
    assert read("--rule", "contradicted", *signed).repair.accept == "rule"
