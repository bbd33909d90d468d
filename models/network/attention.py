"""Attention with rotary positions: queries, keys and values to what each position gathers.

The gradient is written out. The sum over a row of scores that the softmax's gradient asks for is
taken from the output instead, which is as much smaller as a head is narrower than the row is long
(Dao et al. 2022, https://arxiv.org/abs/2205.14135, section B.2).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from models.network import fused

_FAR = -1e9  # added to a masked score; finite, so that a row of padding stays free of NaN


def rotary(positions: Any, channels: int, theta: float, dtype: str) -> tuple[Any, Any]:
    """Cosine and sine of the rotary angles `position * theta ** (-2 i / channels)`.

    A query and a key that are rotated so have an inner product that depends on their distance
    only (Su et al. 2021, https://arxiv.org/abs/2104.09864).

    Args:
        positions: int32 (B, L).
        channels: Channels of a head, even.
        theta: Base of the wavelengths.
        dtype: Type of the result; the angles themselves are float32.

    Returns:
        Two tensors (B, L, 1, channels / 2).
    """
    exponents = np.arange(0, channels, 2, dtype=np.float32) / channels
    frequencies = (theta**-exponents).astype(np.float32)
    angles = ops.cast(positions, "float32")[:, :, None, None] * frequencies
    return ops.cast(ops.cos(angles), dtype), ops.cast(ops.sin(angles), dtype)


def bias(segments: Any, positions: Any, window: int | None) -> Any:
    """What is added to the scores: 0 where a position may look, a large negative elsewhere.

    Args:
        segments: int32 (B, L); 0 is padding, which nothing looks at.
        positions: int32 (B, L), counted from each document's start.
        window: Tokens seen by local attention, or None for global attention.

    Returns:
        float32 (B, 1, L, L).
    """
    seen = ops.equal(segments[:, :, None], segments[:, None, :])
    seen = ops.logical_and(seen, segments[:, None, :] > 0)
    if window is not None:
        distance = ops.abs(positions[:, :, None] - positions[:, None, :])
        seen = ops.logical_and(seen, distance <= window // 2)
    return ops.where(seen, 0.0, _FAR)[:, None]


def attend(
    q: Any, k: Any, v: Any, bias: Any, cosine: Any, sine: Any, compiled: bool = False
) -> Any:
    """`softmax(rotate(q) rotate(k)^T / sqrt(C) + bias) v`, head by head.

    Args:
        q: Queries (B, L, H, C).
        k: Keys, of the same shape and type.
        v: Values, of the same shape and type.
        bias: float32 (B, 1, L, L), as `bias` gives it; without a gradient, as are the angles.
        cosine: (B, L, 1, C / 2), as `rotary` gives it.
        sine: Of the same shape.
        compiled: See `fused.geglu`.

    Returns:
        (B, L, H, C).
    """
    scale = q.shape[-1] ** -0.5
    arranged, arranged_back, score_slopes, by_position = (
        fused.in_one(f, compiled) for f in (_arranged, _arranged_back, _score_slopes, _swapped)
    )

    def forward(q: Any, k: Any, v: Any) -> tuple[Any, Any]:
        q, k, v = arranged(q, k, v, cosine, sine, scale)
        scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2)))  # (B, H, L, L)
        shares = ops.cast(ops.softmax(ops.cast(scores, "float32") + bias, axis=-1), q.dtype)
        mixed = ops.matmul(shares, v)
        return by_position(mixed), (q, k, v, shares, mixed)

    def backward(kept: Any, upstream: Any) -> Any:
        q, k, v, shares, mixed = kept
        upstream = by_position(upstream)  # (B, H, L, C)
        of_v = ops.matmul(ops.transpose(shares, (0, 1, 3, 2)), upstream)
        of_shares = ops.matmul(upstream, ops.transpose(v, (0, 1, 3, 2)))
        slopes = score_slopes(shares, of_shares, upstream, mixed)
        of_q, of_k = ops.matmul(slopes, k), ops.matmul(ops.transpose(slopes, (0, 1, 3, 2)), q)
        return arranged_back(of_q, of_k, of_v, cosine, sine, scale)

    return fused.derived(forward, backward)(q, k, v)


def rotate(x: Any, cosine: Any, sine: Any) -> Any:
    """Turn channel pairs (i, i + C / 2) of (B, L, H, C) by the rotary angles."""
    first, second = ops.split(x, 2, axis=-1)
    return ops.concatenate(
        [first * cosine - second * sine, second * cosine + first * sine], axis=-1
    )


def _arranged(q: Any, k: Any, v: Any, cosine: Any, sine: Any, scale: float) -> tuple[Any, ...]:
    """Heads first, queries and keys rotated, queries scaled."""
    return (
        _swapped(rotate(q, cosine * scale, sine * scale)),
        _swapped(rotate(k, cosine, sine)),
        _swapped(v),
    )


def _arranged_back(q: Any, k: Any, v: Any, cosine: Any, sine: Any, scale: float) -> tuple[Any, ...]:
    """The gradients of the inputs of `_arranged`, given those of its outputs."""
    return (
        rotate(_swapped(q), cosine * scale, -sine * scale),
        rotate(_swapped(k), cosine, -sine),
        _swapped(v),
    )


def _score_slopes(shares: Any, of_shares: Any, upstream: Any, mixed: Any) -> Any:
    """The gradient of the scores (B, H, L, L)."""
    p, slope, g, out = (ops.cast(x, "float32") for x in (shares, of_shares, upstream, mixed))
    return ops.cast(p * (slope - ops.sum(g * out, axis=-1, keepdims=True)), shares.dtype)


def _swapped(x: Any) -> Any:
    """(B, L, H, C) to (B, H, L, C), and back."""
    return ops.transpose(x, (0, 2, 1, 3))
