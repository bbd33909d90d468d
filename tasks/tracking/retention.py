"""Which folders of the store somebody still refers to, and which may go.

Kept are: what the last nights left, and likewise the last searches and other series; what runs that
are still going have left so far; everything of the champion's night and of the nights that its
training started from; and of every other registered version its bundle and its training rows.
A kept folder that was made in parts keeps its parts, so that a later night need not make them again.
MLflow's runs, figures and pages are not touched, so a night whose folders went can still be read;
what it computed would be computed again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import orjson

from tasks.errors import UserError
from tasks.parts import HALF, SHARDS, half_key
from tasks.records import Frozen
from tasks.settings import Environment
from tasks.store import Store, Stored
from tasks.tracking.connection import client, experiment_id
from tasks.tracking.facts import RECORD_MARK
from tasks.tracking.registry import CORPUS, DIGEST, OPPONENT, START, current
from tasks.tracking.runs import close_abandoned

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

_PARENT, _KIND = "mlflow.parentRunId", "plumbline.kind"
_PARTED = ("profile",)  # stages whose work is kept in parts besides
_PAGE = 1000  # runs asked for at once
Place = tuple[str, str]  # stage, key


class Sweep(Frozen):
    """What a clean-up would do.

    Attributes:
        kept: Folders that stay, each with who refers to it.
        unused: Folders that nobody refers to, oldest first.
    """

    kept: tuple[tuple[Stored, str], ...]
    unused: tuple[Stored, ...]


def survey(store: Store, keep: int) -> Sweep:
    """Part the store's folders into those that somebody refers to and those that nobody does.

    Args:
        store: Looked through.
        keep: Finished runs of each kind (nights, searches, ...) whose folders stay.

    Raises:
        UserError: Fewer than one night is to stay.
    """
    if keep < 1:
        raise UserError(f"--keep is {keep}", "At least the last night is kept.")
    referred = _referred(keep)
    parts = _parts(store, referred)
    kept, unused = [], []
    for folder in store.folders():
        reason = referred.get((folder.stage, folder.key)) or parts.get(folder.key[:HALF])
        if reason is None:
            unused.append(folder)
        else:
            kept.append((folder, reason))
    unused.sort(key=lambda folder: (folder.changed, folder.stage, folder.key))
    return Sweep(kept=tuple(kept), unused=tuple(unused))


def sweep(store: Store, found: Sweep) -> int:
    """Delete what nobody refers to.

    Returns:
        Bytes that were freed.

    Raises:
        UserError: A run is going on, which may be about to use a folder; nothing was deleted.
    """
    experiment = experiment_id()
    close_abandoned(experiment)
    going = client().search_runs([experiment], "attributes.status = 'RUNNING'", max_results=1)
    if going:
        raise UserError(
            f"the run {going[0].info.run_name!r} is going on and may need what would be deleted",
            "Wait for its end; `plumbline gc` without --delete can be asked at any time.",
        )
    for folder in found.unused:
        store.remove(folder.stage, folder.key)
    store.drop_work()  # of machines that are gone; a living machine clears away its own
    return sum(folder.size for folder in found.unused)


def _referred(keep: int) -> dict[Place, str]:
    """Every place that is referred to, and by whom; who comes first is named."""
    runs = list(_runs())
    roots = {run.info.run_id: run for run in runs if _PARENT not in run.data.tags}
    left: dict[str, list[tuple[Place, str]]] = defaultdict(list)  # root run to place and digest
    for run in runs:
        left[_root(run, roots)] += _records(run)
    by_digest: dict[str, set[Place]] = defaultdict(set)
    for places in left.values():
        for place, digest in places:
            by_digest[digest].add(place)
    referred: dict[Place, str] = {}
    for run_id, reason in _wanted(list(roots.values()), keep):
        for place, _ in left[run_id]:
            referred.setdefault(place, reason)
    for digest, reason in _registered():
        for place in by_digest[digest]:
            referred.setdefault(place, reason)
    return referred


def _parts(store: Store, referred: dict[Place, str]) -> dict[str, str]:
    """How the keys begin of the parts that kept folders were made of, and who refers to those."""
    found: dict[str, str] = {}
    for (stage, key), reason in referred.items():
        if stage in _PARTED and (content := store.read_file(f"{stage}/{key}/{SHARDS}")):
            found |= {half_key(known_by): reason for known_by in orjson.loads(content)}
    return found


def _runs() -> Iterator[Run]:
    token = None
    while True:
        page = client().search_runs([experiment_id()], max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _root(run: Run, roots: dict[str, Run]) -> str:
    """The run at the top of the ones that a run is nested in."""
    parent = run.data.tags.get(_PARENT)
    while parent is not None and parent not in roots:
        parent = client().get_run(parent).data.tags.get(_PARENT)
    return parent or str(run.info.run_id)


def _records(run: Run) -> Iterator[tuple[Place, str]]:
    for name, value in run.data.tags.items():
        if name.startswith(RECORD_MARK):
            stage, key, digest = value.split()
            yield (stage, key), digest


def _wanted(roots: list[Run], keep: int) -> Iterator[tuple[str, str]]:
    """Runs of which everything stays, and why."""
    champions = set(_lineage())
    seen: dict[str, int] = defaultdict(int)
    for run in sorted(roots, key=lambda run: -run.info.start_time):
        name, kind = str(run.info.run_name), run.data.tags.get(_KIND, "night")
        if run.info.status == "RUNNING":
            yield run.info.run_id, f"{name}, which is going on"
            continue
        seen[kind] += 1
        if run.info.run_id in champions:
            yield run.info.run_id, f"{name}, of the champion's lineage"
        elif seen[kind] <= keep:
            yield run.info.run_id, f"{name}, one of the last {keep}"


def _versions() -> list[ModelVersion]:
    return list(client().search_model_versions(f"name = '{Environment().model_name}'"))


def _lineage() -> Iterator[str]:
    """Runs of the champion, and of the versions that its training started from."""
    version = current()
    by_digest = {v.tags.get(DIGEST): v for v in _versions()}
    seen: set[str] = set()
    while version is not None and version.version not in seen:
        seen.add(version.version)
        yield str(version.run_id)
        version = by_digest.get(version.tags.get(START) or None)


def _registered() -> Iterator[tuple[str, str]]:
    """Digests that registered versions name, and which version does."""
    for version in _versions():
        for tag in (DIGEST, CORPUS, START, OPPONENT):
            if digest := version.tags.get(tag):
                yield digest, f"version {version.version} of {version.name}"
