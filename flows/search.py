"""Hyper-parameter search: the text prepared once, then trials, pruned by their held-out loss."""

from __future__ import annotations

import concurrent.futures
from pathlib import Path
from typing import Any

from prefect import flow, task, unmapped
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ThreadPoolTaskRunner

from flows.prepare import prepare
from flows.train import material
from tasks.console import heading
from tasks.search import objectives, results, searching
from tasks.search.configuration import SearchConfiguration
from tasks.search.searching import Begun
from tasks.search.trial import Objective, Runner
from tasks.stage import link_artifact
from tasks.tracking import runs
from tasks.tracking.facts import run_address
from tasks.training.pretrain import pretrain


@flow(name="search", persist_result=False)
def search(configuration: SearchConfiguration = SearchConfiguration()) -> Path:
    """Look for the settings with the lowest held-out loss.

    Args:
        configuration: A night's, from which every trial starts, and how to search round it.

    Returns:
        The best settings, as the configuration of a night.
    """
    with searching.search(configuration) as begun:
        link_artifact("search-in-mlflow", run_address(begun.run.run_id), "The search in MLflow")
        objective = _objective(configuration, begun)
        left = begun.study.left()
        heading(
            f"search {begun.study.name}", f"{left} of {configuration.search.trials} trials left"
        )
        if left:
            _run(begun.runner(objective), left, configuration.search.parallel)
    return begun.folder / results.BEST


@task(name="trial", task_run_name="trial-{slot}", cache_policy=NO_CACHE, persist_result=False)
def _trial(slot: int, runner: Runner) -> int | None:
    return runner.next()


def _run(runner: Runner, left: int, parallel: int) -> None:
    """Map the trials over a pool; each asks what to try when its turn comes."""
    pool: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=parallel)
    with pool:
        slots = {"slot": list(range(left)), "runner": unmapped(runner)}
        futures: Any = pool.map(_trial, slots)
        running = {future.wrapped_future for future in futures}
        try:
            # Waking every second, since a signal that another thread took wakes nobody.
            while running:
                running = concurrent.futures.wait(running, timeout=1.0).not_done
            futures.result()
        finally:
            runner.stop()


def _objective(c: SearchConfiguration, begun: Begun) -> Objective:
    """Everything that all trials share, computed or reused."""
    prepared = prepare(begun.base, begun.run)
    with runs.subflow("train", begun.base, begun.run):
        shared = material(c, prepared)
        given = (shared["pack"], shared["tokenize"], shared.get("start"))
        if c.search.objective == "pretrain":
            return objectives.pretraining(*given)
        pretrained = None
        if not any(name.startswith("pretrain.") for name in begun.space):
            pretrained = pretrain(*given, config=c.pretrain, seed=c.seed)
    return objectives.finetuning(pretrained, given, prepared["augment"], prepared["correct"])
