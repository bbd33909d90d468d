"""Asking a model for facts: which answers it may choose among, and what it makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.sources.probes import MAIN
from tasks.log import Log

MOST_CHOICES = 1000  # answers that a probe chooses among
_AT_ONCE = 256
Asked = tuple[NDArray[np.float64], int]  # shares of the candidates, and which is right


@dataclass(frozen=True)
class Answers:
    """What a model answered.

    Attributes:
        probes: The probes with `asserted`, `confidence`, `answer_confidence` and `right`.
        shares: Of each probe, its candidates' shares and the place of the answer.
        unknown: Answers with a subword that the vocabulary lacks.
    """

    probes: pl.DataFrame
    shares: list[Asked]
    unknown: int

    def of(self, where: pl.Expr) -> Answers:
        """The part where a condition holds."""
        kept = self.probes.select(where.alias("kept"))["kept"].arg_true().to_list()
        return Answers(self.probes[kept], [self.shares[i] for i in kept], self.unknown)


def candidates_of(probes: pl.DataFrame) -> dict[str, list[str]]:
    """The distinct answers of each relation, most frequent first where there are too many."""
    main = probes.filter(pl.col("phrasing") == MAIN)
    counted = (
        main.group_by("relation", "answer").len().sort(["len", "answer"], descending=[True, False])
    )
    found = {
        relation: sorted(part["answer"].head(MOST_CHOICES))
        for (relation,), part in counted.group_by("relation", maintain_order=True)
    }
    return {
        str(relation): answers if len(answers) > 1 else []
        for relation, answers in sorted(found.items())
    }


def draw(probes: pl.DataFrame, split: str, most: int, seed: int) -> pl.DataFrame:
    """At most so many main probes of a split, in the order of their ids."""
    rows = probes.filter((pl.col("split") == split) & (pl.col("phrasing") == MAIN)).sort("probe_id")
    if len(rows) <= most:
        return rows
    drawn = np.random.default_rng(seed).choice(len(rows), size=most, replace=False)
    return rows.filter(pl.Series(np.isin(np.arange(len(rows)), drawn)))


def ask(model: Path, probes: pl.DataFrame, candidates: dict[str, list[str]], log: Log) -> Answers:
    """Have a model choose an answer to every probe.

    Args:
        model: A model bundle.
        probes: Completed (see `probes.completed`); whose answer is no candidate is right in none.
        candidates: Relation to its possible answers.
        log: Progress.
    """
    from models.bundle import TextModel

    text_model = TextModel.load(model)
    asserted: list[str] = []
    confidence, of_answer, right = [], [], []
    shares: list[Asked] = []
    for start in range(0, len(probes), _AT_ONCE):
        part = probes[start : start + _AT_ONCE]
        choices = [_choices(candidates[r], a) for r, a in part.select("relation", "answer").rows()]
        found = text_model.score_candidates(part["statement"].to_list(), choices)
        for row, choice, given in zip(part.iter_rows(named=True), choices, found, strict=True):
            best = int(given.argmax())
            asserted.append(choice[best])
            confidence.append(float(given[best]))
            truth = choice.index(row["answer"])
            of_answer.append(float(given[truth]))
            right.append(choice[best] in (row["answer"], *row["accepted"]))
            shares.append((given, truth))
        log.progress(start + len(part), len(probes), "probes")
    answered = probes.with_columns(
        asserted=pl.Series(asserted, dtype=pl.String),
        confidence=pl.Series(confidence, dtype=pl.Float64),
        answer_confidence=pl.Series(of_answer, dtype=pl.Float64),
        right=pl.Series(right, dtype=pl.Boolean),
    )
    return Answers(answered, shares, _unknown(text_model, probes))


def _choices(candidates: list[str], answer: str) -> list[str]:
    """The candidates, with the probe's own answer among them."""
    return candidates if answer in candidates else [*candidates, answer]


def _unknown(text_model: object, probes: pl.DataFrame) -> int:
    """How many of the answers hold a subword that the vocabulary lacks, and so cannot be told apart."""
    reader = getattr(text_model, "reader", None)
    if reader is None:
        return 0
    answers = probes["answer"].unique().sort().to_list()
    holding = {
        answer
        for answer, ids in zip(answers, reader.pieces(answers), strict=True)
        if not ids or reader.unknown in ids
    }
    return int(probes["answer"].is_in(list(holding)).sum())
