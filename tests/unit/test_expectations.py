"""Claims about the suites, the row rules, the divergence and the runner."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from scipy.spatial import distance

from expectations.divergence import histogram, jensen_shannon, partition
from expectations.engine import build_docs
from expectations.rules import RowRule, failing_rows, interval_in_words, row_rules
from expectations.runner import Judged, load_suite, run_suite
from expectations.suite_files import SuiteError, suite_names, suite_path

BETWEEN = "expect_column_values_to_be_between"
TRAIN = {
    "type": "comparison",
    "column": {"name": "split"},
    "operator": "IN",
    "parameter": ["train"],
}


def write(folder: Path, *expectations: dict[str, Any], meta: dict[str, Any] | None = None) -> Path:
    path = folder / "mine.json"
    content = {"name": "mine", "meta": meta or {}, "expectations": list(expectations)}
    path.write_bytes(orjson.dumps(content))
    return path


def judge(folder: Path, frame: pl.DataFrame, *expectations: dict[str, Any], **how: Any) -> Judged:
    return run_suite(frame, load_suite(write(folder, *expectations)), **how)


def rows(**columns: Any) -> pl.DataFrame:
    size = len(next(iter(columns.values())))
    return pl.DataFrame(
        {"row_id": [f"r{i}" for i in range(size)], "split": ["train"] * size, **columns},
        strict=False,
    )


# --- row rules ---


def test_every_row_rule_of_the_noise_suite_has_a_name_a_bound_and_a_reason() -> None:
    rules = row_rules()
    assert {"too_short", "mojibake", "markup", "gibberish", "boilerplate", "pii"} <= {
        rule.name for rule in rules
    }
    assert all(rule.minimum is not None or rule.maximum is not None for rule in rules)
    content = orjson.loads(suite_path("noise").read_bytes())
    assert all(len(item["notes"]) > 20 for item in content["expectations"])


def test_a_failing_row_is_named_once_per_rule_in_the_order_of_the_rules() -> None:
    signals = rows(words=[2, 9, 1], markup_count=[1, 0, 0])
    rules = [RowRule("markup", "markup_count", None, 0), RowRule("too_short", "words", 3, None)]
    assert failing_rows(signals, rules).rows() == [
        ("r0", "markup", "markup_count", 1.0),
        ("r0", "too_short", "words", 2.0),
        ("r2", "too_short", "words", 1.0),
    ]


def test_bounds_are_allowed_and_a_signal_without_a_value_passes() -> None:
    signals = rows(score=[0.5, 0.50001, None, float("nan")])
    found = failing_rows(signals, [RowRule("high", "score", None, 0.5)])
    assert found["row_id"].to_list() == ["r1"]


def test_a_rule_for_some_splits_leaves_the_others_alone() -> None:
    signals = pl.DataFrame(
        {"row_id": ["a", "b"], "split": ["train", "serving"], "words": [1, 1]}
    )  # fmt: skip
    found = failing_rows(signals, [RowRule("too_short", "words", 3, None, ("train",))])
    assert found["row_id"].to_list() == ["a"]


def test_a_rule_over_a_signal_that_is_not_there_names_it_and_the_nearest() -> None:
    with pytest.raises(SuiteError, match="'markup' asks for column 'markup_cuont'.*'markup_count'"):
        failing_rows(rows(markup_count=[0]), [RowRule("markup", "markup_cuont", None, 0)])


def test_great_expectations_and_the_row_rules_fail_the_same_rows(tmp_path: Path) -> None:
    generator = np.random.default_rng(7)
    rules = row_rules()
    columns: dict[str, Any] = {}
    for rule in rules:
        edge = rule.minimum if rule.minimum is not None else rule.maximum
        assert edge is not None
        values = edge + generator.integers(-2, 3, size=60) * 0.25
        columns[rule.column] = [None if generator.random() < 0.1 else v for v in values]
    signals = rows(**columns).with_columns(
        split=pl.Series(generator.choice(["train", "test"], size=60)), language=pl.lit("en")
    )
    items = [
        item
        for item in orjson.loads(suite_path("noise").read_bytes())["expectations"]
        if item["meta"].get("row_rule")
    ]
    items.append(
        {"type": BETWEEN, "meta": {"rule": "train_only", "row_rule": True}, "severity": "warning",
         "kwargs": {"column": "words", "min_value": 3, "row_condition": TRAIN}}
    )  # fmt: skip
    judged = judge(tmp_path, signals, *items, strict=True, worst=60)
    rules.append(RowRule("train_only", "words", 3, None, ("train",)))
    ours = failing_rows(signals, rules)
    for record in judged.records:
        mine = ours.filter(pl.col("reason") == record["rule"])["row_id"].to_list()
        assert len(mine) > 3
        assert {row["row_id"] for row in record["worst_rows"]} == set(mine), record["rule"]
        assert record["unexpected_count"] == len(mine)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(3, None, "at least 3"), (None, 0.5, "at most 0.5"), (0, 0, "exactly 0"),
     (20, 100_000_000, "between 20 and 100,000,000")],
)  # fmt: skip
def test_an_interval_reads_as_a_person_says_it(low: Any, high: Any, words: str) -> None:
    assert interval_in_words(low, high) == words


# --- suites that cannot be used ---


@pytest.mark.parametrize("name", suite_names())
def test_every_suite_of_the_project_loads_whole(name: str) -> None:
    written = orjson.loads(suite_path(name).read_bytes())
    assert len(load_suite(suite_path(name)).expectations) == len(written["expectations"])


def test_an_unknown_suite_is_refused_with_those_that_exist() -> None:
    with pytest.raises(
        SuiteError, match="no suite 'nois'; the suites are c4, drift, .*noise, schema"
    ):
        suite_path("nois")


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        ({"type": "expect_column_to_exits", "kwargs": {"column": "a"}},
         "no expectation 'expect_column_to_exits'; did you mean 'expect_column_to_exist'"),
        ({"type": BETWEEN, "kwargs": {"column": "a", "max_valeu": 3}}, "max_valeu"),
        ({"type": BETWEEN, "kwargs": {"max_value": 3}}, "column"),
        ({"type": BETWEEN, "kwargs": {"column": "a", "mostly": 3}}, "mostly"),
        ({"type": "expect_column_to_exist", "kwargs": {"column": "a"}, "severity": "fatal"},
         "severity"),
        ({"type": "expect_column_class_share_to_be_at_least", "kwargs": {"column": "a"}},
         "of_even_share"),
        ({"kwargs": {"column": "a"}}, "expectation 1 has no `type`"),
    ],
)  # fmt: skip
def test_an_expectation_that_cannot_be_run_is_refused_by_name(
    tmp_path: Path, expectation: dict[str, Any], message: str
) -> None:
    with pytest.raises(SuiteError, match=message):
        load_suite(write(tmp_path, expectation))


def test_a_suite_that_is_not_json_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"name": "mine",\n "expectations": [}')
    with pytest.raises(SuiteError, match="mine.json is not JSON: .* line 2"):
        load_suite(path)


def test_a_column_that_is_not_there_is_refused_with_the_nearest(tmp_path: Path) -> None:
    wrong = {"type": BETWEEN, "kwargs": {"column": "wrods", "min_value": 1}}
    with pytest.raises(SuiteError, match="'wrods', which is not there; did you mean 'words'"):
        judge(tmp_path, rows(words=[1]), wrong)


def test_an_expectation_that_breaks_on_the_data_is_refused_by_name(tmp_path: Path) -> None:
    wrong = {"type": BETWEEN, "kwargs": {"column": "language", "min_value": 1}}
    with pytest.raises(SuiteError, match=f"{BETWEEN} over 'language' cannot be judged"):
        judge(tmp_path, rows(language=["en", "de"]), wrong)


# --- running ---


def test_findings_stay_with_their_expectations_whatever_the_order_of_columns(
    tmp_path: Path,
) -> None:
    judged = judge(
        tmp_path, rows(a=[1, 1], b=[5, 5]),
        {"type": BETWEEN, "kwargs": {"column": "a", "max_value": 1}},
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 9}},
        {"type": BETWEEN, "kwargs": {"column": "b", "max_value": 1}},
        {"type": "expect_column_distinct_values_to_contain_set",
         "kwargs": {"column": "split", "value_set": ["train", "test"]}},
        {"type": "expect_column_to_exist", "kwargs": {"column": "c"}},
        {"type": BETWEEN, "kwargs": {"column": "a", "min_value": 2}},
    )  # fmt: skip
    assert [record["sentence"] for record in judged.records] == [
        "a must be at most 1 in every row: all 2 rows meet it.",
        "the number of rows must be at least 9: found 2.",
        "b must be at most 1 in every row: 2 of 2 rows (100 %) break it.",
        "split must take the values train, test: missing: test.",
        "column c must be there: it is not.",
        "a must be at least 2 in every row: 2 of 2 rows (100 %) break it.",
    ]
    assert [record["success"] for record in judged.records] == [True] + [False] * 5


def test_a_row_rule_is_a_warning_over_a_share_on_raw_data_and_critical_for_every_row_after(
    tmp_path: Path,
) -> None:
    rule = {"type": BETWEEN, "severity": "warning", "meta": {"rule": "too_short", "row_rule": True},
            "kwargs": {"column": "words", "min_value": 3, "mostly": 0.5}}  # fmt: skip
    suite = load_suite(write(tmp_path, rule))
    frame = rows(words=[9, 9, 9, 2])
    raw = run_suite(frame, suite).records[0]
    strict = run_suite(frame, suite, strict=True).records[0]
    assert (raw["success"], raw["severity"], raw["observed"]) == (True, "warning", 0.75)
    assert (strict["success"], strict["severity"], strict["observed"]) == (False, "critical", 0.75)
    assert strict["worst_rows"] == [{"row_id": "r3", "value": 2}]


def test_the_worst_rows_are_the_farthest_outside_on_either_side_with_their_text(
    tmp_path: Path,
) -> None:
    rule = {"type": BETWEEN, "kwargs": {"column": "words", "min_value": 3, "max_value": 10}}
    frame = rows(words=[2, 30, 5, -8], text=["two", "x" * 300, "five", "a\nb"])
    worst = judge(tmp_path, frame, rule, worst=2).records[0]["worst_rows"]
    assert worst == [
        {"row_id": "r1", "value": 30, "text_excerpt": "x" * 119 + "…"},
        {"row_id": "r3", "value": -8, "text_excerpt": "a b"},
    ]


def test_records_are_plain_json(tmp_path: Path) -> None:
    frame = rows(score=[0.1, None, 0.9], flag=[True, False, True])
    judged = judge(
        tmp_path, frame,
        {"type": BETWEEN, "kwargs": {"column": "score", "max_value": 0.5}},
        {"type": "expect_column_values_to_be_in_set",
         "kwargs": {"column": "flag", "value_set": [False]}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "score"}},
    )  # fmt: skip
    restored = orjson.loads(orjson.dumps(judged.records))
    assert [r["worst_rows"][0]["value"] for r in restored] == [0.9, True, None]


def test_a_suite_that_needs_a_column_is_left_out_and_says_so_where_it_is_empty(
    tmp_path: Path,
) -> None:
    item = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "label"}}
    suite = load_suite(write(tmp_path, item, meta={"needs": "label"}))
    judged = run_suite(rows(label=[None, None]).cast({"label": pl.String}), suite)
    assert judged.result is None
    assert judged.records[0]["skipped"] == "the data has no label"
    assert judged.records[0]["sentence"].endswith(": not judged, the data has no label.")


def test_the_rarest_class_is_named_and_measured_against_an_even_share(tmp_path: Path) -> None:
    item = {"type": "expect_column_class_share_to_be_at_least",
            "kwargs": {"column": "label", "of_even_share": 0.5}}  # fmt: skip
    record = judge(tmp_path, rows(label=["a"] * 8 + ["b"] * 2 + [None]), item).records[0]
    assert record["observed"] == pytest.approx(0.4)
    assert not record["success"]
    assert "'b', the rarest of 2, has 20 % of them" in record["sentence"]


# --- skew ---

SKEW = {"type": "expect_column_distribution_distance_to_be_less_than", "severity": "warning",
        "kwargs": {"column": "words", "sides": "split", "judged": "train", "reference": "serving",
                   "statistic": "js", "threshold": 0.1, "level": {"$PARAMETER": "level"}}}  # fmt: skip


def both(judged: pl.DataFrame, reference: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([judged, reference.with_columns(split=pl.lit("serving"))])


def test_the_divergence_is_the_square_of_scipys_distance() -> None:
    generator = np.random.default_rng(0)
    for size in (2, 3, 10, 50):
        p, q = generator.random(size), generator.random(size)
        p[generator.random(size) < 0.3] = 0
        p[0] += 0.1
        assert jensen_shannon(p.tolist(), q.tolist()) == pytest.approx(
            distance.jensenshannon(p, q, base=2) ** 2
        )


def test_the_divergence_is_symmetric_and_runs_from_zero_to_one_bit() -> None:
    assert jensen_shannon([2, 2], [7, 7]) == 0
    assert jensen_shannon([1, 0], [0, 5]) == 1
    assert jensen_shannon([1, 3], [2, 2]) == pytest.approx(jensen_shannon([2, 2], [1, 3]))


@pytest.mark.parametrize("q", [[1.0], [0.0, 0.0], [1.0, -1.0]])
def test_what_is_no_histogram_is_refused(q: list[float]) -> None:
    with pytest.raises(ValueError, match="histogram"):
        jensen_shannon([1.0, 1.0], q)


def test_quantile_bins_hold_even_shares_and_zeros_stay_apart() -> None:
    even = partition(np.arange(1000.0))
    assert even is not None
    assert even["weights"] == pytest.approx([0.1] * 10, abs=2e-3)
    zeros = partition([0.0] * 95 + [float(n) for n in range(1, 21)])
    assert zeros is not None
    assert histogram([0.0, 0.0, 5.0], zeros)[0] == 2


def test_a_value_the_reference_does_not_have_is_counted_as_another() -> None:
    bins = partition(["en"] * 40 + ["de"] * 20)
    assert bins is not None
    assert bins["values"] == ["de", "en"]
    assert histogram(["en", "fr", None, "zh"], bins).tolist() == [0, 1, 2]


def test_too_few_rows_or_too_many_categories_make_no_partition() -> None:
    assert partition([1.0] * 49) is None
    assert partition([f"name {n}" for n in range(500)]) is None


def test_skewed_training_rows_are_found_against_the_serving_rows(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    serving = rows(words=generator.normal(50, 10, size=300))
    like = rows(words=generator.normal(50, 10, size=900))
    unlike = rows(words=generator.normal(70, 10, size=900))
    alike = judge(tmp_path, both(like, serving), SKEW).records[0]
    skewed = judge(tmp_path, both(unlike, serving), SKEW).records[0]
    assert alike["success"]
    assert alike["observed"] < 0.03
    assert not skewed["success"]
    bins = partition(serving["words"].to_numpy())
    assert bins is not None
    expected = distance.jensenshannon(histogram(unlike["words"], bins), bins["weights"], base=2)
    assert skewed["observed"] == pytest.approx(expected**2, abs=1e-2)
    assert "words must diverge from the serving rows by 0.1 bits at most" in skewed["sentence"]
    assert "900 against 300 rows" in skewed["sentence"]


def test_a_reference_that_is_not_there_or_too_small_is_not_judged(tmp_path: Path) -> None:
    frame = rows(words=list(range(100)))
    none = judge(tmp_path, frame, SKEW).records[0]
    few = judge(tmp_path, both(frame, frame.head(9)), SKEW).records[0]
    thin = judge(tmp_path, both(frame.head(9), frame), SKEW).records[0]
    assert none["skipped"] == "there are no serving rows"
    assert few["skipped"] == "fewer than 50 of the reference rows have a value of words"
    assert thin["skipped"] == "fewer than 50 of the judged rows have a value of words"


def test_every_group_column_is_judged_by_one_line_of_the_suite(tmp_path: Path) -> None:
    item = {**SKEW, "kwargs": {**SKEW["kwargs"], "column": "group_*"}}
    frame = rows(group_a=["x", "y"] * 60, group_b=["x"] * 120)
    judged = judge(tmp_path, both(frame, frame), item)
    assert [record["column"] for record in judged.records] == ["group_a", "group_b"]
    without = judge(tmp_path, rows(words=[1]), item)
    assert without.records[0]["skipped"] == "the data has no column group_*"


# --- Data Docs ---


def test_data_docs_say_the_same_sentences_and_repeat_byte_for_byte(tmp_path: Path) -> None:
    frame = rows(words=list(range(100)), text=["secret"] * 100)
    items = [{"type": BETWEEN, "kwargs": {"column": "words", "min_value": 3, "mostly": 0.5}}, SKEW]
    for name in ("one", "two"):
        judged = judge(tmp_path, both(frame, frame), *items)
        build_docs([judged.result], tmp_path / name)
    pages = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.html"))
    assert len(pages) == 2
    for place in pages:
        assert (tmp_path / "one" / place).read_bytes() == (tmp_path / "two" / place).read_bytes()
    (page,) = (tmp_path / "one" / "validations").rglob("*.html")
    assert "words must be at least 3 in at least 50 % of the rows." in page.read_text()
    assert "words must diverge from the serving rows by 0.1 bits at most" in page.read_text()
    assert "secret" not in page.read_text()
    assert (tmp_path / "one" / "index.html").exists()


def test_reading_row_rules_or_importing_the_runner_does_not_import_great_expectations() -> None:
    code = (
        "import sys, expectations.runner, expectations.rules as r; r.row_rules();"
        "sys.exit('great_expectations' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
