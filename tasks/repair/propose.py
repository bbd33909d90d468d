"""Which training rows to take out for a night's surest wrong answers, and what that would cost.

For each of the surest wrong answers the beginning of its trace is read, the combined ranking where
there is one. A row is a candidate if it states the wrong answer, or if its score reaches a stated
one. Its other side is counted too, over every fact probe that the night asked:

    wrong answers it supports = hallucinated answers that it states (or is traced to by its score)
    right answers it supports = correct answers that it states, and wrong ones beside which it states
                                the right one too
    right answers it costs    = of these, those that fewer than `support` other training rows would
                                still state, once the rows proposed before it are gone

A candidate is proposed if it costs no more right answers than allowed, none by default; the others are
shown and held back. Rows are gone through from the highest score down, so that of several rows that
carry one right answer the likeliest culprits go.

A made-up row counts for the row it was made from, and goes with it. So do exact copies, and those
near copies in quarantine that state the same wrong answer, since a duplicate of a row that is taken
out is a duplicate no more. The true near copy of a false row stays.

Not covered: right answers that nobody asked for, and what a row teaches beside facts.
"""

from __future__ import annotations

from pathlib import Path

import orjson
import polars as pl

from tasks.log import Log
from tasks.records import Outcome
from tasks.repair.candidates import SCHEMA, candidates, targets
from tasks.repair.configuration import Repair
from tasks.repair.corpus import NightRows
from tasks.repair.page.proposal import page
from tasks.stage import stage

PROPOSAL = "proposal.parquet"
FACTS = "proposal.json"
PAGE = "page.html"
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@stage
def propose(
    traced: Path,
    asked: Path,
    augmented: Path,
    ingested: Path,
    cleaned: Path,
    *,
    config: Repair,
    out: Path,
    log: Log,
) -> Outcome:
    """Draw up the rows to take out, for a person to read.

    Args:
        traced: Has `trace.parquet`.
        asked: Has `probes.parquet`, every probe with its outcome.
        augmented: The corpus that was trained on.
        ingested: The rows as they were read.
        cleaned: Has the night's quarantine.
        config: How many answers, how far down their traces, and what a row may cost.
        out: Gets `proposal.parquet` (one row a candidate), `proposal.json` and `page.html`.
        log: Progress.

    Returns:
        How many rows are proposed for how many wrong answers.
    """
    probes = pl.read_parquet(asked / "probes.parquet")
    wanted = targets(probes, config.worst)
    trace = pl.read_parquet(traced / "trace.parquet")
    rows = NightRows.read(augmented, ingested, cleaned)
    log.progress(1, 3, "candidates")
    found = candidates(wanted, probes, trace, rows, config)
    log.progress(2, 3, "page")
    table = pl.DataFrame(found.rows, SCHEMA)
    table.write_parquet(out / PROPOSAL)
    facts = {
        "sentence": _sentence(found.targets, table),
        "method": found.method,
        "wrong_answers_in_all": int((probes["outcome"] == "hallucinated").sum()),
        "targets": found.targets,
        "worst": config.worst,
        "ranks": config.ranks,
        "score": config.score,
        "right": config.right,
        "support": config.support,
    }
    (out / FACTS).write_bytes(orjson.dumps(facts, option=_JSON))
    (out / PAGE).write_text(page(facts, table), encoding="utf-8")
    log.progress(3, 3)
    proposed = table.filter("proposed")
    return Outcome(
        summary=facts["sentence"],
        metrics={
            "targets": float(len(found.targets)),
            "targets_with_rows": float(sum(bool(t["rows"]) for t in found.targets)),
            "rows_proposed": float(proposed.height),
            "rows_held_back": float(table.height - proposed.height),
            "copies": float(proposed["copies"].list.len().sum()),
        },
        artifacts=(PROPOSAL, FACTS, PAGE),
    )


def _sentence(targets: list[dict[str, object]], table: pl.DataFrame) -> str:
    if not targets:
        return "the night hallucinated no answer"
    proposed = int(table["proposed"].sum())
    served = sum(bool(target["rows"]) for target in targets)
    held = table.height - proposed
    rows = "1 row is" if proposed == 1 else f"{proposed:,} rows are"
    answers = "answer" if len(targets) == 1 else "answers"
    less = f"; {held:,} more held back" if held else ""
    return f"{rows} proposed for {served:,} of the {len(targets):,} surest wrong {answers}{less}"
