"""Training rows of earlier nights to train on again, so that a night does not forget the last one.

Rehearsal of a share of the old data is the plain remedy against forgetting (Robins 1995; for
language models Scialom et al. 2022, https://arxiv.org/abs/2205.12393). Four kinds of rows must not
come back this way:

- what tonight's corpus holds, in training already, or as validation, test or serving rows, where to
  train on it would make tonight's judgement worthless;
- what tonight quarantined: the row was taken out for a reason, and the reason holds for the same row
  of last night too;
- what people have withdrawn from training, in tonight's source or not;
- what repeats held-out text without being the same row, by the rule that finds leaks in a corpus.

A row is known again by its text as it was read (the stem of its row_id, which its made-up copies
share) and by its text as it was repaired.

Not covered: row rules that were made stricter since; a row that tonight's source no longer holds is
not judged by them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import polars as pl

from tasks.configuration import Profiling
from tasks.corpus.duplicates.relations import Relations
from tasks.corpus.profile import PROFILE
from tasks.corpus.quarantine.withdrawn import Withdrawn
from tasks.corpus.rows import STEM, digest
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage
from tasks.training.streams import batches

_SCHEMA = {"row_id": pl.String, "text": pl.String, "night": pl.String}
_AT_ONCE = 100_000  # rows compared with the held-out text together


@stage
def replay(
    corpus: Path,
    profiled: Path,
    *,
    earlier: dict[str, Path],
    withheld: dict[str, Path],
    withdrawn: Withdrawn | None = None,
    out: Path,
    log: Log,
) -> Outcome:
    """Find the training rows of earlier nights that tonight may train on too.

    Args:
        corpus: Tonight's corpus, all splits.
        profiled: Tonight's profile, for the settings that leaks are found with.
        earlier: Earlier nights' corpora, the newest first by their names.
        withheld: Tonight's folders that have a `quarantine.parquet`.
        withdrawn: What people have withdrawn from training.
        out: Gets `replay.parquet` (row_id, text, night) and `replay.json`.
        log: Told which night is read.
    """
    known = _Known.of(corpus, withheld, withdrawn or Withdrawn())
    settings = Profiling(**orjson.loads((profiled / PROFILE).read_bytes())["settings"])
    counts = {
        "entered": 0,
        "present": 0,
        "held_out": 0,
        "quarantined": 0,
        "repeated": 0,
        "leaking": 0,
    }
    frames = [pl.DataFrame(schema=_SCHEMA)]
    for number, night in enumerate(sorted(earlier)):
        log.progress(number, len(earlier), night)
        for rows in _training(earlier[night]):
            fresh = known.without(rows, counts)
            kept = fresh.filter(~_leaking(fresh, known.held_out_texts, settings))
            counts["leaking"] += fresh.height - kept.height
            frames.append(kept.with_columns(night=pl.lit(night)).select(list(_SCHEMA)))
    found = pl.concat(frames)
    found.write_parquet(out / "replay.parquet")
    told = counts | {"replayed": found.height, "nights": len(earlier)}
    (out / "replay.json").write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    withheld_rows = counts["held_out"] + counts["quarantined"] + counts["leaking"]
    return Outcome(
        summary=f"{found.height:,} training rows of {len(earlier)} earlier nights, "
        f"{withheld_rows:,} withheld",
        metrics={f"rows_{name}": float(count) for name, count in told.items() if name != "nights"},
        artifacts=("replay.json",),
    )


@dataclass
class _Known:
    """Tonight's rows, by stem and by digest of the text; what was replayed is added.

    Attributes:
        stems: Why a row that was read as this text must not come back.
        digests: Why a text must not.
        held_out_texts: Of tonight's validation and test rows, with their `split`.
    """

    stems: dict[str, str]
    digests: dict[str, str]
    held_out_texts: pl.DataFrame

    @classmethod
    def of(cls, corpus: Path, withheld: dict[str, Path], withdrawn: Withdrawn) -> _Known:
        digests = dict.fromkeys(withdrawn.digests, "quarantined")
        stems = {value[:STEM]: why for value, why in digests.items()}
        for folder in withheld.values():
            for row_id, text in pl.read_parquet(
                folder / "quarantine.parquet", columns=["row_id", "text"]
            ).iter_rows():
                stems[_stem(row_id)] = digests[digest(text or "")] = "quarantined"
        rows = pl.read_parquet(corpus / "corpus.parquet", columns=["row_id", "text", "split"])
        for row_id, text, split in rows.iter_rows():
            why = "present" if split == "train" else "held_out"
            if stems.get(_stem(row_id)) != "held_out":
                stems[_stem(row_id)] = why
            if digests.get(digest(text)) != "held_out":
                digests[digest(text)] = why
        held = rows.filter(pl.col("split").is_in(["validation", "test"])).select("text", "split")
        return cls(stems, digests, held)

    def without(self, rows: pl.DataFrame, counts: dict[str, int]) -> pl.DataFrame:
        """The rows that are not known yet, which then are; the others are counted."""
        fresh = []
        for row_id, text in rows.select("row_id", "text").iter_rows():
            hashed = digest(text)
            why = self.stems.get(_stem(row_id)) or self.digests.get(hashed)
            counts["entered"] += 1
            fresh.append(why is None)
            if why is None:
                self.digests[hashed] = "repeated"
            else:
                counts[why] += 1
        return rows.filter(pl.Series(fresh, dtype=pl.Boolean))


def _stem(row_id: str) -> str:
    """What a row's id keeps of its text as it was read, without counts and marks of copies."""
    return row_id.removeprefix("q-").split("~")[0].rsplit("-", 1)[0]


def _training(folder: Path) -> Iterator[pl.DataFrame]:
    """An earlier corpus's training rows with text, many at once."""
    waiting: list[pl.DataFrame] = []
    for batch in batches(folder / "corpus.parquet", ("row_id", "text", "split")):
        waiting.append(batch.filter((pl.col("split") == "train") & (pl.col("text") != "")))
        if sum(map(len, waiting)) >= _AT_ONCE:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)


def _leaking(rows: pl.DataFrame, held_out: pl.DataFrame, config: Profiling) -> pl.Series:
    """Which rows repeat text of the rows that tonight is judged by."""
    if rows.is_empty() or held_out.is_empty():
        return pl.Series(np.zeros(rows.height, bool))
    both = pl.concat([rows.select("text", "split"), held_out])
    found = Relations(both, config).leaks(np.ones(both.height, bool))
    return pl.Series(found.leaked[: rows.height])
