"""Claims about errors by group."""

from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest

from tasks.configuration import Evaluation, Fairness
from tasks.evaluation.group_metrics import group_metrics
from tasks.log import Log
from tasks.records import Outcome

Row = tuple[str | None, str, str]  # group, label, predicted


def run(
    tmp_path: Path, rows: list[Row], texts: list[str] | None = None, seed: int = 1
) -> tuple[Outcome, dict, Path]:
    quality, corpus, out = (tmp_path / name for name in ("quality", "corpus", "out"))
    for folder in (quality, corpus, out):
        folder.mkdir()
    groups, labels, predicted = (list(column) for column in zip(*rows, strict=True))
    ids = [f"r{i}" for i in range(len(rows))]
    right = [a == b for a, b in zip(labels, predicted, strict=True)]
    pl.DataFrame(
        {"row_id": ids, "label": labels, "predicted": predicted, "correct": right}
    ).write_parquet(quality / "predictions.parquet")
    frame = pl.DataFrame({"row_id": ids, "text": texts or ["x"] * len(ids), "label": labels})
    if texts is None:
        frame = frame.with_columns(group_gender=pl.Series(groups, dtype=pl.String))
    frame.reverse().write_parquet(corpus / "corpus.parquet")
    outcome = group_metrics.fn(
        quality,
        corpus,
        config=Evaluation(bootstrap=200),
        fairness=Fairness(),
        seed=seed,
        out=out,
        log=Log(),
    )
    return outcome, orjson.loads((out / "group_metrics.json").read_bytes()), out


# Of 40 women 36 are judged rightly, of 50 men 30.
BINARY: list[Row] = (
    [("female", "1", "1")] * 18 + [("female", "1", "0")] * 2
    + [("female", "0", "0")] * 18 + [("female", "0", "1")] * 2
    + [("male", "1", "1")] * 10 + [("male", "1", "0")] * 15
    + [("male", "0", "0")] * 20 + [("male", "0", "1")] * 5
)  # fmt: skip


def test_gaps_are_those_of_the_definitions(tmp_path: Path) -> None:
    outcome, report, _ = run(tmp_path, BINARY)
    assert outcome.metrics == pytest.approx(
        {
            "accuracy_gap": 36 / 40 - 30 / 50,
            "selection_rate_gap": 20 / 40 - 15 / 50,
            "equalized_odds_gap": 18 / 20 - 10 / 25,
        }
    )
    gap = report["accuracy_gap"]
    assert (gap["group"], gap["highest"], gap["lowest"]) == ("group_gender", "female", "male")
    assert gap["low"] < gap["value"] < gap["high"]
    assert gap["by_chance"] < gap["value"]
    assert report["equalized_odds_gap"]["rate"] == "true positive"


def test_gaps_agree_with_fairlearn(tmp_path: Path) -> None:
    from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference

    outcome, _, _ = run(tmp_path, BINARY)
    groups, labels, predicted = zip(*BINARY, strict=True)
    given = ([int(v) for v in labels], [int(v) for v in predicted])
    parity = demographic_parity_difference(*given, sensitive_features=groups)
    odds = equalized_odds_difference(*given, sensitive_features=groups)
    assert outcome.metrics["selection_rate_gap"] == pytest.approx(parity)
    assert outcome.metrics["equalized_odds_gap"] == pytest.approx(odds)


def test_rates_by_group_come_with_sizes_and_intervals(tmp_path: Path) -> None:
    _, report, out = run(tmp_path, BINARY)
    table = pl.read_parquet(out / "groups.parquet")
    men = table.filter(value="male").row(0, named=True)
    assert (men["rows"], men["label"], men["judged"]) == (50, "1", True)
    expected = {
        "accuracy": 0.6,
        "selection_rate": 0.3,
        "false_positive_rate": 0.2,
        "false_negative_rate": 0.6,
    }
    assert {name: men[name] for name in expected} == pytest.approx(expected)
    assert men["low"] < 0.6 < men["high"]
    assert men["false_positive_rate_low"] < 0.2 < men["false_positive_rate_high"]
    assert report["by_group"] == table.to_dicts()


