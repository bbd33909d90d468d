"""Calibration: of the answers given with confidence 0.8, are 80 % right?

Expected calibration error (Naeini, Cooper and Hauskrecht 2015) over equal-width bins b:

    ECE = sum_b  n_b / n  *  | accuracy_b - mean confidence_b |

and the multi-class Brier score (1950), the mean over rows of `sum_c (p_c - y_c)^2`, from 0 (sure
and right) to 2 (sure and wrong). ECE alone can be met by a model that always says the base rate;
the Brier score cannot. A row whose label the model does not know counts as wrong, and its true
class as one that was given probability 0.

ECE is biased upward on few rows, for noise in a bin never cancels; its interval shows how much.

Both are also given at the temperature that validation rows ask for, with what would be answered,
and how well, if the model kept silent below a confidence chosen on them (see `selective`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from tasks.configuration import Evaluation
from tasks.evaluation.bootstrap import interval, share, wilson
from tasks.evaluation.selective import least_confidence, temperature, tempered
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage

BINS = 15
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@stage
def calibration(quality: Path, *, config: Evaluation, seed: int, out: Path, log: Log) -> Outcome:
    """Judge how far the confidence of the test predictions can be taken at its word.

    Args:
        quality: The quality stage's folder, with one row of probabilities per test row.
        config: Number of resamples; the wrong answers that are allowed when silence is.
        seed: Seed of the resamples.
        out: Gets `calibration.json`: ece, brier, bins; and, if there are validation rows,
            `selective`: temperature, threshold (None if none is shown to do), and of the test rows
            ece and brier at that temperature, coverage, and risk of what is answered.
        log: Unused; the stage takes well under a second.

    Returns:
        ECE and Brier score, or why there are none.
    """
    path = quality / "predictions.parquet"
    rows = pl.read_parquet(path) if path.exists() else pl.DataFrame()
    if rows.is_empty():
        why = "there are no predictions to judge"
        (out / "calibration.json").write_bytes(orjson.dumps({"skipped": why}, option=_JSON))
        return Outcome(summary=why, skipped=why)
    confidence, correct = rows["confidence"].to_numpy(), rows["correct"].to_numpy()
    ece = interval(
        np.stack([confidence, correct], axis=1),
        resamples=config.bootstrap,
        seed=seed,
        statistic=expected_calibration_error,
    )
    brier = interval(_brier_of(rows), resamples=config.bootstrap, seed=seed)
    found: dict[str, Any] = {
        "rows": len(rows),
        "ece": ece,
        "brier": brier,
        "bins": reliability_bins(confidence, correct),
    }
    if (quality / "validation.parquet").exists():
        tuning = pl.read_parquet(quality / "validation.parquet")
        found["selective"] = _selective(tuning, rows, config, seed)
    (out / "calibration.json").write_bytes(orjson.dumps(found, option=_JSON))
    return Outcome(
        summary=f"ECE {ece['value']:.3f}, Brier {brier['value']:.3f} on {len(rows):,} rows",
        metrics={"ece": ece["value"], "brier": brier["value"]},
        artifacts=("calibration.json",),
    )


def expected_calibration_error(rows: NDArray[Any], bins: int = BINS) -> NDArray[Any]:
    """ECE of each resample.

    Args:
        rows: `(resamples, n, 2)`: confidence in 0..1, and 1 where the answer was right.
        bins: Number of equal-width bins.

    Returns:
        `(resamples,)`.
    """
    resamples, n, _ = rows.shape
    place = _bin_of(rows[..., 0], bins) + bins * np.arange(resamples)[:, None]
    gap = np.bincount(
        place.ravel(),
        weights=(rows[..., 1] - rows[..., 0]).ravel(),
        minlength=resamples * bins,
    )
    return np.asarray(np.abs(gap.reshape(resamples, bins)).sum(axis=1) / n)


def brier_scores(probabilities: NDArray[Any], classes: NDArray[Any]) -> NDArray[Any]:
    """`sum_c (p_c - y_c)^2` of each row.

    Args:
        probabilities: `(n, C)`.
        classes: `(n,)` index of the true class, -1 where it is none of the C.

    Returns:
        `(n,)` in 0..2.
    """
    known = classes >= 0
    of_truth = np.where(known, probabilities[np.arange(len(classes)), classes], 0.0)
    return np.asarray((probabilities**2).sum(axis=1) - 2 * of_truth + 1)


def reliability_bins(
    confidence: NDArray[Any], correct: NDArray[Any], bins: int = BINS
) -> list[dict[str, float]]:
    """The rows of a reliability diagram: one per bin that holds any row.

    `accuracy_low` and `accuracy_high` are Wilson's interval of the bin's accuracy.
    """
    place = _bin_of(confidence, bins)
    found = []
    for b in np.unique(place):
        inside = place == b
        rows, accuracy = int(inside.sum()), float(correct[inside].mean())
        low, high = wilson(accuracy, rows)
        found.append(
            {
                "low": float(b / bins),
                "high": float((b + 1) / bins),
                "rows": rows,
                "confidence": float(confidence[inside].mean()),
                "accuracy": accuracy,
                "accuracy_low": low,
                "accuracy_high": high,
            }
        )
    return found


def _bin_of(confidence: NDArray[Any], bins: int) -> NDArray[np.int64]:
    # the last bin is closed: a confidence of exactly 1 belongs to it
    return np.clip((confidence * bins).astype(np.int64), 0, bins - 1)


def _brier_of(rows: pl.DataFrame) -> NDArray[Any]:
    return brier_scores(*_shares(rows))


def _shares(rows: pl.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The probabilities, (n, C), and the true classes, (n,); -1 for one that the model lacks."""
    columns = [c for c in rows.columns if c.startswith("p_")]
    index = {c.removeprefix("p_"): i for i, c in enumerate(columns)}
    classes = np.array([index.get(label, -1) for label in rows["label"]], dtype=np.int64)
    return rows.select(columns).to_numpy(), classes


def _selective(
    tuning: pl.DataFrame, rows: pl.DataFrame, config: Evaluation, seed: int
) -> dict[str, Any]:
    """Temperature and threshold of the validation rows, and what they do to the test rows."""
    t = temperature(*_shares(tuning))
    sure = tempered(_shares(tuning)[0], t).max(axis=1)
    right = tuning["correct"].to_numpy()
    threshold = least_confidence(sure, right, config.answer_risk, config.answer_level)
    shares, classes = _shares(rows)
    shares = tempered(shares, t)
    confidence, correct = shares.max(axis=1), rows["correct"].to_numpy()
    draws: dict[str, Any] = {"resamples": config.bootstrap, "seed": seed}
    answered = confidence >= (threshold if threshold is not None else 0.0)
    return {
        "temperature": t,
        "threshold": threshold,
        "validation_rows": len(tuning),
        "risk_allowed": config.answer_risk,
        "level": config.answer_level,
        "ece": interval(
            np.stack([confidence, correct], axis=1), statistic=expected_calibration_error, **draws
        ),
        "brier": interval(brier_scores(shares, classes), **draws),
        "coverage": share(answered, **draws),
        "risk": share(~correct[answered], **draws) if answered.any() else None,
    }
