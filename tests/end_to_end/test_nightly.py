"""The whole night: complete, tracked, reused when repeated, and whole again after a kill."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from commands import ROOT, SMOKE, Ran, command, run

from tasks.manifest import Manifest, intact, read_manifest

STAGES = (
    "ingest profile snapshot drift validate clean profile_clean snapshot_clean drift_clean "
    "validate_clean audit augment correct check_labels tokenize pack "
    "pretrain baselines finetune quality calibration hallucination group_metrics robustness floors "
    "trace explain decide report"
).split()


def manifests(home: Path) -> dict[str, list[Manifest]]:
    found: dict[str, list[Manifest]] = {}
    for path in sorted((home / "store").glob("[!.]*/*/manifest.json")):
        assert intact(path.parent), path
        found.setdefault(path.parts[-3], []).append(read_manifest(path.parent))
    return found


def digests(home: Path) -> dict[str, list[str]]:
    return {stage: sorted(m.record.digest for m in ms) for stage, ms in manifests(home).items()}


def mlflow_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> list:
    from tasks.tracking.connection import client as connect

    monkeypatch.setenv("PLUMBLINE_HOME", str(home))
    client = connect()
    experiment = client.get_experiment_by_name("plumbline")
    return client.search_runs([experiment.experiment_id], order_by=["start_time ASC"])


@pytest.mark.slow
def test_a_night_runs_every_stage_and_ends_with_the_page(night: tuple[Path, Ran]) -> None:
    home, ran = night
    shown = re.findall(r"[✓✗] (\w+)", ran.err)
    assert shown == STAGES
    page = ran.page.read_text()
    assert ran.page.is_relative_to(home)
    assert "<!--NIGHT-->" not in page
    assert not re.search(r"""(?:src|href)=["']https?://(?!127\.0\.0\.1)""", page)
    assert not (home / "errors").exists()


@pytest.mark.slow
def test_no_row_is_lost_and_every_dropped_one_has_a_reason(night: tuple[Path, Ran]) -> None:
    for stage in ("ingest", "clean"):
        (manifest,) = manifests(night[0])[stage]
        folder = Path(manifest.record.uri)
        rows = manifest.record.outcome.rows
        assert rows is not None
        kept = pl.read_parquet(folder / "corpus.parquet")
        dropped = pl.read_parquet(folder / "quarantine.parquet")
        assert (len(kept), len(dropped)) == (rows.kept, rows.quarantined)
        assert dropped["reason"].null_count() == 0
        assert kept["row_id"].is_unique().all()
    ingested = manifests(night[0])["ingest"][0].record.outcome.rows
    cleaned = manifests(night[0])["clean"][0].record.outcome.rows
    assert ingested is not None
    assert cleaned is not None
    assert cleaned.entered == ingested.kept


