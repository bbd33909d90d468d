"""The stack's secrets, in files that nobody else can read."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

_EMPTY = re.compile(r"^([A-Z0-9_]+)=$", re.M)


def make(path: Path, example: Path) -> bool:
    """Write a .env file like the example, with random secrets in it, unless it is there.

    Args:
        path: The file.
        example: Names in capitals with nothing behind the equals sign; those after the word
            `Optional` stay empty.

    Returns:
        Whether it was made.
    """
    if path.exists():
        return False
    needed, optional, rest = example.read_text().partition("# Optional")
    text = _EMPTY.sub(lambda found: f"{found[1]}={_secret(found[1])}", needed) + optional + rest
    write_private(path, text.encode())
    return True


def write_private(path: Path, content: bytes) -> None:
    """Write a file that its owner alone may read, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    part.replace(path)


def _secret(name: str) -> str:
    drawn = secrets.token_hex(16)
    return f"plumbline:{drawn}" if name == "PREFECT_AUTH" else drawn
