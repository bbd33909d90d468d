"""A proposed suite says what the trusted rows are like, and can be used at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest

from expectations.propose import Trusted, most, outward, propose, rows_needed
from expectations.rules import row_rules
from expectations.runner import load_suite, run_suite
from expectations.suite_files import SuiteError, suites_digest
from tasks.corpus.suites import files as suites
from tasks.corpus.suites import proposal
from tasks.errors import UserError


def trusted(rows: int = 2000, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "row_id": [f"r{i}" for i in range(rows)],
            "split": ["train"] * rows,
            "label": rng.choice(["bad", "good"], rows, p=[0.3, 0.7]),
            "words": rng.poisson(40, rows),
            "score": rng.normal(0, 1, rows),
            "ratio": rng.beta(2, 8, rows),
            "pii_count": np.zeros(rows, int),
            "is_leak": rng.random(rows) < 0.01,
            "language": ["en"] * rows,
            "near_cluster": np.arange(rows),
            "empty": pl.Series([None] * rows, dtype=pl.String),
        }
    )


def made(frame: pl.DataFrame, **how: Any) -> dict[str, Any]:
    given = {"low": 0.001, "high": 0.999, **how}
    return propose(Trusted(frame, **given), "mine", "mine.csv")


def lines(suite: dict[str, Any], column: str) -> list[dict[str, Any]]:
    return [item for item in suite["expectations"] if item["kwargs"]["column"] == column]


@pytest.mark.parametrize(
    ("value", "down", "up"),
    [
        (187.0, 180, 190), (42.0, 42, 42), (0.0, 0, 0), (-1.234, -1.3, -1.2), (0.98765, 0.98, 0.99),
        (0.999, 0.99, 1), (1.1, 1.1, 1.1), (12345.0, 12000, 13000), (0.00123, 0.0012, 0.0013),
    ],
)  # fmt: skip
def test_bounds_are_rounded_outward_to_two_figures(value: float, down: float, up: float) -> None:
    assert (outward(value, up=False), outward(value, up=True)) == (down, up)


def test_numbers_get_the_stated_quantiles_rounded_outward() -> None:
    frame = trusted()
    suite = made(frame, low=0.01, high=0.99)
    (words,) = lines(suite, "words")
    low, high = (frame["words"].quantile(q, interpolation="nearest") for q in (0.01, 0.99))
    assert words["kwargs"]["min_value"] <= low < high <= words["kwargs"]["max_value"]
    assert isinstance(words["kwargs"]["max_value"], int)
    assert words["severity"] == "warning"
    assert words["notes"].startswith(
        f"From 2,000 rows: the 1 % quantile is {low:g}, the 99 % quantile {high:g}"
    )
    (score,) = lines(suite, "score")
    assert score["kwargs"]["min_value"] < -2 < 2 < score["kwargs"]["max_value"]
    (pii,) = lines(suite, "pii_count")
    assert pii["kwargs"] == {"column": "pii_count", "max_value": 0, "mostly": 0.994}


def test_categories_labels_flags_and_ids_are_each_said_in_their_way() -> None:
    suite = made(trusted())
    assert [item["type"] for item in lines(suite, "row_id")] == [
        "expect_column_values_to_not_be_null", "expect_column_values_to_be_unique",
    ]  # fmt: skip
    null, seen, *shares = lines(suite, "label")
    assert null["type"] == "expect_column_values_to_not_be_null"
    assert seen["kwargs"] == {"column": "label", "value_set": ["bad", "good"]}
    good = [item["kwargs"] for item in shares if item["kwargs"]["value_set"] == ["good"]]
    assert [kwargs["mostly"] for kwargs in good] == [0.64, 0.25]  # 0.64 <= share <= 0.75
    assert "'good' has 1,396 of 2,000" in shares[-1]["notes"]
    (leak,) = lines(suite, "is_leak")
    assert leak["kwargs"]["value_set"] == [False]
    assert set(suite["meta"]["proposed"]["left_out"]) == {"near_cluster", "empty"}


def test_the_same_rows_give_the_same_bytes_and_the_order_is_the_frames(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        proposal.write(tmp_path / name, Trusted(trusted(), 0.001, 0.999), "mine", "mine.csv")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    suite = orjson.loads((tmp_path / "a.json").read_bytes())
    order = [item["kwargs"]["column"] for item in suite["expectations"]]
    assert order == sorted(order, key=trusted().columns.index)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"]


def test_further_rows_of_the_same_kind_meet_the_suite_and_others_do_not(tmp_path: Path) -> None:
    proposal.write(tmp_path / "mine.json", Trusted(trusted(), 0.001, 0.999), "mine", "m")
    suite = load_suite(tmp_path / "mine.json")

    def broken(frame: pl.DataFrame) -> list[str]:
        return [r["column"] for r in run_suite(frame, suite).records if not r["success"]]

    for seed in range(1, 6):
        assert broken(trusted(seed=seed)) == []
    worse = trusted(seed=1).with_columns(
        label=pl.lit("good"), words=pl.col("words") * 2, language=pl.lit("fr")
    )
    assert set(broken(worse)) == {"label", "words", "language"}


def test_chance_moves_a_count_farther_than_tolerated_in_few_of_many_corpora() -> None:
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(4000):
        first, second = rng.binomial(2000, 0.002, 2)
        alarms += second > most(int(first), 2000)
    assert alarms <= 4  # about 1 in 10,000 by the formula; 4,000 draws of 1 in 1,000 give 4
    assert most(0, 1000) < 20
    assert most(1000, 1000) == 1000


def test_too_few_rows_are_refused_with_the_number_it_takes() -> None:
    assert [rows_needed(*q) for q in ((0.001, 0.999), (0.05, 0.95), (0, 1), (0.0001, 1))] == [
        1000, 100, 100, 10_000,
    ]  # fmt: skip
    with pytest.raises(SuiteError, match=r"500 rows.* need 1,000.*; with so many, ask for 0.002"):
        made(trusted(500))
    with pytest.raises(SuiteError, match=r"need 100, so that"):
        made(trusted(99), low=0.1, high=0.9)
    assert made(trusted(500), low=0.002, high=0.998)


def test_intervals_can_be_written_as_row_rules(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    proposal.write(path, Trusted(trusted(), 0.001, 0.999, row_rules=True), "mine", "m")
    assert [rule.name for rule in row_rules(str(path))] == [
        "words_unusual", "score_unusual", "ratio_unusual", "pii_count_unusual",
    ]  # fmt: skip


def test_a_file_that_is_there_is_not_replaced_and_names_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        proposal.destination(path, "mine", force=False)
    assert proposal.destination(path, "mine", force=True) == path
    for bad in (
        (path.with_suffix(".yaml"), "mine"),
        (tmp_path / "no" / "m.json", "m"),
        (None, "a/b"),
    ):
        with pytest.raises(UserError):
            proposal.destination(*bad, force=False)
    with pytest.raises(UserError, match="0.9 and 0.1"):
        proposal.require_quantiles(0.9, 0.1)
    assert [proposal.named(p) for p in ("s3://x/my reviews.csv.gz", "a/b/", "*.txt")] == [
        "my_reviews", "b", "mine",
    ]  # fmt: skip


# --- suites as files ---


def suite(folder: Path, *items: dict[str, Any]) -> Path:
    path = folder / "mine.json"
    path.write_bytes(orjson.dumps({"name": "mine", "expectations": list(items)}))
    return path


def test_suites_are_described_in_sentences_with_their_rules() -> None:
    text = suites.described(["noise"])
    assert text.startswith("noise: ")
    assert (
        "  warning   words must be at least 2 in at least 95 % of the rows  [too_short]\n" in text
    )
    assert {line.split(":")[0] for line in suites.described([]).split("\n\n")} >= {"noise", "skew"}
    assert suites.rules_in_words()["too_short"] == "words must be at least 2 in every row"
    with pytest.raises(UserError, match="no suite 'nois'.*did you mean 'noise'"):
        suites.described(["nois"])


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"type": "expect_colum_to_exist", "kwargs": {"column": "text"}},
         "did you mean 'expect_column_to_exist'"),
        ({"type": "expect_column_values_to_be_between", "kwargs": {"column": "wrods", "max_value": 9}},
         "asks for column 'wrods', which is not there; did you mean 'words'"),
        ({"type": "expect_column_values_to_be_between", "kwargs": {"column": "words", "mostly": 2}},
         "mostly"),
    ],
)  # fmt: skip
def test_a_suite_that_no_night_could_use_is_refused_by_name(
    tmp_path: Path, item: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        suites.checked(suite(tmp_path, item))


def test_bad_json_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{\n"name": "mine",\n"expectations": [,]}')
    with pytest.raises(UserError, match=r"mine.json is not JSON: .* at line 3"):
        suites.checked(path)


def test_a_good_suite_is_told_back_and_may_ask_for_groups_of_ones_own(tmp_path: Path) -> None:
    item = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "group_origin"}}
    assert suites.checked(suite(tmp_path, item)) == (
        "mine: 1 expectations\n  critical  group_origin must have a value in every row\n"
    )


def test_a_suite_named_by_its_path_is_known_by_its_contents(tmp_path: Path) -> None:
    path = suite(tmp_path)
    first = suites_digest(["noise", str(path)])
    assert suites_digest(["noise"]) == ""
    path.write_bytes(path.read_bytes() + b"\n")
    assert suites_digest([str(path)]) != first
    with pytest.raises(SuiteError, match="there is no suite file"):
        suites_digest([str(tmp_path / "absent.json")])
