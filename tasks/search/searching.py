"""A search from its beginning to its end: its name, its study, its run in MLflow, what it leaves."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.configuration import Configuration
from tasks.confinement import confine
from tasks.corpus.sources.readers import source_digest
from tasks.errors import UserError
from tasks.records import Night
from tasks.search import figures, results
from tasks.search.configuration import SearchConfiguration
from tasks.search.space import SECTIONS, Space, distributions, space_of, value_of
from tasks.search.study import Study
from tasks.search.trial import Objective, Runner
from tasks.settings import Environment
from tasks.tracking import trials as tracked

# What comes after the loss that is searched for, and so changes no trial.
_AFTER = {"evaluate", "explain", "decide"}


@dataclass(frozen=True)
class Begun:
    """A search that has begun.

    Attributes:
        study: Its trials.
        run: Its run in MLflow.
        space: What is varied.
        base: The settings that every trial starts from.
        folder: What it leaves on this machine.
        configuration: What it was told.
    """

    study: Study
    run: Night
    space: Space
    base: Configuration
    folder: Path
    configuration: SearchConfiguration

    def runner(self, objective: Objective) -> Runner:
        """What runs the trials; from here on the time counts, and the table is printed."""
        told = self.configuration.search
        deadline = (
            {} if told.minutes is None else {"deadline": time.monotonic() + 60 * told.minutes}
        )
        return Runner(
            study=self.study, base=self.base, objective=objective, run=self.run,
            folder=self.folder, alone=told.parallel == 1, ended=results.teller(list(self.space)),
            **deadline,
        )  # fmt: skip


@contextmanager
def search(configuration: SearchConfiguration) -> Iterator[Begun]:
    """Begin a search or go on with one, and leave its figures however it ends.

    Raises:
        UserError: The space, the database or the study cannot be used; or no trial was completed.
    """
    confine(configuration)
    space, base = space_of(configuration), configuration.night()
    identity = _identity(configuration, space)
    told = configuration.search
    name = told.study or f"{told.objective}-{_digest(identity)}"
    study = Study(
        Environment().studies_url, name, distributions(space, base), told, configuration.seed
    )
    study.belongs_to(identity)
    study.take_up()
    study.begin_with({name: value_of(base, name) for name in space})
    folder = Environment().home.absolute() / "searches" / name
    folder.mkdir(parents=True, exist_ok=True)
    begun = Begun(
        study, tracked.open_search(name, configuration), space, base, folder, configuration
    )
    succeeded = False
    try:
        yield begun
        succeeded = True
    finally:
        _leave(begun, succeeded=succeeded)
    best = study.best()
    if best is None:
        raise UserError(
            f"none of the {len(study.trials())} trials of {name} came to its end",
            "See their reasons above; a narrower search.space may help.",
        )
    results.say_best(best, folder / results.BEST)


def _leave(begun: Begun, *, succeeded: bool) -> None:
    """Write the tables and figures, and end the run in MLflow."""
    trials, best = begun.study.trials(), begun.study.best()
    if trials:
        results.write(begun.folder, trials, best, begun.base)
        figures.draw(begun.folder, trials, begun.study.space, seed=begun.configuration.seed)
    tracked.close_search(
        begun.run, begun.folder, best=best.loss if best else None,
        counts=Counter(trial.ending for trial in trials), succeeded=succeeded,
    )  # fmt: skip


def _identity(configuration: SearchConfiguration, space: Space) -> dict[str, Any]:
    """All that a trial's loss depends on beside what is varied."""
    told = configuration.search
    sections = configuration.model_dump(mode="json", exclude={"search", *_AFTER})
    if "finetune" not in SECTIONS[told.objective]:
        del sections["finetune"]
    # A file counts by its contents, whatever it is called.
    for name in (*space, "pretrain.checkpoint_seconds", "source.location"):
        section, field = name.split(".")
        sections[section].pop(field, None)
    return {
        "objective": told.objective,
        "space": {name: d.model_dump(mode="json") for name, d in space.items()},
        "data": source_digest(configuration.source),
        **sections,
    }


def _digest(identity: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
