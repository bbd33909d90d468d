"""Masked positions of held-out rows, hidden once, so that every model is asked the same."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models import inference
from models.text.masking import mask
from models.text.rows import Rows

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

_HELD_OUT = 1 << 30  # the steps whose masks `Trainer.held_out_loss` draws


class Hidden(NamedTuple):
    """Rows with M tokens hidden in them.

    Attributes:
        rows: What is shown: int32 arrays (N, L).
        which: int64 (M, 2), row and place of each hidden token, in the rows' order.
        targets: int64 (M), the tokens that were there.
    """

    rows: Rows
    which: Int64
    targets: Int64


def hide(rows: Rows, *, batch: int, rate: float, vocabulary: int, seed: int) -> Hidden:
    """Hide tokens as training with the same arguments does for its held-out loss.

    Args:
        rows: Packed rows, at least one.
        batch: Rows of a batch; decides the masks, each batch having its own.
        rate: Share of the ordinary tokens to predict.
        vocabulary: Number of tokens.
        seed: Of the masks.
    """
    shown, which, targets = [], [], []
    for number, start in enumerate(range(0, len(rows), batch)):
        tokens = rows.padded(start, batch).tokens
        drawn = mask(
            tf.constant(tokens), rate=rate, vocabulary=vocabulary, seed=tf.constant(seed),
            step=tf.constant(_HELD_OUT + number),
        )  # fmt: skip
        used = np.argwhere(drawn.weights.numpy() > 0)
        places = drawn.slots.numpy()[used[:, 0], used[:, 1]]
        shown.append(drawn.tokens.numpy())
        which.append(np.stack([used[:, 0] + start, places], axis=1))
        targets.append(tokens[used[:, 0], places])
    seen = np.concatenate(shown)[: len(rows)]
    return Hidden(
        Rows(seen, np.asarray(rows.segments), np.asarray(rows.positions)),
        np.concatenate(which).astype(np.int64),
        np.concatenate(targets).astype(np.int64),
    )


def judge(model: Any, hidden: Hidden, *, batch: int) -> tuple[Float64, npt.NDArray[np.bool_]]:
    """Loss (nats) at each hidden token, and whether the likeliest token is the true one.

    Args:
        model: A masked model (`MaskedLanguageModel`, `LstmMaskedModel`).
        hidden: From `hide`.
        batch: Rows at a time.

    Returns:
        Two arrays (M).
    """
    ask = inference.losses(model)
    losses, right = np.zeros(len(hidden.targets)), np.zeros(len(hidden.targets), bool)
    for start in range(0, len(hidden.rows), batch):
        low, high = np.searchsorted(hidden.which[:, 0], (start, start + batch))
        which = (hidden.which[low:high] - (start, 0)).astype(np.int32)
        shown = hidden.rows.padded(start, batch)
        truth = hidden.targets[low:high].astype(np.int32)
        loss, hit = ask(shown.tokens, shown.segments, shown.positions, which, truth)
        losses[low:high], right[low:high] = loss.numpy(), hit.numpy() > 0
    return losses, right
