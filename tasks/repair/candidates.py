"""The candidates of a repair: traced rows with the answers they support; see `tasks.repair.propose`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from tasks.corpus.statements.stating import Texts
from tasks.errors import UserError
from tasks.repair.configuration import Repair
from tasks.repair.corpus import NightRows

METHODS = ("combined", "gradient", "bm25")  # the first that the trace has is read
_EXCERPT = 280
SCHEMA: dict[str, Any] = {
    "row_id": pl.String, "digest": pl.String, "proposed": pl.Boolean, "reason": pl.String,
    "held_back": pl.String, "score": pl.Float64, "rank": pl.Int64, "wrong": pl.List(pl.String),
    "right": pl.List(pl.String), "cost": pl.List(pl.String), "stated": pl.Int64,
    "contradicted": pl.Int64, "made_up": pl.List(pl.String), "copies": pl.List(pl.String),
    "copy_digests": pl.List(pl.String), "source": pl.String, "excerpt": pl.String,
}  # fmt: skip

Probe = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """What was found.

    Attributes:
        rows: The candidates by `SCHEMA`, proposed ones first, each part by score.
        targets: The surest wrong answers, each with the `rows` proposed for it, how many training
            rows state it (`stated`) and how many the right answer (`contradicted`).
        method: Which ranking of the trace was read.
    """

    rows: list[dict[str, Any]]
    targets: list[dict[str, Any]]
    method: str


@dataclass
class _Candidate:
    """A row, the target answers it was traced from, and what it states."""

    row_id: str
    score: float
    rank: int
    traced: set[str] = field(default_factory=set)
    stating: set[str] = field(default_factory=set)  # wrong answers that it states
    right: set[str] = field(default_factory=set)


def targets(probes: pl.DataFrame, worst: int) -> list[dict[str, Any]]:
    """The surest hallucinated answers, surest first."""
    wrong = probes.filter(pl.col("outcome") == "hallucinated")
    wrong = wrong.sort(["confidence", "probe_id"], descending=[True, False]).head(worst)
    columns = ("probe_id", "relation", "subject", "statement", "answer", "asserted", "confidence")
    return wrong.select(columns).to_dicts()


def candidates(
    wanted: Sequence[dict[str, Any]],
    probes: pl.DataFrame,
    trace: pl.DataFrame,
    rows: NightRows,
    config: Repair,
) -> Found:
    """Every candidate, proposed or held back.

    Args:
        wanted: From `targets`.
        probes: All probes that the night asked, with their outcomes.
        trace: The night's trace.
        rows: The night's training rows.
        config: How far down the traces, from which score, and what a row may cost.

    Raises:
        UserError: The trace has none of the rankings.
    """
    method = _method(trace)
    picked = _picked(wanted, trace.filter(pl.col("method") == method), rows, config)
    by_id = {probe["probe_id"]: probe for probe in probes.to_dicts()}
    _look_up(picked, list(by_id.values()), rows)
    voices = {p["probe_id"]: _voices(p, rows) for p in wanted}
    made = _weighed(picked, by_id, rows, config, voices)
    proposed = [row for row in made if row["proposed"]]
    told = [
        target | {
            "rows": [r["row_id"] for r in proposed if target["probe_id"] in r["wrong"]],
            "stated": voices[target["probe_id"]][0],
            "contradicted": voices[target["probe_id"]][1],
        }
        for target in wanted
    ]  # fmt: skip
    return Found(proposed + [row for row in made if not row["proposed"]], told, method)


def _method(trace: pl.DataFrame) -> str:
    there = set(trace["method"].unique())
    for method in METHODS:
        if method in there or trace.is_empty():
            return method
    raise UserError(
        f"the trace has none of the rankings {', '.join(METHODS)}, but {', '.join(sorted(there))}",
        "Run the night again with this version of the program.",
    )


def _picked(
    wanted: Sequence[Probe], trace: pl.DataFrame, rows: NightRows, config: Repair
) -> dict[str, _Candidate]:
    """Rows of this night at the beginning of the targets' traces that state the wrong answer."""
    names = [probe["probe_id"] for probe in wanted]
    near = trace.filter(pl.col("probe_id").is_in(names) & (pl.col("rank") <= config.ranks)).sort(
        ["score", "probe_id", "rank"], descending=[True, False, False]
    )
    found: dict[str, _Candidate] = {}
    for row in near.iter_rows(named=True):
        states = row["states"] in ("asserted", "both")
        scored = config.score is not None and row["score"] >= config.score
        origin = rows.origin(row["row_id"])
        if origin is None or not (states or scored):
            continue
        mine = found.setdefault(origin, _Candidate(origin, row["score"], row["rank"]))
        mine.rank = min(mine.rank, row["rank"])
        mine.traced.add(row["probe_id"])
        if states:
            mine.stating.add(row["probe_id"])
        if row["states"] == "both":
            mine.right.add(row["probe_id"])
    return found


