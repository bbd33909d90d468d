"""Claims about the stage that judges a corpus."""

import logging
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from tasks.configuration import Validation
from tasks.corpus.validate import suites_content, validate
from tasks.errors import UserError
from tasks.log import Log
from tasks.records import Outcome

CLEAN = {
    "characters": 40, "words": 8, "mean_word_length": 4.0, "alpha_ratio": 0.8, "digit_ratio": 0.0,
    "upper_ratio": 0.03, "symbol_ratio": 0.02, "space_ratio": 0.17, "stopword_ratio": 0.4,
    "unique_word_ratio": 1.0, "repeated_line_ratio": 0.0, "repeated_ngram_ratio": 0.0,
    "markup_count": 0, "mojibake_score": 0.0, "control_characters": 0, "url_count": 0,
    "email_count": 0, "phone_count": 0, "ip_count": 0, "pii_count": 0, "boilerplate_count": 0,
    "language_confidence": 0.99, "gibberish_score": 0.1, "near_cluster": 0, "leak_overlap": 0.0,
    "mentions_female": 0, "mentions_male": 0, "loop_ratio": 0.0, "secret_count": 0,
    "typo_ratio": 0.0, "perplexity": 2.5, "outlier_score": 1.0, "outlier_signal": "words",
    "is_future_time": False, "is_early_time": False, "is_unreadable_time": False,
}  # fmt: skip


