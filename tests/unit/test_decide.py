"""Claims about who is let through: floors, margins and the paired bootstrap behind them."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest

from tasks.configuration import Decision
from tasks.log import Log
from tasks.promotion.compare import against_champion, floor, worse
from tasks.promotion.decide import decide
from tasks.promotion.measures import ACCURACY, MASKED_LOSS, gap_measure, gap_of
from tasks.records import Outcome

ROWS = 400
GENDERS = np.array(["ada", "bel"] * (ROWS // 2))


def _about(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.03, "high": value + 0.03}


def _folders(
    root: Path,
    *,
    wrong: int = 40,
    wrong_of_group: str | None = None,
    hallucinated: int = 20,
    broken_by_attack: int = 20,
    loss: float = 3.0,
) -> dict[str, Path]:
    """The evaluations of a model over the same 400 rows, 200 probes, 60 attacks, 50 texts."""
    folders = {n: root / n for n in ("quality", "hallucination", "group_metrics", "robustness")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    ids = [f"r{i:03}" for i in range(ROWS)]
    order = np.arange(ROWS) if wrong_of_group is None else np.flatnonzero(wrong_of_group == GENDERS)
    correct = np.ones(ROWS, dtype=bool)
    correct[order[:wrong]] = False
    predictions = pl.DataFrame({"row_id": ids, "correct": correct, "group_gender": GENDERS})
    predictions.drop("group_gender").write_parquet(folders["quality"] / "predictions.parquet")
    predictions.write_parquet(folders["group_metrics"] / "predictions.parquet")
    by_group = predictions.group_by("group_gender").agg(pl.col("correct").mean())
    gap = by_group["correct"].max() - by_group["correct"].min()  # type: ignore[operator]
    groups = {"group": ["group_gender"] * 3, "value": ["ada", "bel", "none"]}
    pl.DataFrame({**groups, "judged": [True, True, False]}).write_parquet(
        folders["group_metrics"] / "groups.parquet"
    )
    outcomes = ["hallucinated"] * hallucinated + ["correct"] * (200 - hallucinated)
    pl.DataFrame({"probe_id": [f"p{i:03}" for i in range(200)], "outcome": outcomes}).write_parquet(
        folders["hallucination"] / "probes.parquet"
    )
    attacked = ["success"] * broken_by_attack + ["failed"] * (60 - broken_by_attack)
    pl.DataFrame({"row_id": ids[:60], "outcome": attacked}).write_parquet(
        folders["robustness"] / "attacks.parquet"
    )
    sequences = {"row_id": ids[:50], "loss_sum": [100 * loss] * 50, "tokens": [100] * 50}
    pl.DataFrame(sequences).write_parquet(folders["quality"] / "mlm.parquet")
    figures: dict[str, dict[str, Any]] = {
        "quality": {
            "accuracy": _about(float(correct.mean())),
            "majority_share": 0.5,
            "mlm_loss": _about(loss),
            "vocabulary": 1000,
        },
        "hallucination": {"hallucinated": _about(hallucinated / 200)},
        "group_metrics": {"accuracy_gap": _about(float(gap))},
        "robustness": {"accuracy_under_attack": _about(1 - broken_by_attack / 60)},
    }
    for name, found in figures.items():
        (folders[name] / f"{name}.json").write_bytes(orjson.dumps(found))
    return folders


def _decide(
    tmp_path: Path, ours: dict[str, Path], theirs: dict[str, Path] | None
) -> tuple[Outcome, dict[str, Any]]:
    out = tmp_path / "out"
    out.mkdir()
    outcome = decide.fn(ours, theirs, config=Decision(), seed=3, out=out, log=Log())
    return outcome, orjson.loads((out / "decision.json").read_bytes())


def _of(decision: dict[str, Any], name: str, kind: str = "margin") -> dict[str, Any]:
    return next(c for c in decision["comparisons"] if c["name"] == name and c["kind"] == kind)


def test_an_equal_challenger_is_promoted(tmp_path: Path) -> None:
    ours, theirs = _folders(tmp_path / "a"), _folders(tmp_path / "b")
    outcome, decision = _decide(tmp_path, ours, theirs)
    assert decision["verdict"] == "promote"
    assert outcome.summary == "promote: 9 of 9 comparisons hold"
    assert outcome.metrics["promoted"] == 1.0
    assert outcome.metrics["difference_accuracy"] == 0.0


@pytest.mark.parametrize(
    ("defect", "measure", "difference"),
    [
        ({"wrong": 60}, "accuracy", -0.05),
        ({"wrong_of_group": "bel"}, "accuracy gap by gender", 0.2),
        ({"broken_by_attack": 32}, "accuracy under attack", -0.2),
        ({"hallucinated": 34}, "hallucinated share", 0.07),
        ({"loss": 3.2}, "masked-token loss", 0.2),
    ],
    ids=["worse", "unfair", "less-robust", "hallucinating", "surprised-by-text"],
)
def test_a_challenger_with_one_defect_is_refused_for_that_defect(
    tmp_path: Path, defect: dict[str, Any], measure: str, difference: float
) -> None:
    ours, theirs = _folders(tmp_path / "a", **defect), _folders(tmp_path / "b")
    outcome, decision = _decide(tmp_path, ours, theirs)
    assert decision["verdict"] == "refuse"
    assert outcome.metrics["promoted"] == 0.0
    assert [c["name"] for c in decision["comparisons"] if c["passed"] is False] == [measure]
    assert decision["reasons"][0].startswith(f"{measure} {difference:+.3f}, allowed")
    assert outcome.summary == f"refuse: {decision['reasons'][0]}"
    assert _of(decision, measure)["difference"]["value"] == pytest.approx(difference)


def test_a_better_challenger_is_promoted(tmp_path: Path) -> None:
    ours = _folders(tmp_path / "a", wrong=10, hallucinated=2, broken_by_attack=5, loss=2.0)
    _, decision = _decide(tmp_path, ours, _folders(tmp_path / "b"))
    assert decision["verdict"] == "promote"
    assert _of(decision, "accuracy")["difference"]["value"] == pytest.approx(0.075)


def test_a_first_model_above_the_floors_is_accepted(tmp_path: Path) -> None:
    outcome, decision = _decide(tmp_path, _folders(tmp_path / "a"), None)
    assert decision["verdict"] == "first"
    assert {c["kind"] for c in decision["comparisons"]} == {"floor"}
    assert outcome.metrics == {"promoted": 1.0}


@pytest.mark.parametrize(
    ("defect", "reason"),
    [
        ({"wrong": 190}, "accuracy above the majority 0.525, must be at least 0.550"),
        ({"hallucinated": 120}, "hallucinated share 0.600, must be at most 0.500"),
        (
            {"wrong": 60, "wrong_of_group": "ada"},
            "accuracy gap between groups 0.300, must be at most 0.250",
        ),
        ({"loss": 7.0}, "masked-token loss below guessing 7.000, must be at most 6.908"),
    ],
)
def test_a_first_model_below_a_floor_is_refused(
    tmp_path: Path, defect: dict[str, Any], reason: str
) -> None:
    _, decision = _decide(tmp_path, _folders(tmp_path / "a", **defect), None)
    assert decision["verdict"] == "refuse"
    assert decision["reasons"] == [reason]


def test_floors_hold_for_challengers_too(tmp_path: Path) -> None:
    poor = {"hallucinated": 120}
    ours, theirs = _folders(tmp_path / "a", **poor), _folders(tmp_path / "b", **poor)
    _, decision = _decide(tmp_path, ours, theirs)
    assert decision["verdict"] == "refuse"
    assert _of(decision, "hallucinated share", "margin")["passed"] is True
    assert _of(decision, "hallucinated share", "floor")["passed"] is False


def test_a_skipped_evaluation_is_listed_with_its_reason_and_neither_passes_nor_fails(
    tmp_path: Path,
) -> None:
    models = [_folders(tmp_path / name) for name in "ab"]
    for folders in models:
        (folders["hallucination"] / "probes.parquet").unlink()
        skipped = orjson.dumps({"skipped": "the data has no fact probes"})
        (folders["hallucination"] / "hallucination.json").write_bytes(skipped)
    outcome, decision = _decide(tmp_path, *models)
    assert outcome.summary == "promote: 7 of 7 comparisons hold"
    comparison = _of(decision, "hallucinated share")
    assert comparison["passed"] is None
    assert comparison["why"] == "candidate: the data has no fact probes"


def test_a_corpus_without_labels_is_judged_by_its_masked_tokens(tmp_path: Path) -> None:
    folders = _folders(tmp_path / "a")
    (folders["quality"] / "predictions.parquet").unlink()
    figures = {"skipped": "no labels", "mlm_loss": _about(3.0), "vocabulary": 1000}
    (folders["quality"] / "quality.json").write_bytes(orjson.dumps(figures))
    outcome, decision = _decide(tmp_path, {"quality": folders["quality"]}, None)
    assert outcome.summary == "first: 1 of 1 comparisons hold"
    assert _of(decision, "accuracy above the majority", "floor")["why"] == "no labels"


def test_where_nothing_could_be_judged_the_verdict_is_a_refusal(tmp_path: Path) -> None:
    outcome, _ = _decide(tmp_path, {}, None)
    assert outcome.summary == "refuse: nothing could be judged"


def test_a_challenger_that_shares_no_rows_with_the_champion_is_refused(tmp_path: Path) -> None:
    _, decision = _decide(tmp_path, _folders(tmp_path / "a"), {})
    assert decision["reasons"] == ["nothing could be compared with the champion"]


def test_only_rows_that_both_answered_are_compared_whatever_their_order() -> None:
    ours = pl.DataFrame({"row_id": ["a", "b", "c"], "correct": [True, False, True]})
    theirs = pl.DataFrame({"row_id": ["d", "b", "a"], "correct": [False, True, True]})
    found = against_champion(ACCURACY, ours, theirs, margin=0.1, resamples=200, seed=0, level=0.95)
    assert found.rows == 2
    assert found.candidate is not None
    assert found.difference is not None
    assert found.candidate["value"] == 0.5
    assert found.difference["value"] == -0.5


def test_the_paired_interval_of_four_rows_agrees_with_all_their_resamples() -> None:
    # differences per row: 0, 0, 0, -1; the number of -1 in a resample is Binomial(4, 1/4)
    ours = pl.DataFrame({"row_id": list("abcd"), "correct": [True, False, True, False]})
    theirs = pl.DataFrame({"row_id": list("abcd"), "correct": [True, False, True, True]})
    how: dict[str, Any] = {"margin": 0.1, "resamples": 4000, "seed": 0}
    # P(at most two) = 0.949, P(at most three) = 0.996: the 2.5 % quantile is at -3/4
    found = against_champion(ACCURACY, ours, theirs, level=0.95, **how)
    assert found.difference == {"value": -0.25, "low": -0.75, "high": 0.0}
    # at level 0.8 the 10 % quantile is at -2/4, for P(at most one) = 0.738
    found = against_champion(ACCURACY, ours, theirs, level=0.8, **how)
    assert found.difference == {"value": -0.25, "low": -0.5, "high": 0.0}


def test_a_loss_is_paired_per_row_and_weighted_by_tokens() -> None:
    ours = pl.DataFrame({"row_id": ["a", "b"], "loss_sum": [10.0, 60.0], "tokens": [10, 30]})
    theirs = pl.DataFrame({"row_id": ["a", "b"], "loss_sum": [20.0, 60.0], "tokens": [10, 30]})
    found = against_champion(
        MASKED_LOSS, ours, theirs, margin=0.1, resamples=100, seed=0, level=0.95
    )
    assert found.difference is not None
    assert found.difference["value"] == pytest.approx(70 / 40 - 80 / 40)
    assert found.passed


def test_shorter_subwords_do_not_make_a_loss_smaller() -> None:
    # the same hidden words at the same total surprise, cut into twice as many subwords
    ours = pl.DataFrame({"row_id": ["a", "b"], "loss_sum": [20.0, 60.0], "tokens": [20, 60]})
    theirs = pl.DataFrame({"row_id": ["a", "b"], "loss_sum": [20.0, 60.0], "tokens": [10, 30]})
    found = against_champion(
        MASKED_LOSS, ours, theirs, margin=0.1, resamples=100, seed=0, level=0.95
    )
    assert found.difference == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_the_gap_is_recomputed_from_the_rows_of_each_resample() -> None:
    # (group, right): resample 1 has accuracies 1/2 and 1; resample 2 holds one group only
    rows = np.array([[[0, 1], [0, 0], [1, 1]], [[1, 0], [1, 1], [-1, 0]]], dtype=float)
    assert gap_of(2)(rows) == pytest.approx([0.5, 0.0])


def test_groups_too_small_to_judge_do_not_make_a_gap() -> None:
    frame = pl.DataFrame(
        {"row_id": list("abc"), "group_region": ["n", "s", "tiny"], "correct": [True, True, False]}
    )
    measure = gap_measure("group_region", ["n", "s"])
    assert measure.statistic(measure.values(frame)[None]) == pytest.approx([0.0])


@pytest.mark.parametrize(
    ("value", "low", "high", "fails"),
    [
        (-0.021, -0.10, 0.10, True),  # beyond the margin
        (-0.020, -0.10, 0.10, False),  # a tie with the margin
        (-0.015, -0.02, -0.01, True),  # within, but surely worse by more than half of it
        (-0.015, -0.10, 0.01, False),  # within, and perhaps no worse
        (-0.005, -0.006, -0.004, False),  # surely worse, by next to nothing
        (0.3, 0.2, 0.4, False),
    ],
)
def test_what_counts_as_worse(value: float, low: float, high: float, fails: bool) -> None:
    found = {"value": value, "low": low, "high": high}
    assert worse(found, 0.02, higher_is_better=True) is fails
    mirrored = {"value": -value, "low": -high, "high": -low}
    assert worse(mirrored, 0.02, higher_is_better=False) is fails


def test_a_floor_says_whether_its_whole_interval_is_above() -> None:
    sure = floor("x", {"value": 0.8, "low": 0.7, "high": 0.9}, 0.6, higher_is_better=True)
    unsure = floor("x", {"value": 0.8, "low": 0.5, "high": 0.9}, 0.6, higher_is_better=True)
    assert (sure.passed, sure.proven) == (True, True)
    assert (unsure.passed, unsure.proven) == (True, False)


def test_a_gap_that_chance_may_have_made_is_not_judged(tmp_path: Path) -> None:
    rows = {"row_id": [f"r{i}" for i in range(40)], "group_gender": ["ada", "bel"] * 20}
    right = np.ones(40, dtype=bool)
    theirs = pl.DataFrame({**rows, "correct": right})
    right[[0, 2]] = False  # two of twenty: a gap of 0.1, where 0.05 is allowed
    ours = pl.DataFrame({**rows, "correct": right})
    measure = gap_measure("group_gender", ["ada", "bel"])
    how: dict[str, Any] = {"margin": 0.05, "resamples": 1000, "seed": 0, "level": 0.95}
    found = against_champion(measure, ours, theirs, **how)
    assert found.difference is not None
    assert found.difference["value"] == pytest.approx(0.1)
    assert found.passed is None
    assert found.why == "too few rows to tell this from chance"
    right[:20:2] = False  # ten of twenty leave no doubt
    found = against_champion(measure, ours.with_columns(correct=right), theirs, **how)
    assert found.passed is False


def test_a_noisy_floor_fails_only_with_its_whole_interval() -> None:
    wide = {"value": 0.3, "low": 0.1, "high": 0.5}
    sure = {"value": 0.4, "low": 0.3, "high": 0.5}
    how: dict[str, Any] = {"higher_is_better": False, "noisy": True}
    assert floor("gap", wide, 0.25, **how).passed is None
    assert floor("gap", sure, 0.25, **how).passed is False
    assert floor("gap", wide, 0.25, higher_is_better=False).passed is False


def test_same_seed_same_decision(tmp_path: Path) -> None:
    ours, theirs = _folders(tmp_path / "a", wrong=44), _folders(tmp_path / "b")
    written = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        decide.fn(ours, theirs, config=Decision(), seed=1, out=tmp_path / name, log=Log())
        written.append((tmp_path / name / "decision.json").read_bytes())
    assert written[0] == written[1]
