"""Back-translated copies: a text put into another language and back (Sennrich et al. 2016).

A translator is what the user has: a pair of Apertium's modes (`apertium:en-eo,eo-en`; rules, no
network, hundreds of sentences a second), or two Marian models of the Hugging Face hub or of a folder
(`Helsinki-NLP/opus-mt-en-de,Helsinki-NLP/opus-mt-de-en`). Without one there are no such copies.

Translators make errors that would teach falsehoods, so a copy is kept only if it still has the same
numbers, the same capitalised names and as many negations, if it brings in no letter that English lacks
and the text did not have (words that were left untranslated), and if its length is within a third of
the original's. Rule-based round trips lose a negation in about one text of ten; these rules exist for that.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from tasks.augmentation.translators import Translate
from tasks.augmentation.words import words

_SENTENCE = re.compile(r"[^.!?…\n]*(?:[.!?…]+[\"'”’)\]]*|\n|$)\s*")
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_NEGATION = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|nor|neither|without|cannot)\b|n[’']t\b"
)
_LONGER, _SHORTER = 4 / 3, 2 / 3  # of the original's length
_AT_ONCE = 512  # sentences


def round_trip(
    texts: Sequence[str],
    there: Translate,
    back: Translate,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str | None]:
    """Every text, sentence by sentence, in another language and back.

    Args:
        texts: The originals.
        there: Translates out of the texts' language.
        back: Translates into it again.
        progress: Told how many sentences of how many are done.

    Returns:
        The copies in the order of the texts; None where a copy would say something else, or the same.
    """
    parted = [sentences(text) for text in texts]
    flat = [sentence.strip() for text in parted for sentence in text]
    found: list[str] = []
    for start in range(0, len(flat), _AT_ONCE):
        part = flat[start : start + _AT_ONCE]
        found += back(there(part))
        progress(start + len(part), len(flat))
    copies: list[str | None] = []
    at = 0
    for text, parts in zip(texts, parted, strict=True):
        said = found[at : at + len(parts)]
        at += len(parts)
        copy = "".join(
            _closed(new, old) + old[len(old.rstrip()) :]
            for new, old in zip(said, parts, strict=True)
        )
        copies.append(copy if copy != text and says_the_same(text, copy) else None)
    return copies


def sentences(text: str) -> list[str]:
    """A text in sentences; joined they are the text."""
    return [match for match in _SENTENCE.findall(text) if match]


def says_the_same(text: str, copy: str) -> bool:
    """Whether nothing tells that a copy says something else than the text."""
    if not _SHORTER <= len(copy) / max(1, len(text)) <= _LONGER:
        return False
    strange = {c for c in copy if c.isalpha() and not c.isascii()} - set(text)
    return not strange and all(
        Counter(facts(text)) == Counter(facts(copy)) for facts in (_numbers, _negations, _names)
    )


def _numbers(text: str) -> list[str]:
    return _NUMBER.findall(text)


def _negations(text: str) -> list[str]:
    """One entry each, whatever the word: "not any" may come back as "no"."""
    return ["not"] * len(_NEGATION.findall(text.lower()))


def _names(text: str) -> list[str]:
    """Capitalised words within sentences; those that open one are capitalised anyway."""
    return [word.text for word in words(text) if word.capitalised and not word.opens]


def _closed(new: str, old: str) -> str:
    """A sentence with the end that its original had, which translators drop or change."""
    end = re.search(r"[.!?…]*[\"'”’)\]]*$", old.rstrip())
    return new.strip().rstrip(".!?…") + (end[0] if end else "")
