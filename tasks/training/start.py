"""The model that training starts from, as a stage's folder: kept, digested, and found again."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson

from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage
from tasks.training.starting_point import files_digest, resolve


@stage
def start(*, location: str, revision: str | None, content: str, out: Path, log: Log) -> Outcome:
    """Copy a model in Hugging Face's format, so that a night can be repeated when it is gone.

    Args:
        location: A folder or the name of a hub model.
        revision: Revision of a hub model.
        content: Digest of the files, by which a changed model is another input.
        out: Gets the model's files.
        log: Told when the files are copied.

    Raises:
        UserError: There is no such model.
    """
    folder = resolve(location, revision)
    files = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".safetensors"))
    for number, path in enumerate(files):
        log.progress(number, len(files), path.name)
        shutil.copyfile(path, out / path.name)
    shape = orjson.loads((out / "config.json").read_bytes())
    size = sum(path.stat().st_size for path in out.iterdir())
    layers, width = shape.get("num_hidden_layers"), shape.get("hidden_size")
    return Outcome(
        summary=f"{Path(location).name}: {layers} layers x {width}, {size / 1e6:,.0f} MB",
        metrics={"megabytes": size / 1e6},
    )


def start_digest(location: str, revision: str | None) -> str:
    """Digest of the files of the model at a place."""
    return files_digest(resolve(location, revision))
