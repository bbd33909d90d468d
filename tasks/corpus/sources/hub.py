"""Datasets that the `datasets` library holds: on the Hugging Face hub, or saved to a folder.

The code that a hub dataset may bring is never run. Offline settings of the library are honoured:
what it has cached is used, and what it lacks is an error that says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.configuration import Source
from tasks.corpus.sources.formats import cells
from tasks.corpus.sources.items import Reject, Row, require_columns, wanted_columns
from tasks.errors import UserError

_BATCH = 4096  # rows
_SAVED = ("dataset_dict.json", "state.json")
_SECONDS = 10.0  # the hub's time to answer what the newest revision is


def is_saved(location: str) -> bool:
    """Whether the location is a local folder that `save_to_disk` wrote."""
    return any((Path(location).expanduser() / name).is_file() for name in _SAVED)


def saved_digest(location: str) -> str:
    """Digest of the Arrow files of a saved dataset, each with the split it belongs to."""
    folder = Path(location).expanduser()
    total = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.rglob("*.arrow")):
        total.update(path.parent.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as handle:
            total.update(hashlib.file_digest(handle, "blake2b").digest())
    return total.hexdigest()


def hub_digest(config: Source) -> str:
    """Name and commit of a hub dataset, so that a new commit is a changed input.

    Without a network the commit is that of the newest cached copy.

    Raises:
        UserError: The hub cannot be reached and nothing is cached, or it has no such dataset.
    """
    from huggingface_hub import HfApi

    name, _ = _name(config)
    try:
        info = HfApi().dataset_info(name, revision=config.revision, timeout=_SECONDS)
        commit = str(info.sha)
    except Exception as error:  # a dozen kinds, of three libraries
        cached = _cached(name, config.revision)
        if cached is None:
            raise _unreachable(config, error) from error
        commit = cached
    return f"hub:{config.location}@{commit}"


def _cached(name: str, revision: str | None) -> str | None:
    """The commit or fingerprint of a copy in the caches of the two libraries."""
    from datasets import config
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(name, repo_type="dataset", revision=revision, local_files_only=True)
        ).name
    except (OSError, ValueError):
        prepared = Path(config.HF_DATASETS_CACHE) / name.lower().replace("/", "___")
        found = sorted(path.name for path in prepared.glob("*/*/*") if path.is_dir())
        return "-".join(found) or None


def _name(config: Source) -> tuple[str, str | None]:
    """Name of the dataset, and of the configuration after a colon."""
    name, _, configuration = config.location.partition(":")
    return name, configuration or None


def read_datasets(config: Source) -> Iterator[Row | Reject]:
    """Every row of a hub or saved dataset, with the splits it has.

    Raises:
        UserError: There is no such dataset, or it cannot be reached.
    """
    splits = _load(config)
    source = config.location.rstrip("/").split("/")[-1]
    wanted = wanted_columns(config)
    for split, dataset in splits.items():
        require_columns(list(dataset.column_names), config, config.location)
        arrow = dataset.select_columns(wanted).with_format("arrow")
        for batch in arrow.iter(batch_size=_BATCH):
            columns = [cells(batch.column(name)) for name in wanted]
            for values in zip(*columns, strict=True):
                yield Row(dict(zip(wanted, values, strict=True)), source, split)


def _load(config: Source) -> dict[str | None, Any]:
    import datasets

    datasets.disable_progress_bars()
    try:
        if is_saved(config.location):
            found = datasets.load_from_disk(str(Path(config.location).expanduser()))
        else:
            name, configuration = _name(config)
            found = datasets.load_dataset(name, configuration, revision=config.revision)
    except Exception as error:  # a dozen kinds, of three libraries
        raise _unreachable(config, error) from error
    return dict(found) if isinstance(found, dict) else {None: found}


def _unreachable(config: Source, error: Exception) -> UserError:
    lines = str(error).strip().splitlines()
    said = f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
    where = "" if config.revision is None else f" at revision {config.revision!r}"
    return UserError(
        f"{config.location!r} is no file or folder here, and neither the Hugging Face hub nor its "
        f"cache on this machine gave a dataset of that name{where} ({said})",
        "Check source.location, and the network if it is a hub dataset.",
    )
