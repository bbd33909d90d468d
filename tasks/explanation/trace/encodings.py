"""The index of training rows by what each would teach the model: a unit vector a row.

A row's vector is the gradient of its masked-token loss under the trained model, divided by the root
of the optimizer's second moments, projected (`models.influence.projection`) and corrected for what
gradients have in common (`models.influence.curvature`). The inner product of a row's vector with that of an
answer says how far a training step on the row raises the answer's likelihood, lengths left out:
TrackStar (Chang et al. 2024, https://arxiv.org/abs/2410.17413).

Not covered: norms and the decoder's bias, which have no matrix; the adversarial and the next-sentence
losses; checkpoints before the last one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import polars as pl
from safetensors.numpy import save_file

from tasks.configuration import Tracing
from tasks.errors import UserError
from tasks.explanation.trace.queries import query_gradients
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage
from tasks.training.streams import batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.influence.gradients import TextGradients
    from models.influence.hiding import Hiding
    from models.text.packing import Pieces
    from models.text.reader import Reader

ENCODINGS, ROWS, PROJECTION, ABOUT = (
    "encodings.npy", "rows.parquet", "projection.safetensors", "projection.json",
)  # fmt: skip
WHITENING = "whitening"
_AT_ONCE = 8192  # rows in memory
_TOKENS = 1 << 24  # counted at once
_PROBES = 400  # at most, to learn what queries have in common
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@stage
def encode_rows(
    pretrained: Path,
    tokenized: Path,
    asked: Path | None = None,
    *,
    config: Tracing,
    seed: int,
    out: Path,
    scratch: Path,
    log: Log,
) -> Outcome:
    """Encode every training row under the pretrained model.

    Args:
        pretrained: What `pretrain` wrote: the model and the optimizer's second moments.
        tokenized: Token ids of the training rows, replayed ones among them.
        asked: A folder that may have `probes.parquet`; what its probes' gradients have in common is
            taken back from all vectors.
        config: Size of the vectors and their correction.
        seed: Of the projection and of what is hidden.
        out: Gets `encodings.npy` (rows, d) float16, to be mapped into memory; `rows.parquet` with
            the `row_id` of each; `projection.safetensors` and `projection.json`, to encode a query alike.
        scratch: Gets the vectors before their correction, 4 d bytes a row.
        log: Told how many rows are read.

    Raises:
        UserError: There are no training rows, or the model has no second moments.
    """
    from models.influence.curvature import autocorrelation, whitening

    rows = _rows(tokenized)
    gradients, reader = _open(pretrained, config, seed)
    raw = np.lib.format.open_memmap(
        scratch / "gradients.npy", "w+", np.float32, (len(rows), gradients.projection.dimensions)
    )
    _Reading(gradients, reader, tokenized, _hiding(tokenized, reader, config, seed)).fill(raw, log)
    blocks = len(gradients.projection.names)
    shared = autocorrelation(_chunks(raw), blocks, config.prior)
    probes, task_share = _probes(asked, seed), config.task_share
    texts = probes["statement"].to_list(), probes["answer"].to_list()
    queries = query_gradients(gradients, reader, *texts)
    whitened = whitening(
        shared, autocorrelation([queries], blocks, config.prior), task_share if len(probes) else 0.0
    )
    _write(out, raw, whitened, rows, gradients)
    about = {
        "dimensions": gradients.projection.dimensions, "rows": len(rows), "probes": len(probes),
        "matrices": gradients.projection.names, "rank": gradients.projection.rank,
    }  # fmt: skip
    (out / ABOUT).write_bytes(orjson.dumps(about, option=_JSON))
    return Outcome(
        summary=f"{len(rows):,} rows as vectors of {gradients.projection.dimensions:,}",
        metrics={"rows": float(len(rows)), "dimensions": float(gradients.projection.dimensions)},
    )


def _rows(tokenized: Path) -> pl.DataFrame:
    """The training rows, in the order of their tokens."""
    path = tokenized / "row_ids_train.parquet"
    rows = pl.concat(list(batches(path, ("row_id", "source", "replayed"))) or [pl.DataFrame()])
    if rows.is_empty():
        raise UserError("there are no training rows to trace to: the training split is empty")
    return rows


def _open(pretrained: Path, config: Tracing, seed: int) -> tuple[TextGradients, Reader]:
    """The model's gradients under a new projection, and its tokenizer."""
    from models import devices
    from models.influence import moments
    from models.influence.gradients import TextGradients
    from models.influence.projection import Projection
    from models.network import hugging_face
    from models.text.reader import Reader

    devices.prepare()
    folder = pretrained / "model"
    model = hugging_face.load_masked(folder)
    try:
        second = moments.load(model, pretrained / moments.FILE)
        shapes = moments.matrices(model)
        projection = Projection.draw(shapes, config.dimensions, seed, second)
    except ValueError as error:
        raise UserError(f"training rows cannot be encoded: {error}") from error
    longest = hugging_face.describe(folder).max_tokens
    return TextGradients(model, projection), Reader.load(folder / "tokenizer.json", longest)


