"""A search: what may be searched, what is asked next, who is pruned, what a kill leaves."""

import math
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from tasks.configuration import Configuration
from tasks.errors import UserError
from tasks.log import Log
from tasks.records import Point
from tasks.search import figures, results, trial
from tasks.search.configuration import Dimension, Search, SearchConfiguration
from tasks.search.space import distributions, space_of, value_of
from tasks.search.study import Study, Trial
from tasks.search.trial import Runner, TrialLog
from tasks.settings import load_as, load_configuration

RATE = "pretrain.learning_rate"
SPACE = {RATE: Dimension(low=1e-4, high=1e-1, log=True)}
BASE = Configuration()


@pytest.fixture(autouse=True)
def _untracked(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow has its own tests; here its runs are only names."""
    monkeypatch.setattr(trial.tracked, "open_trial", lambda *_: "run")
    monkeypatch.setattr(trial.tracked, "close_trial", lambda *_, **__: None)
    monkeypatch.setattr(trial.facts, "log_curve", lambda *_: None)


def open_study(folder: Path, trials: int = 6, *, seed: int = 1, **more) -> Study:
    told = Search(trials=trials, startup=2, **more)
    return Study(f"sqlite:///{folder}/s.db", "s", distributions(SPACE, BASE), told, seed)


def run(study: Study, folder: Path, objective) -> Runner:
    runner = Runner(study, BASE, objective, None, folder)
    while runner.next() is not None:
        pass
    return runner


def parabola(c: Configuration, scratch: Path, log: Log) -> float:
    """Least at a rate of 0.01, and told at the end."""
    loss = (math.log10(c.pretrain.learning_rate) + 2) ** 2
    log.progress(10, 10)
    log.curve([Point(step=10, metrics={"validation_loss": loss})])
    return loss


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"pretrain.rate": {"low": 0, "high": 1}}, "pretrain.rate: there is no such setting"),
        ({"rate": {"low": 0, "high": 1}}, "rate: there is no such setting"),
        ({RATE: {"low": 0.1, "high": 3}}, f"{RATE} = 3.0: Input should be less than or equal to 1"),
        ({"pretrain.layers": {"low": 1.5, "high": 3}}, "pretrain.layers = 1.5: Input should be a valid"),
        ({"pretrain.layers": {"choices": [1, "two"]}}, "pretrain.layers = two: Input should be a valid"),
        ({"pretrain.adversarial": {"low": 0, "high": 1}}, "is no number; give choices"),
        ({"pretrain.batch_tokens": {"choices": [1000, 1024]}}, "must be a multiple of tokenize"),
        ({"tokenize.vocabulary": {"low": 300, "high": 900}}, "varies pretrain.*; all trials share"),
        ({"pretrain.start": {"choices": ["scratch", "champion"]}}, "start from the same model"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_searched_so_is_refused_by_name(space: dict, message: str) -> None:
    configuration = SearchConfiguration.model_validate({"search": {"space": space}})
    with pytest.raises(UserError) as refused:
        space_of(configuration)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "dimension",
    [{"low": 2, "high": 1}, {"low": 0, "high": 1, "log": True}, {"low": 1}, {"choices": [1]},
     {"choices": [1, 2], "low": 0, "high": 3}],
)  # fmt: skip
def test_a_range_that_says_nothing_or_two_things_is_no_dimension(dimension: dict) -> None:
    with pytest.raises(ValidationError):
        Dimension.model_validate(dimension)


@pytest.mark.parametrize("objective", ["pretrain", "finetune"])
def test_the_space_round_the_given_settings_holds_them_and_can_be_searched(objective: str) -> None:
    for overrides in ([], ["tokenize.sequence_length=64", "pretrain.tokens=120000"]):
        c = load_as(SearchConfiguration, None, [f"search.objective={objective}", *overrides])
        space = space_of(c)
        assert len(space) >= 3
        for name, d in space.items():
            given = value_of(c.night(), name)
            assert given in d.choices if d.choices else d.low <= given <= d.high


def test_an_override_reaches_one_end_of_a_dotted_setting() -> None:
    given = [f"search.space.{RATE}.low=1e-4", f"search.space.{RATE}.high=0.1"]
    c = load_as(SearchConfiguration, None, given)
    assert c.search.space == {RATE: Dimension(low=1e-4, high=0.1)}


def test_a_study_that_is_gone_on_with_proposes_what_an_uninterrupted_one_would(
    tmp_path: Path,
) -> None:
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    run(open_study(tmp_path / "whole", 8), tmp_path, parabola)
    for trials in (1, 3, 8):
        study = open_study(tmp_path / "parts", trials)
        run(study, tmp_path, parabola)
        assert len(study.trials()) == trials
    tried = [[(t.settings, t.ending) for t in open_study(tmp_path / name, 8).trials()]
             for name in ("whole", "parts")]  # fmt: skip
    assert tried[0] == tried[1]
    assert len({t[RATE] for t, _ in tried[0]}) == 8
    other = open_study(tmp_path / "whole", 9, seed=2)
    assert other.ask().settings != open_study(tmp_path / "parts", 9).ask().settings


def test_the_given_settings_are_tried_first_and_only_in_a_new_study(tmp_path: Path) -> None:
    for _ in range(2):
        study = open_study(tmp_path, 2)
        study.begin_with({RATE: 0.004})
        run(study, tmp_path, parabola)
    assert [t.settings[RATE] == 0.004 for t in study.trials()] == [True, False]
    outside = open_study(tmp_path, 3)
    outside.begin_with({RATE: 0.9})
    assert outside.ask().settings[RATE] != 0.9


def test_a_trial_above_the_median_is_pruned_with_its_reason_and_not_before_its_share(
    tmp_path: Path,
) -> None:
    study = open_study(tmp_path, 5, prune_from_trial=4, prune_from_share=0.3)
    losses = iter([1.0, 1.1, 1.2, 1.3, 5.0])

    def objective(c: Configuration, scratch: Path, log: Log) -> float:
        loss = next(losses)
        for step in (2, 3, 4):  # at 2 nothing is compared yet
            log.progress(step, 10)
            log.curve([Point(step=step, metrics={"validation_loss": loss})])
        return loss

    run(study, tmp_path, objective)
    last = study.trials()[-1]
    assert [t.ending for t in study.trials()] == ["complete"] * 4 + ["pruned"]
    assert (last.share, last.loss, last.last_loss) == (0.3, None, 5.0)
    assert last.reason == "loss 5.000 at 30 %, median of the others 1.150"
    assert study.best().loss == 1.0


def test_losses_judged_at_other_steps_are_compared_at_the_same_tenths(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    asked = study.ask()
    log = TrialLog(study, asked, "run", trial.threading.Event(), bar=False)
    log.progress(15, 60)
    log.curve([Point(step=15, metrics={"validation_loss": 4.0})])
    log.progress(45, 60)
    log.curve([Point(step=45, metrics={"validation_loss": 2.0})])
    study.tell(asked.number, "complete", loss=2.0)
    marks = study.optuna.trials[0].intermediate_values  # 4 at 25 %, 2 at 75 %: nothing before
    assert marks == pytest.approx({3: 3.8, 4: 3.4, 5: 3.0, 6: 2.6, 7: 2.2})


def test_divergence_and_impossible_settings_end_a_trial_and_not_the_search(tmp_path: Path) -> None:
    study = open_study(tmp_path, 4)
    events = iter([trial.Diverged("at step 7"), math.nan, ZeroDivisionError("by zero"), 1.0])

    def objective(c: Configuration, scratch: Path, log: Log) -> float:
        event = next(events)
        if isinstance(event, Exception):
            raise event
        return event

    run(study, tmp_path, objective)
    told = [(t.ending, t.reason) for t in study.trials()]
    assert told[0] == ("diverged", "at step 7")
    assert told[1][0] == "diverged"
    assert told[2] == ("failed", "ZeroDivisionError: by zero")
    assert told[3] == ("complete", "")
    assert "ZeroDivisionError" in (tmp_path / "trial-2.log").read_text()


def test_a_search_whose_first_trials_all_fail_ends_with_their_reason(tmp_path: Path) -> None:
    def broken(c: Configuration, scratch: Path, log: Log) -> float:
        raise ZeroDivisionError("by zero")

    study = open_study(tmp_path, 50)
    with pytest.raises(UserError, match="first 3 trials all failed: ZeroDivisionError: by zero"):
        run(study, tmp_path, broken)
    assert len(study.trials()) == 3


def test_a_trial_whose_process_was_killed_is_done_again_and_counted_once(tmp_path: Path) -> None:
    study = open_study(tmp_path, 2)
    lost = study.ask()
    lost.handle.set_user_attr("process", "4194304:1")  # no such process
    again = open_study(tmp_path, 2)
    assert again.take_up() == [lost.number]
    assert again.take_up() == []
    run(again, tmp_path, parabola)
    first, second, third = again.trials()
    assert (first.ending, first.reason) == ("killed", "its process was killed")
    assert second.settings == first.settings
    assert [t.ending for t in (second, third)] == ["complete", "complete"]


def test_a_living_trial_is_left_alone_and_one_that_kills_thrice_is_given_up(tmp_path: Path) -> None:
    study = open_study(tmp_path, 5)
    asked = study.ask()
    assert open_study(tmp_path, 5).take_up() == []
    for _ in range(3):
        study.put_back(asked.number, "its process was killed")
        if study.trials()[-1].ending == "failed":
            break
        asked = study.ask()
    assert [t.ending for t in study.trials()] == ["killed", "killed", "failed"]
    assert study.trials()[-1].reason == "its process was killed, 3 times"


def test_what_is_stopped_is_put_back_and_its_checkpoints_stay(tmp_path: Path) -> None:
    study = open_study(tmp_path, 3)
    scratches: list[tuple[Path, list[str]]] = []

    def stopped(c: Configuration, scratch: Path, log: Log) -> float:
        scratches.append((scratch, [p.name for p in scratch.iterdir()]))
        (scratch / "checkpoint").write_text("half")
        if len(scratches) == 1:
            runner.stop()
        return parabola(c, scratch, log)

    runner = Runner(study, BASE, stopped, None, tmp_path)
    assert runner.next() == 0
    assert runner.next() is None
    run(open_study(tmp_path, 3), tmp_path, stopped)
    assert [t.ending for t in study.trials()] == ["killed", "complete", "complete", "complete"]
    assert scratches[1] == (scratches[0][0], ["checkpoint"])
    assert not scratches[0][0].exists()


def test_a_study_of_other_settings_is_refused_with_what_differs(tmp_path: Path) -> None:
    open_study(tmp_path).belongs_to({"pretrain": {"tokens": 1000, "layers": 2}})
    open_study(tmp_path).belongs_to({"pretrain": {"tokens": 1000, "layers": 2}})
    with pytest.raises(UserError, match=r"pretrain\.tokens was 1000, is 2000"):
        open_study(tmp_path).belongs_to({"pretrain": {"tokens": 2000, "layers": 2}})


def test_a_database_that_cannot_be_opened_is_named_without_its_password(tmp_path: Path) -> None:
    for url in ("postgresql://me:hunter2@127.0.0.1:1/none", "nonsense"):
        with pytest.raises(UserError, match="the database of studies") as refused:
            Study(url, "s", distributions(SPACE, BASE), Search(), 1)
        assert "hunter2" not in str(refused.value)


def test_the_best_settings_load_as_a_nights_configuration(tmp_path: Path) -> None:
    base = load_configuration(None, ["source.people=40", "pretrain.tokens=200000"])
    settings = {RATE: 1e-05, "pretrain.batch_tokens": 2048}
    best = Trial(number=3, ending="complete", loss=1.5, last_loss=1.5, share=1.0, settings=settings,
                 reason="", seconds=2.0)  # fmt: skip
    results.write(tmp_path, [best], best, base)
    loaded = load_configuration(tmp_path / "best.yaml")
    assert loaded.pretrain.learning_rate == 1e-05
    assert (loaded.pretrain.batch_tokens, loaded.source.people) == (2048, 40)
    assert set(yaml.safe_load((tmp_path / "best.yaml").read_text())) == {"source", "pretrain"}
    assert (tmp_path / "trials.csv").read_text().splitlines()[1].startswith("3,complete,1.5")


@pytest.mark.parametrize("count", [1, 9])
def test_the_figures_are_drawn_of_few_trials_and_of_many_to_the_same_bytes(
    tmp_path: Path, count: int
) -> None:
    space = distributions({**SPACE, "pretrain.layers": Dimension(choices=(1, 2))}, BASE)
    ended = [
        Trial(
            number=n, ending="pruned" if n == 4 else "complete", loss=None if n == 4 else 1 + rate,
            last_loss=1 + rate, share=0.4, reason="", seconds=1.0,
            settings={RATE: rate, "pretrain.layers": 1 + n % 2},
        )
        for n in range(count)
        for rate in [10 ** -(1 + n / 4)]
    ]  # fmt: skip
    pictures = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        figures.draw(folder, ended, space, seed=1)
        pictures.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert pictures[0] == pictures[1]
    assert set(pictures[0]) == {figures.PARALLEL, figures.IMPORTANCES, figures.HISTORY}
    for data in pictures[0].values():
        assert data.startswith(b"\x89PNG")
        assert 5_000 < len(data) < 500_000


def test_importance_goes_to_the_setting_that_moves_the_loss() -> None:
    from tasks.search.importance import importances

    space = distributions({**SPACE, "pretrain.decay": Dimension(low=0.1, high=0.9)}, BASE)
    ended = [
        Trial(number=n, ending="complete", loss=float(n), last_loss=None, share=1.0, reason="",
              seconds=1.0, settings={RATE: 10 ** (-4 + n / 8), "pretrain.decay": 0.1 + n * 7 % 16 / 20})
        for n in range(16)
    ]  # fmt: skip
    first, second = importances(ended, space, seed=1)
    assert first.name == RATE
    assert first.share > 0.8
    assert second.low <= second.share <= max(second.high, second.share)
    assert importances(ended[:3], space, seed=1) == []
