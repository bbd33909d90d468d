"""Takes single sentences out of texts and leaves the rest as it is."""

from __future__ import annotations

from collections.abc import Collection

from tasks.corpus.statements.extract import sentences_of


def without(text: str, sentences: Collection[str]) -> str | None:
    """A text without some of its sentences.

    Args:
        text: The text.
        sentences: As `find_statements` gives them; wherever one occurs it goes.

    Returns:
        What is left, in its order and spacing, or None if a sentence is not in the text.
    """
    pieces = sentences_of(text)
    if not set(sentences) <= {sentence for _, sentence in pieces}:
        return None
    return "".join(piece for piece, sentence in pieces if sentence not in sentences).strip()
