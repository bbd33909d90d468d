"""Text to subwords: a vocabulary learnt on the training split, and every split encoded with it.

The vocabulary is learnt from training rows alone, so that nothing of the held-out text reaches the
model, not even as a list of words.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import polars as pl
from tokenizers import Tokenizer

from tasks.configuration import Tokenization
from tasks.errors import UserError
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage
from tasks.training.vocabulary import SPECIALS, encode, learn

SPLITS = ("train", "validation", "test")
_UNKNOWN = SPECIALS.index("[UNK]")
_BATCH = 5000  # rows encoded between two reports of progress


@stage
def tokenize(corpus: Path, *, config: Tokenization, out: Path, log: Log) -> Outcome:
    """Learn the vocabulary and write each split as one flat array of token ids.

    Args:
        corpus: Folder with `corpus.parquet`.
        config: Size of the vocabulary and case.
        out: Gets `tokenizer.json`, and per split `tokens_*.npy` (int32, flat), `offsets_*.npy`
            (int64, rows + 1) and `row_ids_*.parquet`, in the corpus's order.
        log: Told how many rows are encoded.

    Raises:
        UserError: There is no text to learn from.
    """
    rows = pl.read_parquet(corpus / "corpus.parquet", columns=["row_id", "text", "split"])
    training = rows.filter(pl.col("split") == "train")["text"].drop_nulls()
    if not training.str.contains(r"\S").any():
        raise UserError(
            f"the training split has no text to learn a vocabulary from ({len(training)} rows)",
            "Give more rows, or check what the cleaning stage quarantined.",
        )
    tokenizer = learn(training, config.vocabulary, lowercase=config.lowercase)
    (out / "tokenizer.json").write_text(tokenizer.to_str(pretty=True))
    total = rows.filter(pl.col("split").is_in(SPLITS)).height
    done = 0
    stats: dict[str, dict[str, float]] = {}
    for split in SPLITS:
        part = rows.filter(pl.col("split") == split)
        stats[split] = _encode_split(tokenizer, part, split, out, log, done, total)
        done += part.height
    entries = tokenizer.get_vocab_size()
    summary = {"vocabulary": entries, "asked": config.vocabulary, "splits": stats}
    (out / "tokenizer_stats.json").write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2))
    train = stats["train"]
    metrics = {"vocabulary": float(entries)}
    for name in ("tokens", "unknown_share", "tokens_per_word"):
        metrics |= {f"{name}_{split}": stats[split][name] for split in SPLITS}
    return Outcome(
        summary=f"{entries:,} subwords, {train['tokens']:,.0f} training tokens", metrics=metrics
    )


def _encode_split(
    tokenizer: Tokenizer, part: pl.DataFrame, split: str, out: Path, log: Log, done: int, total: int
) -> dict[str, float]:
    """Write one split's arrays and return its counts."""
    pieces: list[np.ndarray] = []
    sizes = [np.zeros(1, np.int64)]
    for start in range(0, part.height, _BATCH):
        texts = part["text"].slice(start, _BATCH).fill_null("").to_list()
        encoded = encode(tokenizer, texts)
        pieces += [np.asarray(ids, np.int32) for ids in encoded]
        sizes.append(np.fromiter(map(len, encoded), np.int64, len(encoded)))
        log.progress(done + start + len(texts), total, split)
    tokens = np.concatenate([np.zeros(0, np.int32), *pieces])
    np.save(out / f"tokens_{split}.npy", tokens)
    np.save(out / f"offsets_{split}.npy", np.cumsum(np.concatenate(sizes)))
    part.select("row_id").write_parquet(out / f"row_ids_{split}.parquet")
    words = int(part["text"].str.count_matches(r"\S+").sum() or 0)
    return {
        "rows": part.height,
        "tokens": len(tokens),
        "unknown_share": float((tokens == _UNKNOWN).sum() / max(len(tokens), 1)),
        "tokens_per_word": len(tokens) / max(words, 1),
    }
