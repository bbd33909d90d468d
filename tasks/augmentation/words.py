"""Words in a text: where they are, what case they have, and the article before them.

Rewriting keeps every character that is not a word, so a text is changed only where it is meant
to be, and the same changes can be shown beside the original.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl

CLASSES = Path(__file__).with_name("word_classes.tsv")

# Letters, with inner hyphens and apostrophes; digits and underscores break a word off.
_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"(?:[.!?…:;][\"'”’)\]]*\s+|\n\s*)[\"'“‘(\[]*$")
_TITLE_DOT = re.compile(r"\b(?:Mrs?|Ms|Dr|Prof|St|Jr|Sr|[A-Z])\.\s*$")
_CONTEXT = 24  # characters before a word in which a sentence's end shows
# What begins with a vowel letter and a consonant sound, and the other way round.
_SOUNDS_CONSONANT = re.compile(
    r"(?:uni(?![nm])|us[eu]|util|euro|eul|eu[cgp]|one\b|once\b|ewe|ubiq)", re.I
)
_SOUNDS_VOWEL = re.compile(r"(?:hour|honest|honou?r|heir)", re.I)


@cache
def word_class(name: str) -> frozenset[str]:
    """A class of words from `word_classes.tsv`.

    `function`: they open something new, so none is what a possessive before it possesses, and
    none is exchanged for a synonym. `time`: what follows "last" in a time. `causing` verbs take a
    person and a `bare` word ("made her cry"). `determining`: a capitalised word behind one of them
    need not be part of a name.
    """
    table = dict(pl.read_csv(CLASSES, separator="\t", quote_char=None).iter_rows())
    return frozenset(table[name].split(" "))


@dataclass(frozen=True)
class Word:
    """A word and its place.

    Attributes:
        text: As written.
        start: Offset of its first character.
        opens: Whether it begins a sentence.
        joined: Whether a digit or a sign such as @, / or _ touches it, so that it is part of an
            address, a code or a number and no word of the language.
    """

    text: str
    start: int
    opens: bool
    joined: bool

    @property
    def end(self) -> int:
        """Offset behind its last character."""
        return self.start + len(self.text)

    @property
    def capitalised(self) -> bool:
        """Whether it is written as names are: `Anna`, not `anna`, `ANNA` or `A`."""
        return self.text[0].isupper() and not self.text.isupper()


def words(text: str) -> list[Word]:
    """All words of a text, in order."""
    found: list[Word] = []
    for match in _WORD.finditer(text):
        before = text[max(0, match.start() - _CONTEXT) : match.start()]
        behind = text[match.end() : match.end() + 2]
        opens = not found or (bool(_SENTENCE_END.search(before)) and not _TITLE_DOT.search(before))
        touches = before[-1:] + behind[:1]
        dotted = behind[:1] == "." and behind[1:].isalnum()
        joined = dotted or any(c.isdigit() or c in "@/\\_#&=+<>[]{}" for c in touches)
        joined = joined or (before[-1:] == "." and before[-2:-1].isalnum())
        found.append(Word(match.group(), match.start(), opens, joined))
    return found


def in_case_of(pattern: str, word: str) -> str:
    """`word` in lower, title or upper case, whichever `pattern` has."""
    if len(pattern) > 1 and pattern.isupper():
        return word.upper()
    return word[0].upper() + word[1:] if pattern[0].isupper() else word


def article(word: str) -> str:
    """`a` or `an`, by the sound a word begins with (`an hour`, `a university`)."""
    vowel = word[0].lower() in "aeiou"
    if vowel and _SOUNDS_CONSONANT.match(word):
        vowel = False
    return "an" if vowel or _SOUNDS_VOWEL.match(word) else "a"


def rewrite(text: str, found: list[Word], changes: Mapping[int, str]) -> str:
    """The text with some of its words exchanged, and `a` and `an` before them put right.

    Args:
        text: The original.
        found: Its words, from `words`.
        changes: Position in `found` -> what to write there, in its final case.

    Returns:
        The new text.
    """
    changes = dict(changes)
    for position, new in list(changes.items()):
        before = found[position - 1] if position else None
        if before is None or before.text.lower() not in ("a", "an") or position - 1 in changes:
            continue
        if text[before.end : found[position].start].isspace():
            changes[position - 1] = in_case_of(before.text[0], article(new))
    parts, at = [], 0
    for position in sorted(changes):
        word = found[position]
        parts += [text[at : word.start], changes[position]]
        at = word.end
    return "".join([*parts, text[at:]])
