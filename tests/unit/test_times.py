"""Time stamps out of range, and what the schema suite makes of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import orjson
import polars as pl
import pytest

from expectations.runner import load_suite, run_suite
from expectations.suite_files import suite_path
from tasks.configuration import Profiling, Source
from tasks.corpus.ingest import ingest
from tasks.corpus.signals.times import time_signals
from tasks.log import Log


def at(*days: str | None) -> pl.DataFrame:
    times = [None if day is None else datetime.fromisoformat(day) for day in days]
    return pl.DataFrame({"timestamp": pl.Series(times, dtype=pl.Datetime("us", "UTC"))})


def test_limits_are_whole_days_and_without_a_limit_nothing_is_out() -> None:
    rows = at(
        "2020-01-01T00:00Z", "2019-12-31T23:59Z", "2024-06-30T23:59Z", "2024-07-01T00:00Z", None
    )
    found = time_signals(rows, date(2020, 1, 1), date(2024, 6, 30))
    assert found["is_early_time"].to_list() == [False, True, False, False, False]
    assert found["is_future_time"].to_list() == [False, False, False, True, False]
    free = time_signals(rows, None, None)
    assert not (free["is_early_time"] | free["is_future_time"]).any()


def test_rows_without_times_have_no_faults() -> None:
    found = time_signals(pl.DataFrame({"text": ["a", "b"]}), date(2020, 1, 1), None)
    assert found.rows() == [(None, False, False, False)] * 2


def test_a_value_that_is_no_time_is_remembered_and_the_row_kept(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    values = ["2024-05-01", "yesterday", None, 1714521600, *["2024-05-02"] * 26]
    path.write_bytes(
        b"\n".join(orjson.dumps({"text": f"row {i}", "at": v}) for i, v in enumerate(values))
    )
    source = Source(location=str(path), timestamp="at")
    ingest.fn(config=source, seed=0, content="c", out=tmp_path, log=Log())
    rows = pl.read_parquet(tmp_path / "corpus.parquet")
    found = time_signals(rows, None, None).with_columns(rows["text"])
    assert found.filter("is_unreadable_time")["text"].to_list() == ["row 1"]


def test_a_corpus_without_a_column_of_times_has_no_such_column(tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("\n".join(f"row {i}" for i in range(30)))
    source = Source(location=str(tmp_path / "rows.txt"))
    ingest.fn(config=source, seed=0, content="c", out=tmp_path, log=Log())
    assert "time_lost" not in pl.read_parquet(tmp_path / "corpus.parquet").columns


def judged(times: pl.DataFrame, newest: date | None = None) -> dict[str, tuple[bool, str | None]]:
    """Whether each expectation on times is met, and why it was not judged."""
    signals = time_signals(times, date(2000, 1, 1), newest)
    frame = signals.with_columns(
        row_id=pl.int_range(pl.len()).cast(pl.String), text=pl.lit("t"), split=pl.lit("train"),
        label=pl.lit(None, pl.String), characters=pl.lit(9),
    )  # fmt: skip
    records = run_suite(frame, load_suite(suite_path("schema"))).records
    return {
        r["column"]: (r["success"], r["skipped"]) for r in records if "time" in str(r["column"])
    }


def test_the_schema_suite_warns_of_times_out_of_range_and_of_one_time_for_all() -> None:
    bad = judged(at(*["1970-01-01T00:00Z"] * 20, *["2031-01-01T00:00Z"] * 20), date(2025, 1, 1))
    assert (bad["is_early_time"][0], bad["is_future_time"][0]) == (False, False)
    assert bad["timestamp"][0]
    assert not judged(at(*["2020-01-01T00:00Z"] * 20))["timestamp"][0]


def test_without_times_they_are_not_judged() -> None:
    found = judged(at(*[None] * 20))
    assert found["timestamp"] == (True, "the data has no timestamp")
    assert found["is_future_time"] == (True, "the data has no timestamp")
    assert found["is_unreadable_time"] == (True, None)


def test_limits_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match=r"newest_time .* is before profile.oldest_time"):
        Profiling(oldest_time=date(2020, 1, 2), newest_time=date(2020, 1, 1))


def test_limits_outlive_the_record_of_a_profile() -> None:
    config = Profiling(newest_time=datetime(2024, 1, 1, tzinfo=UTC).date())
    assert Profiling(**config.model_dump(mode="json")) == config
