"""Claims about the seeded bootstrap."""

import numpy as np
import pytest

from tasks.evaluation.bootstrap import interval, paired_difference, ratio, share, wilson


def test_interval_of_a_mean_agrees_with_the_normal_theory() -> None:
    values = np.random.default_rng(0).normal(5.0, 2.0, size=400)
    found = interval(values, resamples=4000, seed=1)
    error = values.std(ddof=1) / np.sqrt(400)
    assert found["value"] == pytest.approx(values.mean())
    assert found["low"] == pytest.approx(values.mean() - 1.96 * error, abs=0.25 * error)
    assert found["high"] == pytest.approx(values.mean() + 1.96 * error, abs=0.25 * error)


def test_the_interval_covers_the_truth_about_as_often_as_its_level_says() -> None:
    generator = np.random.default_rng(3)
    covered = 0
    for trial in range(200):
        found = interval(generator.random(60) < 0.7, resamples=300, seed=trial)
        covered += found["low"] <= 0.7 <= found["high"]
    assert 0.88 <= covered / 200 <= 0.995


def test_same_seed_same_interval_and_another_seed_another() -> None:
    values = np.arange(30.0)
    once = interval(values, resamples=200, seed=5)
    assert once == interval(values, resamples=200, seed=5)
    assert once != interval(values, resamples=200, seed=6)


def test_any_statistic_over_rows_of_several_columns_can_be_resampled() -> None:
    rows = np.array([[1.0, 1.0], [30.0, 10.0], [4.0, 2.0]])
    found = interval(rows, resamples=500, seed=0, statistic=ratio)
    assert found["value"] == pytest.approx(35 / 13)
    assert 1.0 <= found["low"] <= found["value"] <= found["high"] <= 3.0


def test_resamples_without_a_value_are_left_out() -> None:
    rows = np.array([[1.0, 0.0], [4.0, 2.0]])
    found = interval(rows, resamples=200, seed=0, statistic=ratio)
    assert np.isfinite([found["low"], found["high"]]).all()


def test_pairing_takes_out_what_two_models_share() -> None:
    shared = np.random.default_rng(1).normal(0, 10, size=300)
    better = shared + 1 + np.random.default_rng(2).normal(0, 0.1, size=300)
    paired = paired_difference(better, shared, resamples=500, seed=0)
    assert paired["value"] == pytest.approx(1.0, abs=0.05)
    assert paired["low"] > 0.9
    assert paired["high"] < 1.1


def test_rows_that_do_not_pair_up_are_refused() -> None:
    with pytest.raises(ValueError, match="do not pair up"):
        paired_difference(np.ones(3), np.ones(4), resamples=10, seed=0)


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        interval(np.array([]), resamples=10, seed=0)


def test_a_few_rows_all_correct_leave_doubt_about_a_share() -> None:
    found = share(np.ones(5, dtype=bool), resamples=200, seed=0)
    assert found["value"] == 1.0
    assert found["high"] == 1.0
    assert found["low"] == pytest.approx(5 / (5 + 1.96**2), abs=1e-3)


def test_wilson_agrees_with_the_textbook() -> None:
    assert wilson(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)


def test_a_long_column_is_resampled_in_batches_of_bounded_memory() -> None:
    values = np.arange(3_000_000, dtype=np.float64)
    found = interval(values, resamples=5, seed=0)
    assert found["low"] <= found["high"]
    assert found["value"] == pytest.approx(1_499_999.5)
