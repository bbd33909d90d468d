"""The correction for what all gradients have in common: R^(-1), and unit length.

R is the mean outer product of projected gradients, which near a minimum stands for the loss's second
derivative. What many rows or most queries share, such as asking for some birth place, has large
entries there and is taken back, so that what is left tells texts apart. As in TrackStar

    R = task_share * R_queries + (1 - task_share) * R_rows

in one block for each weight matrix (Chang et al. 2024, section 3, https://arxiv.org/abs/2410.17413).
Both are means over what was seen and `prior` texts' worth of the identity: R has no more directions
than it was given texts, and of a few texts it would take back the very thing that tells them apart.

Here each matrix's part of a gradient is brought to length 1 first, so that every matrix has a say;
otherwise the embedding and the feed-forward layers, whose gradients are long, have nearly all of it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]


def autocorrelation(chunks: Iterable[Float32], blocks: int, prior: float) -> Float32:
    """The mean outer product of the vectors' unit parts, times the length of a part.

    Args:
        chunks: Projected gradients (n, d), as many at once as memory takes.
        blocks: Equal parts of d, one a matrix.
        prior: How many texts the identity counts for.

    Returns:
        float32 (blocks, d / blocks, d / blocks), with a mean eigenvalue of 1.
    """
    total: npt.NDArray[np.float64] = np.zeros((blocks, 1, 1))
    count = 0
    for chunk in chunks:
        parts = _unit_parts(chunk, blocks)
        total = total + np.matmul(parts.transpose(0, 2, 1), parts).astype(np.float64)
        count += len(chunk)
    size = total.shape[-1]
    return np.asarray((size * total + prior * np.eye(size)) / (count + prior), np.float32)


def whitening(rows: Float32, queries: Float32, task_share: float) -> Float32:
    """W with `W W^T = R^(-1)`, (blocks, b, b), which is as good as R^(-1/2) and found faster.

    Inner products of vectors times W are those under R^(-1), whatever root is taken; this is the
    inverse of Cholesky's, transposed.

    Args:
        rows: As `autocorrelation` gives it.
        queries: Likewise.
        task_share: Weight of the queries.
    """
    mixed = task_share * queries.astype(np.float64) + (1 - task_share) * rows
    inverse = np.linalg.inv(np.linalg.cholesky(mixed))
    # safetensors writes memory as it lies: a transposed view would come back the wrong way round
    return np.ascontiguousarray(inverse.transpose(0, 2, 1), np.float32)


def encode(vectors: Float32, whitened: Float32) -> Float32:
    """Projected gradients (N, d) as unit vectors whose inner products are the influences."""
    corrected = np.matmul(_unit_parts(vectors, len(whitened)), whitened)
    return _unit(corrected.transpose(1, 0, 2).reshape(vectors.shape))


def _unit_parts(vectors: Float32, blocks: int) -> Float32:
    """Vectors (n, d) in blocks (blocks, n, d / blocks), each with length 1, or 0 where it is 0."""
    size = vectors.shape[1] // blocks  # said, since of no vectors at all it cannot be inferred
    return _unit(vectors.reshape(len(vectors), blocks, size)).transpose(1, 0, 2)


def _unit(vectors: Float32) -> Float32:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-30), np.float32)
