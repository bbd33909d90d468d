"""The model that training starts from, as a stage's folder: kept, digested, and found again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson

from tasks.errors import UserError
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
        UserError: There is no such model, or its config.json cannot be read.
    """
    folder = resolve(location, revision)
    files = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".safetensors"))
    for number, path in enumerate(files):
        log.progress(number, len(files), path.name)
        shutil.copyfile(path, out / path.name)
    shape = _shape(out / "config.json", location)
    size = sum(path.stat().st_size for path in out.iterdir())
    layers, width = shape.get("num_hidden_layers"), shape.get("hidden_size")
    return Outcome(
        summary=f"{Path(location).name}: {layers} layers x {width}, {size / 1e6:,.0f} MB",
        metrics={"megabytes": size / 1e6},
    )


def _shape(path: Path, location: str) -> dict[str, Any]:
    """What config.json says of the model's size."""
    try:
        found = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise UserError(
            f"config.json of the model {location!r} is no JSON: {error}",
            "Save the model there again, or name another one in pretrain.start.",
        ) from error
    if not isinstance(found, dict):
        raise UserError(f"config.json of the model {location!r} holds no settings")
    return found


def start_digest(location: str, revision: str | None) -> str:
    """Digest of the files of the model at a place."""
    return files_digest(resolve(location, revision))
