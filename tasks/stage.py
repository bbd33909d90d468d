"""The one mechanism every stage shares: keys, whole folders, reuse, tracking, progress, failure.

A stage is a plain function over folders:

    @stage
    def clean(ingested: Path, *, config: Cleaning, out: Path, log: Log) -> Outcome: ...

Called with records in the place of folders, it becomes a Prefect task that looks its key up in
the store, computes only what is missing, and tells MLflow. `clean.fn` is the function itself.

Prefect's own result cache is not used: it stores one object per key and trusts it, while a stage
leaves a folder that later stages map into memory and whose every file is verified before use.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from prefect import task
from prefect.artifacts import (
    acreate_link_artifact,
    acreate_progress_artifact,
    aupdate_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.states import Completed
from prefect.utilities.asyncutils import run_coro_as_sync
from pydantic import BaseModel

from tasks.again import is_outdated
from tasks.configuration import aside
from tasks.console import Bar, say
from tasks.disk import disk_errno
from tasks.errors import Refused, StageFailed, UserError
from tasks.log import Log
from tasks.mapping import StoredParts
from tasks.records import Outcome, Point, Record
from tasks.settings import Environment
from tasks.store import Store
from tasks.tracking import events, facts, outbox, runs
from tasks.version import code_version

_INJECTED = ("out", "log", "scratch", "parts")
_SECONDS_BETWEEN_ARTIFACTS = 5.0


class Stage:
    """A stage function with its mechanism; made by the `stage` decorator."""

    def __init__(self, fn: Callable[..., Outcome]) -> None:
        self.fn = fn
        self.name = fn.__name__
        self._signature = inspect.signature(fn)
        functools.update_wrapper(self, fn)

    def __call__(self, *records: Any, title: str | None = None, **arguments: Any) -> Record:
        """Run the stage, or find that it has run before.

        Args:
            records: Records of earlier stages, in the order of the function's folders.
            title: The name shown and tracked, where a stage is called twice in one night.
            arguments: The function's other arguments (configuration, seed).

        Returns:
            The finished stage's record.

        Raises:
            UserError: Something the user gave cannot be used.
            Refused: The stage finished, and what it found forbids going on.
            StageFailed: Anything else; the traceback is in the file that the error names.
        """
        wanted = [n for n in self._signature.parameters if n not in _INJECTED]
        given = {**dict(zip(wanted, records, strict=False)), **arguments}
        self._signature.bind(
            **given, **{n: None for n in _INJECTED if n in self._signature.parameters}
        )
        title = title or self.name
        run = runs.current_run()
        if FlowRunContext.get() is None:
            return self._run(title, given, run)[0]
        return self._as_task(title)(given, run)

    def _as_task(self, title: str) -> Callable[[dict[str, Any], str | None], Record]:
        done: list[Record] = []

        @task(name=title, task_run_name=title, cache_policy=NO_CACHE, persist_result=False)
        def run_stage(given: dict[str, Any], run: str | None) -> Any:
            record, reused = self._run(title, given, run)
            done.append(record)
            return Completed(name="Cached", data=None) if reused else None

        def call(given: dict[str, Any], run: str | None) -> Record:
            _ = run_stage(given, run)
            return done[-1]

        return call

    def key(self, given: Mapping[str, Any]) -> str:
        """Digest of everything the result depends on; contents are digested, never paths."""
        parts = {name: _digestible(value) for name, value in given.items()}
        blob = orjson.dumps(
            [self.name, code_version(self.fn.__module__), parts], option=orjson.OPT_SORT_KEYS
        )
        return hashlib.sha256(blob).hexdigest()[:40]

    def _run(self, title: str, given: dict[str, Any], run: str | None) -> tuple[Record, bool]:
        started = time.perf_counter()
        store = open_store()
        key = self.key(given)
        with store.lock(self.name, key):
            record = store.find(self.name, key)
            if is_outdated(title, store.finished(self.name, key) if record else 0.0):
                record = None
            reused = record is not None
            if record is None:
                record = self._compute(store, key, title, given, run)
            else:
                store.tidy(self.name, key)
        if run is not None:
            seconds = time.perf_counter() - started
            folder = store.fetch(record)
            told = outbox.StageReport(
                run_id=run, title=title, record=record, folder=str(folder),
                seconds=seconds, reused=reused, at=outbox.now(),
            )  # fmt: skip
            outbox.tell(told)
        say(title, record, time.perf_counter() - started, reused=reused)
        if record.outcome.refusal:
            if run is not None:
                events.tell(
                    events.FAILED_EXPECTATION, f"{title} stopped", record.outcome.refusal, run
                )
            raise Refused(f"{title}: {record.outcome.refusal}", f"The details are in {record.uri}")
        return record, reused

    def _compute(
        self, store: Store, key: str, title: str, given: dict[str, Any], run: str | None
    ) -> Record:
        started = time.perf_counter()
        with store.work(self.name, key) as folder, LiveLog(title, run) as log:
            arguments = {name: _fetched(store, value) for name, value in given.items()}
            offered = {"out": folder, "log": log, "parts": StoredParts(store, title)}
            if "scratch" in self._signature.parameters:
                offered["scratch"] = store.scratch(self.name, key)
            offered = {n: v for n, v in offered.items() if n in self._signature.parameters}
            try:
                outcome = self.fn(**arguments, **offered)
            except UserError:
                raise
            except Exception as error:
                if (number := disk_errno(error)) is not None:
                    raise OSError(number, os.strerror(number)) from error
                raise StageFailed(title, error, _save_traceback(title, given)) from error
            return store.commit(folder, self.name, key, outcome, time.perf_counter() - started)


def stage(fn: Callable[..., Outcome]) -> Stage:
    """Make a stage of a plain function over folders; see the module's docstring."""
    return Stage(fn)


