"""From a wrong answer to the training rows behind it.

The worst wrong answers of a night, the surest first, each with the rows that most likely taught
them: by words (`retrieval`), by gradients (`gradient_ranking`), and by both together (`combine`).
With each row stands whether it states the answer, where it comes from, and how many copies of it the
source had. Rows that state the answer and that cleaning took out, or struck the statement from, are
listed too, as method `withheld`, with the reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import polars as pl

from tasks.configuration import Tracing
from tasks.corpus.statements.stating import ASSERTED, STATES, Texts
from tasks.explanation.trace.combine import best, combined
from tasks.explanation.trace.retrieval import Bm25
from tasks.explanation.trace.rows import (
    Withheld,
    excerpt,
    training_rows,
    truths,
    wrong_answers,
)
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.explanation.trace.gradient_ranking import GradientRanking

MASK, WITHHELD = "[MASK]", "withheld"
SCHEMA: dict[str, Any] = {
    "probe_id": pl.String, "rank": pl.Int64, "row_id": pl.String, "method": pl.String,
    "score": pl.Float64, "states": pl.String, "source": pl.String, "duplicates": pl.Int64,
    "made_up": pl.Boolean, "quarantined": pl.String, "excerpt": pl.String,
}  # fmt: skip
_WITHHELD = 5  # withheld rows named for an answer on the page
_TAUGHT = 5  # answers named for a row
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@stage
def trace(
    hallucination: Path,
    trained: Path,
    signals: Path,
    cleaned: Path,
    index: Path | None = None,
    model: Path | None = None,
    *,
    config: Tracing,
    out: Path,
    log: Log,
) -> Outcome:
    """Name the rows behind the surest wrong answers.

    Args:
        hallucination: The answers, in `probes.parquet`.
        trained: The rows that were trained on, in `corpus.parquet`.
        signals: Of the corpus before cleaning, for the clusters of copies.
        cleaned: For the rows that were taken out or shortened, and the source's text of them.
        index: The rows' gradients, from `encode_rows`; without them rows are found by words alone.
        model: The model that the index was made under.
        config: How many answers and rows.
        out: Gets `trace.parquet`, a line for each answer, method and rank; `influences.parquet`,
            for each traced row the answers that it pushes up the most; `trace.json`, for the page.
        log: Told which answer is traced.

    Returns:
        How many answers were traced, and for what share of them a row that states the answer is
        there to be found.
    """
    wrong = wrong_answers(hallucination, config.answers)
    if wrong.is_empty():
        why = "no answer was given with confidence and wrong"
        (out / "trace.json").write_bytes(orjson.dumps({"skipped": why}, option=_JSON))
        return Outcome(summary=why, skipped=why)
    rows = training_rows(trained, signals)
    ranking = _ranking(index, model)
    tracer, taken_out = _Tracer(rows, ranking, wrong, config.rows), Withheld.of(cleaned)
    lines, told = [], []
    for number, answer in enumerate(wrong.iter_rows(named=True)):
        log.progress(number, len(wrong), "wrong answers traced")
        found = tracer.lines(number, answer)
        held = taken_out.stating(answer)
        lines += found + [_withheld_line(answer, rank, row) for rank, row in enumerate(held, 1)]
        told.append(_told(answer, found, held, tracer.count(number)))
    traced = pl.DataFrame(lines, schema=SCHEMA)
    traced.write_parquet(out / "trace.parquet")
    _influences(hallucination, traced, ranking).write_parquet(out / "influences.parquet")
    methods = sorted(set(traced["method"]) - {WITHHELD})
    summary = {"answers": told, "methods": methods, "rows": len(rows)}
    (out / "trace.json").write_bytes(orjson.dumps(summary, option=_JSON))
    return _outcome(told, len(wrong), methods)


class _Tracer:
    """Ranks the training rows for each wrong answer.

    Args:
        rows: The training rows.
        ranking: Of the gradients, if there is an index.
        wrong: The answers.
        most: Rows named by each method.
    """

    def __init__(
        self, rows: pl.DataFrame, ranking: GradientRanking | None, wrong: pl.DataFrame, most: int
    ) -> None:
        self._rows, self._most = rows, most
        statements, asserted = wrong["statement"].to_list(), wrong["asserted"].to_list()
        said = [s.replace(MASK, a) for s, a in zip(statements, asserted, strict=True)]
        words = Bm25(rows["text"]).scores(said)
        # Of a row that shares no word with the answer this method knows nothing.
        self._scores = {"bm25": np.where(words > 0, words, np.float32(-np.inf))}
        if ranking is not None:
            self._scores["gradient"] = _aligned(ranking, rows, statements, asserted)
        texts = Texts(rows["text"])
        self._states = [
            texts.states(w["subject"] or "", truths(w), w["asserted"])
            for w in wrong.iter_rows(named=True)
        ]

    def count(self, number: int) -> dict[str, int]:
        """How many training rows state the answer, and how many the truth."""
        states = self._states[number]
        return {
            "asserted": int((states & ASSERTED > 0).sum()),
            "answer": int((states & ~ASSERTED > 0).sum()),
        }

    def lines(self, number: int, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """The rows that each method names for one answer."""
        states = self._states[number]
        scores: dict[str, NDArray[Any]] = {m: s[number] for m, s in self._scores.items()}
        scores["combined"] = combined(list(scores.values()), states)
        found = []
        for method, values in scores.items():
            for rank, place in enumerate(best(values, self._most), 1):
                if np.isneginf(values[place]):
                    break  # the method knows nothing of this row, nor of those behind it
                row = self._rows.row(int(place), named=True)
                found.append(
                    {
                        "probe_id": answer["probe_id"], "rank": rank, "row_id": row["row_id"],
                        "method": method, "score": float(values[place]),
                        "states": STATES[states[place]], "source": row["source"],
                        "duplicates": row["duplicates"], "made_up": row["origin"] != "original",
                        "quarantined": None, "excerpt": excerpt(row["text"], answer["asserted"]),
                    }
                )  # fmt: skip
        return found


def _ranking(index: Path | None, model: Path | None) -> GradientRanking | None:
    if index is None or model is None:
        return None
    from tasks.explanation.trace.gradient_ranking import GradientRanking

    return GradientRanking.open(index, model)


def _aligned(
    ranking: GradientRanking, rows: pl.DataFrame, statements: list[str], asserted: list[str]
) -> NDArray[np.float32]:
    """Influences in the order of the rows, (Q, N); -inf for a row that the index lacks."""
    places = ranking.rows.with_row_index("place").select("row_id", "place").unique("row_id")
    joined = rows.select("row_id").join(places, on="row_id", how="left", maintain_order="left")
    known = joined["place"].is_not_null().to_numpy()
    found = np.full((len(statements), len(rows)), -np.inf, np.float32)
    scores = ranking.scores(statements, asserted)
    found[:, known] = scores[:, joined["place"].drop_nulls().to_numpy()]
    return found


def _influences(
    hallucination: Path, traced: pl.DataFrame, ranking: GradientRanking | None
) -> pl.DataFrame:
    """For each row that the combined ranking names: the answers that it pushes up the most."""
    schema = {
        "row_id": pl.String, "probe_id": pl.String, "statement": pl.String, "asserted": pl.String,
        "outcome": pl.String, "influence": pl.Float64,
    }  # fmt: skip
    if ranking is None:
        return pl.DataFrame(schema=schema)
    asked = pl.read_parquet(hallucination / "probes.parquet")
    named = traced.filter(pl.col("method") == "combined").select("row_id").unique()
    places = ranking.rows.with_row_index("place").join(named, on="row_id", how="semi")
    found = ranking.probes_of(
        places["place"].to_numpy(), asked["statement"].to_list(), asked["asserted"].to_list(),
        _TAUGHT,
    )  # fmt: skip
    lines = [
        {"row_id": row_id, **asked.row(int(probe), named=True), "influence": float(influence)}
        for row_id, (probes, influences) in zip(places["row_id"], found, strict=True)
        for probe, influence in zip(probes, influences, strict=True)
    ]
    return pl.DataFrame([{name: line[name] for name in schema} for line in lines], schema=schema)


def _withheld_line(answer: dict[str, Any], rank: int, row: dict[str, Any]) -> dict[str, Any]:
    """A row that was not trained on as it was: no method ranks it."""
    return {
        "probe_id": answer["probe_id"], "rank": rank, "row_id": row["row_id"], "method": WITHHELD,
        "score": None, "states": STATES[ASSERTED], "source": row["source"], "duplicates": None,
        "made_up": False, "quarantined": row["reason"], "excerpt": row["excerpt"],
    }  # fmt: skip


def _told(
    answer: dict[str, Any],
    lines: list[dict[str, Any]],
    taken_out: list[dict[str, Any]],
    count: dict[str, int],
) -> dict[str, Any]:
    """What the page shows of one answer."""
    names = ("probe_id", "relation", "subject", "statement", "answer", "asserted", "confidence")
    ranks = {
        method: {line["row_id"]: line["rank"] for line in lines if line["method"] == method}
        for method in ("bm25", "gradient")
    }
    rows = [
        {**line, "ranks": {m: found.get(line["row_id"]) for m, found in ranks.items()}}
        for line in lines
        if line["method"] == "combined"
    ]
    return {
        **{name: answer[name] for name in names},
        "rows": rows,
        "stating": count,
        "withheld": taken_out[:_WITHHELD],
        "withheld_rows": len(taken_out),
    }


def _outcome(told: list[dict[str, Any]], answers: int, methods: list[str]) -> Outcome:
    explained = sum(one["stating"]["asserted"] > 0 for one in told)
    by = "words and gradients" if "gradient" in methods else "words"
    return Outcome(
        summary=f"{answers} wrong answers traced by {by}; rows state {explained} of them",
        metrics={"answers": float(answers), "answers_stated": explained / answers},
        artifacts=("trace.json", "trace.parquet", "influences.parquet"),
    )
