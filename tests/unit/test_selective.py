"""Temperature and the confidence from which on to answer, against figures worked out otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from tasks.evaluation.selective import least_confidence, temperature, tempered


def test_the_temperature_that_made_a_model_too_sure_is_found_again() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(20_000, 3)) * 2
    fair = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    classes = np.array([rng.choice(3, p=p) for p in fair])
    too_sure = tempered(fair, 1 / 2.5)
    assert temperature(too_sure, classes) == pytest.approx(2.5, rel=0.05)
    assert np.allclose(tempered(too_sure, 2.5), fair, atol=1e-4)  # below 1e-12 shares are cut


def test_a_temperature_changes_no_answer_and_unknown_classes_have_no_say() -> None:
    shares = np.array([[0.7, 0.3], [0.4, 0.6], [0.1, 0.9]])
    assert (tempered(shares, 7.0).argmax(axis=1) == shares.argmax(axis=1)).all()
    known = temperature(shares, np.array([0, 1, 1]))
    more = np.vstack([shares, [[0.99, 0.01]]])
    assert temperature(more, np.array([0, 1, 1, -1])) == known
    assert temperature(shares, np.array([-1, -1, -1])) == 1.0


def test_the_threshold_answers_as_much_as_the_risk_allows() -> None:
    # 300 sure answers of which 3 are wrong, then 300 of which half are.
    confidence = np.concatenate([np.linspace(1, 0.9, 300), np.linspace(0.6, 0.5, 300)])
    correct = np.ones(600, bool)
    correct[[50, 150, 250]] = False
    correct[300::2] = False
    found = least_confidence(confidence, correct, risk=0.1, level=0.9)
    assert found is not None
    answered = confidence >= found
    assert 300 <= answered.sum() < 400
    assert (~correct[answered]).mean() < 0.1


def test_no_threshold_is_given_where_none_is_shown_to_do() -> None:
    assert least_confidence(np.full(4, 0.9), np.ones(4, bool), risk=0.1, level=0.9) is None
    assert (
        least_confidence(np.linspace(1, 0, 200), np.zeros(200, bool), risk=0.1, level=0.9) is None
    )
    assert least_confidence(np.zeros(0), np.zeros(0, bool), risk=0.1, level=0.9) is None


def test_who_is_as_sure_is_treated_alike() -> None:
    confidence = np.array([0.9] * 50 + [0.8] * 50)
    correct = np.array([True] * 50 + [False] * 50)
    assert least_confidence(confidence, correct, risk=0.1, level=0.9) == 0.9


def test_the_risk_is_kept_in_nine_draws_of_ten() -> None:
    rng = np.random.default_rng(1)
    broken = 0
    for _ in range(200):
        confidence = rng.uniform(size=400)
        correct = rng.uniform(size=400) < confidence  # wrong with probability 1 - confidence
        found = least_confidence(confidence, correct, risk=0.1, level=0.9)
        if found is not None:  # among those answered, the mean of 1 - confidence is wrong
            broken += (1 - found) / 2 > 0.1
    assert broken <= binom.ppf(0.999, 200, 0.1)
