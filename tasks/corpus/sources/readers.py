"""Where a source is: which files a location names, what they hold now, and their rows."""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import fsspec

from tasks.configuration import Source
from tasks.corpus import rows as schema
from tasks.corpus.sources import hub
from tasks.corpus.sources.formats import read_file
from tasks.corpus.sources.items import File, Reject, Row
from tasks.errors import UserError

FORMATS = {
    ".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".json": "json", ".txt": "txt",
}  # fmt: skip
_PACKED = {".gz", ".bz2", ".xz", ".zst"}
_CHUNK = 1 << 20


def read_source(config: Source) -> Iterator[Row | Reject]:
    """Every row of a source other than the fictional corpus, parsed or rejected.

    Raises:
        UserError: Nothing is there to be read, or a file as a whole is not of its format.
    """
    if is_hub(config) or hub.is_saved(config.location):
        yield from hub.read_datasets(config)
        return
    for file in find_files(config):
        yield from read_file(file, config)


def is_hub(config: Source) -> bool:
    """Whether the location is a hub dataset: said so, or no file and no path to one."""
    if config.format == "hub":
        return True
    location = config.location
    looks_like_path = any(mark in location for mark in ("*", "?", "\\", "://", "~")) or (
        _ending(location) in FORMATS or location.startswith((".", "/")) or location.endswith("/")
    )
    if config.format != "auto" or looks_like_path:
        return False
    return not fsspec.filesystem("file").exists(location) and location.count("/") <= 1


def source_digest(config: Source) -> str:
    """Digest of what the source holds now, so that changed contents are a changed input.

    Files count by their contents, whatever they are called.

    Raises:
        UserError: Nothing is there to be read.
    """
    if config.location == "fictional":
        return "fictional"
    if is_hub(config):
        content = hub.hub_digest(config)
    elif hub.is_saved(config.location):
        content = hub.saved_digest(config.location)
    else:
        parts = sorted((file.split or "", _file_digest(file)) for file in find_files(config))
        content = _of_parts([split.encode() + part for split, part in parts])
    if config.probes:
        content += "+" + _of_parts([_file_digest(_probe_file(config.probes))])
    return content


def _of_parts(parts: list[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def find_files(config: Source) -> list[File]:
    """The files that a path, folder, glob or URL names, in order of their names.

    Raises:
        UserError: There is none, or they are not of one format that is read.
    """
    location = config.location
    try:
        fs, path = fsspec.core.url_to_fs(location)
        paths = _paths(fs, path, config)
    except UserError:
        raise
    except Exception as error:  # every remote file system raises its own kinds
        said = str(error) or type(error).__name__
        raise UserError(f"the source {location!r} cannot be opened: {said}") from error
    formats = {p: _format_of(p, config.format) for p in paths}
    if len(set(formats.values())) > 1:
        counts = ", ".join(f"{n} {kind}" for kind, n in sorted(Counter(formats.values()).items()))
        raise UserError(
            f"{location!r} holds files of several formats ({counts})",
            "Set source.format, or name the files of one kind with a pattern such as 'data/*.csv'.",
        )
    splits = _named_splits(paths)
    return [File(p, formats[p], fs, splits.get(p)) for p in paths]


def _paths(fs: Any, path: str, config: Source) -> list[str]:
    if fs.isdir(path):
        return _in_folder(fs, path, config)
    if fs.exists(path):
        return [path]
    if any(mark in path for mark in "*?["):
        found = sorted(p for p in fs.glob(path) if not fs.isdir(p))
        if found:
            return found
        raise UserError(f"no file matches {config.location!r}", "Check source.location.")
    near = _near_files(fs, path)
    raise UserError(f"there is no file {config.location!r}{near}", "Check source.location.")


def _in_folder(fs: Any, path: str, config: Source) -> list[str]:
    """Files of a folder and those below it, but for hidden ones and those that begin with `_`."""
    below = {p: PurePosixPath(p).relative_to(path).parts for p in sorted(fs.find(path))}
    seen = [p for p, parts in below.items() if not any(part[0] in "._" for part in parts)]
    stated = None if config.format in ("auto", "hub") else config.format
    wanted = set(FORMATS.values()) if stated is None else {stated}
    found = [p for p in seen if FORMATS.get(_ending(p)) in wanted]
    if found:
        return found
    names = ", ".join(repr(PurePosixPath(p).name) for p in seen[:5]) or "nothing"
    raise UserError(
        f"the folder {config.location!r} holds no file that can be read as "
        f"{' or '.join(sorted(wanted))}; it holds {names}",
        "Check source.location and source.format.",
    )


def _named_splits(paths: list[str]) -> dict[str, str]:
    """Splits by the files' names, where every file's name begins with one and one is `train`."""
    firsts = {
        p: PurePosixPath(p).name.replace("_", "-").replace(".", "-").split("-")[0] for p in paths
    }
    splits = {p: schema.canonical_split(first) for p, first in firsts.items()}
    named = {p: split for p, split in splits.items() if split is not None}
    if len(named) < len(paths) or not {"train"} < set(named.values()):
        return {}
    return named


def _ending(path: str) -> str:
    """The last ending in lower case, or the one before it where that only says how it is packed."""
    name = PurePosixPath(path)
    if name.suffix.lower() in _PACKED:
        name = name.with_suffix("")
    return name.suffix.lower()


def _format_of(path: str, stated: str) -> str:
    if stated not in ("auto", "hub"):
        return stated
    ending = _ending(path)
    if ending not in FORMATS:
        known = ", ".join(sorted(FORMATS))
        raise UserError(
            f"{path}: the ending {ending or '(none)'!r} is not one of {known}", "Set source.format."
        )
    return FORMATS[ending]


def _near_files(fs: Any, path: str) -> str:
    parent = str(PurePosixPath(path).parent)
    try:
        names = [PurePosixPath(p).name for p in fs.ls(parent, detail=False)]
    except OSError:
        return f"; nor is there a folder {parent!r}"
    near = difflib.get_close_matches(PurePosixPath(path).name, names, n=3)
    return f"; did you mean {', '.join(map(repr, near))}?" if near else ""


def _probe_file(path: str) -> File:
    fs, inner = fsspec.core.url_to_fs(path)
    if not fs.isfile(inner):
        raise UserError(f"there is no probe file {path!r}", "Check source.probes.")
    return File(inner, "jsonl", fs)


def _file_digest(file: File) -> bytes:
    """Digest of a file's bytes as they lie, packed or not."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        with file.fs.open(file.path, "rb") as handle:
            while chunk := handle.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise UserError(f"{file.path} cannot be read: {error.strerror or error}") from error
    return digest.digest()
