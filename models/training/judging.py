"""Masked positions of held-out rows, hidden once, so that every model is asked the same.

The masks depend on the rows, the vocabulary and the seed alone: neither another mask rate in
training nor another batch makes the question easier.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models import inference
from models.devices import side_by_side
from models.text.masking import Alphabet, mask, slots_per_row
from models.text.rows import Rows

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

RATE = 0.15  # of the tokens are hidden, BERT's share (Devlin et al. 2019)
_ROWS = 64  # that are masked at a time; part of what decides the masks
_DRAW = 1 << 30  # draws from here on are held-out masks, which no training step makes


class Hidden(NamedTuple):
    """Rows with M tokens hidden in them.

    Attributes:
        rows: What is shown, N rows of L positions.
        which: int64 (M, 2), row and place of each hidden token, in the rows' order.
        targets: int64 (M), the tokens that were there.
    """

    rows: Rows
    which: Int64
    targets: Int64


def hide(rows: Rows, alphabet: Alphabet, seed: int) -> Hidden:
    """Hide tokens of held-out rows.

    Args:
        rows: Packed rows, at least one.
        alphabet: Of the vocabulary.
        seed: Of the masks.
    """
    shown, which, targets = [], [], []
    for number, start in enumerate(range(0, len(rows), _ROWS)):
        batch = rows.padded(start, _ROWS)
        drawn = mask(
            tf.constant(batch.tokens), tf.constant(batch.segments), alphabet=alphabet, rate=RATE,
            slots=slots_per_row(rows.length, RATE), seed=seed, draw=tf.constant(_DRAW + number),
        )  # fmt: skip
        used = np.argwhere(drawn.weights.numpy() > 0)
        places = drawn.slots.numpy()[used[:, 0], used[:, 1]]
        shown.append(drawn.tokens.numpy())
        which.append(np.stack([used[:, 0] + start, places], axis=1))
        targets.append(batch.tokens[used[:, 0], places])
    return Hidden(
        replace(rows, tokens=np.concatenate(shown)[: len(rows)]),
        np.concatenate(which).astype(np.int64),
        np.concatenate(targets).astype(np.int64),
    )


class Judge:
    """Asks a model for hidden tokens, as often as it is called.

    Args:
        model: A masked model (`MaskedLanguageModel`, `LstmMaskedModel`), as it is at each call.
        hidden: From `hide`.
        batch: Rows at a time.
    """

    def __init__(self, model: Any, hidden: Hidden, batch: int) -> None:
        self.hidden = hidden
        self._batch = batch
        self._ask = inference.losses(model)

    def __call__(self) -> tuple[Float64, npt.NDArray[np.bool_]]:
        """Loss (nats) at each hidden token, and whether the likeliest token is the true one, (M)."""
        hidden, size = self.hidden, self._batch
        losses, right = np.zeros(len(hidden.targets)), np.zeros(len(hidden.targets), bool)

        def ask(start: int) -> tuple[int, int, Any, Any]:
            low, high = np.searchsorted(hidden.which[:, 0], (start, start + size)).tolist()
            which = (hidden.which[low:high] - (start, 0)).astype(np.int32)
            shown = hidden.rows.padded(start, size)
            truth = hidden.targets[low:high].astype(np.int32)
            loss, hit = self._ask(shown.tokens, shown.segments, shown.positions, which, truth)
            return low, high, loss.numpy(), hit.numpy() > 0

        for low, high, loss, hit in side_by_side(ask, range(0, len(hidden.rows), size)):
            losses[low:high], right[low:high] = loss, hit
        return losses, right