def _hiding(tokenized: Path, reader: Reader, config: Tracing, seed: int) -> Hiding:
    """What is hidden of a row, given how often each token is in all of them."""
    from models.influence.hiding import Hiding
    from models.text.masking import Alphabet

    alphabet = Alphabet.of(reader.tokenizer)
    counts = np.zeros(len(alphabet.continues), np.int64)
    tokens = np.load(tokenized / "tokens_train.npy", mmap_mode="r")
    for start in range(0, len(tokens), _TOKENS):
        counts += np.bincount(tokens[start : start + _TOKENS], minlength=len(counts))
    return Hiding(counts, alphabet.continues, config.copies, config.hidden_share, seed)


@dataclass(frozen=True)
class _Reading:
    """The training rows on their way through the model."""

    gradients: TextGradients
    reader: Reader
    tokenized: Path
    hiding: Hiding

    def fill(self, raw: NDArray[np.float32], log: Log) -> None:
        """Add each row's projected gradient to its line, (rows, d); a long row has several pieces."""
        from models import devices
        from models.text import packing

        offsets = np.load(self.tokenized / "offsets_train.npy", mmap_mode="r")
        tokens = np.load(self.tokenized / "tokens_train.npy", mmap_mode="r")
        for start in range(0, len(raw), _AT_ONCE):
            which = np.arange(start, min(start + _AT_ONCE, len(raw)))
            pieces = packing.cut(offsets, which, self.reader.max_tokens - 2)
            jobs = self.gradients.batches(pieces.sizes + 2, self.hiding.copies)
            work = devices.side_by_side(lambda job: self._ask(pieces, tokens, *job), jobs)  # noqa: B023
            for chosen, found in work:
                np.add.at(raw, pieces.documents[chosen], found)
            log.progress(int(which[-1]) + 1, len(raw), "rows")

    def _ask(
        self, pieces: Pieces, tokens: Any, chosen: NDArray[np.int64], length: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        from models.influence.gradients import Asked

        texts = []
        for piece in chosen:
            start, size = int(pieces.starts[piece]), int(pieces.sizes[piece])
            row = np.array(self.reader.framed(tokens[start : start + size]), np.int32)
            texts.append(Asked(row, self.hiding.parts(row), self.reader.mask))
        return chosen, self.gradients.of(texts, length)


def _probes(asked: Path | None, seed: int) -> pl.DataFrame:
    """Some of the folder's probes, if it has any."""
    path = asked / "probes.parquet" if asked is not None else None
    if path is None or not path.exists():
        return pl.DataFrame(schema={"statement": pl.String, "answer": pl.String})
    probes = pl.read_parquet(path, columns=["probe_id", "statement", "answer"]).sort("probe_id")
    chosen = np.random.default_rng(seed).permutation(len(probes))[:_PROBES]
    return probes[np.sort(chosen)]


def _chunks(raw: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(raw), _AT_ONCE):
        yield np.asarray(raw[start : start + _AT_ONCE])


def _write(
    out: Path, raw: NDArray[np.float32], whitened: NDArray[np.float32], rows: pl.DataFrame,
    gradients: TextGradients,
) -> None:  # fmt: skip
    from models.influence.curvature import encode

    encoded = np.lib.format.open_memmap(out / ENCODINGS, "w+", np.float16, raw.shape)
    for number, chunk in enumerate(_chunks(raw)):
        start = number * _AT_ONCE
        encoded[start : start + len(chunk)] = encode(chunk, whitened)
    encoded.flush()
    rows.write_parquet(out / ROWS)
    save_file({WHITENING: whitened} | gradients.projection.arrays(), str(out / PROJECTION))
