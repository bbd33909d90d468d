"""What the page can read of a night: every stage may have been skipped, or never run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from tasks.log import CURVE
from tasks.manifest import MANIFEST, read_manifest
from tasks.records import Outcome, Point


class Shelf:
    """The stage folders of one night, by title; asks of what is missing come back empty."""

    def __init__(self, stages: Mapping[str, Path]) -> None:
        self._stages = dict(stages)

    def __contains__(self, title: str) -> bool:
        return title in self._stages

    def outcome(self, title: str) -> Outcome | None:
        """What the stage said of itself."""
        folder = self._stages.get(title)
        if folder is None or not (folder / MANIFEST).exists():
            return None
        return read_manifest(folder).record.outcome

    def why_not(self, title: str) -> str:
        """Why a stage has nothing to show, as a sentence; empty if it has."""
        if title not in self._stages:
            return "This stage did not run."
        outcome = self.outcome(title)
        if outcome is None or not outcome.skipped:
            return ""
        why = outcome.skipped
        return f"Skipped: {why.removesuffix('.')}."

    def json(self, title: str, name: str) -> Any:
        """A JSON file of a stage, None if there is none."""
        path = self._path(title, name)
        return orjson.loads(path.read_bytes()) if path else None

    def facts(self, title: str, name: str) -> dict[str, Any]:
        """A JSON object of a stage, empty if there is none."""
        found = self.json(title, name)
        return found if isinstance(found, dict) else {}

    def frame(self, title: str, name: str, columns: tuple[str, ...] = ()) -> pl.DataFrame:
        """A parquet file of a stage, empty if there is none; of `columns` those that exist."""
        path = self._path(title, name)
        if path is None:
            return pl.DataFrame()
        if not columns:
            return pl.read_parquet(path)
        held = pl.read_parquet_schema(path)
        return pl.read_parquet(path, columns=[c for c in columns if c in held])

    def count(self, title: str, name: str, where: pl.Expr | None = None) -> int | None:
        """Rows of a parquet file, counted in the file itself; None if there is none."""
        path = self._path(title, name)
        if path is None:
            return None
        rows = pl.scan_parquet(path)
        rows = rows.filter(where) if where is not None else rows
        return int(rows.select(pl.len()).collect().item())

    def curve(self, title: str) -> dict[str, list[tuple[float, float]]]:
        """A stage's training curves: metric to its (step, value) points."""
        path = self._path(title, CURVE)
        curves: dict[str, list[tuple[float, float]]] = {}
        for line in path.read_bytes().splitlines() if path else ():
            point = Point.model_validate_json(line)
            for name, value in point.metrics.items():
                curves.setdefault(name, []).append((float(point.step), value))
        return curves

    def _path(self, title: str, name: str) -> Path | None:
        folder = self._stages.get(title)
        path = folder / name if folder else None
        return path if path and path.exists() else None


def figure(found: Any) -> dict[str, float] | None:
    """An interval `{"value", "low", "high"}` out of a stage's JSON, None if it is not one."""
    if isinstance(found, dict) and all(
        isinstance(found.get(k), int | float) for k in ("value", "low", "high")
    ):
        return {k: float(found[k]) for k in ("value", "low", "high")}
    return None
