"""What changed between two texts, word by word, for pages that highlight it."""

from __future__ import annotations

import difflib
import re

from tasks.promotion.page.numbers import cut

Pieces = list[tuple[str, str]]
_MOST_WORDS = 60
_AROUND = 8  # unchanged words kept on each side of a change


def changes(before: str, after: str, words: int = _MOST_WORDS) -> tuple[Pieces, Pieces]:
    """Both texts cut into pieces of kind `same`, `cut`, `out` or `in`.

    Args:
        before: The text as it was.
        after: The text as it became.
        words: Most words shown of each; long unchanged stretches are left out first.

    Returns:
        The pieces of the first text and those of the second, as (kind, text).
    """
    a, b = _words(before), _words(after)
    match = difflib.SequenceMatcher(None, a, b, autojunk=False)
    old: Pieces = []
    new: Pieces = []
    blocks = match.get_opcodes()
    for i, (kind, a0, a1, b0, b1) in enumerate(blocks):
        if kind == "equal":
            kept = _shorten(a[a0:a1], first=i == 0, last=i == len(blocks) - 1)
            old += kept
            new += kept
        else:
            old += [("out", _join(a[a0:a1]))] if a1 > a0 else []
            new += [("in", _join(b[b0:b1]))] if b1 > b0 else []
    return old[:words], new[:words]


def _words(text: str) -> list[str]:
    """Words and the spaces between them, a bounded number of each."""
    return re.findall(r"\s+|[^\s]+", text[:6000])


def _join(parts: list[str]) -> str:
    return cut("".join(parts).replace("\n", "\u21b5"), 300)


def _shorten(parts: list[str], *, first: bool, last: bool) -> Pieces:
    """The stretch's ends, and an ellipsis for what is between."""
    reach = 2 * _AROUND
    if len(parts) <= 2 * reach:
        return [("same", "".join(parts))]
    head = [] if first else [("same", "".join(parts[:reach]))]
    tail = [] if last else [("same", "".join(parts[-reach:]))]
    if first and last:
        return [("same", "".join(parts[: 2 * reach])), ("cut", "\u2026")]
    return [*head, ("cut", " \u2026 "), *tail]
