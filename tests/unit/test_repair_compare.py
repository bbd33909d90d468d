"""Before and after are counted probe by probe, targets apart from side effects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from tasks.configuration import Evaluation
from tasks.log import Log
from tasks.repair.candidates import SCHEMA
from tasks.repair.compare import before_after, compared, paired

# probe, answer, asserted before and how it ended, asserted after and how it ended
H, A, C = "hallucinated", "abstained", "correct"
ANSWERS = [
    ("t1", "x", "w", H, "x", C), ("t2", "x", "w", H, "w", A), ("t3", "x", "w", H, "v", H),
    ("t4", "x", "w", H, "w", H),
    ("o1", "x", "x", C, "w", H), ("o2", "x", "x", C, "x", A), ("o3", "x", "w", H, "x", C),
    ("o4", "x", "x", A, "x", A), ("o5", "x", "w", A, "x", C), ("o6", "x", "x", C, "x", C),
]  # fmt: skip
TARGETS = ["t1", "t2", "t3", "t4"]
HOW = {"resamples": 200, "seed": 1}


def asked(place: int, rows: list[tuple[str, ...]] = ANSWERS) -> pl.DataFrame:
    """The probes of the night (place 2) or of the repaired model (place 4)."""
    return pl.DataFrame(
        [(r[0], f"{r[0]} [MASK]", "city", r[1], r[place], 0.5, r[place + 1]) for r in rows],
        ["probe_id", "statement", "relation", "answer", "asserted", "confidence", "outcome"],
        orient="row",
    )


def found(rows: list[tuple[str, ...]] = ANSWERS) -> dict[str, Any]:
    return compared(paired(asked(2, rows), asked(4, rows), TARGETS), **HOW)


def test_a_wrong_answer_is_gone_if_it_is_not_asserted_any_more() -> None:
    targets = found()["targets"]
    assert targets["gone_share"]["value"] == 0.75
    assert {name: n for name, n in targets.items() if name != "gone_share"} == {
        "probes": 4, "gone": 3, "became_correct": 1, "became_abstained": 1,
        "became_another_wrong": 1, "not_likeliest": 2,
    }  # fmt: skip


def test_side_effects_are_counted_by_what_became_of_each_probe() -> None:
    others = found()["others"]
    assert (others["probes"], others["better"], others["worse"]) == (6, 2, 2)
    assert others["transitions"] == {
        C: {C: 1, A: 1, H: 1}, A: {C: 1, A: 1, H: 0}, H: {C: 1, A: 0, H: 0},
    }  # fmt: skip
    net = others["net_change"]
    assert net["value"] == 0
    assert net["low"] < 0 < net["high"]


def test_shares_before_and_after_are_of_all_probes_with_a_paired_difference() -> None:
    change = found()
    assert change["hallucinated"]["before"]["value"] == 0.5
    assert change["hallucinated"]["after"]["value"] == pytest.approx(0.3)
    assert change["hallucinated"]["difference"]["value"] == pytest.approx(-0.2)
    assert change["correct"]["difference"]["value"] == pytest.approx(0.1)
    assert change["likeliest_right"]["after"]["value"] == pytest.approx(0.6)


def test_an_answer_that_a_probe_accepts_beside_its_own_is_right() -> None:
    new = asked(4).with_columns(right=(pl.col("asserted") == "x") | (pl.col("probe_id") == "o1"))
    change = compared(paired(asked(2), new, TARGETS), **HOW)["likeliest_right"]
    assert (change["before"]["value"], change["after"]["value"]) == (0.4, pytest.approx(0.7))


def test_only_probes_that_both_models_were_asked_count() -> None:
    both = paired(asked(2), asked(4, ANSWERS[1:]), TARGETS)
    assert both["probe_id"].to_list() == ["o1", "o2", "o3", "o4", "o5", "o6", "t2", "t3", "t4"]
    nothing = compared(both.clear(), **HOW)
    assert (nothing["targets"]["gone"], nothing["others"]["worse"]) == (0, 0)
    assert nothing["hallucinated"] is None


def folders(root: Path, name: str, rows: pl.DataFrame, tau: float = 0.5) -> dict[str, Path]:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "hallucination.json").write_bytes(orjson.dumps({"tau": tau}))
    rows.write_parquet(folder / "probes.parquet")
    return {"hallucination": folder}


def reported(root: Path, *, control: bool) -> tuple[dict[str, Any], str, dict[str, float]]:
    row = {
        "row_id": "a-0", "digest": "d", "proposed": True, "reason": "states it", "held_back": None,
        "score": 0.9, "rank": 1, "wrong": TARGETS, "right": [], "cost": [], "stated": 1,
        "contradicted": 2, "made_up": ["a-0~syn0"], "copies": ["b-0"], "copy_digests": ["e"],
        "source": "web", "excerpt": "W.",
    }  # fmt: skip
    (root / "proposal").mkdir(parents=True)
    table = pl.DataFrame([row, row | {"row_id": "z-0", "wrong": ["o1"]}], SCHEMA)
    table.write_parquet(root / "proposal" / "proposal.parquet")
    (root / "decided").mkdir()
    margin = {
        "name": "accuracy", "kind": "margin", "unit": "share", "higher_is_better": True,
        "candidate": {"value": 0.8, "low": 0.7, "high": 0.9},
        "champion": {"value": 0.8, "low": 0.7, "high": 0.9},
        "difference": {"value": 0.0, "low": -0.01, "high": 0.01}, "limit": -0.02, "passed": True,
        "proven": True, "rows": 10, "why": None,
    }  # fmt: skip
    decision = {"verdict": "promote", "comparisons": [margin]}
    (root / "decided" / "decision.json").write_bytes(orjson.dumps(decision))
    same = [(*r[:4], r[2], r[3]) for r in ANSWERS]
    drawn = folders(root, "control", asked(4, same)) if control else None
    out = root / "out"
    out.mkdir()
    outcome = before_after.fn(
        root / "proposal", folders(root, "before", asked(2), 0.6), folders(root, "after", asked(4)),
        root / "decided", drawn, accepted=("a-0",), other_rows={"came back": 1, "went besides": 0},
        config=Evaluation(bootstrap=100), seed=1, out=out, log=Log(),
    )  # fmt: skip
    facts = orjson.loads((out / "repair.json").read_bytes())
    return facts, (out / "page.html").read_text(), outcome.metrics


def test_the_targets_are_those_of_the_accepted_rows_and_the_page_says_what_became_of_them(
    tmp_path: Path,
) -> None:
    facts, page, metrics = reported(tmp_path, control=False)
    said = "3 of 4 targeted wrong answers are gone; of 6 other facts 2 got worse, 2 better"
    assert facts["sentence"] == said
    assert said in page
    assert "1 row, with 1 copy that lay in quarantine and 1 made-up row." in page
    assert "1 came back" in page
    for word in ("still asserted", "not answered", "another wrong", "Repaired"):
        assert word in page
    assert "random rows" not in page
    assert (metrics["targets_gone"], metrics["rows_withdrawn"]) == (3, 2)
    assert metrics["hallucinated_after"] == pytest.approx(0.3)


def test_the_repaired_answers_are_also_judged_by_the_threshold_of_the_night(tmp_path: Path) -> None:
    facts, page, _ = reported(tmp_path, control=False)
    # All have a confidence of 0.5: at 0.6 the model is silent throughout.
    assert facts["at_the_nights_tau"]["hallucinated"]["after"]["value"] == 0
    assert facts["at_the_nights_tau"]["targets"]["became_abstained"] == 4
    for words in (
        "before, τ = 0.60",
        "repaired, τ = 0.50",
        "repaired, at the night&#39;s τ = 0.60",
    ):
        assert words in page


def test_the_control_is_judged_by_the_same_targets(tmp_path: Path) -> None:
    facts, page, metrics = reported(tmp_path, control=True)
    assert facts["control"]["targets"]["gone"] == 0
    assert facts["more_gone_than_control"]["value"] == 0.75
    assert facts["sentence"].startswith(
        "3 of 4 targeted wrong answers are gone (0 without as many random rows)"
    )
    assert "Gone without random rows" in page
    assert metrics["control_targets_gone"] == 0