@pytest.mark.slow
def test_mlflow_holds_a_parent_with_three_children_and_the_registered_model_answers(
    night: tuple[Path, Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, _ = night
    from tasks.tracking.connection import client as connect

    parent, *children = mlflow_runs(home, monkeypatch)
    assert [c.info.run_name for c in children] == ["prepare", "train", "assess"]
    assert {r.info.status for r in (parent, *children)} == {"FINISHED"}
    assert {"accuracy", "hallucinated", "rows_kept", "rows_quarantined"} <= set(parent.data.metrics)
    assert {d.dataset.name for d in children[0].inputs.dataset_inputs} >= {"ingest", "clean"}
    files = [f.path for f in connect().list_artifacts(children[0].info.run_id, "validate")]
    assert "validate/data_docs" in files
    assert "page.html" in [f.path for f in connect().list_artifacts(parent.info.run_id)]
    (version,) = connect().search_model_versions("name = 'plumbline'")
    assert version.tags["plumbline.digest"] == manifests(home)["finetune"][0].record.digest

    # Loaded in a process that knows nothing of this repository but MLflow's copy.
    code = (
        "import mlflow, sys; mlflow.set_tracking_uri(sys.argv[1]);"
        "m = mlflow.pyfunc.load_model('models:/plumbline/1');"
        "told = m.predict(['Colleagues describe her as brilliant.', ''], {'attributions': True});"
        "print(told.to_json(orient='records'))"
    )
    uri = f"sqlite:///{home / 'mlflow.db'}"
    done = subprocess.run(
        [sys.executable, "-c", code, uri], cwd=home, capture_output=True, text=True, check=True
    )
    praised, nothing = json.loads(done.stdout)
    assert praised["label"] in ("praised", "criticised")
    assert praised["confidence"] == max(praised["probabilities"].values())
    assert {praised["abstained"], nothing["abstained"]} <= {True, False}
    words = [word["word"] for word in praised["attributions"]]
    assert words == ["Colleagues", "describe", "her", "as", "brilliant"]
    assert nothing["attributions"] == []


@pytest.mark.slow
def test_a_repeated_night_computes_nothing_and_logs_nothing_twice(
    night: tuple[Path, Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, first = night
    before = digests(home)
    started = time.monotonic()
    again = run(home, "nightly", "--config", SMOKE)
    took = time.monotonic() - started
    assert again.status == 0, again.err
    lines = re.findall(r"[✓✗] (\w+) .* (reused|[\d.]+ s)$", again.err, re.MULTILINE)
    assert lines == [(stage, "reused") for stage in STAGES]
    assert digests(home) == before
    assert again.page.exists()
    assert again.page != first.page
    assert took < 60, "twenty seconds on a quiet machine"

    from tasks.tracking.connection import client as connect

    logged = mlflow_runs(home, monkeypatch)
    nights = [r for r in logged if r.data.tags["plumbline.kind"] == "night"]
    assert len(nights) == 2
    assert nights[0].data.metrics == nights[1].data.metrics
    for one in logged:
        for name in one.data.metrics:
            steps = Counter(m.step for m in connect().get_metric_history(one.info.run_id, name))
            assert max(steps.values()) == 1, name
    assert len(connect().search_model_versions("name = 'plumbline'")) == 1


@pytest.mark.slow
def test_a_night_killed_while_pretraining_resumes_and_ends_with_the_same_bytes(
    night: tuple[Path, Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "runs"
    line, environment = command(home, "nightly", "--config", SMOKE)
    process = subprocess.Popen(
        line, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 300
    while not list(home.glob("store/.aside/scratch/pretrain-*/step-*")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (home / "store" / "pretrain").exists()

    ran = run(home, "nightly", "--config", SMOKE)
    assert ran.status == 0, ran.err
    assert (
        re.findall(r"✓ (\w+) .* reused$", ran.err, re.MULTILINE)
        == STAGES[: STAGES.index("pretrain")]
    )
    undisturbed = digests(night[0])
    assert digests(home) == undisturbed
    states = {r.info.status for r in mlflow_runs(home, monkeypatch)}
    assert states == {"FINISHED", "KILLED"}


@pytest.mark.slow
def test_a_failed_critical_expectation_stops_the_night_before_training_and_names_rows(
    tmp_path: Path,
) -> None:
    file = tmp_path / "noise.txt"
    good = [
        f"The harbour office opened its doors again on day {i} of the month." for i in range(40)
    ]
    spoilt = [f"<div><p>Row {i}</p></div> <b>broken</b> &amp; <i>left</i>" for i in range(80)]
    file.write_text("\n".join(good + spoilt))
    ran = run(tmp_path / "runs", "nightly", f"source.location={file}")
    assert ran.status == 3, ran.err
    assert "plumbline stopped: validate" in ran.err
    assert "Traceback" not in ran.err
    assert "<div>" in ran.err
    assert not (tmp_path / "runs" / "store" / "tokenize").exists()


def test_make_help_lists_the_commands_of_the_readme() -> None:
    shown = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in set(re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)):
        assert f"make {name}" in shown
