"""A night that computes again from a stage on, and one that takes an earlier night's rows."""

from pathlib import Path

import pytest

from tasks.again import is_outdated, starting_from
from tasks.corpus.reuse_rows import reuse_rows
from tasks.records import Outcome, Rows
from tasks.stage import stage
from tasks.store import Store

BEGAN = "2026-01-02T02:00:00+00:00"
BEFORE, AFTER = 1_767_300_000.0, 1_767_400_000.0  # an hour or more to either side of it
COMPUTED: list[str] = []


@stage
def tokenize(*, seed: int, out: Path) -> Outcome:
    """Stand in for the stage of that name."""
    COMPUTED.append("tokenize")
    (out / "file").write_text(str(seed))
    return Outcome(summary="made")


def test_nothing_is_outdated_unless_a_night_asks_for_it() -> None:
    assert not is_outdated("clean", BEFORE)
    with starting_from(None, BEGAN):
        assert not is_outdated("clean", BEFORE)


@pytest.mark.parametrize(
    ("title", "finished", "outdated"),
    [
        ("profile", BEFORE, False),  # before the stage
        ("clean", BEFORE, True),
        ("quality", BEFORE, True),
        ("champion_quality", BEFORE, True),
        ("champion", BEFORE, False),  # brought, not computed
        ("quality", AFTER, False),  # of this very night, which was interrupted
    ],
)
def test_from_the_stage_on_what_is_older_than_the_night_is_outdated(
    title: str, finished: float, outdated: bool
) -> None:
    with starting_from("clean", BEGAN):
        assert is_outdated(title, finished) is outdated
    assert not is_outdated(title, finished)


@pytest.mark.parametrize(("first", "times"), [(None, 0), ("pretrain", 0), ("tokenize", 1)])
def test_a_stage_is_computed_again_only_if_the_night_starts_from_it_or_before(
    first: str | None, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path))
    before = tokenize(seed=1)
    COMPUTED.clear()
    with starting_from(first, "2099-01-01T00:00:00+00:00"):  # type: ignore[arg-type]
        record = tokenize(seed=1)
    assert ["tokenize"] * times == COMPUTED
    assert record.digest == before.digest


def test_rows_taken_over_are_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path))
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    with store.work("ingest", "k" * 40) as folder:
        (folder / "corpus.parquet").write_bytes(b"rows")
        outcome = Outcome(
            summary="3 rows kept, 1 quarantined", rows=Rows(entered=4, kept=3, quarantined=1)
        )
        left = store.commit(folder, "ingest", "k" * 40, outcome, 1.0)
    taken = reuse_rows(left, title="ingest")
    assert taken.digest == left.digest
    assert taken.outcome.rows == outcome.rows
    assert taken.outcome.summary == "3 rows kept, 1 quarantined, as an earlier night read them"
    again = reuse_rows(taken, title="ingest")
    assert again.outcome.summary == taken.outcome.summary
