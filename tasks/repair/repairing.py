"""A repair from its beginning to its end: its night, its run in MLflow, and the pages it leaves."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tasks.configuration import Configuration
from tasks.configuration.section import aside
from tasks.console import console
from tasks.errors import UserError
from tasks.promotion.report import NightHeader, fill_header
from tasks.records import Night, Record
from tasks.repair.configuration import Repair, RepairConfiguration
from tasks.repair.page.drawing import note
from tasks.repair.propose import PAGE
from tasks.settings import Environment
from tasks.stage import link_artifact, open_store
from tasks.tracking import facts, history, repairs

_NEEDED = ("hallucination", "trace", "ingest", "clean", "augment", "finetune")
_Lines = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Begun:
    """A repair that has begun.

    Attributes:
        night: What is repaired.
        left: What its stages left, by title; `start` only where training went on from a model.
        configuration: What the night was told.
        told: What the repair is told.
        run: The repair's run in MLflow.
        folder: Where its pages go on this machine.
    """

    night: Night
    left: dict[str, Record]
    configuration: Configuration
    told: Repair
    run: Night
    folder: Path


@contextmanager
def repair(configuration: RepairConfiguration) -> Iterator[Begun]:
    """Find the night, and keep a run for its repair however it ends.

    Raises:
        UserError: There is no such night, or it left nothing to repair it by.
    """
    night, left = history.night(configuration.night, (*_NEEDED, "start"))
    _require(night, left)
    told = configuration.repair
    run = repairs.open_repair(night, told)
    place = f"{run.started[:10]}-{night.name}-{run.run_id[:6]}"
    folder = Environment().home.absolute() / "repairs" / place
    succeeded = False
    try:
        yield Begun(night, left, repairs.configuration_of(night), told, run, folder)
        succeeded = True
    finally:
        repairs.close_repair(run, succeeded=succeeded)


def _require(night: Night, left: dict[str, Record]) -> None:
    asked = left["hallucination"].outcome
    if asked.skipped:
        raise UserError(
            f"night {night.name} has no wrong answers to repair: {asked.skipped}",
            "Give the night fact probes, such as source.probes.",
        )
    missing = [title for title in _NEEDED if title not in left]
    if "trace" in missing:
        raise UserError(
            f"night {night.name} has no trace from its wrong answers to training rows",
            "Run the night again with its trace turned on, or name another night.",
        )
    if missing:
        raise UserError(
            f"night {night.name} left no whole {', '.join(map(repr, missing))} in the store "
            f"{Environment().store_root}",
            "Check PLUMBLINE_STORE, or run the night again.",
        )
    if why := left["trace"].outcome.skipped:
        raise UserError(f"the trace of night {night.name} is empty: {why}")


def require_same_source(begun: Begun, raw: Record) -> None:
    """Refuse a source whose rows are not the night's any more.

    Raises:
        UserError: They are not; before and after would differ by more than the rows taken out.
    """
    if raw.digest != begun.left["ingest"].digest:
        raise UserError(
            f"the source of night {begun.night.name} has changed since, so that a training now would "
            "not compare with it",
            "Repair the last night of the source as it is now.",
        )


def show_proposal(begun: Begun, proposed: Record) -> Path:
    """Put the proposal where people find it, with what to say to accept it."""
    lines = _acceptance(begun)
    path = _show(begun, proposed, "proposal", "Which rows to take out", lines)
    if begun.told.accept == "none":
        console.print(f"[bold]{proposed.outcome.summary}[/bold]", soft_wrap=True)
        for words, command in lines:
            console.print(f"  [dim]{words}[/dim] {command}", soft_wrap=True)
        repairs.log_outcome(begun.run, proposed.outcome.summary, proposed.outcome.metrics)
    return path


def show_outcome(begun: Begun, compared: Record) -> Path:
    """The same for what became of the repair."""
    sentence = compared.outcome.summary
    lines = (
        (f"Accepted by {begun.told.by}: {begun.told.why}", ""),
        ("The next night takes the rows out too and judges its model by its usual rules. To put a "
         "row back:", "plumbline release --row ID --why REASON"),
    )  # fmt: skip
    path = _show(begun, compared, "repair", sentence, lines)
    repairs.log_outcome(begun.run, sentence, compared.outcome.metrics)
    console.print(f"[bold]{sentence}[/bold]", soft_wrap=True)
    return path


def _acceptance(begun: Begun) -> _Lines:
    """What to run to accept the proposal; settings that it depends on are said again."""
    told = begun.told.model_dump(mode="json", exclude_defaults=True, exclude=aside(Repair))
    settings = [f"repair.{name}={json.dumps(value)}" for name, value in told.items()]
    name = shlex.join([begun.night.run_id[:8], *settings])
    command, signed = f"plumbline repair {name}", "--by NAME --why REASON"
    return (
        ("To take all of them out and train again:", f"{command} --accept all {signed}"),
        ("Only some of them:", f"{command} --accept rows=ID,ID {signed}"),
        ("By a rule:", f"{command} --rule stated_by_minority {signed}"),
    )


def _show(begun: Begun, record: Record, name: str, words: str, lines: _Lines) -> Path:
    environment = Environment()
    address = facts.run_address(begun.run.run_id)
    header = NightHeader(
        name=begun.night.name, started=begun.night.started, mlflow_url=address,
        prefect_url=environment.prefect_ui,
    )  # fmt: skip
    html = (open_store().fetch(record) / PAGE).read_text("utf-8")
    page = note(fill_header(html, header), *lines)
    path = begun.folder / f"{name}.html"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(page, "utf-8")
        part.replace(path)
    except OSError as error:
        raise UserError(f"the page cannot be written to {path}: {error.strerror}") from error
    facts.log_file(begun.run.run_id, path)
    link_artifact(f"{name}-page", path.as_uri(), words)
    link_artifact("repair-in-mlflow", address, "The repair in MLflow")
    return path
