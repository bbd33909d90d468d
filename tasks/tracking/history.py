"""What earlier nights left: their stages' records, found by what MLflow was told of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import UserError
from tasks.records import Night, Record
from tasks.settings import Environment
from tasks.stage import open_store
from tasks.tracking.connection import client, experiment_id
from tasks.tracking.facts import RECORD_MARK

if TYPE_CHECKING:
    from mlflow.entities import Run

_NIGHTS_LOOKED_AT = 60  # back to where tonight's result was first seen
_SHORTEST_ID = 6  # characters by which a run may be called
_NAMED = 5


def earlier(
    title: str, most: int, tonight: Record, *, like: str | None = None, accepted: bool = False
) -> list[Record]:
    """The records that a stage left on the last nights that trained a model, newest first.

    A night that is repeated must find what it found the first time, else it would not be the same
    night. So where an earlier night left what tonight left, only nights before that one count.
    Results alike count once; what is no longer whole in the store is passed over.

    Args:
        title: The stage's title.
        most: Records wanted.
        tonight: The record that the stage left tonight, or another one if `like` is given.
        like: The title of the stage that left `tonight`, by which nights are told apart.
        accepted: Only of nights whose model was accepted.
    """
    marked, trained = f"{RECORD_MARK}{title}", f"{RECORD_MARK}pretrain"
    compared = f"{RECORD_MARK}{like or title}"
    nights = client().search_runs(
        [experiment_id()],
        "tags.`plumbline.kind` = 'night' and attributes.status = 'FINISHED'",
        order_by=["start_time DESC"],
        max_results=_NIGHTS_LOOKED_AT,
    )
    left: list[tuple[str, str, str]] = []
    same: list[int] = []  # nights that repeat tonight
    wanted: list[bool] = []
    for night in nights:
        children = client().search_runs(
            [night.info.experiment_id], f"tags.`mlflow.parentRunId` = '{night.info.run_id}'"
        )
        if not any(trained in run.data.tags for run in children):
            continue  # only looked at its data
        tags = {name: value for run in reversed(children) for name, value in run.data.tags.items()}
        if marked not in tags:
            continue
        if tags.get(compared, "").split()[-1:] == [tonight.digest]:
            same.append(len(left))
        stage, key, digest = tags[marked].split()
        left.append((stage, key, digest))
        wanted.append(not accepted or any(_promoted(run.data.metrics) for run in children))
    found: dict[str, Record] = {}
    store = open_store()
    begin = max(same) + 1 if same else 0
    for (stage, key, digest), asked in zip(left[begin:], wanted[begin:], strict=True):
        if not asked:
            continue
        record = store.find(stage, key) if digest not in found else None
        if record is not None and record.digest == digest:
            found[digest] = record
        if len(found) == most:
            break
    return list(found.values())


def _promoted(metrics: dict[str, float]) -> bool:
    return metrics.get("decide.promoted", 0.0) > 0


def night(name: str | None, titles: tuple[str, ...]) -> tuple[Night, dict[str, Record]]:
    """A night, and what some of its stages left; a night that was stopped half-way is one too.

    Args:
        name: Its name, or six or more characters of its MLflow run's id; None or `last` for the
            last one that left what the first title leaves.
        titles: The stages; those that left nothing that is still whole are not in the answer.

    Raises:
        UserError: There is no such night, or what it left is not in the store.
    """
    nights = _nights()
    if not nights:
        raise UserError("there is no night yet", "Run `plumbline prepare` or `plumbline nightly`.")
    wanted = nights if name in (None, "last") else [n for n in nights if _is_called(n, str(name))]
    for run in wanted:
        found = _left(run, titles)
        if titles[0] in found:
            started = run.data.tags.get("plumbline.started", "")
            return Night(name=run.info.run_name, run_id=run.info.run_id, started=started), found
    if wanted:
        which = "the night" if len(wanted) == 1 else f"each of {len(wanted)} nights"
        raise UserError(
            f"{which} left no whole {titles[0]!r} in the store {Environment().store_root}",
            "Check PLUMBLINE_STORE, or run the night again.",
        )
    names = ", ".join(f"{run.info.run_name} ({run.info.run_id[:8]})" for run in nights[:_NAMED])
    raise UserError(f"there is no night {name!r}", f"The last nights are {names}.")


def _nights() -> list[Run]:
    """The last nights, newest first; where MLflow has no database yet, none is made."""
    database = Environment().tracking.removeprefix("sqlite:///")
    if database != Environment().tracking and not Path(database).exists():
        return []
    return list(
        client().search_runs(
            [experiment_id()],
            "tags.`plumbline.kind` = 'night'",
            order_by=["start_time DESC"],
            max_results=_NIGHTS_LOOKED_AT,
        )
    )


def _is_called(run: Run, name: str) -> bool:
    by_id = len(name) >= _SHORTEST_ID and run.info.run_id.startswith(name)
    return bool(by_id or run.info.run_name == name)


def _left(night: Run, titles: tuple[str, ...]) -> dict[str, Record]:
    """The records of some stages that are still whole in the store, in the order asked for."""
    children = client().search_runs(
        [night.info.experiment_id], f"tags.`mlflow.parentRunId` = '{night.info.run_id}'"
    )
    marks = {name: mark for run in children for name, mark in run.data.tags.items()}
    found = {}
    for title in titles:
        stage, key, digest = marks.get(f"{RECORD_MARK}{title}", "  ").split(" ")
        record = open_store().find(stage, key) if stage else None
        if record is not None and record.digest == digest:
            found[title] = record
    return found


def left(title: str, digest: str) -> Record | None:
    """The record that a stage once left with these contents, None where the store lacks it now.

    Args:
        title: The stage's title.
        digest: Of the contents.
    """
    marked = f"{RECORD_MARK}{title}"
    found = client().search_runs(
        [experiment_id()], f"tags.`{marked}` LIKE '% {digest}'", max_results=1
    )
    if not found:
        return None
    stage, key, _ = found[0].data.tags[marked].split()
    record = open_store().find(stage, key)
    return record if record is not None and record.digest == digest else None
