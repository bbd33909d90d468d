"""Named entities as spans: every way of writing them, and how well they are found.

An entity counts as found when its first word, its last word and its type are all right, as in the
CoNLL shared tasks (Tjong Kim Sang & De Meulder 2003, https://aclanthology.org/W03-0419/).

The schemes differ in how a span is marked: IO (`I-X`, or `X` alone), IOB1 (`B-` only where a span
follows another of its type), IOB2 (`B-` at each beginning), BIOES and BILOU (the last word and
spans of one word are marked too). One rule reads them all: a word begins a span if it says so, or
if it cannot go on with the one before. IO cannot tell two neighbours of one type apart; they are
one span.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

OUTSIDE = "O"
Span = tuple[int, int, str]
_PREFIXES = frozenset("BIESLU")
_BEGINS, _ENDS = frozenset("BSU"), frozenset("ESLU")


def split_tag(tag: str) -> tuple[str, str]:
    """Prefix and type of a tag; a tag without prefix is inside a span of its name.

    Raises:
        ValueError: The tag is empty, or a prefix without type.
    """
    prefix, dash, kind = tag.partition("-")
    if not tag or (dash and prefix in _PREFIXES and not kind):
        raise ValueError(f"the tag {tag!r} names no type")
    if tag == OUTSIDE:
        return OUTSIDE, ""
    return (prefix, kind) if dash and prefix in _PREFIXES else ("I", tag)


def spans(tags: Sequence[str]) -> list[Span]:
    """The entities of a sentence: (first word, word after the last, type), in order."""
    found: list[Span] = []
    start, open_kind, ended = 0, "", False
    for place, (prefix, kind) in enumerate([*map(split_tag, tags), (OUTSIDE, "")]):
        begins = prefix != OUTSIDE and (prefix in _BEGINS or kind != open_kind or ended)
        if open_kind and (begins or prefix == OUTSIDE):
            found.append((start, place, open_kind))
            open_kind = ""
        if begins:
            start, open_kind = place, kind
        ended = prefix in _ENDS
    return found


def to_iob2(tags: Sequence[str]) -> list[str]:
    """The same entities as IOB2, in which every span begins with `B-`."""
    written = [OUTSIDE] * len(tags)
    for begin, end, kind in spans(tags):
        written[begin:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - begin - 1)]
    return written


def counts(
    truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> dict[str, NDArray[np.int64]]:
    """Of each type and sentence the entities found, predicted and there: (sentences, 3) each.

    Args:
        truth: Tags of each sentence.
        predicted: Tags of the same words.

    Raises:
        ValueError: The sentences do not match.
    """
    if [len(tags) for tags in truth] != [len(tags) for tags in predicted]:
        raise ValueError("predicted tags are not of the same words as the true ones")
    found: dict[str, NDArray[np.int64]] = {}
    for row, (right, guessed) in enumerate(zip(truth, predicted, strict=True)):
        there, said = set(spans(right)), set(spans(guessed))
        for column, group in enumerate((there & said, said, there)):
            for _, _, kind in group:
                table = found.setdefault(kind, np.zeros((len(truth), 3), np.int64))
                table[row, column] += 1
    return dict(sorted(found.items()))


def f1(rows: NDArray[Any]) -> NDArray[Any]:
    """F1 of resampled sentences: counts (resamples, sentences, 3) to (resamples,).

    F1 = 2 found / (predicted + there), and 0 where there is nothing and nothing was predicted,
    as in scikit-learn and conlleval.
    """
    found, predicted, there = np.moveaxis(rows.sum(axis=1), -1, 0).astype(np.float64)
    return np.asarray(2 * found / np.maximum(predicted + there, 1))


def scores(table: NDArray[np.int64]) -> dict[str, float]:
    """Precision, recall, F1 and support of counts (sentences, 3)."""
    found, predicted, there = (int(n) for n in table.sum(axis=0))
    return {
        "precision": found / max(predicted, 1),
        "recall": found / max(there, 1),
        "f1": float(f1(table[None])[0]),
        "support": there,
    }


def total(by_type: dict[str, NDArray[np.int64]], sentences: int) -> NDArray[np.int64]:
    """The counts of all types together, (sentences, 3)."""
    return sum(by_type.values(), np.zeros((sentences, 3), np.int64))


def overall_f1(
    truth: Sequence[Sequence[str]],
) -> Callable[[Sequence[Sequence[str]]], float]:
    """The entity F1 of predictions for given sentences, as a function of the predictions."""

    def score(predicted: Sequence[Sequence[str]]) -> float:
        return scores(total(counts(truth, predicted), len(truth)))["f1"]

    return score
