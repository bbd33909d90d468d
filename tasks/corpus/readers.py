"""Rows out of files and hub datasets, one at a time, so that one bad row costs one row.

Text formats are read by our own loops because the loaders of `datasets` refuse a whole file for one
line that does not parse. Parquet and the hub go through `datasets`.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any

import fsspec
import orjson

from tasks.configuration import Source
from tasks.errors import UserError

FORMATS = {
    ".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json",
    ".txt": "txt",
}  # fmt: skip
_HEAD = 4096
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Row:
    """One parsed row: its columns, the name of its source, and the split if the hub gave one."""

    values: dict[str, Any]
    source: str
    split: str | None = None


@dataclass(frozen=True)
class Reject:
    """One row that did not parse: what could be kept of it, and why."""

    text: str
    reason: str
    detail: str
    source: str


@dataclass(frozen=True)
class File:
    """One file of a source and how to open it."""

    path: str
    format: str
    fs: Any

    @property
    def name(self) -> str:
        """The file's stem, which names the source whatever the format."""
        return PurePosixPath(self.path).stem

    def open(self) -> IO[bytes]:
        """The file's bytes."""
        handle: IO[bytes] = self.fs.open(self.path, "rb")
        return handle


def is_hub(config: Source) -> bool:
    """Whether the location is a hub dataset: said so, or no file and no path to one."""
    if config.format == "hub":
        return True
    location = config.location
    looks_like_path = any(mark in location for mark in ("*", "?", "\\", "://", "~")) or (
        PurePosixPath(location).suffix in FORMATS or location.startswith((".", "/"))
    )
    if config.format != "auto" or looks_like_path:
        return False
    return not fsspec.filesystem("file").exists(location) and location.count("/") <= 1


def source_digest(config: Source) -> str:
    """Digest of what the source holds now, so that changed contents are a changed input.

    Raises:
        UserError: Nothing is there to be read.
    """
    if config.location == "fictional":
        return "fictional"
    if is_hub(config):
        return f"hub:{config.location}@{config.revision or 'main'}"
    digest = hashlib.blake2b(digest_size=16)
    for one in sorted(_file_digest(file) for file in find_files(config)):
        digest.update(one)
    if config.probes:
        digest.update(_file_digest(_single_file(config.probes)))
    return digest.hexdigest()


def find_files(config: Source) -> list[File]:
    """The files that a path, folder, glob or URL names, in order.

    Raises:
        UserError: There is none, or one of a format that is not read.
    """
    location = config.location
    try:
        fs, path = fsspec.core.url_to_fs(location)
        if fs.isdir(path):
            found = [p for p in fs.find(path) if PurePosixPath(p).suffix in FORMATS]
        elif any(mark in path for mark in "*?["):
            found = [p for p in fs.glob(path) if not fs.isdir(p)]
        else:
            found = [path] if fs.exists(path) else []
    except (OSError, ValueError, ImportError) as error:
        raise UserError(f"the source {location!r} cannot be opened: {error}") from error
    if not found:
        raise UserError(
            f"there is no file {location!r}{_near_files(fs, path)}", "Check source.location."
        )
    return [File(p, _format_of(p, config.format), fs) for p in sorted(found)]


def _single_file(path: str) -> File:
    fs, inner = fsspec.core.url_to_fs(path)
    if not fs.exists(inner):
        raise UserError(f"there is no probe file {path!r}", "Check source.probes.")
    return File(inner, "jsonl", fs)


def _near_files(fs: Any, path: str) -> str:
    parent = str(PurePosixPath(path).parent)
    try:
        names = [PurePosixPath(p).name for p in fs.ls(parent, detail=False)]
    except OSError:
        return f"; nor is there a folder {parent!r}"
    near = difflib.get_close_matches(PurePosixPath(path).name, names, n=3)
    return f"; did you mean {', '.join(map(repr, near))}?" if near else ""


def _format_of(path: str, stated: str) -> str:
    if stated != "auto":
        return stated
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in FORMATS:
        known = ", ".join(sorted(FORMATS))
        raise UserError(
            f"{path}: the ending {suffix or '(none)'!r} is not one of {known}", "Set source.format."
        )
    return FORMATS[suffix]


def _file_digest(file: File) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    try:
        with file.open() as handle:
            while chunk := handle.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise UserError(f"{file.path} cannot be read: {error.strerror or error}") from error
    return digest.digest()


def read_file(file: File, config: Source) -> Iterator[Row | Reject]:
    """Every row of one file, parsed or rejected.

    Raises:
        UserError: The file as a whole is empty or not of its format.
    """
    readers: dict[str, Callable[[File, Source], Iterator[Row | Reject]]] = {
        "parquet": _read_parquet, "csv": _read_csv, "jsonl": _read_jsonl, "json": _read_json,
        "txt": _read_txt,
    }  # fmt: skip
    with file.open() as handle:
        head = handle.read(_HEAD)
    if not head:
        raise UserError(f"{file.path} is empty (0 bytes)")
    if file.format != "parquet":
        _require_text(file, head)
    yield from readers[file.format](file, config)


