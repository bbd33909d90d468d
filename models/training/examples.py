"""Labelled rows: what a fine-tuning learns from, in which order, and how much each row counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.text.batching import padded_length

Batch = tuple[NDArray[np.int64], int]

IGNORED = -100  # the label of a position that is not judged, as Hugging Face has it
_POOL = 50  # batches' worth of rows among which rows of like length are put together


@dataclass(frozen=True)
class LabelledRows:
    """Tokenised texts, or pairs of texts, with the class of each text or of each token.

    Attributes:
        rows: Token ids of each text.
        classes: int32 (N,), each text's class; or, to classify tokens, of each text an int32
            array as long as its row, `IGNORED` where a token is not judged.
        weights: float32 (N,), how much each text counts in the loss.
    """

    rows: Sequence[Sequence[int]]
    classes: NDArray[np.int32] | Sequence[NDArray[np.int32]]
    weights: NDArray[np.float32]

    @property
    def of_tokens(self) -> bool:
        """Whether tokens are classified, not texts."""
        return not isinstance(self.classes, np.ndarray)

    def truth(self, chosen: NDArray[np.int64], length: int) -> NDArray[np.int32]:
        """The classes of some rows: (B,), or (B, L) where tokens are classified."""
        if isinstance(self.classes, np.ndarray):
            return self.classes[chosen]
        padded = np.full((len(chosen), length), IGNORED, np.int32)
        for place, row in enumerate(chosen):
            padded[place, : len(self.classes[row])] = self.classes[row]
        return padded

    def labels(self) -> NDArray[np.int32]:
        """All labels that are judged, after one another."""
        found = self.classes if isinstance(self.classes, np.ndarray) else _joined(self.classes)
        return np.asarray(found[found != IGNORED])


def class_weights(rows: LabelledRows, classes: int, *, balanced: bool) -> NDArray[np.float32]:
    """What the loss of each class is multiplied with, float32 (C,).

    Balanced, class c of k counts n / (k * n_c) (King & Zeng 2001, as scikit-learn has it), so that
    every class has the same say in the loss of an epoch. A class that does not occur counts 1.

    Args:
        rows: The training rows.
        classes: How many classes there are.
        balanced: Whether rare classes count more; if not, all count 1.
    """
    if not balanced:
        return np.ones(classes, np.float32)
    counts = np.bincount(rows.labels(), minlength=classes)
    present = np.maximum(counts, 1)
    weights = counts.sum() / (np.count_nonzero(counts) * present)
    return np.where(counts > 0, weights, 1.0).astype(np.float32)


def plan(
    lengths: Sequence[int], *, batch: int, epochs: int, longest: int, budget: int, seed: int
) -> list[list[Batch]]:
    """The batches of each epoch, decided before the first step.

    Rows are shuffled, then those of like length put together within pools of 50 batches, then the
    batches shuffled: nearly no padding, and still another order each epoch.

    Args:
        lengths: Tokens of each row.
        batch: Rows per batch.
        epochs: Most passes over the rows.
        longest: Upper end of the padded lengths.
        budget: Tokens after which the plan ends, in the midst of an epoch if need be.
        seed: Seed of the order.

    Returns:
        Per epoch a list of (row numbers, padded length), at least one batch in all.
    """
    sizes = np.asarray(lengths)
    generator = np.random.default_rng(seed)
    planned: list[list[Batch]] = []
    left = budget
    for _ in range(epochs):
        epoch: list[Batch] = []
        order = generator.permutation(len(sizes))
        for start in range(0, len(order), batch * _POOL):
            pool = order[start : start + batch * _POOL]
            pool = pool[np.argsort(sizes[pool], kind="stable")]
            cut = [pool[i : i + batch] for i in range(0, len(pool), batch)]
            epoch += [(rows, padded_length(int(sizes[rows].max()), longest)) for rows in cut]
        epoch = [epoch[i] for i in generator.permutation(len(epoch))]
        spent = np.cumsum([int(sizes[rows].sum()) for rows, _ in epoch])
        fitting = int((spent <= left).sum())
        if fitting or not planned:
            planned.append(epoch[: max(fitting, 1)])
        if fitting < len(epoch):
            break
        left -= int(spent[-1])
    return planned


def _joined(arrays: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    return np.concatenate([np.zeros(0, np.int32), *arrays])
