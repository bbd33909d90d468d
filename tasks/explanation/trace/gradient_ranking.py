"""Rows by gradient influence: which training rows push a model towards an answer.

The influence of a row on an answer is the cosine between the row's vector in the index and the
answer's, made by the same projection and correction. It is positive where a step on the row makes
the answer likelier. Every row is compared; the index is mapped into memory and read once a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from safetensors import SafetensorError
from safetensors.numpy import load_file

from tasks.errors import UserError
from tasks.explanation.trace.encodings import ENCODINGS, PROJECTION, ROWS, WHITENING
from tasks.explanation.trace.queries import query_gradients
from tasks.training.starting_point import encoder_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.influence.gradients import TextGradients
    from models.text.reader import Reader

_AT_ONCE = 16_384  # rows compared in one product


@dataclass(frozen=True)
class GradientRanking:
    """An index of rows and the model that it was made under.

    Attributes:
        rows: `row_id` (and `source`, `replayed`) of each row of the index.
        encodings: float16 (N, d), unit vectors, mapped into memory.
        whitened: float32 (blocks, b, b), the correction.
        gradients: Of the model.
        reader: The model's tokenizer.
    """

    rows: pl.DataFrame
    encodings: NDArray[np.float16]
    whitened: NDArray[np.float32]
    gradients: TextGradients
    reader: Reader

    @classmethod
    def open(cls, index: Path, model: Path) -> GradientRanking:
        """Read an index.

        Args:
            index: What `encode_rows` wrote.
            model: The model that it was made under: what `pretrain` wrote, or a bundle.

        Raises:
            UserError: The index or the model is missing or damaged, or they do not belong together.
        """
        from models.influence.gradients import TextGradients
        from models.influence.projection import Projection
        from models.network import hugging_face
        from models.text.reader import Reader

        folder = model / "model" if (model / "model").is_dir() else encoder_folder(model)
        try:
            arrays = load_file(str(index / PROJECTION))
            whitened = arrays.pop(WHITENING)
            encodings = np.load(index / ENCODINGS, mmap_mode="r")
            rows = pl.read_parquet(index / ROWS)
            masked = hugging_face.load_masked(folder)
            gradients = TextGradients(masked, Projection.of_arrays(arrays))
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise UserError(f"the row index {index} cannot be used: {error}") from error
        longest = hugging_face.describe(folder).max_tokens
        reader = Reader.load(folder / "tokenizer.json", longest)
        return cls(rows, encodings, whitened, gradients, reader)

    def encode(self, statements: Sequence[str], answers: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of answers, (Q, d).

        Args:
            statements: Each with exactly one `[MASK]`.
            answers: What the model asserts, or may assert, there.

        Raises:
            UserError: A statement has no `[MASK]`, or several.
        """
        from models.influence.curvature import encode

        try:
            found = query_gradients(self.gradients, self.reader, statements, answers)
        except ValueError as error:
            raise UserError(f"a statement cannot be traced: {error}") from error
        return encode(found, self.whitened)

    def scores(self, statements: Sequence[str], answers: Sequence[str]) -> NDArray[np.float32]:
        """The influence of every row on each answer, (Q, N), from -1 to 1."""
        return self._compared(self.encode(statements, answers), np.arange(len(self.encodings)))

    def top(
        self, statements: Sequence[str], answers: Sequence[str], k: int
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """The k rows that push each answer up the most.

        Returns:
            For each answer the rows' numbers in the index and their influences, best first; of
            equals the earlier row.
        """
        return [_best(line, k) for line in self.scores(statements, answers)]

    def probes_of(
        self,
        rows: Sequence[int] | NDArray[np.int64],
        statements: Sequence[str],
        answers: Sequence[str],
        k: int,
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """The other direction: of given answers, the k that each row pushes up the most.

        Args:
            rows: Numbers of rows in the index.
            statements: The answers' statements.
            answers: As in `encode`.
            k: At most so many.

        Returns:
            For each row the numbers of the answers and their influences, best first.
        """
        compared = self._compared(self.encode(statements, answers), np.asarray(rows, np.int64))
        return [_best(line, k) for line in compared.T]

    def _compared(
        self, queries: NDArray[np.float32], rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        found = np.empty((len(queries), len(rows)), np.float32)
        for start in range(0, len(rows), _AT_ONCE):
            part = self.encodings[rows[start : start + _AT_ONCE]].astype(np.float32)
            found[:, start : start + _AT_ONCE] = queries @ part.T
        return found


def _best(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    order = np.argsort(-scores, kind="stable")[:k]
    return order, scores[order].astype(np.float64)
