import math
import time
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from models.network.encoder import EncoderConfig, build
from models.text.rows import Rows
from models.training import checkpoints
from models.training.loop import train
from models.training.progress import Diverged
from models.training.schedule import Plan
from models.training.trainer import Trainer

SHAPE = EncoderConfig(vocabulary=30, layers=1, width=16, heads=2)


def plan(**changes):
    values = {
        "presentations": 160, "rows": 4, "learning_rate": 3e-2, "warmup": 0.1, "decay": 0.3,
        "weight_decay": 0.01, "mask_rate": 0.3, "adversarial_share": 0.5,
        "adversarial_epsilon": 0.1, "seed": 7,
    }  # fmt: skip
    return Plan(**{**values, **changes})


def repeating_rows(count=24, length=16):
    """[CLS], one token again and again, [SEP]: what is masked can be read from its neighbours."""
    tokens = np.repeat(np.random.default_rng(0).integers(5, 30, (count, 1)), length, axis=1)
    tokens[:, 0], tokens[:, -1] = 2, 3
    tokens = tokens.astype(np.int32)
    return Rows(tokens, np.ones_like(tokens))


def run(folder, plan, *, seconds=1e9, stop=None):
    """Train a small model; `stop` raises KeyboardInterrupt after so many steps."""

    def report(now):
        if stop and now.progress.step >= stop:
            raise KeyboardInterrupt

    model = build(SHAPE, seed=1)
    rows = repeating_rows()
    progress = train(
        Trainer(model, plan, 16), rows, rows, scratch=folder, checkpoint_seconds=seconds,
        report=report,
    )  # fmt: skip
    return model, progress


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The model and the progress of a run that nothing interrupted."""
    return run(tmp_path_factory.mktemp("whole"), plan())


def test_the_loss_falls_and_the_curve_says_so(whole):
    _, progress = whole
    first, last = progress.points[0]["metrics"], progress.points[-1]["metrics"]
    assert last["train_loss"] < first["train_loss"] - 0.5
    assert last["validation_loss"] < math.log(30) - 0.5
    assert last["adversarial_loss"] > last["train_loss"]
    assert [point["step"] for point in progress.points] == [10, 20, 30, 40]
    assert last["tokens"] == 160 * 16


@pytest.mark.parametrize(
    "changes", [{}, {"rows": 2, "accumulate": 2, "ramp": 0.5, "average": 0.9}], ids=["plain", "all"]
)
def test_a_resumed_run_ends_with_the_same_bits(changes, whole, tmp_path):
    unbroken, told = run(tmp_path / "whole", plan(**changes)) if changes else whole
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", plan(**changes), seconds=0, stop=30)
    assert checkpoints.latest(tmp_path / "broken").step in (10, 20)
    resumed, retold = run(tmp_path / "broken", plan(**changes))
    for one, other in zip(unbroken.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert told.points == retold.points


class Scripted:
    """In the place of a trainer, where only the loop is looked at: losses go by the micro-batch."""

    length, lanes = 16, 1
    model = SimpleNamespace(dtype_policy=SimpleNamespace(name="float32"))

    def __init__(self, losses, **changes):
        self.losses = losses
        self.plan = plan(presentations=4 * len(losses), rows=4, adversarial_share=0.0, **changes)
        self.made = []

    def step(self, batches, draw, step, rate, mask_rate):
        self.made.append((step, draw))
        return tf.constant([self.losses[draw % len(self.losses)], 0.0, 0.0])

    def agreed(self, value):
        return value

    def averaged(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def held_out_loss(self, rows):
        return math.nan  # as without held-out rows

    def keep_average(self):
        pass

    def reset(self):
        self.made.append("reset")

    def restore(self, tensors):
        self.made.append(f"restored {int(tensors['step'])}")

    def tensors(self):
        return {"step": np.array(self.made[-1][0] + 1)}


@pytest.fixture
def patient(monkeypatch):
    """A writer that is waited for: a scripted run would be over before the disk has one checkpoint."""
    monkeypatch.setattr(checkpoints.Writer, "busy", False)


def loop(trainer, folder, seconds=1e9):
    rows = repeating_rows()
    return train(
        trainer, rows, rows, scratch=folder, checkpoint_seconds=seconds, report=lambda now: None
    )


def test_a_checkpoint_of_another_plan_is_not_used_and_does_not_stay(tmp_path, patient):
    state = {"identity": {"learning_rate": 1}, "progress": {}}
    checkpoints.save(tmp_path, 500, {}, state)
    progress = loop(Scripted([1.0] * 40), tmp_path, seconds=0)
    assert progress.step == 40
    assert checkpoints.latest(tmp_path).step == 40


def test_the_curve_holds_the_mean_loss_since_the_point_before_and_no_nan(tmp_path):
    losses = [1.0] * 10 + [2.0, 4.0] * 5 + [5.0]
    progress = loop(Scripted(losses), tmp_path)
    told = [(p["step"], p["metrics"]["train_loss"]) for p in progress.points]
    assert told == [(10, 1.0), (20, 3.0), (21, 5.0)]
    assert "validation_loss" not in progress.points[-1]["metrics"]


@pytest.mark.parametrize(("bad", "reason"), [(math.nan, "not a finite"), (9.0, "rose from 1.00")])
def test_a_diverged_run_goes_back_and_passes_over_the_rows_that_led_there(
    tmp_path, patient, bad, reason
):
    losses = [1.0] * 200
    losses[112:118] = [bad] * 6
    trainer = Scripted(losses, spike=2.0)
    progress = loop(trainer, tmp_path, seconds=0)
    event = progress.events[0]
    assert reason in event.pop("reason")
    assert event == {"step": 120, "back_to": 100, "skipped_rows": 80}
    restored = max(n for n, made in enumerate(trainer.made) if isinstance(made, str))
    again = trainer.made[restored + 1 :]
    assert (100, 120) in again
    assert not any(112 <= draw < 118 for _, draw in again)
    assert progress.step == 200


def test_a_run_that_diverges_long_after_its_mark_still_goes_back_only_there(tmp_path, patient):
    losses = [1.0] * 200
    losses[142] = math.inf
    trainer = Scripted(losses)
    progress = loop(trainer, tmp_path, seconds=0)
    assert progress.events[0]["back_to"] == 100
    assert [made for made in trainer.made if isinstance(made, str)] == ["reset", "restored 100"]


def test_a_mark_counts_only_once_the_steps_after_it_were_sound(tmp_path):
    losses = [1.0] * 200
    losses[103] = math.nan
    progress = loop(Scripted(losses), tmp_path)
    assert progress.events[0]["back_to"] == 50


def test_the_last_step_reads_no_more_rows_than_there_are_to_read(tmp_path):
    trainer = Scripted([1.0] * 10, accumulate=4)
    assert loop(trainer, tmp_path).micro_batches == 10
    assert trainer.plan.steps() == 3


def test_where_a_diverged_run_goes_on_does_not_depend_on_its_checkpoints(tmp_path):
    """After going back the same steps are made of the same rows, saved ones or not."""
    steps = []
    for name, seconds in (("often", 0), ("never", 1e9)):
        losses = [1.0] * 160
        losses[112] = math.inf
        trainer = Scripted(losses)
        loop(trainer, tmp_path / name, seconds)
        again = max(n for n, made in enumerate(trainer.made) if isinstance(made, str))
        steps.append({made for made in trainer.made[again:] if made[0] in range(100, 160)})
    assert steps[0] == steps[1] == {(step, step + 20) for step in range(100, 160)}


def test_a_time_budget_ends_decayed_and_on_time(tmp_path):
    trainer = Scripted([1.0] * 1_000_000, seconds=1.5)
    rates = []

    def step(batches, draw, number, rate, mask_rate):
        time.sleep(0.3 if number == 0 else 0.004)  # the first one waits for the compiler
        rates.append(rate)
        return tf.constant([1.0, 0.0, 0.0])

    trainer.step = step
    begun = time.monotonic()
    progress = loop(trainer, tmp_path)
    assert 1.2 < time.monotonic() - begun < 1.7
    assert 1.3 < progress.seconds < 1.6
    assert max(rates) == 3e-2
    assert rates[-1] < 0.15 * 3e-2
    assert progress.points[-1]["step"] == progress.step == len(rates)


def test_a_run_that_keeps_diverging_stops_and_names_the_step(tmp_path):
    with pytest.raises(Diverged, match="step 10"):
        loop(Scripted([1.0] * 55 + [math.inf] * 900, rollbacks=1), tmp_path)  # at 60, then at 10


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path):
    for step in (1, 2, 3):
        checkpoints.save(tmp_path, step, {"w": np.full(3, step, np.float32)}, {"note": step})
    assert sorted(path.name[-1] for path in tmp_path.iterdir()) == ["2", "3"]
    damaged = tmp_path / "step-000000000003" / "tensors.safetensors"
    blob = bytearray(damaged.read_bytes())
    blob[-1] ^= 1
    damaged.write_bytes(blob)
    found = checkpoints.latest(tmp_path)
    assert (found.step, found.state, found.tensors["w"].tolist()) == (2, {"note": 2}, [2, 2, 2])
    state = tmp_path / "step-000000000002" / "state.json"
    state.write_bytes(state.read_bytes().replace(b'"note":2', b'"note":9'))
    assert checkpoints.latest(tmp_path) is None


def test_what_a_killed_writer_left_is_never_read_and_is_removed(tmp_path):
    (tmp_path / "aside-000000000009").mkdir()
    assert checkpoints.latest(tmp_path) is None
    checkpoints.save(tmp_path, 1, {"w": np.zeros(1)}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000000001"]


def test_a_checkpoint_that_cannot_be_written_is_not_passed_over_in_silence(tmp_path):
    (tmp_path / "file").touch()
    writer = checkpoints.Writer(tmp_path / "file")
    writer.save(1, {"w": np.zeros(1)}, {})
    with pytest.raises(OSError, match="file"):
        writer.wait()
    writer.close()
