"""Suite files: which there are, where they are, and that each is a suite in shape."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from expectations.by_language import languages_of

SUITES = Path(__file__).parent / "suites"
ENDING = ".json"  # of a suite that is named by its path


class SuiteError(Exception):
    """A suite, or the frame it is asked about, cannot be used; the message names what."""


def suite_names() -> list[str]:
    """Names of the suites that come with the project."""
    return sorted(path.stem for path in SUITES.glob("*.json"))


def suite_path(name: str) -> Path:
    """The file of a suite: one that comes with the project by its name, any by its path.

    Raises:
        SuiteError: There is no such suite; the message lists those there are.
    """
    if name.endswith(ENDING):
        if not Path(name).is_file():
            raise SuiteError(f"there is no suite file {name}")
        return Path(name)
    names = suite_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise SuiteError(f"there is no suite {name!r}; the suites are {', '.join(names)}{hint}")
    return SUITES / f"{name}.json"


def suites_digest(names: Iterable[str]) -> str:
    """Digest of the suites that are named by their path, empty if none is.

    Those that come with the project lie beside the code and are known by its version; a file
    elsewhere must be part of what a stage is known by, or a change to it would go unseen.

    Raises:
        SuiteError: A file is not there or cannot be read.
    """
    paths = [suite_path(name) for name in names if name.endswith(ENDING)]
    try:
        contents = [path.read_bytes() for path in paths]
    except OSError as error:
        raise SuiteError(f"a suite file cannot be read: {error}") from error
    parts = [hashlib.blake2b(content, digest_size=16).digest() for content in contents]
    return hashlib.blake2b(b"".join(parts), digest_size=16).hexdigest() if parts else ""


def read_suite(path: Path) -> dict[str, Any]:
    """Read a suite file and check its shape, not yet its meaning.

    Raises:
        SuiteError: It is not JSON (with line and column), or not a suite in Great Expectations'
            format: a name and a list of expectations, each with a type and kwargs.
    """
    try:
        suite = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise SuiteError(
            f"{path.name} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error
    except OSError as error:
        raise SuiteError(f"the suite file {path} cannot be read: {error.strerror}") from error
    if not isinstance(suite, dict) or not isinstance(suite.get("expectations"), list):
        raise SuiteError(f"{path.name} holds no list `expectations`")
    if not isinstance(suite.get("name"), str) or not suite["name"].strip():
        raise SuiteError(f"{path.name} has no `name`")
    meta = suite.get("meta")
    if not isinstance(meta, dict | None):
        raise SuiteError(f"{path.name}: `meta` is no object")
    alarm = (meta or {}).get("false_alarm", 0.05)
    if not isinstance(alarm, float | int) or not 0 < alarm < 1:
        raise SuiteError(f"{path.name}: `meta.false_alarm` is {alarm!r}, and no share")
    for place, item in enumerate(suite["expectations"], start=1):
        if not isinstance(item, dict) or not isinstance(item.get("type"), str):
            raise SuiteError(f"{path.name}: expectation {place} has no `type`")
        for field in ("kwargs", "meta"):
            if not isinstance(item.get(field, {}), dict):
                raise SuiteError(f"{path.name}: `{field}` of expectation {place} is no object")
        try:
            languages_of(item)
        except ValueError as error:
            raise SuiteError(f"{path.name}: expectation {place} {error}") from error
    return suite
