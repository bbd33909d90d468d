"""Rows made up from training rows: synonym, counterfactual, mistyped and back-translated.

Made-up rows are marked (`origin`) and traceable (`parent`), are made of training rows alone, and
are never counted as kept. A made-up text that already exists anywhere in the corpus is thrown away:
in the test split it would be a leak, in training a duplicate.

Whether a row is copied, and how, depends on the seed and its own row_id alone, so that rows added
elsewhere change nothing about it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from tasks.augmentation.backtranslation import round_trip
from tasks.augmentation.counterfactual import swap
from tasks.augmentation.synonyms import Lexicon, exchange, lexicon
from tasks.augmentation.translators import pair
from tasks.augmentation.typos import mistype
from tasks.configuration import Augmentation
from tasks.log import Log
from tasks.records import Outcome, Rows
from tasks.stage import stage

EXAMPLES = 5
# Kind of copy -> what its row_id ends in.
_TAILS = {"synonym": "syn0", "counterfactual": "cf0", "typo": "typo0", "back_translation": "bt0"}
_METRICS = {
    **{kind: f"{kind}_rows" for kind in _TAILS},
    "existing": "existing_texts",
    "unchangeable": "unchangeable_rows",
}
_OTHER = {"female": "male", "male": "female"}
_NOTE_EVERY = 1000  # rows between progress reports


@stage
def augment(
    corpus: Path,
    *,
    config: Augmentation,
    seed: int,
    out: Path,
    log: Log,
    wordnet: str = "",
    translators: str = "",
) -> Outcome:
    """Add made-up rows to the training split.

    Args:
        corpus: The cleaned folder.
        config: The `augment` section.
        seed: Seed of every choice.
        wordnet: Digest of the files at `config.wordnet`; a part of the stage's key only.
        translators: Digest of what `config.back_translation` names, likewise.
        out: Receives `corpus.parquet`, the cleaned rows followed by the made-up ones with
            `origin` (original, synonym, counterfactual, typo, back_translation) and `parent`, and
            `examples.json`.
        log: Told of progress.

    Returns:
        Metrics `<kind>_rows` of each kind, `existing_texts` (made up and thrown away),
        `unchangeable_rows` (chosen, but nothing in them can be exchanged, or a translation of
        them says something else).

    Raises:
        UserError: `augment.wordnet` names no WordNet, or `augment.back_translation` no translators.
    """
    frame = pl.read_parquet(corpus / "corpus.parquet")
    table = lexicon(config.wordnet)
    training = frame.filter(pl.col("split") == "train")
    translated = _translated(training, config, seed, log)
    tally: Counter[str] = Counter(dict.fromkeys(_METRICS, 0))
    existing = set(frame["digest"].to_list())
    made: list[dict[str, Any]] = []
    examples: list[dict[str, str]] = []
    for done, row in enumerate(training.iter_rows(named=True)):
        if done % _NOTE_EVERY == 0:
            log.progress(done, training.height, f"{len(made)} rows made up")
        for origin, text in _copies(row, table, translated, config, seed):
            if text is None:
                tally["unchangeable"] += 1
                continue
            digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
            if digest in existing:
                tally["existing"] += 1
                continue
            existing.add(digest)
            tally[origin] += 1
            made.append(_made_up(row, origin, text, digest))
            if tally[origin] <= EXAMPLES:
                pair_ = {"before": row["text"], "after": text}
                examples.append({"origin": origin, "parent": row["row_id"]} | pair_)
    _write(out, frame, made, examples)
    return Outcome(
        summary=_summary(tally),
        rows=Rows(entered=frame.height, kept=frame.height, added=len(made)),
        metrics={name: float(tally[key]) for key, name in _METRICS.items()},
        artifacts=("examples.json",),
    )


def _summary(tally: Mapping[str, int]) -> str:
    """What was added, as "34 synonym and 302 counterfactual rows added"."""
    parts = [f"{tally[kind]:,} {kind.replace('_', '-')}" for kind in _TAILS if tally[kind]]
    said = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts or ["no"])
    return f"{said} rows added"


def _copies(
    row: dict[str, Any],
    table: Lexicon,
    translated: Mapping[str, str | None],
    config: Augmentation,
    seed: int,
) -> Iterator[tuple[str, str | None]]:
    """The copies of one row that its own draws ask for; None where nothing can be exchanged."""
    generator = row_generator(seed, row["row_id"], "synonym")
    if generator.random() < config.synonym_share:
        yield (
            "synonym",
            exchange(row["text"], table, share=config.synonym_words, generator=generator),
        )
    if row_generator(seed, row["row_id"], "counterfactual").random() < config.counterfactual_share:
        swapped = swap(row["text"])
        if swapped is not None:  # most texts mention nobody; that is no failure
            yield "counterfactual", swapped
    generator = row_generator(seed, row["row_id"], "typo")
    if generator.random() < config.typo_share:
        yield "typo", mistype(row["text"], share=config.typo_words, generator=generator)
    if row["row_id"] in translated:
        yield "back_translation", translated[row["row_id"]]


def _translated(
    training: pl.DataFrame, config: Augmentation, seed: int, log: Log
) -> dict[str, str | None]:
    """The rows whose draws ask for a back-translation, and what came back of each."""
    if config.back_translation is None:
        return {}
    asked = [
        (row_id, text)
        for row_id, text in training.select("row_id", "text").iter_rows()
        if row_generator(seed, row_id, "back_translation").random() < config.back_translation_share
    ]
    there, back = pair(config.back_translation)
    copies = round_trip(
        [text for _, text in asked], there, back,
        lambda done, total: log.progress(done, total, "sentences translated there and back"),
    )  # fmt: skip
    return {row_id: copy for (row_id, _), copy in zip(asked, copies, strict=True)}


def row_generator(seed: int, row_id: str, purpose: str) -> np.random.Generator:
    """A generator that knows the run's seed, one row and what is drawn for it, nothing else."""
    blob = f"{seed}\0{row_id}\0{purpose}".encode()
    entropy = int.from_bytes(hashlib.blake2b(blob, digest_size=16).digest(), "big")
    return np.random.default_rng(entropy)


def _made_up(row: dict[str, Any], origin: str, text: str, digest: str) -> dict[str, Any]:
    """The new row: its parent's label, source, time and groups, but for a swapped gender."""
    new = row | {
        "row_id": f"{row['row_id']}~{_TAILS[origin]}",
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
