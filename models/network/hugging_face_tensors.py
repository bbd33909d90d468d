"""The tensors of Hugging Face's ModernBERT: their names, and their safetensors files.

Linear layers are stored transposed there, (out, in). Files may hold float64, float32, float16 or
bfloat16, in one file or in several with an index. Pickled files (`.bin`) are never opened.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import keras
import ml_dtypes  # noqa: F401  (teaches NumPy bfloat16, in which safetensors gives such tensors)
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from models.network.hugging_face_config import read_json
from models.network.weights import named

FILE = "model.safetensors"
INDEX = "model.safetensors.index.json"

_NAMES = {
    "encoder/token_embedding/embeddings": "model.embeddings.tok_embeddings.weight",
    "encoder/embedding_norm/gamma": "model.embeddings.norm.weight",
    "encoder/final_norm/gamma": "model.final_norm.weight",
    "head_dense/kernel": "head.dense.weight",
    "head_norm/gamma": "head.norm.weight",
    "decoder_weight": "decoder.weight",
    "decoder_bias": "decoder.bias",
    "scores/kernel": "classifier.weight",
    "scores/bias": "classifier.bias",
}
_PARTS = {
    "attention_norm/gamma": "attn_norm.weight",
    "attention/qkv/kernel": "attn.Wqkv.weight",
    "attention/output/kernel": "attn.Wo.weight",
    "feedforward_norm/gamma": "mlp_norm.weight",
    "feedforward/input/kernel": "mlp.Wi.weight",
    "feedforward/output/kernel": "mlp.Wo.weight",
}
_FLOATS = ("F64", "F32", "F16", "BF16")
_EMBEDDING, _DECODER = _NAMES["encoder/token_embedding/embeddings"], _NAMES["decoder_weight"]


def names(model: keras.Model) -> dict[str, str]:
    """Their name of each of our weights, by our path (`weights.named`).

    Raises:
        ValueError: The model has a weight that ModernBERT has not.
    """
    found = {}
    for ours in named(model):
        layer = re.fullmatch(r"encoder/layer_(\d+)/(.+)", ours)
        if layer and layer[2] in _PARTS:
            found[ours] = f"model.layers.{layer[1]}.{_PARTS[layer[2]]}"
        elif ours in _NAMES:
            found[ours] = _NAMES[ours]
        else:
            raise ValueError(f"{model.name} is no ModernBERT: it has the weight {ours}")
    return found


def write(model: keras.Model, folder: Path) -> None:
    """Write all weights, float32, into one file; equal weights give equal bytes."""
    weights = named(model)
    tensors = {}
    for ours, theirs in names(model).items():
        value = keras.ops.convert_to_numpy(weights[ours].value)
        value = value.T if ours.endswith("/kernel") else value
        tensors[theirs] = np.ascontiguousarray(value, dtype=np.float32)
    save_file(tensors, str(folder / FILE), metadata={"format": "pt"})


def read(model: keras.Model, folder: Path, *, decoder_bias: bool) -> None:
    """Read all weights into a built model; nothing is assigned unless everything fits.

    A tied decoder may be stored beside the embedding, if it equals it; a decoder without bias is
    one whose bias is 0.

    Raises:
        ValueError: A file is missing or unreadable, or a tensor is missing, superfluous, no
            float or of another shape; all of them are named.
    """
    weights = named(model)
    wanted = {theirs: ours for ours, theirs in names(model).items()}
    if not decoder_bias:
        wanted.pop(_NAMES["decoder_bias"], None)
    with ExitStack() as stack:
        stored = _open(folder, stack)
        problems = [f"{name} is missing" for name in sorted(wanted.keys() - stored.keys())]
        spare = stored.keys() - wanted.keys()
        if _DECODER in spare and "decoder_bias" in weights:
            spare.discard(_DECODER)
            problems += _untied(stored)
        problems += [f"{name} is not part of the model" for name in sorted(spare)]
        for name in sorted(wanted.keys() & stored.keys()):
            problems += _misfit(name, stored[name].get_slice(name), weights, wanted[name])
        if problems:
            raise ValueError(
                f"the weights in {folder} do not fit its {model.name}: {'; '.join(problems)}"
            )
        for name, ours in wanted.items():
            value = stored[name].get_tensor(name).astype(np.float32)
            weights[ours].assign(value.T if ours.endswith("/kernel") else value)
    if "decoder_bias" in weights and not decoder_bias:
        weights["decoder_bias"].assign(np.zeros(weights["decoder_bias"].shape, np.float32))


def _open(folder: Path, stack: ExitStack) -> dict[str, Any]:
    """Every stored tensor's name with the open file that holds it."""
    files = [FILE]
    if not (folder / FILE).exists():
        if not (folder / INDEX).exists():
            pickled = sorted(path.name for path in folder.glob("*.bin"))
            why = f"; {pickled[0]} is a pickle and is not read" if pickled else ""
            raise ValueError(f"{folder} has neither {FILE} nor {INDEX}{why}")
        shards = read_json(folder / INDEX).get("weight_map")
        if not isinstance(shards, dict):
            raise ValueError(f"{folder / INDEX} has no weight_map")
        files = sorted({str(shard) for shard in shards.values()})
    stored: dict[str, Any] = {}
    for file in files:
        if Path(file).name != file:
            raise ValueError(f"{folder / INDEX} points outside its folder: {file!r}")
        try:
            handle = stack.enter_context(safe_open(str(folder / file), "numpy"))
        except (SafetensorError, OSError) as error:
            raise ValueError(f"the weights in {folder / file} cannot be read: {error}") from error
        stored |= dict.fromkeys(handle.keys(), handle)
    return stored


def _untied(stored: dict[str, Any]) -> list[str]:
    """What is wrong with a decoder that is stored although it is tied."""
    if _EMBEDDING not in stored:
        return []
    pair = [stored[name].get_tensor(name) for name in (_DECODER, _EMBEDDING)]
    if np.array_equal(*pair):
        return []
    return [f"{_DECODER} differs from the embedding, yet tie_word_embeddings is true"]


def _misfit(name: str, stored: Any, weights: dict[str, keras.Variable], ours: str) -> list[str]:
    """What is wrong with a stored tensor, if anything."""
    shape, expected = tuple(stored.get_shape()), tuple(weights[ours].shape)
    expected = expected[::-1] if ours.endswith("/kernel") else expected
    if shape != expected:
        return [f"{name} has shape {shape}, expected {expected}"]
    kind = stored.get_dtype()
    return [] if kind in _FLOATS else [f"{name} holds {kind}, no floating-point numbers"]