def _look_up(picked: Mapping[str, _Candidate], probes: Sequence[Probe], rows: NightRows) -> None:
    """Which answers of all probes the candidates state, wrong ones and right ones."""
    order = list(picked)
    texts = Texts([rows.text(name) for name in order])
    for probe in probes:
        name, subject = probe["probe_id"], probe["subject"] or ""
        if probe["outcome"] == "correct":
            # The assertion, since a probe can accept other answers beside its own.
            for i in texts.stating(subject, probe["asserted"]):
                picked[order[i]].right.add(name)
        elif probe["outcome"] == "hallucinated":
            both = set(texts.stating(subject, probe["answer"]))
            for i in texts.stating(subject, probe["asserted"]):
                picked[order[i]].stating.add(name)
                if i in both:
                    picked[order[i]].right.add(name)


def _voices(probe: Probe, rows: NightRows) -> tuple[int, int]:
    """Training rows that state the asserted answer, and those that state the right one."""
    asked = rows.texts.stating
    subject = probe["subject"] or ""
    return len(asked(subject, probe["asserted"])), len(asked(subject, probe["answer"]))


def _weighed(
    picked: Mapping[str, _Candidate],
    probes: Mapping[str, Probe],
    rows: NightRows,
    config: Repair,
    voices: Mapping[str, tuple[int, int]],
) -> list[dict[str, Any]]:
    """The candidates by score, each with what it would cost after those proposed before it."""
    left: dict[str, int] = {}
    made = []
    for candidate in sorted(picked.values(), key=lambda c: (-c.score, c.row_id)):
        for name in candidate.right:
            if name not in left:
                probe = probes[name]
                said = probe["asserted" if probe["outcome"] == "correct" else "answer"]
                left[name] = len(rows.texts.stating(probe["subject"] or "", said))
        cost = sorted(name for name in candidate.right if left[name] - 1 < config.support)
        proposed = len(cost) <= config.right
        if proposed:
            for name in candidate.right:
                left[name] -= 1
        made.append(_row(candidate, cost, probes, rows, voices) | {"proposed": proposed})
        if not proposed:
            answers = "1 right answer" if len(cost) == 1 else f"{len(cost)} right answers"
            made[-1]["held_back"] = (
                f"{answers} would be left with fewer than {config.support} training rows"
            )
    return made


def _row(
    candidate: _Candidate,
    cost: Sequence[str],
    probes: Mapping[str, Probe],
    rows: NightRows,
    voices: Mapping[str, tuple[int, int]],
) -> dict[str, Any]:
    wrong = sorted(
        candidate.traced | candidate.stating,
        key=lambda name: (name not in candidate.traced, -probes[name]["confidence"], name),
    )
    pairs = [(probes[n]["subject"] or "", probes[n]["asserted"]) for n in candidate.stating]
    copies = rows.copies_of(candidate.row_id, pairs)
    text = rows.text(candidate.row_id)
    mine = [voices[name] for name in candidate.traced]
    return {
        "row_id": candidate.row_id,
        "digest": rows.digests[candidate.row_id],
        "reason": _reason(candidate, probes[wrong[0]]),
        "held_back": None,
        "score": candidate.score,
        "rank": candidate.rank,
        "wrong": wrong,
        "right": sorted(candidate.right),
        "cost": list(cost),
        "stated": max(stated for stated, _ in mine),
        "contradicted": min(right for _, right in mine),
        "made_up": rows.made_from(candidate.row_id),
        "copies": [copy.row_id for copy in copies],
        "copy_digests": [copy.digest for copy in copies],
        "source": rows.sources[candidate.row_id],
        "excerpt": _excerpt(text, probes[wrong[0]]["asserted"]),
    }


def _excerpt(text: str, said: str) -> str:
    """The text, or of a long one what is round the wrong answer."""
    if len(text) <= _EXCERPT:
        return text
    begin = max(text.casefold().find(said.casefold()) - _EXCERPT // 2, 0)
    end = begin + _EXCERPT
    return ("…" if begin else "") + text[begin:end].strip() + ("…" if end < len(text) else "")


def _reason(candidate: _Candidate, probe: Probe) -> str:
    """Why the row is a candidate, by its surest wrong answer."""
    filled = probe["statement"].replace("[MASK]", f"“{probe['asserted']}”")
    if probe["probe_id"] in candidate.stating:
        return f"states the wrong answer of: {filled}"
    return f"rank {candidate.rank} of the trace, score {candidate.score:.3g}, for: {filled}"
