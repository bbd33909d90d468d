"""How evenly the training rows are shared among the classes, and what that can be said with."""

from __future__ import annotations

from typing import Any

import polars as pl

from tasks.evaluation.bootstrap import wilson

_LISTED = 50  # classes, the commonest and the rarest of them


def balance(labels: pl.Series, min_class: int) -> dict[str, Any]:
    """Shares of the classes, and how many times the largest is the smallest.

    The share of a class has Wilson's interval (1927). So has the share q of the largest among the
    rows of the largest and the smallest, from which comes the interval of their ratio, q / (1 - q).
    Which class is the smallest was seen in the same rows: with many classes alike, the ratio is
    above 1 by chance, and its interval knows nothing of that.

    Args:
        labels: One per labelled training row, no nulls.
        min_class: Classes with fewer rows are named as too small to be judged.

    Returns:
        `classes` and `rows`; `shares` by class (`rows`, `value`, `low`, `high`), commonest first
        and in the middle cut; `largest` and `smallest`, `imbalance` (`value`, `low`, `high`), None
        with fewer than two classes; `too_few`, the classes below `min_class`, with their rows.
    """
    counts = labels.alias("class").to_frame().group_by("class").len("rows")
    counts = counts.sort(["rows", "class"], descending=[True, False])
    listed = counts
    if counts.height > _LISTED:
        listed = pl.concat([counts.head(_LISTED // 2), counts.tail(_LISTED // 2)])
    small = counts.filter(pl.col("rows") < min_class)
    found: dict[str, Any] = {
        "classes": counts.height,
        "rows": len(labels),
        "shares": [
            {"class": name, "rows": rows, **share_of(rows, len(labels))}
            for name, rows in listed.iter_rows()
        ],
        "too_few": [
            {"class": name, "rows": rows} for name, rows in small.tail(_LISTED).iter_rows()
        ],
        "classes_too_few": small.height,
        "imbalance": None,
    }
    if counts.height > 1:
        (largest, most), (smallest, fewest) = counts.row(0), counts.row(-1)
        odds = {name: q / (1 - q) for name, q in share_of(most, most + fewest).items()}
        found |= {"largest": largest, "smallest": smallest, "imbalance": odds}
    return found


def share_of(rows: int, of: int) -> dict[str, float]:
    """A share of rows with Wilson's interval, which costs nothing however many rows there are."""
    low, high = wilson(rows / of, of)
    return {"value": rows / of, "low": low, "high": high}
