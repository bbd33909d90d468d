"""The ground on which a fault is injected: a home, the night that it is compared with, its nights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from faulting.nights import SMALL, Night
from faulting.seeding import Reference


@dataclass
class Ground:
    """A home for one fault, and everything that was started there.

    Attributes:
        home: The home.
        made: The undisturbed night.
        configuration: YAML file of the nights.
        environment: Variables of every night here, the last one too.
    """

    home: Path
    made: Reference
    configuration: Path = SMALL
    environment: dict[str, str] = field(default_factory=dict)
    _nights: list[Night] = field(default_factory=list)
    _undo: list[Callable[[], object]] = field(default_factory=list)

    def night(self, environment: dict[str, str] | None = None) -> Night:
        """Start a night, with more variables than the others'."""
        variables = {**self.environment, **(environment or {})}
        night = Night(self.home, self.configuration, variables)
        self._nights.append(night)
        return night

    def later(self, undo: Callable[[], object]) -> None:
        """Have something done when this ground is left, the last first."""
        self._undo.append(undo)

    def leave(self) -> None:
        """End what still runs, and undo what was done to the machine."""
        for night in self._nights:
            night.clear()
        while self._undo:
            self._undo.pop()()

    def place(self, title: str) -> str:
        """The folder of a stage's result, relative to the store."""
        return "/".join(self.made.places[title])

    def folder(self, title: str) -> Path:
        """The folder of a stage's result."""
        return self.home / "store" / self.place(title)

    def is_finished(self, title: str) -> bool:
        """Whether the store has a stage's result."""
        return (self.folder(title) / "manifest.json").exists()

    def is_working_on(self, title: str) -> bool:
        """Whether a stage has begun and has not cleared its work away."""
        return bool(self._work(title))

    def work_files(self, title: str) -> int:
        """Files that a stage wrote aside."""
        return sum(p.is_file() for folder in self._work(title) for p in folder.rglob("*"))

    def _work(self, title: str) -> list[Path]:
        stage, key = self.made.places[title]
        return list((self.home / "store" / ".aside" / "work").glob(f"{stage}-{key[:16]}*"))
