"""Time stamps that cannot be right, told without a clock so that a rerun says the same.

What is too new or too old is stated in the configuration. Without a stated limit nothing is, and
a row without a time has none of these faults. A value that is no time at all was lost when the
row was read, which `time_lost` of the corpus remembers.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import polars as pl

SIGNALS = {
    "is_future_time": "whether the row's time is after profile.newest_time",
    "is_early_time": "whether the row's time is before profile.oldest_time",
    "is_unreadable_time": "whether the row's value of source.timestamp is no time",
}


def time_signals(rows: pl.DataFrame, oldest: date | None, newest: date | None) -> pl.DataFrame:
    """`timestamp` and its faults, for each row; false where there is nothing to say.

    Args:
        rows: Rows of a corpus; `timestamp` and `time_lost` may be absent.
        oldest: The first day allowed, None for no limit.
        newest: The last day allowed, None for no limit.
    """
    columns = rows.columns
    moment = (
        pl.col("timestamp") if "timestamp" in columns else pl.lit(None, pl.Datetime("us", "UTC"))
    )
    lost = pl.col("time_lost") if "time_lost" in columns else pl.lit(False)
    begin, end = _midnight(oldest), _midnight(newest)
    late = pl.lit(False) if end is None else moment >= end + timedelta(days=1)
    early = pl.lit(False) if begin is None else moment < begin
    frame = rows.with_row_index("place").select(
        "place",
        moment.alias("timestamp"),
        late.fill_null(False).alias("is_future_time"),
        early.fill_null(False).alias("is_early_time"),
        lost.fill_null(False).alias("is_unreadable_time"),
    )
    return frame.drop("place")


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)
