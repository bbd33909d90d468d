"""The optimizer's second moments, kept as one number for each row and column of a matrix.

Adam divides a gradient by the root of its second moment V, so that what a training step does is
nearer to g / sqrt(V) than to g. Kept whole, V would be as large as the model, and dividing by it
entry by entry would need each example's whole gradient. Adafactor's estimate from the means of rows
and columns, `V_ij = r_i c_j / mean(r)` (Shazeer and Stern 2018, https://arxiv.org/abs/1804.04235),
can be applied to what comes in and what goes out of a matrix, before they are multiplied.

They are the optimizer's own and cost nothing to get; estimated from the rows' gradients they would
need a pass of their own before the first row can be corrected.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from models.network.weights import named

FILE = "moments.safetensors"
Float32 = npt.NDArray[np.float32]
Moments = dict[str, tuple[Float32, Float32]]
EMBEDDING, DECODER = "encoder/token_embedding/embeddings", "decoder_weight"
_ROWS, _COLUMNS = "rows", "columns"
# A token that the last steps did not have is not as surprising as its moment of nearly 0 says.
_LEAST = 1e-3  # of the mean row or column


def matrices(model: keras.Model) -> dict[str, tuple[int, int]]:
    """The shapes of the model's weight matrices, by path; norms and biases are left out.

    A decoder that is the embedding transposed counts as a matrix of its own.
    """
    shapes = {name: weight.shape for name, weight in named(model).items()}
    shapes.setdefault(DECODER, shapes[EMBEDDING])
    return {name: (shape[0], shape[1]) for name, shape in shapes.items() if len(shape) == 2}


def save(
    model: keras.Model, variables: Sequence[keras.Variable], second: Sequence[Float32], path: Path
) -> None:
    """Write the means of rows and columns of each matrix's second moment.

    Args:
        model: Built.
        variables: What the optimizer trained; those that are not the model's are passed over.
        second: Their second moments, in the same order.
        path: A safetensors file, the same bytes for the same moments.
    """
    by_path = {v.path: moment for v, moment in zip(variables, second, strict=True)}
    weights, tensors = named(model), {}
    for name in matrices(model):
        weight = weights.get(name, weights[EMBEDDING])
        moment = np.asarray(by_path[weight.path], np.float64)
        tensors[f"{name}/{_ROWS}"] = moment.mean(axis=1).astype(np.float32)
        tensors[f"{name}/{_COLUMNS}"] = moment.mean(axis=0).astype(np.float32)
    save_file(tensors, str(path))


def load(model: keras.Model, path: Path) -> Moments:
    """By matrix the means of its second moment's rows and columns.

    Raises:
        ValueError: The file cannot be read or is of another model.
    """
    try:
        tensors = load_file(str(path))
    except (SafetensorError, OSError) as error:
        raise ValueError(f"the second moments in {path} cannot be read: {error}") from error
    found: Moments = {}
    for name, shape in matrices(model).items():
        pair = tuple(tensors.get(f"{name}/{kind}") for kind in (_ROWS, _COLUMNS))
        if tuple(None if v is None else len(v) for v in pair) != shape:
            raise ValueError(f"the second moments in {path} do not fit the model's {name}")
        found[name] = pair
    return found


def scales(rows: Float32, columns: Float32) -> tuple[Float32, Float32]:
    """What to multiply the rows and the columns of a gradient with: together, 1 / sqrt(V)."""
    parts = []
    for means in (rows, columns):
        overall = max(float(means.mean(dtype=np.float64)), 1e-30)
        relative = np.maximum(means / overall, _LEAST)
        parts.append((relative**-0.5 * overall**-0.25).astype(np.float32))
    return parts[0], parts[1]
