"""Copies with typing errors, so that a classifier meets them before an attacker does.

Training on noise of the kind that is expected is the plain defence against it (Belinkov and Bisk 2018,
arXiv:1711.02173): a letter swapped with its neighbour, left out, doubled, or mistaken for one beside it
on the keyboard, in words of at least four letters. First letters stay, as readers of scrambled words
rely on them, and so do words that a digit or a sign touches.
"""

from __future__ import annotations

import numpy as np

from tasks.augmentation.words import rewrite, words

_SHORTEST = 4
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def _neighbours() -> dict[str, str]:
    """Letter -> the letters beside it on a QWERTY keyboard, in its own row and the next ones."""
    place = {letter: (y, x) for y, row in enumerate(_ROWS) for x, letter in enumerate(row)}
    return {
        a: "".join(
            b for b, (y, x) in sorted(place.items())
            if a != b and abs(y - place[a][0]) <= 1 and abs(x - place[a][1]) <= 1
        )
        for a in place
    }  # fmt: skip


_BESIDE = _neighbours()


def mistype(text: str, *, share: float, generator: np.random.Generator) -> str | None:
    """The text with a typing error in some of its words.

    Args:
        text: The original.
        share: How many of the words to spoil; at least one where any can be.
        generator: Chooses the words and the errors.

    Returns:
        The new text, or None where no word is long enough.
    """
    found = words(text)
    places = [i for i, w in enumerate(found) if len(w.text) >= _SHORTEST and not w.joined]
    if not places:
        return None
    wanted = min(len(places), max(1, round(share * len(found))))
    chosen = generator.choice(len(places), size=wanted, replace=False)
    changes = {places[i]: _spoilt(found[places[i]].text, generator) for i in chosen}
    return rewrite(text, found, changes)


def _spoilt(word: str, generator: np.random.Generator) -> str:
    """The word with one error behind its first letter."""
    at = int(generator.integers(1, len(word) - 1))
    kind = int(generator.integers(4))
    if kind == 0 and word[at] != word[at + 1]:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == 1:
        return word[:at] + word[at + 1 :]
    beside = _BESIDE.get(word[at].lower())
    if kind == 2 and beside:
        return word[:at] + beside[int(generator.integers(len(beside)))] + word[at + 1 :]
    return word[:at] + word[at] + word[at:]