def _require_text(file: File, head: bytes) -> None:
    bad = sum(0xDC80 <= ord(c) <= 0xDCFF for c in head.decode("utf-8", "surrogateescape"))
    if head.startswith(b"PAR1"):
        what = "a parquet file"
    elif b"\0" in head[:512] and bad + head.count(b"\0") > len(head) // 10:
        what = "binary"
    elif bad > len(head) // 4:
        what = "not UTF-8 text"
    else:
        return
    raise UserError(
        f"{file.path} should be {file.format} but is {what} (it begins with {head[:8]!r})",
        "Set source.format, or convert the file to UTF-8.",
    )


def _read_parquet(file: File, config: Source) -> Iterator[Row | Reject]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with file.open() as handle:
            table = pq.ParquetFile(handle)
            require_columns(table.schema_arrow.names, config, file.path)
            wanted = [c for c in wanted_columns(config) if c in table.schema_arrow.names]
            for batch in table.iter_batches(batch_size=4096, columns=wanted):
                for values in batch.to_pylist():
                    yield Row(values, file.name)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise UserError(f"{file.path} is not a readable parquet file: {error}") from error


def _read_csv(file: File, config: Source) -> Iterator[Row | Reject]:
    csv.field_size_limit(sys.maxsize)
    with fsspec.open(
        _url(file), "r", encoding="utf-8-sig", errors="surrogateescape", newline=""
    ) as text:
        reader = csv.reader(text)
        try:
            header = next(reader)
        except (StopIteration, csv.Error) as error:
            raise UserError(f"{file.path} has no header line: {error}") from error
        require_columns(header, config, file.path)
        for fields in reader:
            if not fields:
                continue
            if len(fields) != len(header):
                detail = (
                    f"line {reader.line_num}: {len(fields)} fields, the header has {len(header)}"
                )
                yield Reject(",".join(fields), "unparseable", detail, file.name)
            else:
                yield Row(dict(zip(header, fields, strict=True)), file.name)


def _url(file: File) -> str:
    return str(file.fs.unstrip_protocol(file.path))


def _read_jsonl(file: File, config: Source) -> Iterator[Row | Reject]:
    columns: set[str] = set()
    with file.open() as handle:
        for number, line in enumerate(handle, 1):
            if not line.strip():
                continue
            try:
                values = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                yield Reject(_lossy(line), *_why_not_json(line, error, number), file.name)
                continue
            if not isinstance(values, dict):
                detail = f"line {number}: {type(values).__name__}, not an object"
                yield Reject(_lossy(line), "unparseable", detail, file.name)
                continue
            columns.update(values)
            yield Row(values, file.name)
    if columns:
        require_columns(sorted(columns), config, file.path)


def _why_not_json(line: bytes, error: Exception, number: int) -> tuple[str, str]:
    try:
        line.decode()
    except UnicodeDecodeError as bad:
        return "invalid_utf8", f"line {number}: {bad.reason} at byte {bad.start}"
    return "unparseable", f"line {number}: {error}"


def _read_json(file: File, config: Source) -> Iterator[Row | Reject]:
    with file.open() as handle:
        raw = handle.read()
    try:
        rows = json.loads(raw.decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(
            f"{file.path} is not one JSON value: {error}",
            "If it has one object a line, set source.format=jsonl.",
        ) from error
    if isinstance(rows, dict) and isinstance(rows.get("data"), list):
        rows = rows["data"]
    if not isinstance(rows, list):
        raise UserError(f"{file.path} holds {type(rows).__name__}, not a list of objects")
    require_columns(sorted({k for r in rows if isinstance(r, dict) for k in r}), config, file.path)
    for number, values in enumerate(rows):
        if isinstance(values, dict):
            yield Row(values, file.name)
        else:
            yield Reject(str(values), "unparseable", f"entry {number}: not an object", file.name)


def _read_txt(file: File, config: Source) -> Iterator[Row | Reject]:
    with file.open() as handle:
        for line in handle:
            text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
            if text.strip():
                yield Row({config.text: text}, file.name)


def read_hub(config: Source) -> Iterator[Row | Reject]:
    """Every row of a hub dataset, with the splits it has. Code of the dataset is never run.

    Raises:
        UserError: The hub cannot be reached, or has no such dataset.
    """
    import datasets

    datasets.disable_progress_bars()
    try:
        found = datasets.load_dataset(config.location, revision=config.revision)
    except Exception as error:  # the library raises a dozen kinds, some of other libraries
        raise UserError(
            f"{config.location!r} is no file here, and the Hugging Face hub did not give a dataset of "
            f"that name: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            "Check source.location, and the network if it is a hub dataset.",
        ) from error
    for split, dataset in found.items():
        require_columns(dataset.column_names, config, config.location)
        for values in dataset:
            yield Row(dict(values), config.location.split("/")[-1], str(split))


def wanted_columns(config: Source) -> list[str]:
    """Every column that the configuration names."""
    named = (config.text, config.label, config.timestamp, config.split, *config.groups)
    return [name for name in named if name]


def require_columns(found: list[str], config: Source, where: str) -> None:
    """Refuse a file that lacks a column, naming those it has."""
    for name in wanted_columns(config):
        if name not in found:
            near = difflib.get_close_matches(name, found, n=1)
            hint = (
                f"Did you mean {near[0]!r}?" if near else "Name the right one, such as TEXT=column."
            )
            raise UserError(
                f"{where} has no column {name!r}; it has {', '.join(map(repr, found[:30]))}", hint
            )


def _lossy(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r\n")
