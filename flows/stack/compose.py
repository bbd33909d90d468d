"""docker-compose.yml as processes of this machine: the same commands, environments and checks.

Three things are translated, and nothing else: a service's name with its port becomes an address on
loopback, a volume becomes a folder, and the image's own folders become this checkout.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tasks.errors import UserError

# Of the image: where the Dockerfile puts the checkout.
_IMAGE_ROOT = "/app"
_ANYWHERE = "0.0.0.0"  # noqa: S104  (in a container; here it is turned into loopback)
_LOOPBACK = "127.0.0.1"
# The port of each service within the compose file's network.
PORTS = {
    "postgres": 5432, "redis": 6379, "s3": 9000, "prefect": 4200, "mlflow": 5000,
    "worker-cpu": 8081, "worker-gpu": 8082,
}  # fmt: skip
_VARIABLE = re.compile(r"\$(?:\$|\{(\w+)(?:(:[-?])([^}]*))?\})")


@dataclass(frozen=True)
class Service:
    """One service as a process.

    Attributes:
        name: Its name in the compose file.
        command: The program and its arguments.
        environment: What it is told beside this machine's own variables.
        check: The command that succeeds once it is ready; empty if there is none.
        after: Services that must be ready before it starts.
        folders: Its volumes, made if they are not there.
        scripts: Read-only files of the checkout that its image would find.
        again: Whether it is started again when it ends.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    check: tuple[str, ...]
    after: tuple[str, ...]
    folders: tuple[Path, ...]
    scripts: tuple[Path, ...]
    again: bool


def read_services(
    path: Path,
    variables: Mapping[str, str],
    home: Path,
    ports: Mapping[str, int] | None = None,
    profiles: tuple[str, ...] = (),
) -> list[Service]:
    """The services of a compose file, each after those it waits for.

    Args:
        path: The compose file; its folder takes the place of the image's `/app`.
        variables: What `${NAME}` stands for.
        home: Folder for the volumes; the volume `runs` is that folder's parent.
        ports: Service to its port on loopback, where it is not the one of the compose file.
        profiles: Services of other profiles are left out.

    Raises:
        UserError: The file cannot be read, or a variable that it demands is not set.
    """
    try:
        document = yaml.safe_load(path.read_text())
        declared = document["services"]
    except (OSError, yaml.YAMLError, TypeError, KeyError) as error:
        raise UserError(f"the compose file {path} cannot be read: {error}") from error
    asked = {
        name: service
        for name, service in declared.items()
        if not service.get("profiles") or set(service["profiles"]) & set(profiles)
    }
    here = PORTS | dict(ports or {})
    return [
        _service(name, asked[name], variables, path.parent.absolute(), home.absolute(), here)
        for name in _in_order(asked)
    ]


def only(services: Sequence[Service], names: Sequence[str]) -> list[Service]:
    """Those of some names and those that they wait for, in the same order; all where none is named.

    Raises:
        UserError: There is no service of a name.
    """
    known = {service.name: service for service in services}
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"there is no service {unknown[0]!r}", f"There are {', '.join(known)}.")
    wanted, left = set[str](), list(names or known)
    while left:
        wanted.add(name := left.pop())
        left += [other for other in known[name].after if other not in wanted]
    return [service for service in services if service.name in wanted]


def _service(
    name: str,
    declared: Mapping[str, Any],
    variables: Mapping[str, str],
    root: Path,
    home: Path,
    ports: Mapping[str, int],
) -> Service:
    folders: dict[str, str] = {_IMAGE_ROOT: str(root)}
    made, scripts = [], []
    for volume in declared.get("volumes", []):
        source, target, *_ = volume.split(":")
        if source.startswith("."):
            scripts.append(root / source)
            continue
        folder = home.parent if source == "runs" else home / source / Path(target).name
        # A volume in a volume's place is served by the folder above it.
        folders[target] = str(folder)
        folders.setdefault(str(Path(target).parent), str(folder.parent))
        made.append(folder)

    def here(text: Any) -> str:
        # What a person sets is theirs, and stays as it is.
        where = f"{name} of the compose file"
        return _filled(_natively(str(text), folders, ports), variables, where)

    test = declared.get("healthcheck", {}).get("test", [])
    check = ["sh", "-c", *test[1:]] if test[:1] == ["CMD-SHELL"] else test[1:]
    return Service(
        name=name,
        command=tuple(here(part) for part in declared["command"]),
        environment={
            # The only place where a service's name stands without its port.
            key: _LOOPBACK if key.endswith("HOST") and value in ports else here(value)
            for key, value in declared.get("environment", {}).items()
        },
        check=tuple(here(part) for part in check),
        after=tuple(declared.get("depends_on", {})),
        folders=tuple(made),
        scripts=tuple(scripts),
        again=declared.get("restart") != "no",
    )


def _natively(text: str, folders: Mapping[str, str], ports: Mapping[str, int]) -> str:
    """A command's argument or a variable's value, with this machine's addresses and folders."""
    for target in sorted(folders, key=len, reverse=True):
        text = re.sub(rf"(?<![\w/.]){re.escape(target)}(?=[/,}}\s]|$)", folders[target], text)
    for name, port in PORTS.items():
        text = re.sub(rf"\b{name}:{port}\b", f"{_LOOPBACK}:{port}", text)
    text = re.sub("|".join(rf"\b{port}\b" for port in PORTS.values()), _ported(ports), text)
    text = text.replace("listen_addresses=*", f"listen_addresses={_LOOPBACK}")
    return text.replace(_ANYWHERE, _LOOPBACK)


def _ported(ports: Mapping[str, int]) -> Any:
    names = {str(port): name for name, port in PORTS.items()}
    return lambda found: str(ports[names[found[0]]])


def _filled(text: str, variables: Mapping[str, str], where: str) -> str:
    """The text with its `${NAME}`, `${NAME:-default}` and `${NAME:?message}` filled in."""

    def value(found: re.Match[str]) -> str:
        name, kind, more = found.groups()
        if name is None:
            return "$"
        if variables.get(name):
            return variables[name]
        if kind == ":?":
            raise UserError(f"{name} is not set, which {where} needs", f"{more}.")
        return more or ""

    return _VARIABLE.sub(value, text)


def _in_order(services: Mapping[str, Any]) -> Iterator[str]:
    """Every service after those it waits for."""
    placed: set[str] = set()
    while len(placed) < len(services):
        ready = [
            name
            for name, service in services.items()
            if name not in placed and set(service.get("depends_on", {})) <= placed
        ]
        if not ready:
            left = ", ".join(sorted(set(services) - placed))
            raise UserError(
                f"the services {left} wait for one another or for one that is not there"
            )
        yield from ready
        placed.update(ready)


def read_variables(path: Path) -> dict[str, str]:
    """The assignments of a .env file, under those of the environment.

    Raises:
        UserError: A line is no assignment.
    """
    found: dict[str, str] = {}
    if path.exists():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            name, equals, value = text.partition("=")
            if not equals:
                raise UserError(f"{path}:{number} is no assignment", "Write NAME=value.")
            found[name.strip()] = value.strip().strip("\"'")
    return found | {name: value for name, value in os.environ.items() if value}
