"""Masked positions of held-out rows, hidden once, so that every model is asked the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models import inference
from models.text.masking import Alphabet, mask, slots_per_row
from models.text.rows import Rows
from models.training.schedule import Plan

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

_HELD_OUT = 1 << 30  # the draws of `Trainer.held_out`


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


def hide(rows: Rows, plan: Plan, alphabet: Alphabet) -> Hidden:
    """Hide tokens as `Trainer.held_out` does under a plan.

    Args:
        rows: Packed rows, at least one.
        plan: Says what is hidden together, how much, and by which seed; its micro-batches decide
            the masks too, each having its own.
        alphabet: Of the vocabulary.
    """
    slots = slots_per_row(rows.length, plan.highest_mask_rate)
    shown, which, targets = [], [], []
    for number, start in enumerate(range(0, len(rows), plan.rows)):
        batch = rows.padded(start, plan.rows)
        tokens = batch.tokens
        drawn = mask(
            tf.constant(tokens), tf.constant(batch.segments), alphabet=alphabet,
            rate=tf.constant(plan.mask_rate), slots=slots, seed=plan.seed,
            draw=tf.constant(_HELD_OUT + number), kind=plan.masking, span=plan.span,
        )  # fmt: skip
        used = np.argwhere(drawn.weights.numpy() > 0)
        places = drawn.slots.numpy()[used[:, 0], used[:, 1]]
        shown.append(drawn.tokens.numpy())
        which.append(np.stack([used[:, 0] + start, places], axis=1))
        targets.append(tokens[used[:, 0], places])
    seen = np.concatenate(shown)[: len(rows)]
    return Hidden(
        replace(rows, tokens=seen),
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
