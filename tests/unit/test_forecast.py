"""Claims about smoothing a curve and about following it to twice the budget."""

from pathlib import Path

import numpy as np
import orjson
import pytest

from models.training.forecast import Forecast, NoForecast, forecast
from models.training.smoothing import Smoother, smoothed
from tasks.records import Point
from tasks.training.outlook import write_outlook

BUDGET = 4e6
DECAYED = 0.9  # what the decay leaves of the loss
Run = tuple[list[tuple[float, float]], tuple[float, float]]


def _law(share: float, floor: float = 1.8, scale: float = 0.6, a: float = 0.4) -> float:
    return floor + scale * (share + 0.03) ** -a


def _run(seed: int, noise: float, points: int = 12) -> tuple[Run, float]:
    """A run of BUDGET tokens, and the loss of another of twice as many."""
    scatter = np.random.default_rng(seed).normal(0.0, noise, points + 2)
    shares = np.linspace(0.06, 0.7, points)
    stable = [(s * BUDGET, _law(s) + e) for s, e in zip(shares, scatter, strict=False)]
    final = (BUDGET, DECAYED * _law(1.0) + scatter[-2])
    return (stable, final), DECAYED * _law(2.0) + scatter[-1]


def test_a_curve_without_noise_gives_its_parameters_and_its_continuation() -> None:
    (stable, final), twice = _run(0, noise=0.0, points=20)
    found = forecast(stable, final)
    assert isinstance(found, Forecast)
    assert found.twice == pytest.approx(twice, abs=0.005)
    assert found.exponent == pytest.approx(0.4, rel=0.2)
    assert found.floor == pytest.approx(1.8, rel=0.1)
    assert found.high - found.low < 0.03


def test_the_interval_covers_nine_in_ten_or_more_of_what_comes() -> None:
    covered = 0
    for seed in range(100):
        (stable, final), twice = _run(seed, noise=0.01)
        found = forecast(stable, final, seed=seed)
        assert isinstance(found, Forecast)
        covered += found.low <= twice <= found.high
    assert covered >= 90  # of 95 expected; fewer than 90 by chance once in 70 times


def test_a_noisier_curve_has_a_wider_interval() -> None:
    widths = []
    for noise in (0.002, 0.02):
        found = forecast(*_run(3, noise)[0])
        assert isinstance(found, Forecast)
        widths.append(found.high - found.low)
    assert widths[1] > 2 * widths[0]


def test_the_forecast_begins_where_the_run_ended() -> None:
    found = forecast(*_run(1, noise=0.01)[0])
    assert isinstance(found, Forecast)
    assert found.ahead[0][:2] == pytest.approx((BUDGET, found.loss))
    assert found.ahead[-1] == pytest.approx((2 * BUDGET, found.twice, found.low, found.high))


def test_the_same_curve_and_seed_give_the_same_forecast() -> None:
    run = _run(1, noise=0.01)[0]
    assert forecast(*run, seed=5) == forecast(*run, seed=5)
    assert forecast(*run, seed=5) != forecast(*run, seed=6)


def test_few_points_flat_curves_and_noise_are_refused_with_the_reason() -> None:
    (stable, final), _ = _run(0, noise=0.0)
    rising = [(t, 2.0 + 0.1 * abs(i - 4)) for i, (t, _) in enumerate(stable)]
    random = np.random.default_rng(1)
    # Falls on the whole, yet by jumps that no curve explains.
    wild = [(t, 3.0 - 0.02 * i + float(random.normal(0, 0.3))) for i, (t, _) in enumerate(stable)]
    wild[4:8] = [(t, loss + 1.0) for t, loss in wild[4:8]]
    for points, told in (
        (stable[:5], "needs 6"),
        (rising, "stopped falling"),
        (wild, "power law"),
        ([*stable[:-1], (stable[-1][0], float("nan"))], "not a finite number"),
    ):
        found = forecast(points, final)
        assert isinstance(found, NoForecast)
        assert told in found.reason


def test_the_stage_leaves_a_forecast_from_its_stable_phase_alone(tmp_path: Path) -> None:
    def loss(step: int) -> float:
        return _law(step / 100) * (1.0 if step <= 70 else 1.0 - 0.1 * (step - 70) / 30)

    points = [Point(step=s, metrics={"validation_loss": loss(s)}) for s in range(5, 101, 5)]
    told = write_outlook(tmp_path, points, 1000.0, stable=(5, 70), seed=0)
    found = orjson.loads((tmp_path / "forecast.json").read_bytes())
    assert found["points"] == 14
    assert found["tokens"] == 100_000.0
    assert told["loss_at_twice"] == pytest.approx(0.9 * _law(2.0), abs=0.01)
    assert told["loss_at_twice_low"] <= told["loss_at_twice"] <= told["loss_at_twice_high"]


def test_a_run_cut_short_or_without_held_out_text_leaves_the_reason(tmp_path: Path) -> None:
    judged = Point(step=5, metrics={"validation_loss": 3.0})
    for points, reason in (
        ([judged], "The run ended before its learning rate decayed."),
        ([Point(step=5, metrics={})], "There is no held-out text to judge by."),
    ):
        assert write_outlook(tmp_path, points, 1000.0, stable=(5, 70), seed=0) == {}
        assert orjson.loads((tmp_path / "forecast.json").read_bytes()) == {"reason": reason}


def test_a_running_mean_starts_at_the_first_value_and_forgets() -> None:
    smoother = Smoother(span=3)
    assert smoother.update(4.0) == 4.0
    assert 2.0 < smoother.update(2.0) < 3.0
    for _ in range(60):
        last = smoother.update(1.0)
    assert last == pytest.approx(1.0, abs=1e-6)


def test_smoothing_keeps_a_straight_line_and_removes_scatter() -> None:
    line = np.linspace(5.0, 1.0, 80)
    assert smoothed(line, 10) == pytest.approx(line)
    noisy = line + np.random.default_rng(0).normal(0, 0.3, 80)
    assert np.std(smoothed(noisy, 10)[20:] - line[20:]) < 0.5 * np.std(noisy[20:] - line[20:])
    assert smoothed([2.0], 10).tolist() == [2.0]
    with pytest.raises(ValueError, match="span"):
        smoothed(line, 0)
