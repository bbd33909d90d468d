"""Pretraining on several machines: what the first worker tells the others, and what they do.

Each machine has `TF_CONFIG` as TensorFlow wants it, and all share `PLUMBLINE_HOME`. The first
worker runs the night; it leaves a job beside its checkpoints. The others run `plumbline follow`:
they wait for the first one, train with it step by step, and leave nothing, since the first writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson
from tokenizers import Tokenizer

from tasks.configuration import Pretraining
from tasks.errors import UserError
from tasks.training.pretraining import make_trainer

_JOB = "job.json"


@dataclass(frozen=True)
class Job:
    """What `pretrain` was given, as paths that every worker can read.

    Attributes:
        packed: Packed rows.
        tokenized: Holds the vocabulary.
        start: Folder of the model to go on from.
        config: The section.
        seed: Of the run.
    """

    packed: Path
    tokenized: Path
    start: Path | None
    config: Pretraining
    seed: int


def announce(scratch: Path, job: Job) -> None:
    """Leave the job where other workers find it, if there are any."""
    from models.training import distribution

    if distribution.workers() == 1:
        return
    told = {
        "packed": str(job.packed), "tokenized": str(job.tokenized),
        "start": str(job.start) if job.start else None,
        "config": job.config.model_dump(mode="json"), "seed": job.seed,
    }  # fmt: skip
    aside = scratch / f"{_JOB}.part"
    aside.write_bytes(orjson.dumps(told))
    aside.replace(scratch / _JOB)


def follow(scratches: Path) -> int:
    """Take part in the first worker's pretraining, to its end.

    Args:
        scratches: Folder of the stages' scratch folders.

    Returns:
        Optimizer steps made.

    Raises:
        UserError: This process is not one of several workers, or the first one left no job.
    """
    from models import devices
    from models.text.rows import Rows, open_order
    from models.training import distribution
    from models.training.loop import train

    try:
        alone = distribution.workers() == 1 or distribution.is_chief()
    except ValueError as error:
        raise UserError(str(error), "Correct TF_CONFIG.") from error
    if alone:
        raise UserError(
            "TF_CONFIG makes this process the first worker or the only one, which has nobody to follow",
            "Run `plumbline nightly` here, and `plumbline follow` where the task's index is 1 or more.",
        )
    devices.prepare()
    strategy = distribution.strategy()  # returns when all workers have come this far
    path = _newest(scratches)
    job = _read(path)
    training, held_out = Rows.open(job.packed, "train"), Rows.open(job.packed, "validation")
    tokenizer = Tokenizer.from_file(str(job.tokenized / "tokenizer.json"))
    trainer = make_trainer(job.config, tokenizer, job.start, training.length, job.seed, strategy)
    progress = train(
        trainer, training, held_out, scratch=path.parent, report=lambda now: None,
        checkpoint_seconds=job.config.checkpoint_seconds,
        order=open_order(job.packed, "train", job.seed),
    )  # fmt: skip
    return progress.step


def _newest(scratches: Path) -> Path:
    jobs = sorted(scratches.glob(f"pretrain-*/{_JOB}"), key=lambda path: path.stat().st_mtime)
    if not jobs:
        raise UserError(
            f"the first worker left no job under {scratches}",
            "Let all workers share PLUMBLINE_HOME, and start the night where the task's index is 0.",
        )
    return jobs[-1]


def _read(path: Path) -> Job:
    told = orjson.loads(path.read_bytes())
    return Job(
        Path(told["packed"]), Path(told["tokenized"]),
        Path(told["start"]) if told["start"] else None,
        Pretraining(**told["config"]), told["seed"],
    )  # fmt: skip
