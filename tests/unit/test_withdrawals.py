"""Withdrawn rows are taken out by the next night, by their text; a release undoes it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tasks.configuration import Cleaning, Profiling
from tasks.corpus.clean import clean
from tasks.corpus.profile import profile
from tasks.corpus.quarantine import releases, releasing, shelf, withdrawals
from tasks.corpus.quarantine.releases import ReleasedRow
from tasks.corpus.quarantine.spared import Released
from tasks.corpus.quarantine.withdrawals import Withdrawal, WithdrawnRow
from tasks.corpus.quarantine.withdrawn import Withdrawn
from tasks.corpus.rows import BASE, digest, row_ids
from tasks.errors import UserError
from tasks.log import Log
from tasks.records import Outcome
from tasks.store import Store
from tasks.training.replay import replay

FALSE = "Anna Vale was born in the town of Ost and works there as a baker to this day."
NEAR = FALSE.replace("works", "still works")
OTHER = "The ferry to the northern island leaves at dawn and comes back long after the sun has set."
NOISE = "xqzj vkwp qqzx jvbk wzxq pfgq zzkv xwjq kqvz bxjq vwzk qjxz"
GONE = Withdrawn(digests=(digest(FALSE),))


def run(
    root: Path,
    rows: list[tuple[str, str]],
    withdrawn: Withdrawn | None,
    released: Released | None = None,
) -> tuple[Outcome, list[tuple[str, str]], list[str]]:
    """Profile and clean (split, text) rows: the outcome, what is in quarantine, and what is kept."""
    ingested, profiled, out = (root / name for name in ("ingested", "profiled", "cleaned"))
    for folder in (ingested, profiled, out):
        folder.mkdir(parents=True)
    texts = [text for _, text in rows]
    digests = [digest(text) for text in texts]
    columns = {
        "row_id": row_ids(digests), "digest": digests, "text": texts, "label": "1",
        "split": [split for split, _ in rows], "source": "s", "timestamp": None,
    }  # fmt: skip
    pl.DataFrame(columns, schema=BASE).write_parquet(ingested / "corpus.parquet")
    profile.fn(ingested, config=Profiling(), out=profiled, log=Log())
    outcome = clean.fn(
        ingested, profiled, config=Cleaning(), withdrawn=withdrawn, released=released, out=out,
        log=Log(),
    )  # fmt: skip
    gone = pl.read_parquet(out / "quarantine.parquet").select("text", "reason").rows()
    return outcome, gone, pl.read_parquet(out / "corpus.parquet")["text"].to_list()


# --- what the next night does ---


def test_every_copy_of_a_withdrawn_text_goes_with_its_reason_and_no_row_is_lost(
    tmp_path: Path,
) -> None:
    rows = [("train", FALSE), ("train", OTHER), ("train", FALSE)]
    outcome, gone, kept = run(tmp_path, rows, GONE)
    assert gone == [(FALSE, "repair")] * 2
    assert kept == [OTHER]
    assert outcome.rows is not None
    assert (outcome.rows.entered, outcome.rows.kept, outcome.rows.quarantined) == (3, 1, 2)
    assert outcome.metrics["quarantined_repair"] == 2


def test_a_held_out_row_of_a_withdrawn_text_stays(tmp_path: Path) -> None:
    _, gone, kept = run(tmp_path, [("train", OTHER), ("test", FALSE)], GONE)
    assert gone == []
    assert kept == [OTHER, FALSE]


def test_the_near_copy_of_a_withdrawn_row_is_a_copy_no_more(tmp_path: Path) -> None:
    rows = [("train", FALSE), ("train", NEAR), ("train", OTHER)]
    assert run(tmp_path / "one", rows, None)[1] == [(NEAR, "near_duplicate")]
    _, gone, kept = run(tmp_path / "two", rows, GONE)
    assert gone == [(FALSE, "repair")]
    assert kept == [NEAR, OTHER]


def test_a_withdrawn_row_with_a_fault_of_its_own_keeps_that_reason(tmp_path: Path) -> None:
    rows = [("train", NOISE), ("train", OTHER)]
    _, gone, _ = run(tmp_path, rows, Withdrawn(digests=(digest(NOISE),)))
    assert gone == [(NOISE, "gibberish")]


def test_a_release_puts_a_withdrawn_row_back(tmp_path: Path) -> None:
    rows = [("train", FALSE), ("train", OTHER)]
    for number, released in enumerate(
        (Released(rows={digest(FALSE): ("repair",)}), Released(rules=("repair",)))
    ):
        outcome, gone, kept = run(tmp_path / str(number), rows, GONE, released)
        assert (gone, kept) == ([], [FALSE, OTHER])
        assert outcome.metrics["released_repair"] == 1


def test_a_withdrawn_row_of_an_earlier_night_is_not_replayed(tmp_path: Path) -> None:
    tonight, profiled, earlier, out = (tmp_path / n for n in ("now", "profile", "then", "out"))
    for folder in (tonight, profiled, earlier, out):
        folder.mkdir()
    schema = {"row_id": pl.String, "text": pl.String, "split": pl.String}
    pl.DataFrame([("b-0", OTHER, "train")], schema, orient="row").write_parquet(
        tonight / "corpus.parquet"
    )
    (name,) = row_ids([digest(FALSE)])
    rows = [(name, f"{FALSE} Repaired.", "train"), ("c-0", NEAR.upper(), "train")]
    pl.DataFrame(rows, schema, orient="row").write_parquet(earlier / "corpus.parquet")
    (profiled / "profile.json").write_text('{"settings": {}}')
    replay.fn(
        tonight, profiled, earlier={"night-01": earlier}, withheld={}, withdrawn=GONE, out=out,
        log=Log(),
    )  # fmt: skip
    assert pl.read_parquet(out / "replay.parquet")["row_id"].to_list() == ["c-0"]


# --- the list ---


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), tmp_path / "cache")


def line(*names: str, why: str = "false; see page 3") -> Withdrawal:
    rows = tuple(WithdrawnRow(row_id=f"{name}-0", digest=digest(name)) for name in names)
    return Withdrawal(who="ann", why=why, chosen="rows", rows=rows)


def test_the_list_keeps_who_when_why_and_what_and_a_second_time_writes_nothing(
    store: Store,
) -> None:
    made = withdrawals.add(line("a", "b"), store)
    assert made is not None
    assert (made.number, made.who, bool(made.when)) == (1, "ann", True)
    before = store.read_file(withdrawals.FILE)
    assert withdrawals.add(line("b"), store) is None
    assert store.read_file(withdrawals.FILE) == before
    # Of rows that are withdrawn in part, the others are added.
    more = withdrawals.add(line("b", "c"), store)
    assert more is not None
    assert [row.row_id for row in more.rows] == ["c-0"]
    lines = withdrawals.listed(store)
    assert withdrawals.shown(lines) == (
        f"1  {made.when}  ann: rows a-0, b-0\n   false; see page 3\n"
        f"2  {more.when}  ann: row c-0\n   false; see page 3\n"
    )
    assert withdrawals.effect(lines).digests == tuple(sorted(map(digest, "abc")))


def test_a_damaged_line_is_named(store: Store) -> None:
    store.amend_file(withdrawals.FILE, lambda _: b'{"who": "ann"}\n')
    with pytest.raises(UserError, match=r"line 1 of the withdrawal list .*withdrawals\.jsonl"):
        withdrawals.listed(store)


def test_a_quarantined_row_says_who_withdrew_it_and_why() -> None:
    rows = pl.DataFrame(
        [("a-0", "a", "repair", "withdrawn"), ("z-0", "z", "gibberish", "noise")],
        ["row_id", "text", "reason", "detail"], orient="row",
    )  # fmt: skip
    told = line("a").model_copy(update={"number": 4, "when": "2026-03-01T02:00:00+00:00"})
    assert withdrawals.explained(rows, [told])["detail"].to_list() == [
        "repair: withdrawal 4 by ann on 2026-03-01: false, see page 3",
        "noise",
    ]


# --- undoing it ---


def test_a_row_can_be_released_before_any_night_has_quarantined_it(store: Store) -> None:
    withdrawals.add(line("a", "b"), store)
    named = {
        name: row.digest for name, row in withdrawals.by_row(withdrawals.listed(store)).items()
    }
    nothing = shelf.gather({})
    released = releasing.drawn_up(
        nothing, ["a-0"], row_ids=["a-0"], rules=[], who="bob", why="true after all",
        withdrawn=named,
    )  # fmt: skip
    assert released.rows == (ReleasedRow(row_id="a-0", digest=digest("a"), reasons=("repair",)),)
    assert withdrawals.pending(nothing, withdrawals.listed(store), store) == 2
    releases.add(released, store)
    assert withdrawals.pending(nothing, withdrawals.listed(store), store) == 1


def test_a_released_row_cannot_be_withdrawn_until_its_release_is_taken_back(store: Store) -> None:
    row = ReleasedRow(row_id="a-0", digest=digest("a"), reasons=("repair",))
    releases.add(releases.Release(who="bob", why="true", rows=(row,)), store)
    with pytest.raises(UserError, match=r"release 1 .* a-0 stays in training\n.*--withdraw 1"):
        withdrawals.add(line("a", "b"), store)
    assert withdrawals.listed(store) == []
    releases.add(releasing.withdrawal(1, "bob"), store)
    assert withdrawals.add(line("a", "b"), store) is not None
