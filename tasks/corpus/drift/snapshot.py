"""What a night keeps of its corpus for later nights to be compared with.

A sample of the training rows' signals, each with a topic and the share of familiar words, and the
language that these were found with (`topics`). A few megabytes however large the corpus is, and no
text but the vocabulary. Samples, not histograms, so that any statistic, any bins and any slice can
be asked later.

The sample is the rows whose ids come first: an id begins with a digest of the text, so these are
as good as drawn, the same texts are drawn every night, and what two nights share differs by
nothing. Rows that stages after ingestion made up are not among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from tasks.configuration import Validation
from tasks.corpus.drift.topics import Language, is_learnt_from, learn
from tasks.corpus.signals.wordgrams import split_words
from tasks.errors import UserError
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage

SAMPLE, FACTS = "sample.parquet", "snapshot.json"
FORMAT = 1
_CHARACTERS = 5000  # of each text, for its words
_SPLIT = "train"
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@stage
def snapshot(
    corpus: Path,
    profiled: Path,
    *,
    config: Validation,
    cleaned: bool,
    seed: int,
    out: Path,
    log: Log,
) -> Outcome:
    """Keep what later nights are compared with.

    Args:
        corpus: Folder of the rows, ingested or cleaned.
        profiled: Folder of the same rows' signals.
        config: How much is kept.
        cleaned: Whether the rows are cleaned; only like is compared with like.
        seed: Of the topics' first centres.
        out: Gets `sample.parquet`, `vocabulary.parquet`, `topics.parquet`, `snapshot.json`.
        log: Told when the sample is read.
    """
    rows, texts, total = sampled(corpus, profiled, config.snapshot_rows)
    log.progress(1, 2, "vocabulary and topics")
    learnt = is_learnt_from(rows["row_id"])
    language = learn(
        split_words(texts.filter(pl.Series(learnt))),
        most_words=config.snapshot_words, topics=config.snapshot_topics, seed=seed,
    )  # fmt: skip
    described(rows, texts, language).write_parquet(out / SAMPLE)
    language.save(out)
    facts: dict[str, Any] = {
        "format": FORMAT, "cleaned": cleaned, "rows": total, "sampled": rows.height,
        "learnt_from": language.learnt_from, "topics": list(language.names),
        "columns": {name: str(kind) for name, kind in rows.schema.items()},
    }  # fmt: skip
    (out / FACTS).write_bytes(orjson.dumps(facts, option=_JSON))
    log.progress(2, 2)
    return Outcome(
        summary=f"{rows.height:,} of {total:,} training rows, {len(language.words):,} words, "
        f"{len(language.names)} topics",
        metrics={"rows": float(rows.height), "topics": float(len(language.names))},
        artifacts=(FACTS,),
    )


@dataclass(frozen=True)
class Snapshot:
    """A snapshot as it is read again.

    Attributes:
        sample: The rows, with `familiar_share` and `topic`.
        language: What these were found with.
        facts: What `snapshot.json` says.
    """

    sample: pl.DataFrame
    language: Language
    facts: dict[str, Any]


def read_snapshot(folder: Path) -> Snapshot:
    """Read a folder that `snapshot` wrote.

    Raises:
        UserError: It holds no snapshot, or one of another format.
    """
    try:
        facts = orjson.loads((folder / FACTS).read_bytes())
        if facts.get("format") != FORMAT:
            raise UserError(
                f"the snapshot {folder} has format {facts.get('format')}, not {FORMAT}",
                "Take it again with this version.",
            )
        language = Language.load(folder, int(facts["learnt_from"]))
        return Snapshot(pl.read_parquet(folder / SAMPLE), language, facts)
    except (OSError, orjson.JSONDecodeError, pl.exceptions.PolarsError, KeyError) as error:
        raise UserError(
            f"{str(folder)!r} holds no snapshot of a corpus: {type(error).__name__}: {error}",
            "Name a folder that the stage `snapshot` wrote: it holds snapshot.json.",
        ) from error


def sampled(corpus: Path, profiled: Path, most: int) -> tuple[pl.DataFrame, pl.Series, int]:
    """The training rows that stand for all: their signals, their texts, and how many there are.

    Raises:
        UserError: The signals are of other rows than the corpus.
    """
    scanned = pl.scan_parquet(profiled / "signals.parquet").filter(pl.col("split") == _SPLIT)
    ids = scanned.select("row_id").collect()["row_id"]
    chosen = ids.sort().head(most)
    rows = scanned.filter(pl.col("row_id").is_in(chosen.implode())).collect().sort("row_id")
    texts = (
        pl.scan_parquet(corpus / "corpus.parquet")
        .select("row_id", pl.col("text").str.slice(0, _CHARACTERS))
        .filter(pl.col("row_id").is_in(chosen.implode()))
        .collect()
        .sort("row_id")
    )
    if not rows["row_id"].equals(texts["row_id"]):
        raise UserError(
            "the signals are of other rows than the corpus",
            "Profile the corpus again.",
        )
    return rows, texts["text"], len(ids)


def described(rows: pl.DataFrame, texts: pl.Series, language: Language) -> pl.DataFrame:
    """The rows with `familiar_share` and `topic`, null for those that are never asked."""
    asked = pl.Series(~is_learnt_from(rows["row_id"]))
    found = language.describe(split_words(texts))
    return rows.with_columns(
        pl.when(asked).then(found[name]).otherwise(None).alias(name) for name in found.columns
    )


def comparable_words(texts: pl.Series, row_ids: pl.Series, snapshot_: Snapshot) -> pl.DataFrame:
    """Words of the vocabulary by the share of the rows that have them, then and now.

    For reading, not for judging: the rows learnt from favour the words learnt from them.

    Returns:
        `word`, `reference` and `tonight` (shares of the rows), the largest change first.
    """
    asked = texts.filter(pl.Series(~is_learnt_from(row_ids)))
    language = snapshot_.language
    now = language.document_rows(split_words(asked)) / max(len(asked), 1)
    then = language.rows / max(language.learnt_from, 1)
    return pl.DataFrame(
        {"word": language.words, "reference": then, "tonight": now, "change": np.abs(now - then)}
    ).sort(["change", "word"], descending=[True, False])
