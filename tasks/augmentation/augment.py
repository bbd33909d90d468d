"""Rows made up from training rows: synonym copies and counterfactual copies.

Made-up rows are marked (`origin`) and traceable (`parent`), are made of training rows alone, and
are never counted as kept. A made-up text that already exists anywhere in the corpus is thrown away:
in the test split it would be a leak, in training a duplicate.

Whether a row is copied, and how, depends on the seed and its own row_id alone, so that rows added
elsewhere change nothing about it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from tasks.augmentation.counterfactual import swap
from tasks.augmentation.synonyms import Lexicon, exchange, lexicon
from tasks.configuration import Augmentation
from tasks.log import Log
from tasks.records import Outcome, Rows
from tasks.stage import stage

EXAMPLES = 5
_METRICS = {
    "synonym": "synonym_rows",
    "counterfactual": "counterfactual_rows",
    "existing": "existing_texts",
    "unchangeable": "unchangeable_rows",
}
_OTHER = {"female": "male", "male": "female"}
_NOTE_EVERY = 1000  # rows between progress reports


@stage
def augment(
    corpus: Path, *, config: Augmentation, seed: int, out: Path, log: Log, wordnet: str = ""
) -> Outcome:
    """Add made-up rows to the training split.

    Args:
        corpus: The cleaned folder.
        config: The `augment` section.
        seed: Seed of every choice.
        wordnet: Digest of the files at `config.wordnet`; a part of the stage's key only.
        out: Receives `corpus.parquet`, the cleaned rows followed by the made-up ones with
            `origin` (original, synonym, counterfactual) and `parent`, and `examples.json`.
        log: Told of progress.

    Returns:
        Metrics `synonym_rows`, `counterfactual_rows`, `existing_texts` (made up and thrown away),
        `unchangeable_rows` (chosen, but nothing in them can be exchanged).

    Raises:
        UserError: `augment.wordnet` names no WordNet.
    """
    frame = pl.read_parquet(corpus / "corpus.parquet")
    table = lexicon(config.wordnet)
    training = frame.filter(pl.col("split") == "train")
    tally: Counter[str] = Counter(synonym=0, counterfactual=0, existing=0, unchangeable=0)
    existing = set(frame["digest"].to_list())
    made: list[dict[str, Any]] = []
    examples: list[dict[str, str]] = []
    for done, row in enumerate(training.iter_rows(named=True)):
        if done % _NOTE_EVERY == 0:
            log.progress(done, training.height, f"{len(made)} rows made up")
        for origin, text in _copies(row, table, config, seed, tally):
            digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
            if digest in existing:
                tally["existing"] += 1
                continue
            existing.add(digest)
            tally[origin] += 1
            made.append(_made_up(row, origin, text, digest))
            if tally[origin] <= EXAMPLES:
                pair = {"before": row["text"], "after": text}
                examples.append({"origin": origin, "parent": row["row_id"]} | pair)
    _write(out, frame, made, examples)
    added = f"{tally['synonym']} synonym and {tally['counterfactual']} counterfactual rows added"
    return Outcome(
        summary=added,
        rows=Rows(entered=frame.height, kept=frame.height, added=len(made)),
        metrics={name: float(tally[key]) for key, name in _METRICS.items()},
        artifacts=("examples.json",),
    )


def _copies(
    row: dict[str, Any], table: Lexicon, config: Augmentation, seed: int, tally: Counter[str]
) -> Iterator[tuple[str, str]]:
    """The copies of one row that its own draws ask for."""
    generator = row_generator(seed, row["row_id"], "synonym")
    if generator.random() < config.synonym_share:
        text = exchange(row["text"], table, share=config.synonym_words, generator=generator)
        if text is None:
            tally["unchangeable"] += 1
        else:
            yield "synonym", text
    if row_generator(seed, row["row_id"], "counterfactual").random() < config.counterfactual_share:
        swapped = swap(row["text"])
        if swapped is not None:
            yield "counterfactual", swapped


def row_generator(seed: int, row_id: str, purpose: str) -> np.random.Generator:
    """A generator that knows the run's seed, one row and what is drawn for it, nothing else."""
    blob = f"{seed}\0{row_id}\0{purpose}".encode()
    entropy = int.from_bytes(hashlib.blake2b(blob, digest_size=16).digest(), "big")
    return np.random.default_rng(entropy)


def _made_up(row: dict[str, Any], origin: str, text: str, digest: str) -> dict[str, Any]:
    """The new row: its parent's label, source, time and groups, but for a swapped gender."""
    tail = "~syn0" if origin == "synonym" else "~cf0"
    new = row | {
        "row_id": row["row_id"] + tail,
        "digest": digest,
        "text": text,
        "origin": origin,
        "parent": row["row_id"],
    }
    if origin == "counterfactual" and "group_gender" in row:
        new["group_gender"] = _OTHER.get(row["group_gender"], row["group_gender"])
    return new


def _write(
    out: Path, frame: pl.DataFrame, made: list[dict[str, Any]], examples: list[dict[str, str]]
) -> None:
    whole = frame.with_columns(origin=pl.lit("original"), parent=pl.lit(None, dtype=pl.String))
    if made:
        whole = pl.concat([whole, pl.DataFrame(made, schema=whole.schema).sort("row_id")])
    whole.write_parquet(out / "corpus.parquet")
    (out / "examples.json").write_bytes(orjson.dumps(examples, option=orjson.OPT_INDENT_2))
