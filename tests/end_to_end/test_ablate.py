"""An ablation from the command line: a stage off, the same rows judged, nothing computed twice."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from commands import SMOKE, run

TINY = (
    "source.people=30", "pretrain.tokens=20000", "finetune.epochs=1", "evaluate.attack_rows=0",
    "evaluate.bootstrap=100", "tokenize.vocabulary=600", "ablate.seeds=[20]", "ablate.bootstrap=100",
)  # fmt: skip


@pytest.mark.slow
def test_a_stage_is_switched_off_and_what_it_does_not_touch_is_reused(tmp_path: Path) -> None:
    home = tmp_path / "runs"
    first = run(home, "ablate", "--config", SMOKE, *TINY, "ablate.variants=[no_contradictions]")
    assert first.status == 0, first.err
    full, without = first.err.split("no_contradictions  seed 20")
    assert full.count("reused") == 0
    reused = {line.split()[1] for line in without.splitlines() if line.endswith("reused")}
    assert reused == {"ingest", "profile", "snapshot", "drift", "validate"}
    table = pl.read_parquet(first.page.with_name("table.parquet"))
    assert table["variant"].unique().sort().to_list() == ["full", "no_contradictions"]
    measured = table.filter(pl.col("variant") == "no_contradictions").drop_nulls("difference")
    assert {"accuracy", "mlm_loss", "hallucinated", "seconds"} <= set(measured["measure"])
    assert (measured["low"] <= measured["difference"]).all()

    again = run(home, "ablate", "--config", SMOKE, *TINY, "ablate.variants=[no_contradictions]")
    assert again.status == 0, again.err
    stages = [line for line in again.err.splitlines() if "✓" in line]
    assert stages
    assert all(line.endswith("reused") for line in stages)
    assert again.page.read_text() == first.page.read_text()


@pytest.mark.slow
def test_variants_that_there_are_not_are_named(tmp_path: Path) -> None:
    refused = run(tmp_path / "runs", "ablate", "ablate.variants=[no_sense]")
    assert refused.status == 2
    assert "ablate.variants names no_sense" in refused.err
