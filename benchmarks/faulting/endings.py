"""What nights left in a home, compared with what an undisturbed one left, and what must not be there."""

from __future__ import annotations

import math
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import psutil
from filelock import FileLock, Timeout

from tasks.manifest import intact, read_manifest

# What a clock measured is no result, and the smoothed loss is told only while a training runs.
_PASSING = re.compile(r"seconds|gflops|tokens_per_second|utilisation|smoothed_loss")
_ALIKE = 1e-9  # relative difference of figures that are the same
_MARK, _RECORD = "plumbline.stage.", "plumbline.record."  # tags by which MLflow knows results
_PATIENCE = 10.0  # seconds in which a process that is ending has ended
_NAMED = 3  # of many differences


@dataclass(frozen=True)
class Ending:
    """What nights left.

    Attributes:
        digests: Of the contents of each result, by stage and key.
        figures: Every figure of the last night in MLflow but passing ones: (subflow, name, step) to value.
        champion: Digest of the bundle that the registry's alias points at.
        parts: Digests of what a store may hold besides, with these contents: results of single
            shards, which a night makes only for the stages that it cannot reuse.
    """

    digests: dict[str, str]
    figures: dict[tuple[str, str, int], float]
    champion: str | None
    parts: dict[str, str] = field(default_factory=dict)


def differences(expected: Ending, found: Ending) -> list[str]:
    """How an ending differs from the undisturbed one, in words; empty where it does not."""
    told = []
    made = {name: digest for name, digest in expected.parts.items() if name in found.digests}
    for what, left, right in (
        ("results", expected.digests | made, found.digests),
        ("figures in MLflow", expected.figures, found.figures),
    ):
        unlike = sorted(str(n) for n in left.keys() | right.keys() if not _same(left, right, n))
        if unlike:
            more = f" and {len(unlike) - _NAMED} more" if len(unlike) > _NAMED else ""
            told.append(f"other {what}: {', '.join(unlike[:_NAMED])}{more}")
    if expected.champion != found.champion:
        told.append(f"another champion: {found.champion}")
    return told


def _same(left: dict, right: dict, name: object) -> bool:
    if name not in left or name not in right:
        return False
    one, other = left[name], right[name]
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=_ALIKE) or (math.isnan(one) and math.isnan(other))
    return bool(one == other)


def ending_of(home: Path, page: Path) -> Ending:
    """What is in a home after its last night.

    Args:
        home: The home.
        page: The last night's run page, whose folder's name ends in the first characters of its run.
    """
    digests = {
        f"{folder.parent.name}/{folder.name}": read_manifest(folder).record.digest
        for folder in stage_folders(home)
    }
    with closing(_open(home / "mlflow.db")) as database:
        nested = "select run_uuid from tags where key = 'mlflow.parentRunId' and value like ?"
        figures = database.execute(
            "select runs.name, metrics.key, metrics.step, metrics.value, metrics.is_nan from metrics"
            f" join runs using (run_uuid) where run_uuid like ? or run_uuid in ({nested})",
            (f"{_run_of(page)}%", f"{_run_of(page)}%"),
        ).fetchall()
        night = database.execute(
            "select name from runs where run_uuid like ?", (f"{_run_of(page)}%",)
        ).fetchone()
        champion = database.execute(
            "select value from model_version_tags join registered_model_aliases using (name, version)"
            " where alias = 'champion' and key = 'plumbline.digest'"
        ).fetchone()
    return Ending(
        digests,
        {
            ("night" if run == night[0] else run, name, step): math.nan if nan else value
            for run, name, step, value, nan in figures
            if not _PASSING.search(name)
        },
        champion[0] if champion else None,
    )


def results(home: Path, page: Path) -> list[tuple[str, tuple[str, str, str], float]]:
    """Title, (stage, key, digest) and seconds of every result of a night, in order."""
    with closing(_open(home / "mlflow.db")) as database:
        tags = database.execute(
            "select key, value from tags where run_uuid in"
            " (select run_uuid from tags where key = 'mlflow.parentRunId' and value like ?)",
            (f"{_run_of(page)}%",),
        ).fetchall()
    values = dict(tags)
    marks = {name.removeprefix(_MARK): v for name, v in tags if name.startswith(_MARK)}
    order = sorted(marks, key=lambda title: float(marks[title].split()[0]))
    found = []
    for title in order:
        stage, key, digest = values[f"{_RECORD}{title}"].split()
        found.append((title, (stage, key, digest), float(marks[title].split()[2])))
    return found


