"""Claims about the statistics that skew and drift are judged by, each beside SciPy's."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial import distance

from expectations.statistics import (
    BINNED,
    MIN_EXPECTED,
    chi_square,
    compare_counts,
    compare_numbers,
    kolmogorov_smirnov,
    largest_change,
    minimum_rows,
    stability_index,
    together,
)


def counts(*values: float) -> NDArray[np.float64]:
    return np.array(values, np.float64)


def drawn(seed: int, rows: int, shares: list[float]) -> NDArray[np.float64]:
    return np.random.default_rng(seed).multinomial(rows, shares).astype(np.float64)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ties", [False, True])
def test_kolmogorov_smirnov_is_scipys_with_and_without_ties(seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0, 1, 200), rng.normal(0.2, 1, 330)
    if ties:
        first, second = first.round(), second.round()
    theirs = stats.ks_2samp(first, second, method="asymp")
    ours = compare_numbers(first, second, 0.05)
    assert kolmogorov_smirnov(first, second) == pytest.approx(theirs.statistic)
    assert ours.p == pytest.approx(theirs.pvalue, rel=0.05, abs=1e-4)
    assert (ours.value >= ours.critical) == (ours.p <= 0.05)


@pytest.mark.parametrize("seed", range(5))
def test_chi_square_and_cramers_v_are_scipys(seed: int) -> None:
    p, q = drawn(seed, 300, [0.2, 0.3, 0.5]), drawn(seed + 50, 450, [0.25, 0.25, 0.5])
    theirs = stats.chi2_contingency(np.stack([p, q]), correction=False)
    ours = compare_counts("chi2", p, q, 0.05)
    assert chi_square(p, q) == pytest.approx(theirs.statistic)
    assert ours.p == pytest.approx(theirs.pvalue)
    association = stats.contingency.association(np.stack([p, q]).astype(int), method="cramer")
    assert ours.value == pytest.approx(association)


@pytest.mark.parametrize("seed", range(5))
def test_the_divergence_is_the_square_of_scipys_distance_and_its_limit_is_chi_square(
    seed: int,
) -> None:
    p, q = drawn(seed, 800, [0.1, 0.2, 0.3, 0.4]), drawn(seed + 50, 500, [0.1, 0.2, 0.3, 0.4])
    ours = compare_counts("js", p, q, 0.05)
    assert ours.value == pytest.approx(distance.jensenshannon(p, q, base=2) ** 2)
    assert ours.p == pytest.approx(stats.chi2_contingency(np.stack([p, q]))[1], abs=0.02)


def test_the_stability_index_is_the_sum_of_both_relative_entropies() -> None:
    p, q = counts(30, 60, 110), counts(45, 50, 105)
    a, b = p + 0.5, q + 0.5
    a, b = a / a.sum(), b / b.sum()
    assert stability_index(p, q) == pytest.approx(stats.entropy(a, b) + stats.entropy(b, a))
    assert math.isfinite(stability_index(counts(10, 0), counts(0, 10)))


def test_the_largest_change_is_scipys_chebyshev_distance_and_its_test_a_two_by_two_table() -> None:
    p, q = counts(50, 30, 120), counts(60, 70, 70)
    value, place = largest_change(p, q)
    assert value == pytest.approx(distance.chebyshev(p / p.sum(), q / q.sum()))
    assert place == 2
    table = np.array([[120, 80], [70, 130]])
    theirs = stats.chi2_contingency(table, correction=False).pvalue
    assert compare_counts("linf", p, q, 0.05).p == pytest.approx(3 * theirs)


@pytest.mark.parametrize("statistic", BINNED)
@pytest.mark.parametrize("sizes", [(60, 60), (100, 1000), (2000, 2000)])
def test_equal_distributions_alarm_no_oftener_than_the_level_says(
    statistic: str, sizes: tuple[int, int]
) -> None:
    rng, shares, draws = np.random.default_rng(3), [0.05, 0.15, 0.2, 0.25, 0.35], 2000
    first, second = (rng.multinomial(n, shares, draws).astype(np.float64) for n in sizes)
    alarms = sum(
        compare_counts(statistic, p, q, 0.05).p <= 0.05 for p, q in zip(first, second, strict=True)
    )
    # Four standard errors over the level; the limits of few rows are a little bold.
    assert alarms / draws < 0.05 * (1.25 if min(sizes) < 200 else 1) + 4 * math.sqrt(0.0475 / draws)
    assert statistic == "linf" or alarms / draws > 0.02


@pytest.mark.parametrize("statistic", BINNED)
def test_the_critical_value_is_where_the_probability_meets_the_level(statistic: str) -> None:
    for seed in range(40):
        p, q = drawn(seed, 200, [0.2, 0.3, 0.5]), drawn(seed + 99, 300, [0.25, 0.3, 0.45])
        found = compare_counts(statistic, p, q, 0.1)
        assert (found.value >= found.critical) == (found.p <= 0.1)


def test_bins_that_expect_too_few_rows_are_put_together() -> None:
    p, q = counts(100, 50, 2, 1, 3), counts(90, 60, 3, 4, 2)
    places = together(p, q)
    assert places.tolist() == [0, 1, 2, 2, 2]
    lonely = together(counts(100, 50, 1), counts(90, 60, 1))
    assert lonely.tolist() == [0, 1, 1]
    expected = np.bincount(places, weights=(p + q) / 2)
    assert expected.min() >= MIN_EXPECTED


@pytest.mark.parametrize("statistic", BINNED)
def test_one_bin_says_nothing(statistic: str) -> None:
    found = compare_counts(statistic, counts(80, 1), counts(90, 0), 0.05)
    assert (found.value, found.p, found.critical) == (0.0, 1.0, math.inf)


def test_constant_columns_do_not_differ_and_unlike_constants_differ_wholly() -> None:
    same = compare_numbers(np.ones(60), np.ones(70), 0.05)
    assert (same.value, same.p) == (0.0, 1.0)
    unlike = compare_numbers(np.ones(60), np.zeros(70), 0.05)
    assert unlike.value == 1
    assert unlike.p < 1e-9


@pytest.mark.parametrize("statistic", ["ks", *BINNED])
def test_from_the_least_rows_on_a_value_at_the_threshold_is_told_from_chance(
    statistic: str,
) -> None:
    rows = minimum_rows(statistic, 0.15, 0.001, bins=2)
    if statistic == "ks":
        here = compare_numbers(np.arange(rows) / 1.0, np.arange(rows) / 1.0, 0.001)
    else:
        half = rows / 2
        here = compare_counts(statistic, counts(half, half), counts(half, half), 0.001)
    assert here.critical == pytest.approx(0.15, rel=0.05) or rows == 50
    assert here.critical <= 0.15 * 1.01


def test_no_statistic_of_that_name_is_refused() -> None:
    with pytest.raises(ValueError, match="'kl'"):
        compare_counts("kl", counts(50, 50), counts(50, 50), 0.05)
