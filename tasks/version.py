"""The version of a stage's code: a digest of its module and of everything of ours it imports.

Found by reading the sources, not by running them, so that it needs no heavy library and a changed
helper recomputes exactly the stages that can reach it.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

from tasks.settings import ROOT

PACKAGES = ("tasks", "expectations", "models")
# The mechanism moves and records results but does not change them.
MECHANISM = frozenset(
    f"tasks.{m}"
    for m in (
        "stage store manifest leftovers processes disk console settings version log parts mapping"
    ).split()
)
# Sections are part of the key by value; a new field elsewhere must not recompute the world.
MECHANISM |= {"tasks.configuration", "tasks.records", "tasks.errors"}
MECHANISMS = ("tasks.configuration.", "tasks.tracking")
DATA_SUFFIXES = {".json", ".txt", ".tsv", ".html", ".css"}


@cache
def code_version(module: str) -> str:
    """Digest of the project sources a module can reach, and of the locked library versions."""
    digest = hashlib.sha256()
    for path in sorted(_closure(module), key=str):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    lock = ROOT / "requirements.lock"
    digest.update(lock.read_bytes() if lock.exists() else b"")
    return digest.hexdigest()


def _closure(module: str) -> set[Path]:
    paths: set[Path] = set()
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen or name in MECHANISM or name.startswith(MECHANISMS):
            continue
        seen.add(name)
        path = _source(name)
        if path is None:
            continue
        paths.add(path)
        paths.update(p for p in path.parent.rglob("*") if _is_data(p))
        waiting.extend(_imports(path))
    return paths


def _is_data(path: Path) -> bool:
    """Whether a file beside a module is data that belongs to it."""
    return path.suffix in DATA_SUFFIXES and path.parent != ROOT / "tasks"


def _source(name: str) -> Path | None:
    base = ROOT / Path(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.exists():
            return path
    return None


def _imports(path: Path) -> list[str]:
    """Every module of ours named in an import anywhere in the file, lazy ones included."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] in PACKAGES]
