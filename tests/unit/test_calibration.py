"""Claims about calibration figures."""

from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest
from sklearn.metrics import brier_score_loss

from tasks.configuration import Evaluation
from tasks.evaluation.calibration import (
    brier_scores,
    calibration,
    expected_calibration_error,
    reliability_bins,
)
from tasks.log import Log


def _ece(confidence: list[float], correct: list[int], bins: int) -> float:
    rows = np.stack([confidence, correct], axis=1)[None]
    return float(expected_calibration_error(rows, bins)[0])


def test_ece_of_four_rows_worked_out_by_hand() -> None:
    # bin 0..0.5: accuracy 0, confidence 0.4; bin 0.5..1: accuracy 2/3, confidence 0.8
    assert _ece([0.4, 0.7, 0.8, 0.9], [0, 1, 1, 0], bins=2) == pytest.approx(
        0.25 * 0.4 + 0.75 * (0.8 - 2 / 3)
    )


def test_confidence_that_equals_accuracy_has_no_error() -> None:
    assert _ece([0.75] * 4, [1, 1, 1, 0], bins=15) == pytest.approx(0.0)


def test_a_confidence_of_exactly_one_belongs_to_the_last_bin() -> None:
    bins = reliability_bins(np.array([1.0, 0.99]), np.array([True, True]))
    assert len(bins) == 1
    assert bins[0]["rows"] == 2
    assert bins[0]["high"] == 1.0


def test_each_resample_gets_its_own_ece() -> None:
    rows = np.array([[[0.9, 1.0], [0.9, 1.0]], [[0.9, 0.0], [0.9, 0.0]]])
    assert expected_calibration_error(rows) == pytest.approx([0.1, 0.9])


def test_brier_agrees_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet([1, 1, 1], size=50)
    classes = generator.integers(0, 3, size=50)
    expected = brier_score_loss(classes, probabilities, scale_by_half=False, labels=[0, 1, 2])
    assert brier_scores(probabilities, classes).mean() == pytest.approx(expected)


def test_a_label_the_model_does_not_know_is_a_class_given_nothing() -> None:
    assert brier_scores(np.array([[0.6, 0.4]]), np.array([-1])) == pytest.approx([0.52 + 1])


def test_the_stage_writes_figures_with_intervals_around_them(tmp_path: Path) -> None:
    rows = pl.DataFrame(
        {
            "row_id": ["a", "b", "c", "d"],
            "label": ["yes", "no", "yes", "maybe"],
            "predicted": ["yes", "no", "no", "no"],
            "correct": [True, True, False, False],
            "confidence": [0.9, 0.8, 0.6, 0.7],
            "p_no": [0.1, 0.8, 0.6, 0.7],
            "p_yes": [0.9, 0.2, 0.4, 0.3],
        }
    )
    quality, out = tmp_path / "quality", tmp_path / "out"
    quality.mkdir()
    out.mkdir()
    rows.write_parquet(quality / "predictions.parquet")
    outcome = calibration.fn(quality, config=Evaluation(), seed=1, out=out, log=Log())
    found = orjson.loads((out / "calibration.json").read_bytes())
    assert found["brier"]["value"] == pytest.approx((0.02 + 0.08 + 0.72 + 1.58) / 4)
    assert found["ece"]["low"] <= found["ece"]["value"] <= found["ece"]["high"]
    assert outcome.metrics["ece"] == pytest.approx(found["ece"]["value"])
    assert sum(b["rows"] for b in found["bins"]) == 4


def test_no_predictions_means_skipped_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    outcome = calibration.fn(tmp_path, config=Evaluation(), seed=1, out=tmp_path / "out", log=Log())
    assert outcome.skipped == "there are no predictions to judge"
