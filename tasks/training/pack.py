"""Token ids to packed rows: several documents to a row, so that no step is spent on padding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from tokenizers import Tokenizer

from tasks.configuration import Tokenization
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage
from tasks.training.mixing import Part, parts
from tasks.training.tokenize import SPLITS, TOKENIZER
from tasks.training.vocabulary import special_tokens
from tasks.training.weighting import document_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.text.growing import GrowingArray
    from models.text.packing import PackedRows
    from models.text.special_tokens import SpecialTokens

_SENTENCE_ENDS = (".", "!", "?", "。", "！", "？")


@stage
def pack(
    tokenized: Path,
    corrected: Path | None = None,
    *,
    config: Tokenization,
    out: Path,
    log: Log,
    seed: int = 0,
) -> Outcome:
    """Pack every split; the arrays are laid out to be mapped into memory.

    Training documents of different sources that `mixture` names, and replayed ones, never share a
    row, and each source's rows lie together; `packing.json` says where, and what share of the
    presentations each has.

    Args:
        tokenized: What `tokenize` wrote.
        corrected: What `correct` wrote: how much each training row counts.
        config: Length of a row, the mixture, and whether documents become sentence pairs.
        out: Gets, for each split, `packed_<split>_tokens.npy` (N, L) in the tokens' type and
            `..._segments.npy` (N, L), uint8 or uint16; where documents have weights or are pairs,
            `..._first.npy` (int64, N) and, by document, `..._weights.npy` (float32) and
            `..._follows.npy` (int8); and `packing.json`.
        log: Told which split is packed.
        seed: Chooses the sentence pairs that are exchanged.

    Raises:
        UserError: The mixture names a source that there is not, or nothing has a share.
    """
    specials = special_tokens(tokenizer := Tokenizer.from_file(str(tokenized / TOKENIZER)))
    found = [tokenizer.token_to_id(mark) for mark in _SENTENCE_ENDS]
    ends = tuple(number for number in found if number is not None)
    stats: dict[str, Any] = {"padding": specials.pad}
    for number, split in enumerate(SPLITS):
        log.progress(number, len(SPLITS), split)
        weights = document_weights(tokenized, corrected) if split == "train" else None
        training = config if split == "train" else config.model_copy(update={"mixture": {}})
        work = _Split(tokenized, out, split, training, specials, ends, (seed, number), weights)
        stats[split] = work.pack(parts(tokenized, split, training))
    log.progress(len(SPLITS), len(SPLITS))
    (out / "packing.json").write_bytes(orjson.dumps(stats, option=orjson.OPT_INDENT_2))
    train = stats["train"]
    return Outcome(
        summary=f"{train['sequences']:,} sequences of {config.sequence_length}, "
        f"{train['fill']:.1%} full",
        metrics={
            "sequences": float(train["sequences"]),
            "fill": train["fill"],
            "documents_per_sequence": train["documents"] / max(train["sequences"], 1),
        },
    )


@dataclass
class _Split:
    """One split on its way from flat tokens to rows."""

    tokenized: Path
    out: Path
    split: str
    config: Tokenization
    specials: SpecialTokens
    ends: tuple[int, ...]
    seed: tuple[int, ...]
    weights: NDArray[np.float32] | None

    def pack(self, wanted: list[Part]) -> dict[str, Any]:
        """Write the rows of one part after another, and return their counts."""
        from models.text.growing import GrowingArray
        from models.text.packing import segment_type

        length = self.config.sequence_length
        tokens = np.load(self.tokenized / f"tokens_{self.split}.npy", mmap_mode="r")
        offsets = np.load(self.tokenized / f"offsets_{self.split}.npy", mmap_mode="r")
        kinds: dict[str, tuple[Any, tuple[int, ...]]] = {
            "tokens": (tokens.dtype, (length,)), "segments": (segment_type(length), (length,)),
        }  # fmt: skip
        if self.weights is not None:
            kinds["weights"] = np.float32, ()
        if self.config.next_sentence:
            kinds["follows"] = np.int8, ()
        if len(kinds) > 2:
            kinds["first"] = np.int64, ()
        files = {
            name: GrowingArray(self.out / f"packed_{self.split}_{name}.npy", *kind)
            for name, kind in kinds.items()
        }
        used = packed = 0
        ranges = []
        for part in wanted:
            begin = files["tokens"].rows
            for rows in self._windows(part.documents, tokens, offsets):
                self._write(files, rows, packed)
                used += int((rows.segments > 0).sum())
                packed += len(rows.documents)
            count = files["tokens"].rows - begin
            ranges.append(part.described() | {"first": begin, "sequences": count})
        for file in files.values():
            file.close()
        count = files["tokens"].rows
        stats = {
            "documents": len(offsets) - 1, "sequences": count, "tokens": used,
            "fill": used / max(count * length, 1),
        }  # fmt: skip
        return stats | ({"ranges": ranges} if len(ranges) > 1 else {})

    def _windows(self, documents: NDArray[np.int64], tokens: Any, offsets: Any) -> Any:
        """Packed rows of one part, a window at a time."""
        from models.text import packing
        from models.text.pairs import pair

        length, paired = self.config.sequence_length, self.config.next_sentence
        sizes = offsets[documents + 1] - offsets[documents]
        for window in packing.windows(sizes):
            which = documents[window]
            pieces = packing.cut(offsets, which, length - (3 if paired else 2))
            if paired:
                seed = (*self.seed, int(which[0]))
                pieces = pair(pieces, tokens, room=length - 3, seed=seed, ends=self.ends)
            yield packing.lay_out(
                pieces, tokens, length=length, begin=self.specials.begin,
                end=self.specials.end, padding=self.specials.pad,
            )  # fmt: skip

    def _write(self, files: dict[str, GrowingArray], rows: PackedRows, packed: int) -> None:
        """Append one window's rows; `packed` documents came before."""
        files["tokens"].append(rows.tokens)
        files["segments"].append(rows.segments)
        if "first" in files:
            files["first"].append(packed + np.cumsum(rows.counts) - rows.counts)
        if self.weights is not None:
            files["weights"].append(self.weights[rows.documents])
        if "follows" in files:
            files["follows"].append(rows.follows)
