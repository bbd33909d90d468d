"""Who works on the parts of a stage: this process, or the workers of a Dask cluster.

A part is kept in the store like a stage's folder, under a key made of what it is known by and of the
version of the code that made it. What is there and undamaged is not made again, tonight or ever; the
others are made by whom the run's configuration names, each in a folder of its own that appears in
the store whole or not at all. Workers write files and return nothing, so they must see the folder of
the store (of work in progress, where the store is remote) under the same path.

With Dask the parts are the mapped tasks of a small Prefect flow of its own, since Prefect's task
runner belongs to a flow and the stages around it run in process. The cluster is one of this machine,
or the one whose scheduler `PLUMBLINE_DASK` names.

Not covered: Ray, whose workers Prefect maps tasks over in the same way.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks.again import is_outdated
from tasks.errors import UserError
from tasks.log import Log
from tasks.parts import HALF, Made, Part, Parts, Unit, half_key
from tasks.records import Outcome
from tasks.settings import Environment
from tasks.store import Store
from tasks.version import code_version

Runner = Literal["in_process", "dask"]
_WAVE = 64  # parts given out together, each with a folder of work in progress
_THREADS = ("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class Workers:
    """Who works.

    Attributes:
        runner: This process or Dask.
        count: Processes of a local cluster.
        scheduler: Address of another cluster's scheduler, empty for a local one.
    """

    runner: Runner = "in_process"
    count: int = 2
    scheduler: str = ""


class Job(NamedTuple):
    """One part that is to be made: its folder, and what the unit is given besides."""

    out: Path
    arguments: dict[str, Any]


# Makes some parts, and says of each, in their order, that it is done.
Wave = Callable[[Unit, Sequence[Job]], Iterator[None]]
_workers: ContextVar[Workers | None] = ContextVar("plumbline_workers", default=None)


@contextmanager
def working_with(runner: Runner, count: int) -> Iterator[None]:
    """Within a flow, have the parts of stages made by some workers.

    Args:
        runner: Which kind.
        count: How many processes, where they are of this machine.

    Raises:
        UserError: Dask is asked for and not installed.
    """
    if runner == "dask" and importlib.util.find_spec("prefect_dask") is None:
        raise UserError(
            "profile.runner is 'dask', and prefect-dask is not installed",
            "Install the extra: pip install -e '.[scale]', or set profile.runner=in_process.",
        )
    token = _workers.set(Workers(runner, count, Environment().dask))
    try:
        yield
    finally:
        _workers.reset(token)


class StoredParts(Parts):
    """Parts that are looked up in a store, and kept there.

    Args:
        store: The store.
        title: Of the stage whose parts they are; a night that starts from it makes them afresh.
    """

    def __init__(self, store: Store, title: str = "") -> None:
        self._store, self._title = store, title

    def map(self, unit: Unit, parts: Sequence[Part], *, folder: Path, log: Log) -> Made:
        """See `Parts.map`; `folder` stays empty."""
        name, keys = unit.__name__, [key_of(unit, part) for part in parts]
        found = {key: self._known(name, key) for key in dict.fromkeys(keys)}
        missing = [key for key, there in found.items() if there is None]
        given = dict(zip(keys, parts, strict=True))

        def make(wave: Wave) -> None:
            for begin in range(0, len(missing), _WAVE):
                some = missing[begin : begin + _WAVE]
                self._make(unit, {key: given[key] for key in some}, wave, begin, len(missing), log)

        if missing:
            _run(make, _workers.get() or Workers(), name)
            # Not asked for their age: the clock of a remote store may be behind.
            found |= {key: self._store.fetch_folder(name, key) for key in missing}
        folders = [found[key] for key in keys]
        lost = [key for key in keys if found[key] is None]
        if lost:
            raise OSError(f"{name} {lost[0]} was damaged in the store as soon as it was there")
        return Made(tuple(there for there in folders if there is not None), len(missing))

    def _known(self, name: str, key: str) -> Path | None:
        """The folder of a part that is there, undamaged, and not to be made again tonight."""
        folder = self._store.fetch_folder(name, key)
        if folder is None or not self._title:
            return folder
        return None if is_outdated(self._title, self._store.finished(name, key)) else folder

    def _make(
        self, unit: Unit, parts: dict[str, Part], wave: Wave, before: int, total: int, log: Log
    ) -> None:
        name, started = unit.__name__, time.perf_counter()
        with ExitStack() as stack:
            jobs = {
                key: Job(stack.enter_context(self._store.work(name, key)), dict(part.arguments))
                for key, part in parts.items()
            }
            for number, (key, _) in enumerate(
                zip(jobs, wave(unit, list(jobs.values())), strict=True), before + 1
            ):
                with self._store.lock(name, key):
                    if self._known(name, key) is None:  # nobody was faster
                        seconds = time.perf_counter() - started
                        outcome = Outcome(summary=f"{name} of {parts[key].known_by}")
                        self._store.commit(jobs[key].out, name, key, outcome, seconds)
                log.progress(number, total, f"{number:,} of {total:,} shards")


def key_of(unit: Unit, part: Part) -> str:
    """Where a part is kept: half says what was worked on, half by which code."""
    code = hashlib.sha256(f"{unit.__name__} {code_version(unit.__module__)}".encode())
    return f"{half_key(part.known_by)}{code.hexdigest()[:HALF]}"


def _run(make: Callable[[Wave], None], workers: Workers, name: str) -> None:
    """Have something make its parts in waves."""
    if workers.runner == "in_process":
        make(_here)
        return
    from prefect_dask.task_runners import DaskTaskRunner

    flow_name = f"{name.replace('_', ' ')} on Dask"

    @flow(
        name=flow_name, flow_run_name=flow_name, persist_result=False, validate_parameters=False,
        task_runner=cast(Any, DaskTaskRunner(**_cluster(workers))),
    )  # fmt: skip
    def map_parts() -> None:
        make(_mapped)

    # Without a server of its own the process has started one; workers would each start another.
    with get_client(sync_client=True) as client:
        address = str(client.api_url)
    with temporary_settings({PREFECT_API_URL: address}):
        map_parts()


def _here(unit: Unit, jobs: Sequence[Job]) -> Iterator[None]:
    for job in jobs:
        unit(out=job.out, **job.arguments)
        yield


def _mapped(unit: Unit, jobs: Sequence[Job]) -> Iterator[None]:
    """The jobs as mapped tasks of the flow that is running."""

    @task(name=unit.__name__, cache_policy=NO_CACHE, persist_result=False)
    def make_part(job: Job) -> None:
        unit(out=job.out, **job.arguments)

    for future in make_part.map(list(jobs)):
        future.result()
        yield


def _cluster(workers: Workers) -> dict[str, Any]:
    if workers.scheduler:
        return {"address": workers.scheduler}
    threads = str(max(1, (os.cpu_count() or 1) // workers.count))
    local = {
        "n_workers": workers.count, "threads_per_worker": 1, "processes": True,
        "dashboard_address": None, "env": dict.fromkeys(_THREADS, threads),
    }  # fmt: skip
    return {"cluster_kwargs": local}
