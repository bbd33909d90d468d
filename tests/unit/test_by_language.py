"""Rules that differ by language, and mixed corpora judged by language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from expectations.rules import RowRule, failing_rows, row_rules
from expectations.runner import Judged, load_suite, run_suite
from expectations.suite_files import SuiteError, suite_path

BETWEEN = "expect_column_values_to_be_between"
TRAIN = {
    "type": "comparison", "column": {"name": "split"}, "operator": "IN", "parameter": ["train"],
}  # fmt: skip


def frame(**columns: list[Any]) -> pl.DataFrame:
    size = len(next(iter(columns.values())))
    ids = [f"r{i}" for i in range(size)]
    return pl.DataFrame({"row_id": ids, "split": ["train"] * size, **columns}, strict=False)


def rule(minimum: float | None, meta: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    return {
        "type": BETWEEN, "kwargs": {"column": "words", "min_value": minimum, **kwargs},
        "severity": "warning", "meta": {"rule": "short", "row_rule": True, **meta},
    }  # fmt: skip


def suite(folder: Path, *items: dict[str, Any]) -> Path:
    path = folder / "mine.json"
    path.write_bytes(orjson.dumps({"name": "mine", "meta": {}, "expectations": items}))
    return path


def judge(folder: Path, rows: pl.DataFrame, *items: dict[str, Any], strict: bool = False) -> Judged:
    return run_suite(rows, load_suite(suite(folder, *items)), strict=strict)


MIXED = frame(words=[2, 2, 5, 2, None], language=["en", "zh", "zh", "und", "zh"])
ZH = {"languages": {"zh": {"min_value": 3}}}


def rules_of(
    folder: Path, *items: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> list[RowRule]:
    import expectations.suite_files as module

    suite(folder, *items)
    monkeypatch.setattr(module, "SUITES", folder)
    return row_rules("mine")


@pytest.mark.parametrize(
    ("meta", "kwargs", "fails"),
    [
        ({}, {}, []),
        (ZH, {}, ["r1"]),
        ({"languages": {"en": {"min_value": 4}}, "only_languages": ["en"]}, {}, ["r0"]),
        ({"only_languages": ["zh"]}, {"min_value": 3}, ["r1"]),
        ({"languages": {"zh": {"max_value": 4}}}, {"min_value": 3}, ["r0", "r1", "r2", "r3"]),
    ],
)
def test_cleaning_and_great_expectations_hold_a_language_to_the_same_bounds(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    meta: dict[str, Any],
    kwargs: dict[str, Any],
    fails: list[str],
) -> None:
    item = rule(2, meta, **kwargs)
    rules = rules_of(tmp_path, item, monkeypatch=monkeypatch)
    assert failing_rows(MIXED, rules)["row_id"].to_list() == fails
    records = judge(tmp_path, MIXED, item, strict=True).records
    found = [row["row_id"] for record in records for row in record["worst_rows"]]
    assert sorted(found) == fails


def test_a_line_for_a_language_says_so_in_its_sentence_and_keeps_other_conditions(
    tmp_path: Path,
) -> None:
    first, second = judge(tmp_path, MIXED, rule(2, ZH, row_condition=TRAIN)).records
    assert first["sentence"] == (
        "words must be at least 2 in every row (train rows, rows not in zh): all 2 rows meet it."
    )
    assert second["sentence"] == (
        "words must be at least 3 in every row (train rows, rows in zh): "
        "1 of 2 rows (50 %) break it."
    )
    assert (first["language"], second["language"]) == (None, "zh")


def test_languages_that_do_not_occur_make_no_line(tmp_path: Path) -> None:
    english = frame(words=[2, 3], language=["en", "en"])
    assert len(judge(tmp_path, english, rule(2, ZH)).records) == 1
    (record,) = judge(tmp_path, english, rule(2, {"only_languages": ["zh"]})).records
    assert record["skipped"] == "there are no rows in zh"


def test_records_count_rows_by_language(tmp_path: Path) -> None:
    (record,) = judge(tmp_path, MIXED, rule(3, {})).records
    assert record["by_language"] == {
        "zh": {"rows": 2, "broken": 1},
        "en": {"rows": 1, "broken": 1},
        "und": {"rows": 1, "broken": 1},
    }
    (alone,) = judge(tmp_path, MIXED.filter(pl.col("language") == "zh"), rule(3, {})).records
    assert alone["by_language"] is None


@pytest.mark.parametrize(("rows", "met"), [(49, True), (50, False)])
def test_a_language_with_rows_enough_is_not_hidden_by_the_others(
    tmp_path: Path, rows: int, met: bool
) -> None:
    mixed = frame(words=[9] * 2000 + [1] * rows, language=["en"] * 2000 + ["zh"] * rows)
    judged = judge(tmp_path, mixed, rule(2, {}, mostly=0.95))
    assert judged.records[0]["success"] is met
    assert judged.result.results[0].success is met
    if not met:
        assert judged.records[0]["sentence"].endswith("; 50 of 50 rows in zh (100 %).")


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ({"languages": ["zh"]}, "languages"),
        ({"languages": {"zh": {"minimum": 3}}}, "'minimum' for language 'zh'"),
        ({"languages": {"zh": {"min_value": "3"}}}, "'3' for language 'zh', not a number"),
        ({"only_languages": "en"}, "only_languages"),
        ({"languages": {"zh": {}}, "only_languages": ["en"]}, "'zh', which it does not judge"),
    ],
)
def test_bad_languages_are_refused_by_name(tmp_path: Path, meta: dict[str, Any], said: str) -> None:
    with pytest.raises(SuiteError, match=rf"mine.json: expectation 1 has .*{said}"):
        load_suite(suite(tmp_path, rule(2, meta)))


def test_a_rule_by_language_on_rows_without_one_names_the_column(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="asks for column 'language'"):
        judge(tmp_path, MIXED.drop("language"), rule(2, ZH))


def test_the_noise_suite_asks_more_pieces_of_scripts_without_spaces() -> None:
    short = next(rule for rule in row_rules() if rule.name == "too_short")
    assert (short.allowed_in("en"), short.allowed_in("zh")) == ("at least 2", "at least 3")
    assert suite_path("noise").exists()
