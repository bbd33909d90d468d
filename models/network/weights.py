"""Weights on disk: one safetensors file, float32, under readable names, checked when read.

No pickle, no optimizer, nothing that varies between two saves of the same weights.
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file


def named(model: keras.Model) -> dict[str, keras.Variable]:
    """The model's weights by path below the model, such as `encoder/layer_0/attention/qkv/kernel`.

    Raises:
        ValueError: The model is not built, or two weights have the same path.
    """
    if not model.built:
        raise ValueError(f"{model.name} has no weights yet; build it before naming them")
    names = [weight.path.removeprefix(f"{model.path}/") for weight in model.weights]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"weights of {model.name} share a path: {', '.join(twice)}")
    return dict(zip(names, model.weights, strict=True))


def save(model: keras.Model, path: Path) -> None:
    """Write all weights of a built model."""
    tensors = {
        name: np.ascontiguousarray(keras.ops.convert_to_numpy(weight.value), dtype=np.float32)
        for name, weight in named(model).items()
    }
    save_file(tensors, str(path))


def load(model: keras.Model, path: Path) -> None:
    """Read all weights into a built model; nothing is assigned unless everything fits.

    Raises:
        ValueError: The file is missing or unreadable, or a weight is missing, superfluous or of
            another shape; all of them are named.
    """
    weights = named(model)
    try:
        tensors = load_file(str(path))
    except (SafetensorError, OSError) as error:
        raise ValueError(f"the weights in {path} cannot be read: {error}") from error
    problems = [f"{name} is missing" for name in sorted(weights.keys() - tensors.keys())]
    problems += [
        f"{name} is not part of the model" for name in sorted(tensors.keys() - weights.keys())
    ]
    problems += [
        f"{name} has shape {tensors[name].shape}, expected {tuple(weights[name].shape)}"
        for name in sorted(weights.keys() & tensors.keys())
        if tensors[name].shape != tuple(weights[name].shape)
    ]
    if problems:
        raise ValueError(f"the weights in {path} do not fit {model.name}: {'; '.join(problems)}")
    for name, weight in weights.items():
        weight.assign(tensors[name])
