"""The gradient of an answer: of `-log p(answer)` in the place of a statement's mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.influence.gradients import Asked, TextGradients
    from models.text.reader import Reader

_COMPILED_FROM = 16  # queries; fewer are through before the function is compiled


def query_gradients(
    gradients: TextGradients, reader: Reader, statements: Sequence[str], answers: Sequence[str]
) -> NDArray[np.float32]:
    """The projected gradients of answers, float32 (Q, d).

    An answer of several subwords takes the place of the mask as so many masks, as it does where the
    model is asked (`TextModel.score_candidates`).

    Args:
        gradients: Of the model that is asked.
        reader: Its tokenizer.
        statements: Each with exactly one `[MASK]`.
        answers: What stands there in each.

    Raises:
        ValueError: A statement has no `[MASK]`, or several; or the numbers differ.
    """
    asked = [_asked(reader, s, a) for s, a in zip(statements, answers, strict=True)]
    found = np.zeros((len(asked), gradients.projection.dimensions), np.float32)
    lengths = [len(text.tokens) for text in asked]
    for chosen, length in gradients.batches(lengths, 1):
        texts = [asked[i] for i in chosen]
        found[chosen] = gradients.of(texts, length, compiled=len(asked) >= _COMPILED_FROM)
    return found


def _asked(reader: Reader, statement: str, answer: str) -> Asked:
    from models.influence.gradients import Asked
    from models.text.reader import MASK

    spaced = f" {answer}" if statement.partition(MASK)[0][-1:].isspace() else answer
    pieces = reader.pieces([spaced])[0] or [reader.unknown]
    row, start = reader.with_masks(*reader.around_mask(statement), len(pieces))
    where = start + np.arange(len(pieces))
    return Asked(np.array(row, np.int32), [where], reader.mask, [np.array(pieces, np.int64)])
