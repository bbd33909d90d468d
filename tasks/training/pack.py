"""Token ids to packed rows: several documents to a row, so that no step is spent on padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson

from tasks.configuration import Tokenization
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage
from tasks.training.tokenize import SPLITS
from tasks.training.vocabulary import SPECIALS


@stage
def pack(tokenized: Path, *, config: Tokenization, out: Path, log: Log) -> Outcome:
    """Pack every split; the arrays are laid out to be mapped into memory.

    Args:
        tokenized: What `tokenize` wrote.
        config: Length of a row.
        out: Gets `packed_<split>_tokens.npy`, `..._segments.npy` and `..._positions.npy`, each
            int32 (N, L), and `packing.json`.
        log: Told which split is packed.
    """
    from models.text import packing

    begin, end = SPECIALS.index("[CLS]"), SPECIALS.index("[SEP]")
    stats: dict[str, dict[str, float]] = {}
    for number, split in enumerate(SPLITS):
        log.progress(number, len(SPLITS), split)
        offsets = np.load(tokenized / f"offsets_{split}.npy")
        tokens = np.load(tokenized / f"tokens_{split}.npy", mmap_mode="r")
        rows = packing.pack(tokens, offsets, length=config.sequence_length, begin=begin, end=end)
        for name in ("tokens", "segments", "positions"):
            np.save(out / f"packed_{split}_{name}.npy", getattr(rows, name))
        stats[split] = {
            "documents": len(offsets) - 1,
            "sequences": len(rows.tokens),
            "tokens": int((rows.segments > 0).sum()),
            "fill": rows.fill,
        }
    log.progress(len(SPLITS), len(SPLITS))
    (out / "packing.json").write_bytes(orjson.dumps(stats, option=orjson.OPT_INDENT_2))
    train = stats["train"]
    length = config.sequence_length
    return Outcome(
        summary=f"{train['sequences']:,} sequences of {length}, {train['fill']:.1%} full",
        metrics={
            "sequences": float(train["sequences"]),
            "fill": train["fill"],
            "documents_per_sequence": train["documents"] / max(train["sequences"], 1),
        },
    )