def wrongs(home: Path, page: Path) -> list[str]:
    """What no home may hold once a night has ended well, in words; empty where all is well."""
    return [
        *_damaged(home),
        *_lost_rows(home),
        *_taken(home),
        *_left_over(home),
        *_told(home, page),
    ]


def stage_folders(home: Path) -> list[Path]:
    """The folders of the store."""
    return sorted(p for p in (home / "store").glob("[!.]*/*") if p.is_dir())


def _damaged(home: Path) -> Iterator[str]:
    for folder in stage_folders(home):
        if not intact(folder):
            yield f"{folder.parent.name}/{folder.name} is damaged"


def _lost_rows(home: Path) -> Iterator[str]:
    """Rows that are neither kept nor quarantined with a reason, counted in the files themselves."""
    kept_before = None
    for stage in ("ingest", "clean"):
        for folder in filter(intact, (home / "store" / stage).glob("*")):
            rows = read_manifest(folder).record.outcome.rows
            kept = pl.read_parquet(folder / "corpus.parquet")
            dropped = pl.read_parquet(folder / "quarantine.parquet")
            if rows is None or (len(kept), len(dropped)) != (rows.kept, rows.quarantined):
                yield f"{stage} counts {rows} and holds {len(kept)} and {len(dropped)}"
            if dropped["reason"].null_count() or not kept["row_id"].is_unique().all():
                yield f"{stage} has rows without a reason, or twice"
            if kept_before is not None and rows is not None and rows.entered != kept_before:
                yield f"{kept_before} rows were ingested and {rows.entered} entered {stage}"
            kept_before = len(kept)


def _taken(home: Path) -> Iterator[str]:
    """Locks that somebody holds, leases of Prefect's, and processes that outlived their night."""
    for path in [*home.rglob("*.lock")]:
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout:
            yield f"the lock {path.name} is taken"
    with closing(_open(home / "prefect" / "prefect.db")) as database:
        (slots,) = database.execute("select sum(active_slots) from concurrency_limit_v2").fetchone()
    if slots:
        yield f"{slots} of Prefect's slots are taken"
    _, living = psutil.wait_procs(_processes(home), timeout=_PATIENCE)
    for process in living:
        yield f"process {process.pid} still runs"


def _processes(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("PLUMBLINE_HOME") == str(home):
                found.append(process)
        except psutil.Error:  # another user's, or gone meanwhile
            continue
    return found


def _left_over(home: Path) -> Iterator[str]:
    """Folders of work that nobody goes on with, and reports that wait."""
    for place in ("work", "scratch"):
        for path in (home / "store" / ".aside" / place).glob("*"):
            yield f"{place} left over: {path.name}"
    if (home / "outbox.jsonl").exists():
        yield "reports wait in the outbox"


def _told(home: Path, page: Path) -> Iterator[str]:
    """What MLflow holds twice, or not at all."""
    with closing(_open(home / "mlflow.db")) as database:
        points = database.execute("select run_uuid, key, step from metrics").fetchall()
        states = dict(database.execute("select run_uuid, status from runs").fetchall())
        parents = dict(
            database.execute(
                "select run_uuid, value from tags where key = 'mlflow.parentRunId'"
            ).fetchall()
        )
        digests = database.execute(
            "select value from model_version_tags where key = 'plumbline.digest'"
        ).fetchall()
    for (_, name, step), times in Counter(points).items():
        if times > 1:
            yield f"MLflow has {name} at step {step} {times} times"
    if running := [run for run, status in states.items() if status == "RUNNING"]:
        yield f"{len(running)} runs are said to be running"
    night = _run_of(page)
    ours = [s for run, s in states.items() if parents.get(run, run).startswith(night)]
    if ours != ["FINISHED"] * 4:
        yield f"the night and its subflows are {', '.join(ours)}"
    if len(digests) != len(set(digests)):
        yield "a model is registered twice"
    if not page.exists():
        yield "there is no run page"


def _run_of(page: Path) -> str:
    return page.parent.name.rpartition("-")[2]


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path)