def open_store() -> Store:
    """The store that this machine's environment names."""
    environment = Environment()
    return Store(environment.store_root, environment.home.absolute() / "cache")


class LiveLog(Log):
    """Shows progress on the terminal and in Prefect, and sends curves to MLflow as they come."""

    def __init__(self, title: str, run: str | None) -> None:
        self._title = title
        self._run = run
        self._bar = Bar(title)
        self._artifact: Any = None
        self._last = 0.0

    def __enter__(self) -> LiveLog:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._bar.close()
        if self._artifact is not None and kind is None:
            self._update_artifact(100.0)

    def progress(self, done: float, total: float, note: str = "") -> None:
        """See `Log.progress`."""
        self._bar.update(done, total, note)
        now = time.monotonic()
        if now - self._last > _SECONDS_BETWEEN_ARTIFACTS and FlowRunContext.get() is not None:
            self._last = now
            self._update_artifact(min(100.0, 100.0 * done / max(total, 1e-9)))

    def curve(self, points: Sequence[Point]) -> None:
        """See `Log.curve`."""
        # What does not get through now is logged with the rest when the stage is done.
        if self._run is not None:
            with contextlib.suppress(Exception):
                outbox.try_to(lambda run: facts.log_curve(run, self._title, points), self._run)

    def _update_artifact(self, percent: float) -> None:
        # What is only shown must not end what is being computed.
        with contextlib.suppress(Exception):
            if self._artifact is None:
                key = self._title.replace("_", "-").replace(" ", "-")
                self._artifact = run_coro_as_sync(
                    acreate_progress_artifact(percent, key=key, description=self._title)
                )
            else:
                run_coro_as_sync(aupdate_progress_artifact(self._artifact, percent))


def _digestible(value: Any) -> Any:
    if isinstance(value, Record):
        return value.digest
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude=aside(type(value)))
    if isinstance(value, Mapping):
        return {str(k): _digestible(v) for k, v in value.items()}
    return value


def _fetched(store: Store, value: Any) -> Any:
    if isinstance(value, Record):
        return store.fetch(value)
    if isinstance(value, Mapping):
        return {k: _fetched(store, v) for k, v in value.items()}
    return value


def _save_traceback(title: str, given: Mapping[str, Any]) -> Path:
    folder = Environment().home.absolute() / "errors"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{title}.log"
    inputs = "\n".join(f"{n}: {v.uri if isinstance(v, Record) else v!r}" for n, v in given.items())
    path.write_text(f"{inputs}\n\n{traceback.format_exc()}")
    return path


def link_artifact(key: str, link: str, text: str) -> None:
    """Show a link on the Prefect flow run's page; outside a flow run, do nothing."""
    if FlowRunContext.get() is not None:
        run_coro_as_sync(acreate_link_artifact(key=key, link=link, link_text=text))
