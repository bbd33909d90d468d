"""The judge of the fault harness: every wrong that it is to find, it finds."""

import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from faulting import damage
from faulting.endings import Ending, differences, ending_of, results, wrongs
from faulting.ground import Ground
from faulting.nights import CHILD, Ended, reused
from filelock import FileLock

from tasks.manifest import intact
from tasks.records import Outcome, Rows
from tasks.store import Store

RUN = "abcdef0123456789"
TABLES = """
create table runs (run_uuid text, name text, status text);
create table metrics (run_uuid text, key text, step int, value real, is_nan int);
create table tags (run_uuid text, key text, value text);
create table model_version_tags (name text, version int, key text, value text);
create table registered_model_aliases (name text, version int, alias text);
"""
UNDISTURBED = Ending(
    digests={"ingest/k1": "d1", "clean/k2": "d2"},
    figures={("prepare", "clean.rows_kept", 0): 3.0, ("train", "loss", 10): math.nan},
    champion="d3",
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home after a night of two stages that went well."""
    home = tmp_path / "runs"
    store = Store(str(home / "store"), home / "cache")
    stored(store, "ingest", Rows(entered=4, kept=4), ["a", "b", "c", "d"], [])
    stored(store, "clean", Rows(entered=4, kept=3, quarantined=1), ["a", "b", "c"], ["d"])
    (home / "prefect").mkdir()
    with closing(sqlite3.connect(home / "prefect" / "prefect.db")) as database:
        database.execute("create table concurrency_limit_v2 (active_slots int)")
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        database.executescript(TABLES)
        for name in ("night", "prepare", "train", "assess"):
            run = RUN if name == "night" else name
            database.execute("insert into runs values (?, ?, 'FINISHED')", (run, name))
            if name != "night":
                tell(database, "tags", run, "mlflow.parentRunId", RUN)
        tell(database, "metrics", "prepare", "clean.rows_kept", 0, 3.0, 0)
        tell(database, "metrics", "prepare", "clean.seconds", 0, 0.3, 0)
        tell(database, "tags", "prepare", "plumbline.stage.clean", "12.5 computed 0.300")
        tell(database, "tags", "prepare", "plumbline.record.clean", "clean k-clean d-clean")
        tell(database, "model_version_tags", "plumbline", 1, "plumbline.digest", "d3")
        tell(database, "registered_model_aliases", "plumbline", 1, "champion")
        database.commit()
    page(home).parent.mkdir(parents=True)
    page(home).write_text("<html>")
    return home


def stored(store: Store, stage: str, rows: Rows, kept: list[str], dropped: list[str]) -> None:
    with store.lock(stage, "k"), store.work(stage, "k") as folder:
        pl.DataFrame({"row_id": kept}).write_parquet(folder / "corpus.parquet")
        frame = pl.DataFrame({"row_id": dropped, "reason": ["noise"] * len(dropped)})
        frame.write_parquet(folder / "quarantine.parquet")
        store.commit(folder, stage, "k", Outcome(summary="", rows=rows), 0.1)


def tell(database: sqlite3.Connection, table: str, *values: object) -> None:
    database.execute(f"insert into {table} values ({', '.join('?' * len(values))})", values)


def page(home: Path) -> Path:
    return home / "nights" / f"2026-01-01-quiet-heron-{RUN[:6]}" / "page.html"


def in_mlflow(statement: str) -> Callable[[Path], object]:
    def spoil(home: Path) -> None:
        with closing(sqlite3.connect(home / "mlflow.db")) as database:
            database.execute(statement)
            database.commit()

    return spoil


def lease(home: Path) -> None:
    with closing(sqlite3.connect(home / "prefect" / "prefect.db")) as database:
        database.execute("insert into concurrency_limit_v2 values (1)")
        database.commit()


def lose_a_row(home: Path) -> None:
    """As a stage would that counts right and writes one row too few."""
    store = Store(str(home / "store"), home / "cache")
    stored(store, "clean", Rows(entered=4, kept=3, quarantined=1), ["a", "b"], ["d"])


def lose_between(home: Path) -> None:
    store = Store(str(home / "store"), home / "cache")
    stored(store, "clean", Rows(entered=3, kept=3), ["a", "b", "c"], [])


def test_a_good_ending_is_read_whole_and_found_nothing_wrong_with(home: Path) -> None:
    assert wrongs(home, page(home)) == []
    found = ending_of(home, page(home))
    assert set(found.digests) == {"ingest/k", "clean/k"}
    assert found.figures == {
        ("prepare", "clean.rows_kept", 0): 3.0
    }  # what a clock measured is none
    assert found.champion == "d3"
    assert differences(found, ending_of(home, page(home))) == []
    assert results(home, page(home)) == [("clean", ("clean", "k-clean", "d-clean"), 0.3)]


def test_a_part_of_a_stage_may_be_there_or_not_but_not_with_other_contents(home: Path) -> None:
    found = ending_of(home, page(home))
    store = Store(str(home / "store"), home / "cache")
    stored(store, "shard", Rows(entered=1, kept=1), ["a"], [])
    more = ending_of(home, page(home))
    (part,) = more.digests.keys() - found.digests.keys()
    assert differences(found, more) == [f"other results: {part}"]
    expected = replace(found, parts={part: more.digests[part]})
    assert differences(expected, more) == differences(expected, found) == []
    assert differences(replace(found, parts={part: "d"}), more) == [f"other results: {part}"]


WRONGS: dict[str, tuple[Callable[[Path], object], str]] = {
    "flipped": (lambda h: (h / "store/clean/k/corpus.parquet").write_bytes(b"x"), "is damaged"),
    "row lost": (lose_a_row, "clean counts"),
    "row lost between": (lose_between, "4 rows were ingested and 3 entered clean"),
    "lease": (lease, "1 of Prefect's slots are taken"),
    "work": (lambda h: (h / "store/.aside/work/x").mkdir(), "work left over: x"),
    "scratch": (lambda h: (h / "store/.aside/scratch/y").mkdir(parents=True), "scratch left over: y"),
    "outbox": (lambda h: (h / "outbox.jsonl").write_text("{}"), "reports wait"),
    "told twice": (
        in_mlflow("insert into metrics values ('prepare', 'clean.rows_kept', 0, 3.0, 0)"),
        "MLflow has clean.rows_kept at step 0 2 times",
    ),
    "still running": (
        in_mlflow("insert into runs values ('old', 'prepare', 'RUNNING')"), "1 runs are said",
    ),
    "failed": (in_mlflow("update runs set status = 'FAILED' where name = 'train'"), "FAILED"),
    "no subflow": (in_mlflow("delete from runs where name = 'train'"), "subflows are FINISHED"),
    "registered twice": (
        in_mlflow("insert into model_version_tags values ('plumbline', 2, 'plumbline.digest', 'd3')"),
        "a model is registered twice",
    ),
    "no page": (lambda h: page(h).unlink(), "there is no run page"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONGS)
def test_each_wrong_is_found_and_no_other(home: Path, kind: str) -> None:
    spoil, words = WRONGS[kind]
    spoil(home)
    (found,) = wrongs(home, page(home))
    assert words in found


def test_a_lock_that_somebody_holds_and_a_process_that_outlives_its_night_are_found(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faulting.endings._PATIENCE", 0.1)
    lock = home / "store" / ".aside" / "locks" / "clean-k.lock"
    with FileLock(lock):
        assert wrongs(home, page(home)) == ["the lock clean-k.lock is taken"]
    environment = {**os.environ, "PLUMBLINE_HOME": str(home)}
    with subprocess.Popen(["sleep", "60"], env=environment) as process:
        found = wrongs(home, page(home))
        process.kill()
    assert found == [f"process {process.pid} still runs"]


def altered() -> Iterator[tuple[Ending, str]]:
    u = UNDISTURBED
    yield replace(u, digests={**u.digests, "clean/k2": "d9"}), "other results: clean/k2"
    yield replace(u, digests={"ingest/k1": "d1"}), "other results: clean/k2"
    yield replace(u, digests={**u.digests, "clean/k3": "d2"}), "other results: clean/k3"
    kept = ("prepare", "clean.rows_kept", 0)
    yield replace(u, figures={**u.figures, kept: 4.0}), f"other figures in MLflow: {kept}"
    yield replace(u, figures={kept: 3.0}), "other figures in MLflow: ('train', 'loss', 10)"
    yield replace(u, champion=None), "another champion: None"


@pytest.mark.parametrize(("found", "words"), altered())
def test_each_difference_from_the_undisturbed_night_is_found(found: Ending, words: str) -> None:
    assert differences(UNDISTURBED, found) == [words]


@pytest.mark.parametrize("harm", [damage.flip, damage.flip_manifest, damage.cut, damage.delete])
def test_damage_is_damage(home: Path, harm: Callable[[Ground, str], str]) -> None:
    class Place:
        def folder(self, _: str) -> Path:
            return home / "store" / "clean" / "k"

    assert intact(Place().folder(""))
    harm(Place(), "clean")  # type: ignore[arg-type]
    assert not intact(Place().folder(""))


def test_a_process_is_struck_at_the_event_with_the_path_and_at_no_other(tmp_path: Path) -> None:
    code = (
        "import os, pathlib; a = pathlib.Path('a'); a.touch(); a.rename('b'); os.rename('b', 'c')"
    )
    strike = {"event": "os.rename", "path": "c", "signal": signal.SIGKILL}
    environment = {"PYTHONPATH": str(CHILD), "FAULT_STRIKE": json.dumps(strike)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_what_a_night_reused_is_read_from_its_lines() -> None:
    err = "  ✓ ingest    2 rows  reused\n  ✓ clean     kept 2  0.3 s\n  ✗ validate  no  12.0 s\n"
    ended = Ended(0, "", err, 1.0)
    assert ended.stages == [("ingest", True), ("clean", False), ("validate", False)]
    assert reused(ended) == "1 reused, clean, validate computed"
