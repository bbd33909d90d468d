"""Put the run page where people find it: on disk, in MLflow, and linked from Prefect."""

from __future__ import annotations

from pathlib import Path

import orjson

from tasks.errors import UserError
from tasks.promotion.page.speed import SPEEDS
from tasks.promotion.report import NightHeader, fill_header
from tasks.records import Night, Record
from tasks.settings import Environment
from tasks.stage import link_artifact, open_store
from tasks.tracking import events, facts


def publish(night: Night, reported: Record, registered: str) -> Path:
    """Complete the page with what is the night's own, and show it everywhere.

    The page itself is a stage's result and reused like any other; the night's name, links and
    times are filled in afterwards, so that a repeated night still has a page of its own.

    Args:
        night: The night to publish under.
        reported: The record of the `report` stage.
        registered: What was done in the registry, as one sentence.

    Returns:
        The page's path on this machine.
    """
    environment = Environment()
    folder = open_store().fetch(reported)
    header = NightHeader(
        name=night.name,
        started=night.started,
        registered=registered,
        mlflow_url=facts.run_address(night.run_id),
        prefect_url=environment.prefect_ui,
        timings=tuple(facts.timings(night)),
        speed=facts.figures(night, "pretrain", SPEEDS),
    )
    page = fill_header((folder / "page.html").read_text("utf-8"), header)
    path = facts.own_folder(night) / "page.html"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".part")
        aside.write_text(page, "utf-8")
        aside.replace(path)
    except OSError as error:
        raise UserError(f"the run page cannot be written to {path}: {error.strerror}") from error
    facts.log_file(night.run_id, path)
    headline = orjson.loads((folder / "headline.json").read_bytes())
    verdict = orjson.loads((folder / "verdict.json").read_bytes())
    note = (
        f"### {verdict['sentence']}\n\n{registered}.\n\nThe run page is the artifact `page.html`."
    )
    facts.log_headline(night, headline, {"plumbline.verdict": verdict["verdict"]}, note)
    if verdict["verdict"] == "refuse":
        events.tell(events.REFUSED, f"{night.name} was refused", verdict["sentence"], night.run_id)
    link_artifact("mlflow-run", facts.run_address(night.run_id), "The night in MLflow")
    link_artifact("run-page", path.as_uri(), f"Run page: {verdict['sentence']}")
    return path
