"""Which tokens of a training text are hidden when its gradient is taken: each of them once.

A text is read in a few copies, in each of which another part of its tokens is hidden, so that no
token's loss is missing from the gradient and none is there twice. What decides is the text itself and
the seed: the same text has the same gradient wherever it lies in the corpus.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]


def parts(tokens: npt.NDArray[np.int32], copies: int, seed: int) -> list[Int64]:
    """Positions to hide in each copy of `[CLS] text [SEP]`.

    Args:
        tokens: With begin and end, which are never hidden.
        copies: In so many parts the others are divided at random, equal but for one.
        seed: Of the run.
    """
    rng = np.random.default_rng((seed, zlib.crc32(tokens.tobytes())))
    places = 1 + rng.permutation(len(tokens) - 2)
    return [np.sort(places[copy::copies]) for copy in range(copies)]
