"""What PostgreSQL's image does before its server starts: a cluster, its owner, and its databases."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.stack.compose import Service
from tasks.errors import UserError

_WHOLE = "plumbline.made"  # in a cluster that has all its databases
# Where Debian keeps the programs that are not on the PATH, a folder for each version.
_DEBIAN = Path("/usr/lib/postgresql")


def programs(service: Service | None = None) -> list[str]:
    """Folders with PostgreSQL's programs beside those of the PATH, newest first.

    Args:
        service: The one that is started; where its cluster was made by another version, that one
            comes first, since no other can serve it.
    """
    versions = {folder.parent.name: str(folder) for folder in _DEBIAN.glob("*/bin")}
    order = sorted(versions, key=lambda version: -float(version))
    for folder in service.folders if service is not None else ():
        if (made := folder / "PG_VERSION").exists():
            order.sort(key=made.read_text().strip().__ne__)
    return [versions[version] for version in order]


def as_user(user: str | None) -> dict[str, Any]:
    """How `subprocess` starts a process as another user, which root alone can."""
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def prepare(service: Service) -> str | None:
    """Make the cluster unless it is there.

    Args:
        service: With `POSTGRES_USER`, `POSTGRES_PASSWORD`, `POSTGRES_DB`, a folder, and scripts.

    Returns:
        The user that the server runs as, where it cannot be who calls: PostgreSQL refuses root.

    Raises:
        UserError: PostgreSQL is not installed, or its user cannot enter the folder.
    """
    (folder,) = service.folders
    path = os.pathsep.join([*programs(), os.environ.get("PATH", "")])
    if shutil.which("initdb", path=path) is None:
        raise UserError(
            "the service postgres needs PostgreSQL, which is not here",
            "On Debian: apt-get install postgresql. Or use `docker compose up`.",
        )
    user = None
    if os.geteuid() == 0:
        user = _unprivileged()
        shutil.chown(folder, user)
    folder.chmod(0o700)
    if (folder / _WHOLE).exists():
        return user
    begun = folder.with_name(f"{folder.name}.begun")
    if any(folder.iterdir()) and not begun.exists():
        raise UserError(
            f"{folder} holds a database that this stack did not make",
            f"Move it away, or say that it has what the stack needs: touch {folder / _WHOLE}",
        )
    for left in folder.iterdir():  # of a start that was interrupted
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    begun.touch()
    told = service.environment
    with tempfile.TemporaryDirectory(prefix="plumbline-initdb-") as place:
        secret = Path(place, "password")
        secret.touch(0o600)
        secret.write_text(told["POSTGRES_PASSWORD"])
        if user is not None:
            shutil.chown(place, user)
            shutil.chown(secret, user)
        # The image lets local sockets in without a password; here every connection needs one.
        made = [
            "initdb", "-D", str(folder), "-U", told["POSTGRES_USER"], "-E", "UTF8",
            "--auth=scram-sha-256", f"--pwfile={secret}", "--no-instructions",
        ]  # fmt: skip
        _run(made, user, path, folder)
    # Everyone comes over loopback; the folder that Debian has for sockets may not be there.
    with (folder / "postgresql.conf").open("a") as settings:
        settings.write("unix_socket_directories = ''\n")
    first = [f"CREATE DATABASE {told['POSTGRES_DB']} OWNER {told['POSTGRES_USER']};"]
    statements = "\n".join([*first, *(script.read_text() for script in service.scripts)])
    # Without a server, so that nobody finds it half made.
    single = ["postgres", "--single", "-j", "-D", str(folder), "postgres"]
    for statement in _statements(statements):
        _run(single, user, path, folder, f"{statement}\n\n\n")
    (folder / _WHOLE).touch()
    begun.unlink()
    return user


def _statements(text: str) -> list[str]:
    """The statements of a script without comments."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("--")]
    return [f"{part.strip()};" for part in "\n".join(lines).split(";") if part.strip()]


def _unprivileged() -> str:
    """PostgreSQL's own user, or nobody."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise UserError("PostgreSQL does not run as root, and there is no other user to run it as")


def _run(
    command: Sequence[str], user: str | None, path: str, folder: Path, given: str = ""
) -> None:
    program = shutil.which(command[0], path=path) or command[0]
    try:
        done = subprocess.run(
            [program, *command[1:]], cwd="/", env={"PATH": path, "LC_ALL": "C.UTF-8"},
            input=given, capture_output=True, text=True, check=False,
            **as_user(user),
        )  # fmt: skip
    except OSError as error:
        raise UserError(f"PostgreSQL's {command[0]} cannot be started: {error}") from error
    if done.returncode:
        hint = (
            f"Its user {user} must be able to enter {folder}; set PLUMBLINE_HOME to such a place."
            if user and "ermission" in done.stderr
            else ""
        )
        raise UserError(f"{command[0]} failed: {done.stderr.strip()}", hint)
