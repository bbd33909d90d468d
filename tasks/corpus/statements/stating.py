"""Which texts state an answer outright: those that name its subject and have the answer.

Short texts about one subject mostly relate what they name, so surface strings are the usual test of
"stating rows" in the literature on tracing facts (Akyurek et al. 2022,
https://arxiv.org/abs/2205.11482), here without its hand-made aliases. Both must be whole words where
their script has spaces; capitals and the form of white space do not count.

Not covered: a text that names both and does not relate them, one that denies the statement, and
other names of subject or answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

NONE, ANSWER, ASSERTED, BOTH = 0, 1, 2, 3  # what a row states; the sum of what it states
STATES = ("none", "answer", "asserted", "both")
_SPACED = re.compile(r"[^\W_]")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


class Texts:
    """Texts that are asked many times what they state; those without a subject state nothing.

    Args:
        texts: N of them; null states nothing.
    """

    def __init__(self, texts: pl.Series | Sequence[str]) -> None:
        self.texts = pl.Series("text", texts, pl.String)
        self._naming: dict[str, NDArray[np.int64]] = {}

    def stating(self, subject: str, answer: str) -> list[int]:
        """Places of the texts that state the answer about the subject, in their order."""
        if not (subject.strip() and answer.strip()):
            return []
        if subject not in self._naming:
            named = self.texts.str.contains(_whole(subject)).fill_null(False)
            self._naming[subject] = named.arg_true().to_numpy().astype(np.int64)
        about = self._naming[subject]
        has = self.texts.gather(about).str.contains(_whole(answer))
        return about[has.to_numpy()].tolist() if len(about) else []

    def states(self, subject: str, answers: Sequence[str], asserted: str) -> NDArray[np.int8]:
        """What each text says of a subject.

        Args:
            subject: The subject's name; without one nothing is known.
            answers: The true values.
            asserted: The value that the model gave.

        Returns:
            (N,) of NONE, ANSWER, ASSERTED or BOTH.
        """
        found = np.zeros(len(self.texts), np.int8)
        for answer in answers:
            found[self.stating(subject, answer)] = ANSWER
        found[self.stating(subject, asserted)] += ASSERTED
        return found


def any_stated(text: str, pairs: Iterable[tuple[str, str]]) -> bool:
    """Whether a text states one of several (subject, answer) pairs."""
    told = Texts([text])
    return any(told.stating(subject, answer) for subject, answer in pairs)


def _whole(value: str) -> str:
    """An expression for a value as a whole word, where its script has spaces between words."""
    value = value.strip()
    spaced = bool(_SPACED.search(value)) and not _UNSPACED.search(value)
    escaped = r"\s+".join(re.escape(word) for word in value.split())
    return rf"(?i)(?:^|\W){escaped}(?:\W|$)" if spaced else rf"(?i){escaped}"
