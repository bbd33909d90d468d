"""MLflow gets each fact once, whatever is retried, and abandoned runs are closed."""

from pathlib import Path

import pytest

from tasks.configuration import Configuration
from tasks.records import Outcome, Point, Record, Rows
from tasks.tracking import facts, runs
from tasks.tracking.connection import client


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path / "runs"))
    monkeypatch.delenv("PLUMBLINE_TRACKING_URI", raising=False)
    return tmp_path


def record() -> Record:
    outcome = Outcome(
        summary="two rows kept", rows=Rows(entered=3, kept=2, quarantined=1), metrics={"share": 0.5},
        artifacts=("note.txt",), dataset="corpus.parquet",
    )  # fmt: skip
    return Record(stage="clean", key="k", uri="/s/k", digest="d" * 64, seconds=1.5, outcome=outcome)


def history(run_id: str, metric: str) -> list[tuple[int, float]]:
    return [(m.step, m.value) for m in client().get_metric_history(run_id, metric)]


def test_a_night_is_one_parent_run_with_a_child_per_subflow_and_no_fact_twice(home: Path) -> None:
    folder = home / "clean"
    folder.mkdir()
    (folder / "note.txt").write_text("hello")
    points = [Point(step=s, metrics={"loss": 1.0 / s}) for s in (1, 2, 3)]
    (folder / "curve.jsonl").write_text("\n".join(p.model_dump_json() for p in points))

    night = runs.open_night("otter", Configuration(), "flow-1")
    for _ in range(2):  # the second time is a retry of the same flow run
        assert runs.open_night("otter", Configuration(), "flow-1") == night
        with runs.subflow("prepare", Configuration(), night):
            run_id = runs.current_run()
            assert run_id is not None
            facts.log_curve(run_id, "clean", points[:2])
            facts.log_stage(run_id, "clean", record(), folder, seconds=1.5, reused=False)
        facts.log_headline(night, {"accuracy": 0.9}, {"plumbline.verdict": "promote"}, "# note")
    runs.close_night(night, succeeded=True)

    assert runs.current_run() is None
    assert history(run_id, "clean.loss") == [(1, 1.0), (2, 0.5), (3, 1.0 / 3)]
    assert history(run_id, "clean.share") == [(0, 0.5)]
    assert history(run_id, "clean.rows_quarantined") == [(0, 1.0)]
    assert history(night.run_id, "accuracy") == [(0, 0.9)]
    assert facts.timings(night) == [("clean", 1.5, False)]
    assert facts.figures(night, "clean", ("share", "never_measured")) == {"share": 0.5}

    mlflow = client()
    child = mlflow.get_run(run_id)
    assert child.data.tags["mlflow.parentRunId"] == night.run_id
    assert [d.dataset.name for d in child.inputs.dataset_inputs] == ["clean"]
    assert [f.path for f in mlflow.list_artifacts(run_id, "clean")] == ["clean/note.txt"]
    parent = mlflow.get_run(night.run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.params["pretrain.layers"] == str(Configuration().pretrain.layers)
    assert "configuration.json" in [f.path for f in mlflow.list_artifacts(night.run_id)]


def test_a_run_whose_process_is_gone_is_marked_killed_by_the_next_night(home: Path) -> None:
    lost = runs.open_night("lost", Configuration(), None)
    client().set_tag(lost.run_id, "plumbline.process", "4194304:1")
    alive = runs.open_night("alive", Configuration(), None)
    runs.open_night("next", Configuration(), None)
    assert client().get_run(lost.run_id).info.status == "KILLED"
    assert client().get_run(alive.run_id).info.status == "RUNNING"
