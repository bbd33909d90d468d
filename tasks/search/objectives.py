"""What a trial trains: the stages' own functions, on what the stages before them left."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.configuration import Configuration
from tasks.errors import UserError
from tasks.log import Log
from tasks.records import Outcome, Record
from tasks.search.trial import LOSS, Diverged, Objective
from tasks.stage import open_store
from tasks.training.finetune import finetune
from tasks.training.pretrain import pretrain

# Records of what `pretrain` takes: packed rows, vocabulary, and the model to start from, if any.
Given = tuple[Record, Record, Record | None]
_Folders = tuple[Path, Path, Path | None]


def pretraining(packed: Record, tokenized: Record, start: Record | None = None) -> Objective:
    """Held-out loss of pretraining.

    Args:
        packed: What `pack` left.
        tokenized: What `tokenize` left.
        start: The model to start from; None for a fresh one.
    """
    given = _fetched((packed, tokenized, start))

    def objective(c: Configuration, scratch: Path, log: Log) -> float:
        with _thrown_away(scratch) as out:
            return _loss(_pretrain(given, c, out, scratch, log), "pretraining")

    return objective


def finetuning(
    pretrained: Record | None, given: Given, corpus: Record, corrected: Record | None
) -> Objective:
    """Validation loss of fine-tuning.

    Args:
        pretrained: The encoder that every trial starts from; None where each pretrains its own.
        given: What these pretrain on.
        corpus: What `augment` left.
        corrected: What `correct` left.
    """
    store = open_store()
    encoder = store.fetch(pretrained) if pretrained else None
    folders, text = _fetched(given), store.fetch(corpus)
    weights = store.fetch(corrected) if corrected else None

    def objective(c: Configuration, scratch: Path, log: Log) -> float:
        with _thrown_away(scratch) as folder:
            own, out = folder / "encoder", folder / "out"
            own.mkdir()
            out.mkdir()
            if encoder is None:
                _pretrain(folders, c, own, scratch, _Preamble(log))
            outcome = finetune.fn(
                encoder or own, text, weights, config=c.finetune, seed=c.seed, out=out, log=log
            )
            return _loss(outcome, "fine-tuning")

    return objective


@contextmanager
def _thrown_away(scratch: Path) -> Iterator[Path]:
    """An empty folder beside the scratch folder, so that a repeated trial finds and empties it."""
    folder = scratch.with_suffix(".out")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fetched(given: Given) -> _Folders:
    store = open_store()
    packed, tokenized, start = given
    return store.fetch(packed), store.fetch(tokenized), store.fetch(start) if start else None


def _pretrain(given: _Folders, c: Configuration, out: Path, scratch: Path, log: Log) -> Outcome:
    from models.training import progress

    try:
        return pretrain.fn(
            *given, config=c.pretrain, seed=c.seed, out=out, scratch=scratch, log=log
        )
    except UserError as error:
        # Of one run that is the end; of a search it is something learnt about the settings.
        if isinstance(error.__cause__, progress.Diverged):
            raise Diverged(str(error.__cause__)) from error
        raise


def _loss(outcome: Outcome, what: str) -> float:
    if outcome.skipped:
        raise UserError(f"{what} cannot be searched: {outcome.skipped}")
    if LOSS not in outcome.metrics:
        raise UserError(
            f"{what} cannot be searched: there is no held-out text to judge trials by",
            "Give more rows, or raise source.validation_share.",
        )
    return outcome.metrics[LOSS]


class _Preamble(Log):
    """What comes before the part that is judged: it can be ended, but its losses do not count."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def progress(self, done: float, total: float, note: str = "") -> None:
        """See `Log.progress`."""
        self._log.progress(done, total, note)
