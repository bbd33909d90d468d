"""A search as a person runs it: two trials, and later two more of the same study."""

import re
from pathlib import Path

import polars as pl
import pytest
from commands import SMOKE, Ran, run

from tasks.settings import load_configuration

RATE = "search.space.pretrain.learning_rate"
SETTINGS = (
    "pretrain.tokens=30000", "pretrain.layers=1", "search.study=tiny", "search.startup=2",
    f"{RATE}.low=1e-4", f"{RATE}.high=0.02", f"{RATE}.log=true",
)  # fmt: skip
FIGURES = ("parallel_coordinates.png", "importances.png", "optimization_history.png")


@pytest.fixture(scope="module")
def searched(
    night: tuple[Path, Ran], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Ran]]:
    """A home where a search of two trials was run and then gone on with; the text is the night's."""
    home = tmp_path_factory.mktemp("search") / "runs"
    store = str(night[0] / "store")
    ran = [
        run(home, "search", "--config", SMOKE, "--trials", n, *SETTINGS, PLUMBLINE_STORE=store)
        for n in (2, 4)
    ]
    assert [r.status for r in ran] == [0, 0], ran[-1].err
    return home, ran


@pytest.mark.slow
def test_a_search_that_is_asked_for_more_trials_runs_only_those(
    searched: tuple[Path, list[Ran]],
) -> None:
    home, ran = searched
    rows = [re.findall(r"^  ✓ +(\d+) +(\d\.\d+)", r.err, re.M) for r in ran]
    assert [[number for number, _ in shown] for shown in rows] == [["0", "1"], ["2", "3"]]
    table = pl.read_csv(home / "searches" / "tiny" / "trials.csv")
    assert table["number"].to_list() == [0, 1, 2, 3]
    assert table["pretrain.learning_rate"].n_unique() == 4
    assert table["pretrain.learning_rate"][0] == 0.002  # the settings as given, first


@pytest.mark.slow
def test_the_best_settings_are_printed_last_and_load_as_a_night(
    searched: tuple[Path, list[Ran]],
) -> None:
    home, ran = searched
    assert ran[1].page == home / "searches" / "tiny" / "best.yaml"
    table = pl.read_csv(home / "searches" / "tiny" / "trials.csv").sort("loss")
    assert f"best: trial {table['number'][0]}, held-out loss {table['loss'][0]:.4f}" in ran[1].err
    best = load_configuration(ran[1].page)
    assert best.pretrain.learning_rate == table["pretrain.learning_rate"][0]
    assert (best.pretrain.tokens, best.source.people) == (30_000, 60)


@pytest.mark.slow
def test_a_study_is_one_run_in_mlflow_with_a_nested_run_a_trial_and_its_figures(
    searched: tuple[Path, list[Ran]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.tracking.connection import client as connect

    home, _ = searched
    monkeypatch.setenv("PLUMBLINE_HOME", str(home))
    client = connect()
    experiment = client.get_experiment_by_name("plumbline").experiment_id
    (parent,) = client.search_runs([experiment], "tags.`plumbline.kind` = 'search'")
    trials = client.search_runs(
        [experiment], "tags.`plumbline.kind` = 'trial'", order_by=["start_time ASC"]
    )
    assert [t.info.run_name for t in trials] == [f"trial {n}" for n in range(4)]
    assert {t.data.tags["mlflow.parentRunId"] for t in trials} == {parent.info.run_id}
    assert {r.info.status for r in (parent, *trials)} == {"FINISHED"}
    for t in trials:
        curve = client.get_metric_history(t.info.run_id, "trial.validation_loss")
        assert t.data.tags["plumbline.ending"] == "complete"
        assert t.data.metrics["loss"] == curve[-1].value
        assert len(curve) > 1
    assert parent.data.metrics["best_loss"] == min(t.data.metrics["loss"] for t in trials)
    kept = {f.path: f.file_size for f in client.list_artifacts(parent.info.run_id)}
    assert {"best.yaml", "trials.csv", *FIGURES} <= kept.keys()
    for name in FIGURES:
        data = (home / "searches" / "tiny" / name).read_bytes()
        assert data.startswith(b"\x89PNG")
        assert 8_000 < kept[name] < 500_000
