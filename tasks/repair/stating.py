"""Whether a text states an answer: it names the subject and has the answer, as whole words.

The same test of "stating rows" as in the literature on tracing facts (Akyürek et al. 2022,
arXiv 2205.11482), without its hand-made aliases: capitals and the form of white space do not count.

Not covered: a text that names both and does not relate them, one that denies the statement, and
other names of subject or answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

_SPACE = re.compile(r"\s+")


def plain(text: str) -> str:
    """A text as it is compared: lower case, one space for any white space."""
    return _SPACE.sub(" ", text.casefold()).strip()


def has(text: str, phrase: str) -> bool:
    """Whether a plain text has a plain phrase, not as a part of longer words."""
    start = text.find(phrase) if phrase else -1
    while start >= 0:
        end = start + len(phrase)
        before, after = text[start - 1 : start], text[end : end + 1]
        if not (_joins(before, phrase[0]) or _joins(phrase[-1], after)):
            return True
        start = text.find(phrase, start + 1)
    return False


def _joins(left: str, right: str) -> bool:
    """Whether two neighbouring characters are of one word."""
    return bool(left and right and left.isalnum() and right.isalnum())


@dataclass
class Texts:
    """Texts that are asked many times what they state; those without a subject state nothing.

    Args:
        texts: As they are.
    """

    texts: Sequence[str]
    _plain: pl.Series = field(init=False)
    _naming: dict[str, list[int]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._plain = pl.Series("text", [plain(text) for text in self.texts], pl.String)

    def stating(self, subject: str, answer: str) -> list[int]:
        """Places of the texts that state the answer about the subject."""
        named, said = plain(subject), plain(answer)
        if not (named and said):
            return []
        if named not in self._naming:
            found = self._plain.str.contains(named, literal=True).arg_true()
            self._naming[named] = [i for i in map(int, found) if has(self._plain[i], named)]
        return [i for i in self._naming[named] if has(self._plain[i], said)]


def any_stated(text: str, pairs: Iterable[tuple[str, str]]) -> bool:
    """Whether a text states one of several (subject, answer) pairs."""
    told = plain(text)
    return any(has(told, plain(subject)) and has(told, plain(answer)) for subject, answer in pairs)
