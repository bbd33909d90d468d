"""The manifest of a stored folder: what each file must be, and a seal on the manifest itself."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import ValidationError

from tasks.records import Frozen, Record

MANIFEST = "manifest.json"
_CHUNK = 1 << 20
_verified: dict[Path, tuple[tuple[int, int, int], ...]] = {}


class FileEntry(Frozen):
    """Size in bytes and SHA-256 of one file."""

    size: int
    sha256: str


class Manifest(Frozen):
    """The last file written to a folder: its record, and what every other file must be.

    Attributes:
        record: What the stage said of the folder.
        files: Every other file by its path in the folder.
        seal: SHA-256 of the two, without which a flipped bit of a figure would pass for the figure;
            empty in folders that were stored before there were seals.
    """

    record: Record
    files: dict[str, FileEntry]
    seal: str = ""

    @property
    def sealed(self) -> bool:
        """Whether record and files are what they were when the folder was stored."""
        return self.seal in ("", _seal(self.record, self.files))


def sealed_manifest(record: Record, files: dict[str, FileEntry]) -> Manifest:
    """A manifest with its seal."""
    return Manifest(record=record, files=files, seal=_seal(record, files))


def _seal(record: Record, files: dict[str, FileEntry]) -> str:
    digest = hashlib.sha256(record.model_dump_json().encode())
    for name, entry in files.items():
        digest.update(f"{name}\0{entry.model_dump_json()}\n".encode())
    return digest.hexdigest()


def describe(path: Path) -> FileEntry:
    """Size and digest of a file, read in chunks."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            digest.update(chunk)
    return FileEntry(size=path.stat().st_size, sha256=digest.hexdigest())


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a finished folder.

    Raises:
        FileNotFoundError: The folder is not finished.
        ValidationError: The manifest is damaged.
    """
    return Manifest.model_validate_json((folder / MANIFEST).read_bytes())


def intact(folder: Path) -> bool:
    """Whether a folder is finished and every file is, byte for byte, what the manifest says.

    Within one process a folder is read once: after that, sizes and times tell whether it changed.
    """
    try:
        manifest = read_manifest(folder)
        stamp = tuple(_stamp(folder / name) for name in (MANIFEST, *manifest.files))
        if _verified.get(folder) == stamp:
            return True
        whole = manifest.sealed and all(
            describe(folder / name) == entry for name, entry in manifest.files.items()
        )
    except (OSError, ValidationError):
        return False
    if whole:
        _verified[folder] = stamp
    return whole


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino
