"""Which tokens of a packed batch are hidden, drawn anew each time from (seed, draw) alone.

Dynamic masking (Liu et al. 2019, https://arxiv.org/abs/1907.11692): every epoch hides other tokens,
and since nothing but the arguments decides, a resumed run draws what the killed one would have.

What is hidden together is a group: one token; a whole word, with all of its subwords (Cui et al.
2019, https://arxiv.org/abs/1906.08101); or a span of tokens whose length is geometric (Joshi et al.
2019, https://arxiv.org/abs/1907.10529; here a row is cut into such spans and some of them chosen,
which needs no loop and has the same lengths).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tokenizers import Tokenizer

from models.text.special_tokens import SpecialTokens

MASKED_SHARE = 0.8  # of the chosen tokens, how many become [MASK]
RANDOM_SHARE = 0.1  # and how many another token; the rest stay as they are

_SPACES = ("Ġ", "▁")

Kind = Literal["token", "word", "span"]


class MaskedBatch(NamedTuple):
    """A batch with hidden tokens; K slots a row, the first of them used.

    Attributes:
        tokens: int32 (B, L), what the model sees.
        slots: int32 (B, K), positions to predict.
        targets: int32 (B, K), the tokens that were there.
        weights: float32 (B, K), 1 for a used slot, 0 for one to ignore.
    """

    tokens: tf.Tensor
    slots: tf.Tensor
    targets: tf.Tensor
    weights: tf.Tensor


@dataclass(frozen=True)
class Alphabet:
    """What masking must know of a vocabulary.

    Attributes:
        mask: Token id of [MASK].
        ordinary: bool (V,); the others are special, never hidden and never drawn.
        continues: bool (V,); tokens that go on with the word of the token before.
    """

    mask: int
    ordinary: npt.NDArray[np.bool_]
    continues: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Alphabet:
        """Read it off a tokenizer: WordPiece's `##` or byte-level BPE's missing space.

        Raises:
            ValueError: The tokenizer lacks a special token.
        """
        special = SpecialTokens.of(tokenizer)
        names = [""] * (max(tokenizer.get_vocab().values()) + 1)
        for name, number in tokenizer.get_vocab().items():
            names[number] = name
        ordinary = np.array([bool(name) for name in names])
        ordinary[list(special.ids)] = False
        model = json.loads(tokenizer.to_str())["model"]
        prefix = model.get("continuing_subword_prefix")
        if prefix:
            continues = np.array([name.startswith(prefix) for name in names])
        else:  # byte-level BPE and Unigram mark the space before a word
            continues = np.array([not name.startswith(_SPACES) for name in names])
        return cls(special.mask, ordinary, continues & ordinary)

    @classmethod
    def plain(cls, vocabulary: int, specials: int = 5, mask: int = 4) -> Alphabet:
        """One whose first ids are special and whose other tokens are words."""
        return cls(mask, np.arange(vocabulary) >= specials, np.zeros(vocabulary, bool))


def slots_per_row(length: int, rate: float) -> int:
    """K: room for `rate` of a full row; fixed, so that the compiled step has one shape."""
    return max(1, round(rate * length))


def mask(
    tokens: tf.Tensor,
    segments: tf.Tensor,
    *,
    alphabet: Alphabet,
    rate: tf.Tensor | float,
    slots: int,
    seed: int,
    draw: tf.Tensor,
    kind: Kind = "token",
    span: float = 3.0,
    share: tuple[tf.Tensor | int, int] = (0, 1),
) -> MaskedBatch:
    """Choose `rate` of each row's ordinary tokens and hide them in BERT's 80/10/10 manner.

    A row with n ordinary tokens has round(rate * n) of them chosen, at least one if it has any.
    A last word or span that would be cut short is left out, unless it is the row's only one.

    Args:
        tokens: int32 (B, L) with B and L known.
        segments: int32 (B, L), of the rows' documents; no group crosses from one to another.
        alphabet: Of the vocabulary.
        rate: Share of the ordinary tokens to predict.
        slots: K, room for the highest rate that is asked for.
        seed: Of the run.
        draw: Integer scalar; equal (seed, draw) gives equal masks.
        kind: What is hidden together.
        span: Mean length of a span, in tokens.
        share: (index, count) of this replica. The masks are those that rows index, index + count,
            ... of one large batch are given, so that many devices draw what one would.
    """
    rows, length = tokens.shape
    index, replicas = share
    stream = tf.stack([tf.constant(seed, tf.int32), tf.cast(draw, tf.int32)])
    streams = tf.unstack(tf.random.split(stream, 4, alg="philox"))

    def uniform(stream: tf.Tensor, columns: int) -> tf.Tensor:
        drawn = tf.random.stateless_uniform((rows, replicas, columns), stream, alg="philox")
        return drawn[:, index]

    ordinary = tf.gather(tf.constant(alphabet.ordinary), tokens)
    groups = _groups(tokens, segments, alphabet, kind, uniform(streams[3], length) * span < 1.0)
    scores = _of_group(uniform(streams[0], length), groups)
    scores = tf.pad(tf.where(ordinary, scores, -1.0), [[0, 0], [0, 1]], constant_values=-1.0)
    best = tf.math.top_k(scores, slots + 1)
    chosen = best.indices[:, :slots]  # (B, K), a row's ordinary tokens first, group by group
    available = tf.reduce_sum(tf.cast(ordinary, tf.int32), axis=1, keepdims=True)
    wanted = tf.cast(tf.round(rate * tf.cast(available, tf.float32)), tf.int32)
    wanted = tf.minimum(tf.minimum(tf.maximum(wanted, 1), available), slots)
    used = _first(wanted, slots) if kind == "token" else _whole_groups(best.values, wanted)
    targets = tf.gather(tokens, chosen, batch_dims=1)
    draws = uniform(streams[1], length if kind == "span" else slots)
    if kind == "span":
        draws = tf.gather(_of_group(draws, groups), chosen, batch_dims=1)
    others = np.flatnonzero(alphabet.ordinary).astype(np.int32)
    random = tf.gather(tf.constant(others), _integers(uniform(streams[2], slots), len(others)))
    shown = tf.where(draws < MASKED_SHARE + RANDOM_SHARE, random, targets)
    shown = tf.where(draws < MASKED_SHARE, alphabet.mask, shown)
    shown = tf.where(used, shown, targets)
    where = tf.stack([tf.broadcast_to(tf.range(rows)[:, None], chosen.shape), chosen], axis=-1)
    hidden = tf.tensor_scatter_nd_update(tokens, where, shown)
    return MaskedBatch(hidden, chosen, targets, tf.cast(used, tf.float32))


def _groups(
    tokens: tf.Tensor, segments: tf.Tensor, alphabet: Alphabet, kind: Kind, starts: tf.Tensor
) -> tf.Tensor | None:
    """int32 (B, L), the number of each position's group in its row; None if each is its own.

    `starts`, bool (B, L), is where a span is drawn to begin.
    """
    if kind == "token":
        return None
    if kind == "word":
        starts = tf.logical_not(tf.gather(tf.constant(alphabet.continues), tokens))
    ordinary = tf.gather(tf.constant(alphabet.ordinary), tokens)
    before = tf.pad(segments[:, :-1], [[0, 0], [1, 0]], constant_values=-1)
    after_special = tf.pad(ordinary[:, :-1], [[0, 0], [1, 0]])
    starts |= (segments != before) | ~ordinary | ~after_special
    return tf.cumsum(tf.cast(starts, tf.int32), axis=1) - 1


def _of_group(draws: tf.Tensor, groups: tf.Tensor | None) -> tf.Tensor:
    """Draws (B, L) that are equal within a group."""
    return draws if groups is None else tf.gather(draws, groups, batch_dims=1)


def _first(wanted: tf.Tensor, slots: int) -> tf.Tensor:
    return tf.range(slots)[None, :] < wanted


def _whole_groups(scores: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Of the first `wanted` slots, bool (B, K), those whose group does not go on behind them.

    Args:
        scores: float32 (B, K + 1) in falling order, equal within a group.
        wanted: int32 (B, 1), at most K.
    """
    slots = scores.shape[1] - 1
    following = tf.gather(scores, wanted, batch_dims=1)
    first = _first(wanted, slots)
    whole = first & (scores[:, :slots] > following)
    return whole | (first & ~tf.reduce_any(whole, axis=1, keepdims=True))


def _integers(draws: tf.Tensor, below: int) -> tf.Tensor:
    """Uniform draws in [0, 1) to integers in [0, below)."""
    return tf.minimum(tf.cast(draws * float(below), tf.int32), below - 1)
