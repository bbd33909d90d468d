"""Folders in Hugging Face's ModernBERT format: the form in which our models lie on disk.

    config.json              the shape; labels of a classifier
    model.safetensors        weights, float32, transformers' names
    tokenizer.json           the tokenizer
    tokenizer_config.json    its special tokens and the most tokens of a text
    special_tokens_map.json  the same special tokens, where older tools look for them

`transformers.AutoModelForMaskedLM` (or `...ForSequenceClassification`, `...ForTokenClassification`)
and `AutoTokenizer` load what `save` writes, and `load` reads what their `save_pretrained` writes,
with the same logits. Only local folders, no pickles, and no code that a folder may bring. Classic
BERT is not read: its positions are learned and its norms come after each layer, another network.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from models.network import hugging_face_tensors as tensors
from models.network.encoder import MaskedLanguageModel, build
from models.network.heads import Classifier, TokenClassifier
from models.network.hugging_face_config import (
    FILE,
    FIXED,
    MASKED,
    SEQUENCE,
    SIZES,
    TOKEN,
    Description,
    describe,
    write_json,
)
from models.text.special_tokens import SpecialTokens

__all__ = ["Description", "Model", "describe", "load", "load_classifier", "load_masked", "save"]

Model = MaskedLanguageModel | Classifier | TokenClassifier
_KINDS = {MASKED: MaskedLanguageModel, SEQUENCE: Classifier, TOKEN: TokenClassifier}


def save(
    model: Model, tokenizer: Path, folder: Path, *, max_tokens: int, labels: Sequence[str] = ()
) -> None:
    """Write a model with its tokenizer; the same arguments give the same bytes.

    Args:
        model: Built.
        tokenizer: A `tokenizer.json`, copied as it is.
        folder: Where to; made if it is not there.
        max_tokens: The most tokens of a text, special tokens counted.
        labels: Names of a classifier's classes or tags, in the order of its outputs.

    Raises:
        ValueError: The labels do not fit the outputs, or the tokenizer lacks a special token or
            has more tokens than the model.
    """
    architecture = next(name for name, kind in _KINDS.items() if isinstance(model, kind))
    outputs = 0 if architecture == MASKED else int(model.scores.bias.shape[0])
    if len(labels) != outputs or len(set(labels)) < len(labels):
        raise ValueError(f"{outputs} outputs need as many distinct names, got {list(labels)!r}")
    read = Tokenizer.from_file(str(tokenizer))
    size = max(read.get_vocab().values()) + 1
    if size > model.config.vocabulary:
        raise ValueError(f"{tokenizer} has {size} tokens, the model {model.config.vocabulary}")
    dropout = 0.0 if architecture == MASKED else float(model.get_config()["dropout"])
    described = Description(architecture, model.config, tuple(labels), max_tokens, True, dropout)
    special = SpecialTokens.of(read)
    folder.mkdir(parents=True, exist_ok=True)
    tensors.write(model, folder)
    write_json(folder / FILE, _config(described, special))
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    _write_tokenizer_config(folder, read, special, max_tokens)


def load(folder: Path, *, precision: str = "float32", seed: int = 0) -> Model:
    """Read a model, of the kind that the folder says it is.

    Args:
        folder: Holds at least `config.json` and the weights.
        precision: A Keras dtype policy (`float32`, `mixed_bfloat16`).
        seed: Of a classifier's dropout.

    Raises:
        ValueError: Something is missing, truncated, of the wrong shape or not supported; all
            problems of a kind are named at once.
    """
    described = describe(folder)
    model: Model
    if described.architecture == MASKED:
        model = build(described.config, seed, precision)
    else:
        kind = _KINDS[described.architecture]
        model = kind(
            described.config, len(described.labels), described.dropout, seed, dtype=precision
        )
        model.build()
    tensors.read(model, folder, decoder_bias=described.decoder_bias)
    return model


def load_masked(folder: Path, *, precision: str = "float32") -> MaskedLanguageModel:
    """As `load`, of a folder that must hold a masked language model.

    Raises:
        ValueError: It holds another model, or what `load` raises.
    """
    _require(folder, MASKED)
    return load(folder, precision=precision)


def load_classifier(folder: Path, *, precision: str = "float32", seed: int = 0) -> Classifier:
    """As `load`, of a folder that must hold a text classifier.

    Raises:
        ValueError: It holds another model, or what `load` raises.
    """
    _require(folder, SEQUENCE)
    return load(folder, precision=precision, seed=seed)


def _require(folder: Path, wanted: str) -> None:
    architecture = describe(folder).architecture
    if architecture != wanted:
        raise ValueError(f"{folder} holds a {architecture}, and a {wanted} is needed")


def _write_tokenizer_config(
    folder: Path, tokenizer: Tokenizer, special: SpecialTokens, max_tokens: int
) -> None:
    """What `AutoTokenizer` needs beside `tokenizer.json`."""
    roles = {
        "pad_token": special.pad,
        "unk_token": special.unknown,
        "cls_token": special.begin,
        "sep_token": special.end,
        "mask_token": special.mask,
    }
    named = {role: tokenizer.id_to_token(number) for role, number in roles.items()}
    write_json(folder / "special_tokens_map.json", named)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": max_tokens,
        "clean_up_tokenization_spaces": False,
    }
    write_json(folder / "tokenizer_config.json", named | settings)


def _config(described: Description, special: SpecialTokens) -> dict[str, Any]:
    """The whole `config.json` of a model of ours."""
    config = described.config
    values: dict[str, Any] = {theirs: getattr(config, ours) for theirs, ours in SIZES.items()}
    values |= {key: value for key, value in FIXED.items() if value is not None}
    values |= {
        "model_type": "modernbert",
        "architectures": [described.architecture],
        "local_attention": config.local_window,
        "global_attn_every_n_layers": config.global_every,
        "global_rope_theta": config.rope_theta_global,
        "local_rope_theta": config.rope_theta_local,
        "norm_eps": config.norm_epsilon,
        "tie_word_embeddings": config.tied,
        "decoder_bias": described.decoder_bias,
        "max_position_embeddings": described.max_tokens,
        "attention_dropout": 0.0,
        "embedding_dropout": 0.0,
        "mlp_dropout": 0.0,
        "classifier_dropout": described.dropout,
        "classifier_pooling": "mean",
        "initializer_range": 0.02,
        "initializer_cutoff_factor": 2.0,
        "dtype": "float32",
        "pad_token_id": special.pad,
        "bos_token_id": special.begin,
        "cls_token_id": special.begin,
        "eos_token_id": special.end,
        "sep_token_id": special.end,
    }
    if described.labels:
        values["id2label"] = {str(i): label for i, label in enumerate(described.labels)}
        values["label2id"] = {label: i for i, label in enumerate(described.labels)}
    if described.architecture == SEQUENCE:
        values["problem_type"] = "single_label_classification"
    return values