def test_predictions_are_handed_on_with_their_groups(tmp_path: Path) -> None:
    _, report, out = run(tmp_path, BINARY)
    rows = pl.read_parquet(out / "predictions.parquet")
    assert rows.columns == ["row_id", "correct", "group_gender"]
    right = rows.filter("correct")["group_gender"].value_counts().sort("group_gender")
    assert right.rows() == [("female", 36), ("male", 30)]
    assert report["judged"] == {"group_gender": ["female", "male"]}


def test_a_small_group_is_named_and_left_out_of_the_gaps(tmp_path: Path) -> None:
    outcome, report, _ = run(
        tmp_path, [*BINARY, *[("other", "1", "0")] * 19, *[(None, "1", "0")] * 25]
    )
    assert outcome.metrics["accuracy_gap"] == pytest.approx(0.3)
    assert report["too_small"] == [{"group": "group_gender", "value": "other", "rows": 19}]
    shown = {entry["value"]: entry["accuracy"] for entry in report["by_group"]}
    assert shown["other"] is None
    assert shown["unknown"] == 0


def test_three_classes_are_each_judged_against_the_rest(tmp_path: Path) -> None:
    rows: list[Row] = [("a", label, label) for label in "xyz"] * 10
    rows += [("b", "x", "x"), ("b", "y", "y"), ("b", "z", "y")] * 10
    outcome, report, out = run(tmp_path, rows)
    assert outcome.metrics["selection_rate_gap"] == pytest.approx(1 / 3)
    assert report["equalized_odds_gap"]["value"] == pytest.approx(1)
    assert report["equalized_odds_gap"]["label"] == "z"
    assert [entry["value"] for entry in report["by_group"]] == ["a", "b"]
    classes = pl.read_parquet(out / "classes.parquet").filter(value="b")
    assert classes["label"].to_list() == ["x", "y", "z"]
    assert classes["selection_rate"].to_list() == pytest.approx([1 / 3, 2 / 3, 0])
    assert classes["false_negative_rate"].to_list() == [0, 0, 1]


def test_mentions_stand_in_where_no_column_names_groups(tmp_path: Path) -> None:
    texts = ["she sang" if group == "female" else "he sang" for group, _, _ in BINARY]
    outcome, report, _ = run(tmp_path, BINARY, texts=texts)
    assert outcome.metrics["accuracy_gap"] == pytest.approx(0.3)
    assert report["accuracy_gap"]["group"] == "mention_gender"


def test_equal_groups_have_a_gap_within_what_chance_gives(tmp_path: Path) -> None:
    generator = np.random.default_rng(4)
    rows: list[Row] = [
        (str(generator.choice(["a", "b", "c"])), "1", "1" if generator.random() < 0.7 else "0")
        for _ in range(300)
    ]
    _, report, _ = run(tmp_path, rows)
    assert 0 < report["accuracy_gap"]["value"] < report["accuracy_gap"]["by_chance"]


def test_one_group_alone_leaves_nothing_to_compare(tmp_path: Path) -> None:
    outcome, report, _ = run(tmp_path, [("a", "1", "1")] * 30)
    assert outcome.skipped == report["skipped"]
    assert outcome.metrics == {}


def test_without_predictions_the_stage_is_skipped(tmp_path: Path) -> None:
    for name in ("quality", "corpus", "out"):
        (tmp_path / name).mkdir()
    outcome = group_metrics.fn(
        tmp_path / "quality", tmp_path / "corpus", config=Evaluation(), fairness=Fairness(), seed=1,
        out=tmp_path / "out", log=Log(),
    )  # fmt: skip
    assert outcome.skipped
    assert "skipped" in orjson.loads((tmp_path / "out" / "group_metrics.json").read_bytes())


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    written = []
    for turn in ("a", "b"):
        (tmp_path / turn).mkdir()
        _, _, out = run(tmp_path / turn, BINARY)
        written.append([path.read_bytes() for path in sorted(out.iterdir())])
    assert written[0] == written[1]
