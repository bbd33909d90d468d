"""A content-addressed store of stage folders on any fsspec URL: whole or absent.

A folder is written aside, flushed and moved into place; its manifest, which lists the size and
digest of every file, is written last. A folder whose files do not match the manifest is treated
as absent, so damage costs a recomputation and never a wrong result.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
from filelock import FileLock
from pydantic import ValidationError

from tasks.disk import flush, friendly_disk_errors
from tasks.errors import UserError
from tasks.leftovers import clear, own_name
from tasks.manifest import MANIFEST, Manifest, describe, intact, read_manifest, sealed_manifest
from tasks.records import Frozen, Outcome, Record


class Stored(Frozen):
    """A finished folder in the store.

    Attributes:
        stage: The stage's name.
        key: The folder's name.
        size: Of its files (bytes).
        changed: When it was finished (s since 1970).
    """

    stage: str
    key: str
    size: int
    changed: float


class Store:
    """Stage folders under one root.

    Args:
        root: A local path or an fsspec URL (`s3://bucket/plumbline`).
        cache: Local folder for work in progress and, for a remote root, fetched folders.
    """

    def __init__(self, root: str, cache: Path) -> None:
        self.root = root.rstrip("/")
        self.cache = cache
        try:
            self._fs, self._base = fsspec.core.url_to_fs(self.root)
        except (ValueError, ImportError) as error:
            raise UserError(f"the store {root!r} cannot be opened: {error}") from error
        self.local = self._fs.protocol == "file" or "file" in self._fs.protocol

    def find(self, stage: str, key: str) -> Record | None:
        """The record of a finished, undamaged folder, or None."""
        try:
            folder = self.fetch_folder(stage, key)
        except (FileNotFoundError, ValidationError):
            return None
        return read_manifest(folder).record if folder is not None else None

    def finished(self, stage: str, key: str) -> float:
        """When a folder that is there was finished (s since 1970)."""
        return float(self._fs.modified(f"{self._base}/{stage}/{key}/{MANIFEST}").timestamp())

    def fetch(self, record: Record) -> Path:
        """The record's folder as a local path, verified.

        Raises:
            UserError: The folder is missing or its files are not what the record promised.
        """
        folder = self.fetch_folder(record.stage, record.key)
        if folder is None or read_manifest(folder).record.digest != record.digest:
            raise UserError(
                f"the output of stage {record.stage!r} at {record.uri} is missing or damaged",
                "Start the run again: the stage will be recomputed.",
            )
        return folder

    def fetch_folder(self, stage: str, key: str) -> Path | None:
        """A local copy of one finished folder, or None where it is absent or damaged."""
        if self.local:
            folder = Path(self._base, stage, key)
            return folder if intact(folder) else None
        folder = self.cache / "fetched" / stage / key
        if not intact(folder):
            remote = f"{self._base}/{stage}/{key}"
            if not self._fs.exists(f"{remote}/{MANIFEST}"):
                return None
            shutil.rmtree(folder, ignore_errors=True)
            self._fs.get(remote + "/", str(folder) + "/", recursive=True)
        return folder if intact(folder) else None

    @contextmanager
    def work(self, stage: str, key: str) -> Iterator[Path]:
        """A private, empty folder to write into, removed afterwards whatever happens."""
        folder = self._working() / own_name(f"{stage}-{key[:16]}")
        with friendly_disk_errors(self.root):
            clear(self._working())
            folder.mkdir(parents=True)
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def scratch(self, stage: str, key: str) -> Path:
        """A folder that outlives a killed process, for checkpoints; gone once the stage is done."""
        folder = self.scratches / f"{stage}-{key}"
        with friendly_disk_errors(self.root):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def tidy(self, stage: str, key: str) -> None:
        """Delete what a process left that was killed just after it had stored a folder.

        To be called by who holds the lock of the folder.
        """
        shutil.rmtree(self.scratches / f"{stage}-{key}", ignore_errors=True)
        clear(self._working())

    def drop_work(self) -> None:
        """Delete all work in progress, whichever machine left it; only for when no run is going on."""
        shutil.rmtree(self._working(), ignore_errors=True)

    @property
    def scratches(self) -> Path:
        """The folder of all scratch folders."""
        return self._aside() / "scratch"

    def lock(self, stage: str, key: str) -> FileLock:
        """One writer per key on this machine: a second run waits and then finds the result."""
        folder = self._aside() / "locks"
        with friendly_disk_errors(self.root):
            folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{stage}-{key}.lock")

    def read_file(self, name: str) -> bytes:
        """A file beside the stage folders, which is no stage's result; empty where it is not."""
        try:
            return bytes(self._fs.cat_file(f"{self._base}/{name}"))
        except (FileNotFoundError, NotADirectoryError):
            return b""  # where no store can be, writing will say so

    def amend_file(self, name: str, change: Callable[[bytes], bytes]) -> None:
        """Replace such a file by what is made of its contents, one writer at a time.

        The writers of one machine, or of one shared file system, wait for each other. Not covered:
        writers on two machines with a store on neither; the later one wins.
        """
        with self.lock("file", name), friendly_disk_errors(self.root):
            content = change(self.read_file(name))
            if not self.local:
                self._fs.pipe_file(f"{self._base}/{name}", content)
                return
            target = Path(self._base, name)
            aside = self._working() / own_name(name)
            aside.parent.mkdir(parents=True, exist_ok=True)
            try:
                aside.write_bytes(content)
                flush(aside)
                aside.replace(target)
            finally:
                aside.unlink(missing_ok=True)
            flush(target.parent)

    def commit(
        self, folder: Path, stage: str, key: str, outcome: Outcome, seconds: float
    ) -> Record:
        """Move a finished work folder into the store, manifest last.

        Returns:
            The record, whose digest covers every file's path and contents.
        """
        files = {
            str(p.relative_to(folder)): describe(p)
            for p in sorted(folder.rglob("*"))
            if p.is_file()
        }
        digest = hashlib.sha256("".join(f"{n}\0{e.sha256}\n" for n, e in files.items()).encode())
        record = Record(
            stage=stage, key=key, uri=f"{self.root}/{stage}/{key}", digest=digest.hexdigest(),
            seconds=round(seconds, 3), outcome=outcome,
        )  # fmt: skip
        manifest = sealed_manifest(record, files).model_dump_json(indent=1)
        with friendly_disk_errors(self.root):
            self._move_into_place(folder, stage, key, manifest)
        self.tidy(stage, key)
        return record

    def _move_into_place(self, folder: Path, stage: str, key: str, manifest: str) -> None:
        if not self.local:
            target = f"{self._base}/{stage}/{key}"
            if self._fs.exists(target):
                self._fs.rm(target, recursive=True)
            self._fs.put(str(folder) + "/", target + "/", recursive=True)
            self._fs.pipe_file(f"{target}/{MANIFEST}", manifest.encode())
            self._keep_fetched(folder, stage, key, manifest)
            return
        (folder / MANIFEST).write_text(manifest)
        for path in [*folder.rglob("*"), folder]:
            flush(path)
        target_path = Path(self._base, stage, key)
        target_path.parent.mkdir(parents=True, exist_ok=True)
        damaged = self._working() / own_name("damaged")
        if target_path.exists():  # or find() would have returned it
            target_path.rename(damaged)
        folder.rename(target_path)
        shutil.rmtree(damaged, ignore_errors=True)
        flush(target_path.parent)

    def _keep_fetched(self, folder: Path, stage: str, key: str, manifest: str) -> None:
        """What was just sent away need not be fetched back."""
        fetched = self.cache / "fetched" / stage / key
        shutil.rmtree(fetched, ignore_errors=True)
        fetched.parent.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).write_text(manifest)
        folder.rename(fetched)

    def folders(self) -> list[Stored]:
        """Every finished folder, in the order of stage and key."""
        found: list[Stored] = []
        for manifest in sorted(self._fs.glob(f"{self._base}/*/*/{MANIFEST}")):
            stage, key = manifest.split("/")[-3:-1]
            if stage.startswith("."):
                continue
            try:
                files = Manifest.model_validate_json(self._fs.cat_file(manifest)).files
            except ValidationError:  # damaged; it would be computed again
                files = {}
            changed = self._fs.modified(manifest).timestamp()
            size = sum(entry.size for entry in files.values())
            found.append(Stored(stage=stage, key=key, size=size, changed=changed))
        return found

    def remove(self, stage: str, key: str) -> None:
        """Delete a folder, its manifest first: whoever looks meanwhile finds it absent, not broken."""
        with self.lock(stage, key), friendly_disk_errors(self.root):
            self._fs.rm_file(f"{self._base}/{stage}/{key}/{MANIFEST}")
            self._fs.rm(f"{self._base}/{stage}/{key}", recursive=True)
            if not self.local:
                shutil.rmtree(self.cache / "fetched" / stage / key, ignore_errors=True)

    def _working(self) -> Path:
        return self._aside() / "work"

    def _aside(self) -> Path:
        """Work in progress stays on the store's own file system, so that a move is atomic."""
        return Path(self._base, ".aside") if self.local else self.cache
