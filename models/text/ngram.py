"""The floor of every report: a masked token guessed from counts of what stood beside it.

An interpolated model (Jelinek and Mercer 1980) of what is visible around a masked position:

    p(w | shown, l, r) = a_0 / V + a_1 c(w) / c() + a_2 c(l w) / c(l .) + a_3 c(w r) / c(. r)
                         + a_4 c(l w r) / c(l . r) + a_5 [w = shown]

with l and r the tokens on the left and right, V the number of ordinary tokens, and weights a that
sum to 1, found by expectation maximisation on rows that were not counted. The last part is there
because masking leaves a tenth of the chosen tokens as they are and puts a random one in the place
of another tenth, which the neural models learn to make use of.

A part that cannot be had, because a neighbour is masked itself or the context was never seen, is
left out and the others' weights are brought to sum 1. There is a set of weights for each of the
eight combinations of what is visible (shown, left, right). [CLS] and [SEP] count as neighbours,
so that no count reaches from one document of a packed row into the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.text.masking import Alphabet

Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]
Float64 = npt.NDArray[np.float64]

PARTS = ("uniform", "unigram", "left", "right", "both", "shown")
_CASES = 8  # combinations of what is visible
_ROUNDS = 50  # of expectation maximisation; it stands still long before
_NUMBERS_AT_ONCE = 8_000_000
_LARGEST_VOCABULARY = 2_000_000  # three tokens in one 64-bit key


class Slots(NamedTuple):
    """What can be seen of N masked positions; int64 (N) arrays.

    Attributes:
        shown: The token that stands there, [MASK] if it is hidden.
        left: The token before it, 0 at the beginning of a row.
        right: The token after it, 0 at the end of a row.
    """

    shown: Int64
    left: Int64
    right: Int64


def visible(tokens: npt.NDArray[np.int32], rows: Int64, places: Int64) -> Slots:
    """What can be seen at the positions (row, place) of packed rows as a model is shown them."""
    edged = np.pad(tokens, ((0, 0), (1, 1))).astype(np.int64)
    return Slots(edged[rows, places + 1], edged[rows, places], edged[rows, places + 2])


@dataclass(frozen=True)
class Counts:
    """How often a token followed a context, sparse and sorted.

    Attributes:
        keys: uint64, context * vocabulary + token, ascending.
        counts: float64, how often each came.
        contexts: uint64, ascending.
        totals: float64, sum of each context's counts.
        vocabulary: Number of tokens.
    """

    keys: UInt64
    counts: Float64
    contexts: UInt64
    totals: Float64
    vocabulary: int

    @classmethod
    def of(cls, contexts: UInt64, tokens: UInt64, vocabulary: int) -> Counts:
        """Count pairs (context, token)."""
        keys, counts = np.unique(contexts * np.uint64(vocabulary) + tokens, return_counts=True)
        found, first = np.unique(keys // np.uint64(vocabulary), return_index=True)
        totals = np.add.reduceat(counts, first) if len(first) else counts
        return cls(keys, counts.astype(float), found, totals.astype(float), vocabulary)

    def total(self, contexts: UInt64) -> Float64:
        """How often each context was seen, 0 for never."""
        return _looked_up(self.contexts, self.totals, contexts)

    def count(self, contexts: UInt64, tokens: UInt64) -> Float64:
        """How often each pair was seen."""
        return _looked_up(self.keys, self.counts, contexts * np.uint64(self.vocabulary) + tokens)

    def followers(self, contexts: UInt64) -> tuple[Int64, Int64, Float64]:
        """All that followed each of N contexts: number of the context, token and count."""
        size = np.uint64(self.vocabulary)
        low = np.searchsorted(self.keys, contexts * size)
        sizes = np.searchsorted(self.keys, (contexts + np.uint64(1)) * size) - low
        owners = np.repeat(np.arange(len(contexts)), sizes)
        inside = np.arange(len(owners)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        places = np.repeat(low, sizes) + inside
        return owners, (self.keys[places] % size).astype(np.int64), self.counts[places]


class NgramModel:
    """Counts of one to three tokens and the weights that mix them.

    Args:
        tokens: int32 (N, L), packed rows to count.
        alphabet: Which tokens are ordinary, and which is [MASK].

    Raises:
        ValueError: There are no ordinary tokens, or three of the vocabulary do not fit a key.
    """

    def __init__(self, tokens: npt.NDArray[np.int32], alphabet: Alphabet) -> None:
        vocabulary = len(alphabet.ordinary)
        if vocabulary > _LARGEST_VOCABULARY:
            raise ValueError(f"at most {_LARGEST_VOCABULARY:,} tokens, got {vocabulary:,}")
        rows, places = np.nonzero(alphabet.ordinary[tokens])
        if not len(rows):
            raise ValueError("there is no token to count")
        word, left, right = (part.astype(np.uint64) for part in visible(tokens, rows, places))
        self.alphabet = alphabet
        self.vocabulary = vocabulary
        self.flat = alphabet.ordinary / alphabet.ordinary.sum()
        self.counted = len(rows)
        self.unigram = np.bincount(word.astype(np.int64), minlength=vocabulary) / len(rows)
        self.left = Counts.of(left, word, vocabulary)
        self.right = Counts.of(right, word, vocabulary)
        self.both = Counts.of(left * np.uint64(vocabulary) + right, word, vocabulary)
        self.weights = np.full((_CASES, len(PARTS)), 1 / len(PARTS))

    @property
    def parameters(self) -> int:
        """Counts that are not zero, and weights."""
        pairs = sum(len(counts.keys) for counts in (self.left, self.right, self.both))
        return int(np.count_nonzero(self.unigram)) + pairs + self.weights.size

    def fit(self, slots: Slots, targets: Int64) -> None:
        """Find the weights under which masked rows that were not counted are likeliest.

        Expectation maximisation, each of the eight cases for itself; a case that does not occur
        keeps equal weights.
        """
        cases, usable, shares = self._cases(slots), self._usable(slots), self._at(slots, targets)
        for case in np.unique(cases).tolist():
            here = cases == case
            able, share = usable[here].astype(float), shares[here]
            mixed = self.weights[case]
            for _ in range(_ROUNDS):
                prior = able * mixed
                had = prior.sum(axis=1, keepdims=True)
                joint = prior * share
                chosen = joint / joint.sum(axis=1, keepdims=True)
                # parts that cannot be had were drawn and put back, mixed / had times on average
                drawn = (chosen + (1 - able) * mixed / had).sum(axis=0) + 1  # none ends at zero
                mixed = drawn / drawn.sum()
            self.weights[case] = mixed

    def losses(self, slots: Slots, targets: Int64) -> Float64:
        """Surprise (nats) at the true token of each slot, (N)."""
        return np.asarray(-np.log((self._mixed(slots) * self._at(slots, targets)).sum(axis=1)))

    def guesses(self, slots: Slots) -> Int64:
        """The likeliest token of each slot, the lowest number of equals, (N)."""
        found = [p.argmax(axis=1) for p in self._distributions(slots)]
        return np.concatenate([np.zeros(0, np.int64), *found])

    def _distributions(self, slots: Slots) -> Iterator[Float64]:
        """Probability of every token, (n, V), some slots at a time."""
        step = max(1, _NUMBERS_AT_ONCE // self.vocabulary)
        for start in range(0, len(slots.shown), step):
            part = Slots(*(field[start : start + step] for field in slots))
            mixed = self._mixed(part)
            shares = mixed[:, :1] * self.flat + mixed[:, 1:2] * self.unigram
            for column, (counts, contexts) in enumerate(self._tables(part), start=2):
                owners, tokens, found = counts.followers(contexts)
                scale = mixed[:, column] / np.maximum(counts.total(contexts), 1)
                shares[owners, tokens] += found * scale[owners]
            shares[np.arange(len(part.shown)), part.shown] += mixed[:, 5]
            yield shares

    def _tables(self, slots: Slots) -> tuple[tuple[Counts, UInt64], ...]:
        left, right = slots.left.astype(np.uint64), slots.right.astype(np.uint64)
        both = left * np.uint64(self.vocabulary) + right
        return (self.left, left), (self.right, right), (self.both, both)

    def _usable(self, slots: Slots) -> npt.NDArray[np.bool_]:
        """Which parts can be had at each slot, (N, parts)."""
        shown, left, right = (field != self.alphabet.mask for field in slots)
        always = np.ones(len(shown), bool)
        seen = [counts.total(contexts) > 0 for counts, contexts in self._tables(slots)]
        # as it is masked, the position shows a token that may be the true one, unless it is special
        told = shown & self.alphabet.ordinary[slots.shown]
        parts = (left & seen[0], right & seen[1], left & right & seen[2])
        return np.stack([always, always, *parts, told], axis=1)

    def _at(self, slots: Slots, targets: Int64) -> Float64:
        """What each part gives the true token, (N, parts)."""
        words = targets.astype(np.uint64)
        shares = [
            counts.count(contexts, words) / np.maximum(counts.total(contexts), 1)
            for counts, contexts in self._tables(slots)
        ]
        told = (slots.shown == targets).astype(float)
        return np.stack([self.flat[targets], self.unigram[targets], *shares, told], axis=1)

    def _mixed(self, slots: Slots) -> Float64:
        """The weights of each slot's parts, 0 for those that cannot be had, (N, parts)."""
        able = self._usable(slots) * self.weights[self._cases(slots)]
        return np.asarray(able / able.sum(axis=1, keepdims=True))

    def _cases(self, slots: Slots) -> Int64:
        """Number of the combination of what is visible: shown, left, right."""
        seen = [(field != self.alphabet.mask).astype(np.int64) for field in slots]
        return np.asarray(seen[0] + 2 * seen[1] + 4 * seen[2])


def _looked_up(keys: UInt64, values: Float64, wanted: UInt64) -> Float64:
    if not len(keys):
        return np.zeros(len(wanted))
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0.0)
