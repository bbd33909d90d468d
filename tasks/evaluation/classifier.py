"""What attacks and explanations ask of a model, and of the libraries that question it."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"\S+")


class Classifier(Protocol):
    """A text classifier; `models.bundle.TextModel` is one, a test's keyword counter another."""

    classes: list[str]

    def predict_proba(self, texts: Sequence[str]) -> NDArray[Any]:
        """Probabilities `(len(texts), len(classes))`; each row sums to 1."""


def probabilities(model: Classifier, texts: Sequence[str]) -> NDArray[np.float64]:
    """The model's answer as finite float64 rows that sum to 1 to the last bit that matters.

    TextAttack takes a softmax of a whole batch, without a word, as soon as one of its rows is off
    by 1e-6, and fails on NaN, which a model may say to a text without a word. Such a row becomes
    "no idea": the same share for each class.
    """
    answer = np.asarray(model.predict_proba(list(texts)), dtype=np.float64)
    answer = np.where(np.isfinite(answer), answer, 0.0)
    total = answer.sum(axis=1, keepdims=True)
    uniform = np.full_like(answer, 1 / max(1, answer.shape[1]))
    return np.asarray(np.divide(answer, total, out=uniform, where=total > 0))


def first_words(text: str, most: int) -> str:
    """The text up to the end of its `most`-th word, spacing as it was."""
    for count, word in enumerate(_WORD.finditer(text), start=1):
        if count == most:
            return text[: word.end()]
    return text


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global generators for a library that draws from them, and put them back after."""
    python, numbers = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)  # noqa: NPY002
