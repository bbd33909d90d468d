"""Where someone may watch what enters and leaves a weight matrix, without the layers knowing why.

Training never sets a tap, and then nothing is added to the graph. `models.influence` sets one to
read each example's own gradient of a matrix, which is made of just these two things: what came in,
and the gradient of what went out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
from keras import ops

Tap = Callable[[keras.Variable, Any, Any], Any]
_TAP: ContextVar[Tap | None] = ContextVar("tap", default=None)


@contextmanager
def tapping(tap: Tap) -> Iterator[None]:
    """Within, `tap(weight, x, y)` stands for every y that a weight matrix makes of x.

    Args:
        tap: Given the matrix's variable, its input (..., D) and its output; returns an output of
            the same values.
    """
    token = _TAP.set(tap)
    try:
        yield
    finally:
        _TAP.reset(token)


def tapped(weight: keras.Variable, x: Any, y: Any) -> Any:
    """The output y that the weight made of x, as the tap wants it."""
    tap = _TAP.get()
    return y if tap is None else tap(weight, x, y)


def tapped_parts(weight: keras.Variable, x: Any, parts: list[Any]) -> list[Any]:
    """As `tapped`, of an output that was computed in equal parts along its last axis."""
    if _TAP.get() is None:
        return parts
    whole = tapped(weight, x, ops.concatenate(parts, axis=-1))
    return list(ops.split(whole, len(parts), axis=-1))


def dense(layer: keras.layers.Dense, x: Any) -> Any:
    """What a linear layer without bias makes of x (..., D)."""
    return tapped(layer.kernel, x, layer(x))
