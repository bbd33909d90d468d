"""A trace for a night that has none: the training rows that state each wrong answer, first."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tasks.corpus.statements.stating import Texts
from tasks.records import Outcome, Record
from tasks.stage import stage
from tasks.tracking import history, runs
from tasks.tracking.repairs import configuration_of

_SCHEMA = {
    "probe_id": pl.String, "rank": pl.Int64, "row_id": pl.String, "method": pl.String,
    "score": pl.Float64, "states": pl.String, "source": pl.String, "duplicates": pl.Int64,
    "made_up": pl.Boolean, "quarantined": pl.String, "excerpt": pl.String,
}  # fmt: skip


@stage
def trace(asked: Path, augmented: Path, *, out: Path) -> Outcome:
    """Rows that state the asserted answer first, then those that state the right one."""
    probes = pl.read_parquet(asked / "probes.parquet").filter(pl.col("outcome") == "hallucinated")
    rows = pl.read_parquet(augmented / "corpus.parquet").filter(pl.col("split") == "train")
    texts = Texts(rows["text"].to_list())
    made = []
    for probe in probes.to_dicts():
        wrong = texts.stating(probe["subject"], probe["asserted"])
        right = texts.stating(probe["subject"], probe["answer"])
        both = set(wrong) & set(right)
        order = [i for i in wrong if i not in both] + [*both] + [i for i in right if i not in both]
        for rank, i in enumerate(order, 1):
            states = "both" if i in both else "asserted" if i in wrong else "answer"
            name, text, source = (rows[column][i] for column in ("row_id", "text", "source"))
            made.append(
                (probe["probe_id"], rank, name, "combined", 1 / rank, states, source, 1,
                 rows["parent"][i] is not None, None, text[:200])
            )  # fmt: skip
    pl.DataFrame(made, _SCHEMA, orient="row").write_parquet(out / "trace.parquet")
    return Outcome(summary=f"{len(made)} rows traced")


def add_trace(name: str = "last") -> Record:
    """Give a finished night a trace, if it has none, in this process's home."""
    night, left = history.night(name, ("hallucination", "augment", "trace"))
    if "trace" in left:
        return left["trace"]
    with runs.subflow("assess", configuration_of(night), night):
        return trace(left["hallucination"], left["augment"])
