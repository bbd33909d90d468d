"""Text to subwords: a vocabulary learnt on the training split, and every split encoded with it.

The vocabulary is learnt from training rows alone, so that nothing of the held-out text reaches the
model, not even as a list of words. The corpus is read, encoded (on all cores, by the tokenizer's own
threads) and written a batch at a time, so it may be larger than memory.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
from tokenizers import Tokenizer

from tasks.configuration import Tokenization
from tasks.errors import UserError
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage
from tasks.training.starting_point import encoder_folder
from tasks.training.streams import Sample, SplitWriter, batches, training_sample
from tasks.training.vocabulary import encode, learn, special_tokens

SPLITS = ("train", "validation", "test")
CORPUS, REPLAYED, TOKENIZER = "corpus.parquet", "replay.parquet", "tokenizer.json"
_SMALL = 1 << 16  # entries below which a token fits into 16 bits


@stage
def tokenize(
    corpus: Path,
    replayed: Path | None = None,
    start: Path | None = None,
    *,
    config: Tokenization,
    out: Path,
    log: Log,
    seed: int = 0,
) -> Outcome:
    """Learn or take over the vocabulary, and write each split as one flat array of token ids.

    Args:
        corpus: Folder with `corpus.parquet`.
        replayed: Folder with `replay.parquet`, rows of earlier nights that are trained on too;
            nothing is learnt from them here.
        start: Folder of a model that training starts from, or of its bundle, whose
            `tokenizer.json` is then used as it is.
        config: Size of the vocabulary and case, where one is learnt, and whether made-up rows are
            encoded; the vocabulary knows their words in any case, since fine-tuning reads them.
        out: Gets `tokenizer.json`, and per split what `SplitWriter` writes, in the corpus's order:
            tokens are uint16 for a vocabulary below 65 536 entries, else int32.
        log: Told how many rows are encoded.
        seed: Chooses the rows a vocabulary is learnt from, where there are too many.

    Raises:
        UserError: There is no text to learn from, or the tokenizer cannot be used.
    """
    path = corpus / CORPUS
    sample = training_sample(path, 0 if start else config.vocabulary_sample, seed)
    if sample.blank:
        raise UserError(
            f"the training split has no text to learn a vocabulary from ({sample.rows} rows)",
            "Give more rows, or check what the cleaning stage quarantined.",
        )
    tokenizer = _vocabulary(sample, start, config, out)
    learnt_from = {"taken_over": True} if start else _learnt_from(sample, config)
    del sample  # the corpus is read again, and this may be the larger part of memory
    entries = tokenizer.get_vocab_size()
    dtype = np.uint16 if entries < _SMALL else np.int32
    unknown = special_tokens(tokenizer).unknown
    with ExitStack() as stack:
        writers = {s: stack.enter_context(SplitWriter(out, s, dtype, unknown)) for s in SPLITS}
        _encode(tokenizer, path, writers, log, made_up=config.made_up)
        if replayed is not None:
            _encode(tokenizer, replayed / REPLAYED, writers, log, replayed=True)
    stats = {split: writer.stats for split, writer in writers.items()}
    summary = {"vocabulary": entries, "splits": stats} | learnt_from
    (out / "tokenizer_stats.json").write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2))
    metrics = {"vocabulary": float(entries)}
    for name in ("tokens", "unknown_share", "tokens_per_word"):
        metrics |= {f"{name}_{split}": stats[split][name] for split in SPLITS}
    return Outcome(
        summary=f"{entries:,} subwords, {stats['train']['tokens']:,.0f} training tokens",
        metrics=metrics,
    )


def _vocabulary(sample: Sample, start: Path | None, config: Tokenization, out: Path) -> Tokenizer:
    """The tokenizer, with its file in `out`."""
    if start is None:
        learnt = learn(sample.texts, config.vocabulary, lowercase=config.lowercase)
        (out / TOKENIZER).write_text(learnt.to_str(pretty=True))
        return learnt
    path = encoder_folder(start) / TOKENIZER
    try:
        found = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare ones
        raise UserError(
            f"the tokenizer of the model to start from, {path}, cannot be read: {error}",
            "Start from a folder that holds a tokenizer.json of the tokenizers library.",
        ) from error
    # What a text is cut or filled up to is this pipeline's matter; the file stays as it is.
    found.no_truncation()
    found.no_padding()
    shutil.copyfile(path, out / TOKENIZER)
    return found


def _learnt_from(sample: Sample, config: Tokenization) -> dict[str, Any]:
    """Where the vocabulary comes from, for the record."""
    return {
        "asked": config.vocabulary,
        "learnt_from": {
            "rows": len(sample.texts),
            "of_rows": sample.rows,
            "characters": int(sample.texts.str.len_chars().sum()),
            "of_characters": sample.characters,
        },
    }


def _encode(
    tokenizer: Tokenizer,
    path: Path,
    writers: dict[str, SplitWriter],
    log: Log,
    *,
    replayed: bool = False,
    made_up: bool = True,
) -> None:
    """Append the rows of a parquet file to their splits; replayed rows are training rows."""
    total = pl.scan_parquet(path).select(pl.len()).collect().item()
    chosen: tuple[str, ...] = ("row_id", "text", "split", "source")
    if not made_up and "origin" in pl.read_parquet_schema(path):
        chosen = (*chosen, "origin")
    done = 0
    for batch in batches(path, chosen):
        done += batch.height
        rows = batch.with_columns(split=pl.lit("train")) if replayed else batch
        rows = rows.filter(pl.col("split").is_in(SPLITS))
        if "origin" in chosen:
            rows = rows.filter(pl.col("origin") == "original").drop("origin")
        encoded = encode(tokenizer, rows["text"].to_list())
        for split, writer in writers.items():
            here = (rows["split"] == split).arg_true().to_list()
            if here:
                writer.add(rows[here], [encoded[place] for place in here], replayed=replayed)
        log.progress(done, total, "earlier nights" if replayed else "rows")
