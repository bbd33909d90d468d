"""Pairs for next-sentence prediction: does the second part follow the first in its document?

Devlin et al. 2019, https://arxiv.org/abs/1810.04805, appendix A.2: half of the pairs keep their
second part, half have one of another document, and a pair of which one knows which is judged.

Here the second parts of the exchanged half change places among themselves, so that every token is
still presented once an epoch, except what a row has no room for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.text.packing import Int64, Pieces, Tokens, ranges

_ROUNDS = 20  # of looking for a part of another document


def pair(
    pieces: Pieces, tokens: Tokens, *, room: int, seed: tuple[int, ...], ends: npt.ArrayLike = ()
) -> Pieces:
    """Cut every piece in two and give half of them another document's second part.

    A piece of one token stays as it is. A piece for which no other document was found keeps
    `follows` -1: its second part then neither follows nor is foreign.

    Args:
        pieces: Documents, or pieces of long ones, of at most `room` tokens.
        tokens: All documents' tokens after one another.
        room: Most tokens of both parts together; an exchanged second part loses what is over.
        seed: Decides which pairs are exchanged, and with whom.
        ends: Tokens that end a sentence; the cut is behind the one that is nearest to the middle,
            or in the middle where the piece has none.
    """
    rng = np.random.default_rng(seed)
    first = _first_sizes(pieces, tokens, np.asarray(ends, np.int64))
    starts, sizes = pieces.starts + first, pieces.sizes - first
    paired = np.flatnonzero(sizes)
    follows = pieces.follows.copy()
    follows[paired] = 1
    taker = rng.permutation(paired)[: len(paired) // 2]
    giver = _givers(pieces.documents, taker, rng)
    foreign = pieces.documents[taker] != pieces.documents[giver]
    follows[taker] = np.where(foreign, 0, np.where(taker == giver, 1, -1))
    second_starts, second_sizes = starts.copy(), sizes.copy()
    second_starts[taker], second_sizes[taker] = starts[giver], sizes[giver]
    second_sizes = np.minimum(second_sizes, room - first)
    return Pieces(pieces.documents, pieces.starts, first, second_starts, second_sizes, follows)


def _givers(documents: Int64, taker: Int64, rng: np.random.Generator) -> Int64:
    """A rearrangement of `taker` in which, if chance allows, no place keeps its document."""
    giver = np.roll(taker, 1)
    for _ in range(_ROUNDS):
        same = np.flatnonzero(documents[taker] == documents[giver])
        if not len(same):
            break
        for place in same:
            other = int(rng.integers(len(taker)))
            giver[place], giver[other] = giver[other], giver[place]
    return giver


def _first_sizes(pieces: Pieces, tokens: Tokens, ends: Int64) -> Int64:
    """Tokens of each piece's first part: up to the sentence end nearest to the middle."""
    middle = pieces.sizes - pieces.sizes // 2
    if not len(ends) or not len(middle):
        return middle
    piece = np.repeat(np.arange(len(middle)), pieces.sizes)
    inside = ranges(pieces.sizes)
    ended = np.isin(tokens[pieces.starts[piece] + inside], ends)
    ended &= inside + 1 < pieces.sizes[piece]
    piece, behind = piece[ended], inside[ended] + 1
    order = np.lexsort((np.abs(behind - middle[piece]), piece))
    piece, place = np.unique(piece[order], return_index=True)
    chosen = middle.copy()
    chosen[piece] = behind[order][place]
    return chosen
