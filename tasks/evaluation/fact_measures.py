"""What answers to fact probes tell beyond right and wrong: by what the model has read, and how it was asked.

    consistency      of the pairs of paraphrases of one fact, the share that is answered alike
                     (Elazar et al. 2021, https://arxiv.org/abs/2102.01017), right or wrong
    exposures        training rows that name a fact's subject and its answer; accuracy against their
                     number is the curve of knowledge acquisition
    disputed         facts that the corpus states in several versions

Probes of one fact are not independent, so facts, not probes, are drawn for the intervals of what is
compared within them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.evaluation.bootstrap import interval, ratio, share
from tasks.evaluation.calibration import brier_scores, expected_calibration_error
from tasks.evaluation.selective import temperature, tempered

_BINS = (0, 1, 2, 3, 5, 9, 17, 33, 65)  # the first number of exposures of each bin
_MIN_GROUP = 20  # probes; fewer are not shown by themselves
_AT_ONCE = 50_000  # texts
Draws = dict[str, Any]  # resamples and seed


def exposures(texts: pl.Series, subjects: Sequence[str], answers: Sequence[str]) -> pl.Series:
    """How many texts name each fact's subject and its answer; null where the subject is unknown.

    Args:
        texts: N of them.
        subjects: Of Q facts; an empty one is unknown.
        answers: Of Q facts.

    Returns:
        (Q,) of Int64.
    """
    facts = pl.DataFrame({"subject": subjects, "answer": answers}).with_row_index("fact")
    known = facts.filter(pl.col("subject").str.strip_chars() != "")
    names = known["subject"].unique().sort().to_list()
    counts = np.zeros(len(facts), np.int64)
    for start in range(0, len(texts) if len(names) else 0, _AT_ONCE):
        part = texts.slice(start, _AT_ONCE).fill_null("").alias("text").to_frame()
        found = part.with_columns(
            subject=pl.col("text").str.extract_many(
                names, ascii_case_insensitive=True, overlapping=True
            )
        ).with_row_index("row")
        met = (
            found.explode("subject", empty_as_null=True, keep_nulls=True)
            .drop_nulls("subject")
            .with_columns(pl.col("subject").str.to_lowercase())
            .unique(["row", "subject"])
            .join(known.with_columns(pl.col("subject").str.to_lowercase()), on="subject")
            .filter(
                pl.col("text")
                .str.to_lowercase()
                .str.contains(pl.col("answer").str.to_lowercase(), literal=True)
            )
        )
        counts += np.bincount(met["fact"].to_numpy(), minlength=len(facts))
    unknown = (facts["subject"].str.strip_chars() == "").to_numpy()
    return pl.Series("exposures", counts).set(pl.Series(unknown), None)


def disputed(corpus: Path) -> pl.DataFrame:
    """`subject` and `relation` of the facts that rows disagree on; empty if nothing was looked for."""
    path = corpus / "contradictions.parquet"
    columns = ["subject", "relation"]
    if not path.exists():
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return pl.read_parquet(path, columns=columns).unique()


def consistency(asked: pl.DataFrame, draws: Draws) -> dict[str, Any] | None:
    """How alike the paraphrases of one fact are answered.

    Args:
        asked: `fact`, `asserted` and `right`, one row a probe.
        draws: Number and seed of the resamples.

    Returns:
        `facts`, `pairs`, and intervals `alike` and `alike_and_right`, of pairs; None if no fact was
        asked twice.
    """
    pairs = (
        asked.group_by("fact")
        .agg(
            n=pl.len(),
            alike=(pl.col("asserted").value_counts().struct.field("count")),
            right=pl.col("asserted").filter("right").value_counts().struct.field("count"),
        )
        .filter(pl.col("n") > 1)
        .sort("fact")
    )
    if pairs.is_empty():
        return None
    alike, right = (
        np.array([sum(c * (c - 1) // 2 for c in counts) for counts in pairs[name]], np.float64)
        for name in ("alike", "right")
    )
    n = pairs["n"].cast(pl.Int64).to_numpy()
    total = n * (n - 1) / 2
    return {
        "facts": len(pairs),
        "pairs": int(total.sum()),
        **{
            name: interval(np.stack([same, total], axis=1), statistic=ratio, **draws)
            for name, same in (("alike", alike), ("alike_and_right", right))
        },
    }


def by_exposures(judged: pl.DataFrame, draws: Draws) -> list[dict[str, Any]]:
    """Accuracy and hallucinated share by how often a fact was read, rarest first."""
    known = judged.drop_nulls("exposures")
    found = []
    for low, above in zip(_BINS, [*_BINS[1:], None], strict=True):
        inside = pl.col("exposures") >= low
        if above is not None:
            inside &= pl.col("exposures") < above
        part = known.filter(inside)
        if not part.is_empty():
            found.append({"from": low, "below": above, **_shares(part, draws)})
    return found


def parted(judged: pl.DataFrame, column: str, draws: Draws) -> list[dict[str, Any]]:
    """The same by the values of a column, values with fewer than 20 probes left out."""
    parts = judged.drop_nulls(column).sort(column).group_by(column, maintain_order=True)
    return [
        {"value": value, **_shares(part, draws)}
        for (value,), part in parts
        if len(part) >= _MIN_GROUP
    ]


def calibrated(
    tuning: Sequence[tuple[NDArray[np.float64], int]],
    test: Sequence[tuple[NDArray[np.float64], int]],
    draws: Draws,
) -> dict[str, Any]:
    """Calibration of the answers before and after temperature scaling (see `selective`).

    Args:
        tuning: Of each validation probe the shares of its candidates, and which is right (-1: none).
        test: Of each test probe.
        draws: Number and seed of the resamples.

    Returns:
        `temperature`, and intervals `brier`, `ece_tempered` and `brier_tempered` of the test probes.
    """
    t = temperature(*_padded(tuning)) if tuning else 1.0
    shares, truth = _padded(test)
    scaled = tempered(shares, t)
    sure = np.stack([scaled.max(axis=1), scaled.argmax(axis=1) == truth], axis=1)
    return {
        "temperature": t,
        "brier": interval(brier_scores(shares, truth), **draws),
        "ece_tempered": interval(sure, statistic=expected_calibration_error, **draws),
        "brier_tempered": interval(brier_scores(scaled, truth), **draws),
    }


def _padded(
    asked: Sequence[tuple[NDArray[np.float64], int]],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Candidates' shares as one matrix, (Q, C), impossible ones where a probe has fewer; the truths."""
    shares = np.zeros((len(asked), max(len(one) for one, _ in asked)))
    for place, (one, _) in enumerate(asked):
        shares[place, : len(one)] = one
    return shares, np.array([right for _, right in asked], np.int64)


def _shares(part: pl.DataFrame, draws: Draws) -> dict[str, Any]:
    right = part["right"].to_numpy()
    wrong = (part["outcome"] == "hallucinated").to_numpy()
    return {
        "probes": len(part), "accuracy": share(right, **draws), "hallucinated": share(wrong, **draws),
    }  # fmt: skip
