"""What the evaluation stages of one night left, by unit: row, probe, attacked text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from tasks.evaluation.bootstrap import mean, ratio
from tasks.evaluation.calibration import expected_calibration_error
from tasks.evaluation.hallucination import right_answers
from tasks.records import Frozen

Folders = Mapping[str, Path]  # evaluation stage to its folder


class Measure(Frozen):
    """A figure that variants are compared by.

    Attributes:
        name: As in MLflow.
        title: As on the page.
        unit: `share`, `nats` or `s`.
        better: 1 if more is better, -1 if less is.
    """

    name: str
    title: str
    unit: str
    better: int


MEASURES = (
    Measure(name="mlm_loss", title="Held-out loss", unit="nats", better=-1),
    Measure(name="accuracy", title="Accuracy", unit="share", better=1),
    Measure(name="correct", title="Facts correct", unit="share", better=1),
    Measure(name="hallucinated", title="Hallucinated", unit="share", better=-1),
    Measure(name="hallucinated_contradicted", title="Hallucinated, contradicted facts",
            unit="share", better=-1),
    Measure(name="facts_known_clean", title="Right if made to answer, other facts",
            unit="share", better=1),
    Measure(name="hallucinated_half", title="Hallucinated, half sure",
            unit="share", better=-1),
    Measure(name="correct_half", title="Facts correct, half sure", unit="share", better=1),
    Measure(name="ece", title="Calibration error", unit="share", better=-1),
    Measure(name="attack_success", title="Attack success", unit="share", better=-1),
    Measure(name="group_gap", title="Accuracy gap of groups", unit="share", better=-1),
    Measure(name="seconds", title="Cost", unit="s", better=-1),
)  # fmt: skip


class Units(dict[str, NDArray[np.float64]]):
    """Unit to its numbers, (k,); pairs of variants are compared on the units that both have."""


def units_of(measure: str, folders: Folders, disputed: pl.DataFrame) -> Units:
    """One variant's numbers for a measure; empty where it was not measured.

    Args:
        measure: Its name.
        folders: The evaluation stages' folders.
        disputed: `subject` and `relation` of the facts that the corpus states in several versions.
    """
    return _READERS[measure](folders, disputed) if measure in _READERS else Units()


def statistic(measure: str) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """The measure of units, `(r, n, k) -> (r,)`."""
    if measure == "mlm_loss":
        return ratio
    return expected_calibration_error if measure == "ece" else lambda rows: mean(rows[..., 0])


def group_gap(folders: Folders) -> float | None:
    """The widest accuracy gap between groups; a single number a night."""
    path = folders["group_metrics"] / "group_metrics.json"
    found = orjson.loads(path.read_bytes()).get("accuracy_gap") if path.exists() else None
    return float(found["value"]) if isinstance(found, dict) else None


def _table(folders: Folders, stage: str, name: str) -> pl.DataFrame:
    path = folders[stage] / name
    return pl.read_parquet(path) if path.exists() else pl.DataFrame()


def _units(frame: pl.DataFrame, key: str, *values: pl.Expr) -> Units:
    if frame.is_empty():
        return Units()
    numbers = frame.select(
        *[value.cast(pl.Float64).alias(str(i)) for i, value in enumerate(values)]
    )
    return Units(zip(frame[key].to_list(), numbers.to_numpy(), strict=True))


def _rows(folders: Folders, disputed: pl.DataFrame) -> Units:
    return _units(_table(folders, "quality", "predictions.parquet"), "row_id", pl.col("correct"))


def _confidences(folders: Folders, disputed: pl.DataFrame) -> Units:
    frame = _table(folders, "quality", "predictions.parquet")
    return _units(frame, "row_id", pl.col("confidence"), pl.col("correct"))


def _losses(folders: Folders, disputed: pl.DataFrame) -> Units:
    frame = _table(folders, "quality", "mlm.parquet")
    return _units(frame, "row_id", pl.col("loss_sum"), pl.col("tokens"))


def _probes(value: pl.Expr, keep: bool | None = None) -> Callable[[Folders, pl.DataFrame], Units]:
    """Probes, all of them or those of facts that are disputed, or are not."""

    def read(folders: Folders, disputed: pl.DataFrame) -> Units:
        frame = _table(folders, "hallucination", "probes.parquet")
        if frame.is_empty():
            return Units()
        frame = frame.with_columns(right=pl.Series(right_answers(frame)))
        if keep is not None:
            how = "semi" if keep else "anti"
            frame = frame.join(disputed, on=["subject", "relation"], how=how)  # type: ignore[arg-type]
        return _units(frame, "probe_id", value)

    return read


def _attacks(folders: Folders, disputed: pl.DataFrame) -> Units:
    frame = _table(folders, "robustness", "attacks.parquet")
    if frame.is_empty():
        return Units()
    tried = frame.filter(pl.col("outcome") != "skipped")
    return _units(tried, "row_id", pl.col("outcome") == "success")


_HALLUCINATED = pl.col("outcome") == "hallucinated"
# A night chooses its own threshold, and one that was taught more falsehoods rather keeps silent; at
# the same threshold for all it shows what they were taught.
_HALF_SURE = pl.col("confidence") >= 0.5
_READERS: dict[str, Callable[[Folders, pl.DataFrame], Units]] = {
    "mlm_loss": _losses,
    "accuracy": _rows,
    "correct": _probes(pl.col("outcome") == "correct"),
    "hallucinated": _probes(_HALLUCINATED),
    "hallucinated_contradicted": _probes(_HALLUCINATED, keep=True),
    "facts_known_clean": _probes(pl.col("right"), keep=False),
    "hallucinated_half": _probes(_HALF_SURE & ~pl.col("right")),
    "correct_half": _probes(_HALF_SURE & pl.col("right")),
    "ece": _confidences,
    "attack_success": _attacks,
}
