"""The correction for what all gradients have in common: R^(-1/2), and unit length.

R is the mean outer product of projected gradients, which near a minimum stands for the loss's second
derivative. What many rows or most queries share, such as "this is a sentence about a birth place", has large
entries there and is taken back, so that what is left tells texts apart. As in TrackStar

    R = task_share * R_queries + (1 - task_share) * R_rows

in one block for each weight matrix (Chang et al. 2024, section 3, https://arxiv.org/abs/2410.17413).
Both parts are means over vectors of length 1 and each is brought to a mean eigenvalue of 1. A
share `damping` of the identity is added, since R has no more directions than it was given texts.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]


def unit(vectors: Float32) -> Float32:
    """Each row (N, d) with length 1, or 0 where it is 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-30), np.float32)


def autocorrelation(chunks: Iterable[Float32], blocks: int) -> Float32:
    """The mean outer product of unit vectors, by block and with a mean eigenvalue of 1.

    Args:
        chunks: Vectors (n, d), as many at once as memory takes.
        blocks: Equal parts of d.

    Returns:
        float32 (blocks, d / blocks, d / blocks); zeros where there are no vectors.
    """
    total: npt.NDArray[np.float64] | float = 0.0
    for chunk in chunks:
        parts = unit(chunk).reshape(len(chunk), blocks, -1).transpose(1, 2, 0)  # (blocks, b, n)
        total = total + np.matmul(parts, parts.transpose(0, 2, 1)).astype(np.float64)
    total = np.asarray(total)
    mean = np.trace(total, axis1=1, axis2=2) / total.shape[-1]
    return np.asarray(total / np.maximum(mean, 1e-30)[:, None, None], np.float32)


def inverse_root(
    rows: Float32, queries: Float32 | None, task_share: float, damping: float
) -> Float32:
    """R^(-1/2) of the mixture, (blocks, b, b).

    Args:
        rows: As `autocorrelation` gives it.
        queries: Likewise; None where no query is known beforehand.
        task_share: Weight of the queries.
        damping: Share of the identity.
    """
    mixed = rows if queries is None else task_share * queries + (1 - task_share) * rows
    identity = np.eye(mixed.shape[-1], dtype=np.float64)
    found = []
    for block in mixed.astype(np.float64):
        values, vectors = np.linalg.eigh((1 - damping) * block + damping * identity)
        found.append((vectors * np.maximum(values, 1e-12) ** -0.5) @ vectors.T)
    return np.stack(found).astype(np.float32)


def encode(vectors: Float32, roots: Float32) -> Float32:
    """Projected gradients (N, d) as unit vectors whose inner products are the influences."""
    parts = unit(vectors).reshape(len(vectors), len(roots), -1).transpose(1, 0, 2)
    corrected = np.matmul(parts, roots).transpose(1, 0, 2).reshape(len(vectors), -1)
    return unit(corrected)
