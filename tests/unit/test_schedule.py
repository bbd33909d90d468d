import numpy as np
import pytest

from models.training.schedule import Plan


def plan(**changes):
    values = {
        "presentations": 400, "rows": 4, "learning_rate": 1e-2, "warmup": 0.1, "decay": 0.3,
        "weight_decay": 0.01, "mask_rate": 0.3, "adversarial_share": 0.0,
        "adversarial_epsilon": 0.1, "seed": 7,
    }  # fmt: skip
    return Plan(**{**values, **changes})


def test_the_rate_rises_stays_and_falls_to_zero():
    rates = [plan().rate(step / 100, 0.01) for step in range(101)]
    assert rates[0] == pytest.approx(1e-3)
    assert rates[9:71] == pytest.approx([1e-2] * 62)
    assert rates[85] == pytest.approx(5e-3)
    assert rates[100] == 0
    assert min(np.diff(rates[:10])) > 0 > max(np.diff(rates[70:]))


def test_without_warm_up_and_decay_the_rate_stays():
    assert {plan(warmup=0.0, decay=0.0).rate(p, 0.01) for p in (0.0, 0.5, 1.0)} == {1e-2}


def test_the_batch_grows_over_the_ramp_and_then_stays():
    grown = [plan(accumulate=4, ramp=0.5).micro_batches(p / 10) for p in range(10)]
    assert grown == [1, 1, 2, 2, 3, 4, 4, 4, 4, 4]
    assert [plan(accumulate=4).micro_batches(p / 10) for p in range(3)] == [4, 4, 4]


def test_a_run_has_the_steps_that_its_batches_make_of_its_rows():
    assert plan().steps() == 100
    assert plan(accumulate=4).steps() == 25
    assert 25 < plan(accumulate=4, ramp=0.5).steps() < 100


def test_the_mask_rate_moves_linearly():
    moving = plan(mask_rate_end=0.1)
    assert [moving.rate_of_masks(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([0.3, 0.2, 0.1])
    assert moving.highest_mask_rate == 0.3
    assert plan().rate_of_masks(0.7) == 0.3
