"""Nights as a person runs them: the command line, in a process of its own, in a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUMBLINE = Path(sys.executable).with_name("plumbline")
SMOKE = ROOT / "deployments" / "smoke.yaml"


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def page(self) -> Path:
        return Path(self.out.strip().splitlines()[-1])


def command(home: Path, *arguments: object, **more: str) -> tuple[list[str], dict[str, str]]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PLUMBLINE_"))}
    environment = {**kept, "PLUMBLINE_HOME": str(home), "COLUMNS": "120", **more}
    return [str(PLUMBLINE), *map(str, arguments)], environment


def run(home: Path, *arguments: object, **more: str) -> Ran:
    line, environment = command(home, *arguments, **more)
    done = subprocess.run(
        line, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    return Ran(done.returncode, done.stdout, done.stderr)