def folders(root: Path, rows: int = 40, **columns: Any) -> tuple[Path, Path]:
    """A corpus of clean rows and its signals; `columns` replaces whole columns."""
    corpus = pl.DataFrame(
        {
            "row_id": [f"r{i}" for i in range(rows)],
            "text": [f"This is the plain text of row {i}." for i in range(rows)],
            "label": ["0", "1"] * (rows // 2),
            "split": (["train"] * 8 + ["validation", "test"]) * (rows // 10),
        }
    )
    signals = corpus.drop("text").with_columns(
        *(pl.lit(value).alias(name) for name, value in CLEAN.items()),
        language=pl.lit("en"),
        exact_cluster=pl.int_range(rows),
        is_exact_duplicate=pl.lit(False),
        is_near_duplicate=pl.lit(False),
        is_test_leak=pl.lit(False),
        is_probe_leak=pl.lit(False),
        repeated_span_ratio=pl.lit(0.0),
    )
    for name, values in columns.items():
        column = pl.Series(name, values)
        if name in corpus.columns:
            corpus = corpus.with_columns(column)
        if name != "text":
            signals = signals.with_columns(column)
    for name in ("corpus", "profiled"):
        (root / name).mkdir()
    corpus.write_parquet(root / "corpus" / "corpus.parquet")
    signals.write_parquet(root / "profiled" / "signals.parquet")
    return root / "corpus", root / "profiled"


def run(
    root: Path, *, strict: bool = False, suites: tuple[str, ...] = (), **columns: Any
) -> Outcome:
    corpus, profiled = folders(root, **columns)
    (root / "out").mkdir()
    config = Validation(suites=suites) if suites else Validation()
    return validate.fn(
        corpus, profiled, config=config, strict=strict, out=root / "out", log=Log()
    )  # fmt: skip


def report(root: Path) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = orjson.loads((root / "out" / "validation.json").read_bytes())
    return records


@pytest.mark.parametrize("strict", [False, True])
def test_a_small_clean_corpus_passes_raw_and_strict(tmp_path: Path, strict: bool) -> None:
    outcome = run(tmp_path, strict=strict)
    assert outcome.refusal is None
    assert outcome.metrics["failed_critical"] == outcome.metrics["failed_warning"] == 0
    assert outcome.metrics["broken_share_any"] == 0
    assert (tmp_path / "out" / "data_docs" / "index.html").exists()
    assert outcome.artifacts == ("validation.json", "data_docs")


def test_the_summary_counts_what_is_met_warned_of_and_not_judged(tmp_path: Path) -> None:
    outcome = run(tmp_path, words=[1] * 8 + [9] * 32)
    records = report(tmp_path)
    skipped = [r for r in records if r["skipped"]]
    assert outcome.summary == (
        f"{len(records)} expectations: {len(records) - 1 - len(skipped)} met, 1 warning, "
        f"{len(skipped)} not judged"
    )
    assert len(outcome.summary) <= 60
    assert outcome.refusal is None
    assert outcome.metrics["broken_share_too_short"] == pytest.approx(0.2)


def test_after_cleaning_one_broken_row_is_refused_by_rule_row_and_text(tmp_path: Path) -> None:
    outcome = run(tmp_path, strict=True, suites=("noise",), words=[1, *[9] * 39])
    assert outcome.refusal == (
        "1 critical expectation is not met\n"
        "  noise: words must be at least 2 in every row: 1 of 40 rows (2.5 %) break it.\n"
        "    row r0, 1: This is the plain text of row 0."
    )
    assert (tmp_path / "out" / "validation.json").exists()


def test_raw_data_of_which_most_rows_are_broken_is_refused(tmp_path: Path) -> None:
    outcome = run(tmp_path, suites=("noise",), markup_count=[3] * 30 + [0] * 10)
    assert outcome.refusal is not None
    assert "failed_rules must be at most 0 in at least 50 % of the rows" in outcome.refusal
    assert "30 of 40 rows (75 %)" in outcome.refusal


def test_a_refusal_stays_a_few_lines_however_much_is_wrong(tmp_path: Path) -> None:
    outcome = run(
        tmp_path, strict=True, suites=("noise",), words=[1] * 40, markup_count=[2] * 40,
        pii_count=[1] * 40, gibberish_score=[0.9] * 40, text=["x" * 4000] * 40,
    )  # fmt: skip
    assert outcome.refusal is not None
    assert outcome.refusal.startswith("5 critical expectations are not met")
    assert outcome.refusal.endswith("and 2 more")
    assert len(outcome.refusal.splitlines()) <= 11
    assert max(map(len, outcome.refusal.splitlines())) < 160


def test_ids_that_occur_twice_are_refused(tmp_path: Path) -> None:
    outcome = run(tmp_path, suites=("schema",), row_id=["a", "a", *map(str, range(38))])
    assert outcome.refusal is not None
    assert "row_id must not occur twice: 2 of 40 rows" in outcome.refusal


def test_data_without_labels_leaves_the_label_suite_out_and_says_why(tmp_path: Path) -> None:
    outcome = run(tmp_path, suites=("labels",), label=pl.Series([None] * 40, dtype=pl.String))
    assert outcome.refusal is None
    labels = [r for r in report(tmp_path) if r["suite"] == "labels"]
    assert labels
    assert {r["skipped"] for r in labels} == {"the data has no label"}


def test_identical_texts_under_two_labels_are_found(tmp_path: Path) -> None:
    run(tmp_path, suites=("labels",), exact_cluster=[0, 0, *range(2, 40)])
    (record,) = [r for r in report(tmp_path) if r["column"] == "labels_of_text"]
    assert not record["success"]
    assert [row["row_id"] for row in record["worst_rows"]] == ["r0", "r1"]


def test_serving_rows_unlike_the_training_rows_are_a_warning_not_a_refusal(tmp_path: Path) -> None:
    outcome = run(
        tmp_path, rows=200, split=["train"] * 100 + ["serving"] * 100, suites=("skew",),
        words=[*range(10, 110), *range(60, 160)],
    )  # fmt: skip
    assert outcome.refusal is None
    assert outcome.metrics["divergence_bits_words_serving"] > 0.1
    assert outcome.metrics["failed_warning"] == 1
    (record,) = [r for r in report(tmp_path) if not r["success"]]
    assert record["sentence"].startswith("words must diverge from the serving rows by 0.1 bits")


def test_the_same_corpus_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        run(tmp_path / name, suites=("noise",), words=[1] * 8 + [9] * 32)
    one, two = ((tmp_path / n / "out" / "validation.json").read_bytes() for n in ("one", "two"))
    assert one == two


def test_an_unknown_suite_is_refused_before_any_work_with_those_that_exist(tmp_path: Path) -> None:
    config = Validation(suites=("schema", "noisy"))
    with pytest.raises(
        UserError, match="no suite 'noisy'; the suites are c4, drift, .*noise, schema"
    ):
        validate.fn(
            tmp_path / "none", tmp_path / "none", config=config, strict=False, out=tmp_path,
            log=Log(),
        )  # fmt: skip


def test_signals_of_another_corpus_are_refused(tmp_path: Path) -> None:
    corpus, profiled = folders(tmp_path)
    pl.read_parquet(profiled / "signals.parquet").head(9).write_parquet(
        profiled / "signals.parquet"
    )
    with pytest.raises(UserError, match="9 rows measured, 40 rows there"):
        validate.fn(
            corpus, profiled, config=Validation(), strict=False, out=tmp_path, log=Log()
        )  # fmt: skip


def test_judging_says_nothing_on_the_terminal_or_in_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        run(tmp_path, suites=("schema",))
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_a_suite_may_be_a_file_anywhere_and_a_changed_one_is_another_input(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    item = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "words"}}
    keys = []
    for limit in (9, 7):
        item["kwargs"] = {"column": "words", "max_value": limit}
        path.write_bytes(orjson.dumps({"name": "mine", "expectations": [item]}))
        config = Validation(suites=("schema", str(path)))
        keys.append(validate.key({"config": config, "content": suites_content(config)}))
    assert keys[0] != keys[1]
    assert "words must be at most 7" in (run(tmp_path, suites=config.suites).refusal or "")


def test_two_suites_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(orjson.dumps({"name": "schema", "expectations": []}))
    with pytest.raises(UserError, match="have the name 'schema'"):
        run(tmp_path, suites=("schema", str(path)))
