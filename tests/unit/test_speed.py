"""Claims about how a step's work is counted, what the machine's peak is, and what progress says."""

import time
from typing import Any

import numpy as np
import pytest

from models.network.encoder import EncoderConfig, build
from models.text.masking import slots_per_row
from models.training import flops, speed
from models.training.adversary import perturbed_rows
from models.training.schedule import Plan
from models.training.trainer import Trainer
from tasks.records import Point
from tasks.training.progress import Speed, Speedometer, duration, live, note

SHAPE = EncoderConfig(vocabulary=300, layers=2, width=64, heads=4)
ROWS, LENGTH, RATE = 8, 32, 0.3


def _products(graph: Any) -> int:
    """Operations of all matrix products in a TensorFlow graph, from the shapes it inferred."""
    total = 0
    for op in graph.get_operations():
        if op.type not in ("MatMul", "BatchMatMulV2"):
            continue
        turned = op.get_attr("transpose_a" if op.type == "MatMul" else "adj_x")
        inner = op.inputs[0].shape[-2 if turned else -1]
        total += 2 * int(np.prod(op.outputs[0].shape)) * inner
    return total


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_the_formula_counts_the_products_in_the_graph_of_the_step(share: float) -> None:
    plan = Plan(
        presentations=10 * ROWS, rows=ROWS, learning_rate=1e-3, warmup=0.1, decay=0.1, weight_decay=0.01,
        mask_rate=RATE, adversarial_share=share, adversarial_epsilon=0.02, seed=0,
    )  # fmt: skip
    trainer = Trainer(build(SHAPE), plan, LENGTH)
    again = perturbed_rows(ROWS, share) if share else 0
    slots = slots_per_row(LENGTH, RATE)
    counted = _products(trainer._whole.get_concrete_function().graph)
    assert counted == flops.flops_per_step(SHAPE, ROWS, LENGTH, slots, again)
    of_a_token = flops.flops_per_token(SHAPE, ROWS, LENGTH, slots, again)
    assert counted == pytest.approx(of_a_token * ROWS * LENGTH)


def test_an_lstm_of_one_layer_counts_as_by_hand() -> None:
    class Shape:
        vocabulary, layers, width = 10, 1, 4

    gates = 2 * (4 * 2) * (4 + 2) * 2  # four gates of two units, from input and state, both ways
    head = 2 * (4 * 4 + 4 * 10)
    counted = flops.lstm_flops_per_step(Shape(), rows=5, length=3, slots=2)
    assert counted == 3 * 5 * (3 * gates + 2 * head)


def test_the_peak_is_a_machines_and_takes_little_time() -> None:
    started = time.monotonic()
    peak = speed.matmul_peak(seconds=0.1)
    assert time.monotonic() - started < 20  # on a machine where others compute as well
    assert 1e8 < peak < 1e16


def test_a_policy_that_no_run_can_have_is_refused() -> None:
    with pytest.raises(ValueError, match="float16"):
        speed.matmul_peak("float16")


def test_compilation_before_the_first_report_does_not_count() -> None:
    meter = Speedometer(tokens=10_000, flops_per_token=2e6, peak=4e9)
    assert meter.update(1000, now=100.0) is None
    told = meter.update(2000, now=101.0)
    assert told == Speed(1000.0, 2e9, 0.5, pytest.approx(8.0))


def test_a_pause_leaves_the_speed_alone_and_is_expected_again() -> None:
    meter = Speedometer(tokens=20_000)
    now = 0.0
    for report in range(11):
        told = meter.update(1000 * report, now)
        now += 11.0 if report == 5 else 1.0
    assert told is not None
    assert told.tokens_per_second == 1000.0
    assert told.seconds_left == pytest.approx(20.0)  # ten steps of 1 s, and a pause of 10


def test_old_reports_leave_the_window() -> None:
    meter = Speedometer()
    done = 0.0
    for now in range(200):
        told = meter.update(done, float(now))
        done += 10.0 if now < 100 else 500.0
    assert told is not None
    assert told.tokens_per_second == 500.0
    assert told.seconds_left is None


def test_a_time_budget_ends_a_run_before_its_token_budget() -> None:
    meter = Speedometer(tokens=1e9, ends=30.0)
    meter.update(0, 0.0)
    told = meter.update(100, 10.0)
    assert told is not None
    assert told.seconds_left == 20.0


def test_the_figures_of_a_run_are_those_of_all_its_reports() -> None:
    meter = Speedometer(flops_per_token=1e6, peak=1e9)
    assert meter.figures() == {"peak_gflops": 1.0}
    for done, now in ((0, 0.0), (100, 1.0), (300, 2.0), (700, 3.0)):
        meter.update(done, now)
    assert meter.figures() == {
        "tokens_per_second": 200.0, "gflops": 0.2, "utilisation": 0.2, "peak_gflops": 1.0,
        "training_seconds": 3.0,
    }  # fmt: skip


def test_the_note_says_what_is_known() -> None:
    whole = Speed(12_340.0, 210e9, 0.87, 130.0)
    assert note(2.31, 2.4, whole) == (
        "loss 2.31 (smoothed 2.40), 12.3k tok/s, 210 GFLOP/s, 87 % of peak, 2 min 10 s left"
    )
    assert note(2.31) == "loss 2.31"
    assert note(2.31, speed=Speed(950.0)) == "loss 2.31, 950 tok/s"
    assert "1.5 TFLOP/s" in note(1.0, speed=Speed(2e6, 1.5e12))


def test_durations_are_read_at_a_glance() -> None:
    assert [duration(s) for s in (8.4, 59.7, 130, 11_100)] == [
        "8 s", "1 min 00 s", "2 min 10 s", "3 h 05 min",
    ]  # fmt: skip


def test_the_live_curve_carries_the_speed_and_the_stored_one_does_not() -> None:
    points = [Point(step=s, metrics={"train_loss": v}) for s, v in ((1, 4.0), (2, 2.0))]
    told = live(points, Speed(1000.0, 2e9, 0.5), since=1)
    assert [p.step for p in told] == [2]
    assert told[0].metrics["recent_tokens_per_second"] == 1000.0
    assert told[0].metrics["recent_utilisation"] == 0.5
    assert 2.0 < told[0].metrics["smoothed_loss"] < 3.0
    assert points[1].metrics == {"train_loss": 2.0}
