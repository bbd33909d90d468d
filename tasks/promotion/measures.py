"""What candidate and champion are compared by: which rows, and which statistic of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.evaluation.bootstrap import Statistic, mean, ratio


@dataclass(frozen=True)
class Measure:
    """How one measure is read from an evaluation's folder.

    Attributes:
        name: In plain words.
        evaluation: Whose folder it is in.
        file: A parquet there, one row per unit of resampling.
        key: The column that pairs two models' rows.
        values: From the rows to `(n,)` or `(n, k)` numbers.
        statistic: From resampled rows to the measure.
        higher_is_better: Which way is good.
        unit: As in `tasks.promotion.compare.Comparison`.
        noisy: Chance alone moves it beyond any sensible margin; see `tasks.promotion.compare`.
        shared: A column taken from the champion for both, so that both are counted alike.
        absent: Why there are no rows, where the evaluation itself does not say.
    """

    name: str
    evaluation: str
    file: str
    key: str
    values: Callable[[pl.DataFrame], NDArray[Any]]
    statistic: Statistic = mean
    higher_is_better: bool = True
    unit: str = "share"
    noisy: bool = False
    shared: str | None = None
    absent: str = "there are no rows"

    def rows(self, folders: dict[str, Path]) -> pl.DataFrame:
        """The measure's rows sorted by their key; empty where the evaluation wrote none."""
        folder = folders.get(self.evaluation)
        path = folder / self.file if folder else None
        if path is None or not path.exists():
            return pl.DataFrame()
        rows = pl.read_parquet(path)
        return rows.sort(self.key) if self.key in rows.columns else pl.DataFrame()


def gap_of(groups: int) -> Statistic:
    """The widest accuracy gap between `groups` groups, recomputed in each resample.

    The statistic takes `(resamples, n, 2)`: the group's number, -1 for none, and 1 where right. A
    group that a resample happens to miss does not count there.
    """

    def widest(rows: NDArray[Any]) -> NDArray[Any]:
        resamples = len(rows)
        number = rows[..., 0].astype(np.int64) + 1
        place = (number + (groups + 1) * np.arange(resamples)[:, None]).ravel()
        size = resamples * (groups + 1)
        seen = np.bincount(place, minlength=size).reshape(resamples, groups + 1)[:, 1:]
        right = np.bincount(place, weights=rows[..., 1].ravel(), minlength=size)
        right = right.reshape(resamples, groups + 1)[:, 1:]
        accuracy = np.divide(right, seen, out=np.full(right.shape, np.nan), where=seen > 0)
        high = np.where(seen > 0, accuracy, -np.inf).max(axis=1)
        low = np.where(seen > 0, accuracy, np.inf).min(axis=1)
        return np.asarray(np.where(np.isfinite(high), high - low, np.nan))

    return widest


def gap_measure(column: str, groups: list[str]) -> Measure:
    """The accuracy gap over one group column, between the groups large enough to be judged."""
    index = {name: i for i, name in enumerate(groups)}

    def values(rows: pl.DataFrame) -> NDArray[Any]:
        code = np.array([index.get(v, -1) for v in rows[column]], dtype=np.float64)
        return np.stack([code, rows["correct"].to_numpy().astype(np.float64)], axis=1)

    return Measure(
        name=f"accuracy gap by {column.split('_', 1)[-1].replace('_', ' ')}",
        evaluation="group_metrics",
        file="predictions.parquet",
        key="row_id",
        values=values,
        statistic=gap_of(len(groups)),
        higher_is_better=False,
        unit="points",
        noisy=True,
    )


ACCURACY = Measure(
    "accuracy",
    "quality",
    "predictions.parquet",
    "row_id",
    lambda rows: rows["correct"].to_numpy(),
    absent="the test rows have no labels, or the model has no classes",
)
HALLUCINATED = Measure(
    "hallucinated share",
    "hallucination",
    "probes.parquet",
    "probe_id",
    lambda rows: (rows["outcome"] == "hallucinated").to_numpy(),
    higher_is_better=False,
)
UNDER_ATTACK = Measure(
    "accuracy under attack",
    "robustness",
    "attacks.parquet",
    "row_id",
    lambda rows: (rows["outcome"] == "failed").to_numpy(),
)
# Both models guessed the same hidden words. Divided by the same number of subwords, the champion's,
# their losses compare whatever their tokenizers; with one tokenizer it is the usual loss.
MASKED_LOSS = Measure(
    "masked-token loss",
    "quality",
    "mlm.parquet",
    "row_id",
    lambda rows: rows.select("loss_sum", "tokens").to_numpy(),
    statistic=ratio,
    higher_is_better=False,
    unit="nats per token",
    shared="tokens",
)
