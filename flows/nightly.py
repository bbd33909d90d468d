"""The whole night: prepare, train, assess, under one run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from prefect import flow
from prefect.runtime import flow_run

from flows.assess import assess
from flows.elsewhere import fetch_page, run_elsewhere
from flows.prepare import prepare
from flows.train import train
from tasks.configuration import Configuration
from tasks.console import heading
from tasks.stage import link_artifact
from tasks.tracking import runs
from tasks.tracking.facts import run_address


@flow(name="nightly", persist_result=False)
def nightly(
    configuration: Configuration = Configuration(), train_on: Literal["here", "gpu"] = "here"
) -> Path:
    """Validate the corpus, pretrain and fine-tune a model, and promote it if it is no worse.

    Args:
        configuration: Everything the run is told. The defaults make a complete run on the
            built-in fictional corpus.
        train_on: Where to train and assess: in this run, or in runs of their own on the GPU pool.

    Returns:
        The run page.
    """
    night = runs.open_night(flow_run.name, configuration, flow_run.id)
    heading(f"night {night.name}", f"started {night.started}")
    succeeded = False
    try:
        prepared = prepare(configuration, night)
        if train_on == "gpu":
            for deployment in ("train/train", "assess/assess-gpu"):
                run_elsewhere(deployment, configuration, night, prepared)
            page = fetch_page(night)
        else:
            trained = train(configuration, night, prepared)
            page = assess(configuration, night, prepared, trained)
        link_artifact("run-page", page.as_uri(), "The run page")
        link_artifact("night-in-mlflow", run_address(night.run_id), "The night in MLflow")
        succeeded = True
    finally:
        runs.close_night(night, succeeded=succeeded)
    return page
