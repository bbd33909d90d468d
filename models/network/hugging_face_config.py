"""`config.json` of Hugging Face's ModernBERT, to and from our own terms.

Written so that transformers 4.48 and later read it (https://github.com/huggingface/transformers,
`models/modernbert/configuration_modernbert.py`); read in that layout and in that of transformers 5,
which states rotary bases in `rope_parameters` and the kind of each layer in `layer_types`. A key
that is not there has transformers' default, save for the sizes, which have to be given.

What our architecture cannot compute is refused, all of it at once. Dropout and initialisation are
not read, being without effect on what a trained model answers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.network.configuration import EncoderConfig

FILE = "config.json"
MASKED = "ModernBertForMaskedLM"
SEQUENCE = "ModernBertForSequenceClassification"
TOKEN = "ModernBertForTokenClassification"
_ARCHITECTURES = (MASKED, SEQUENCE, TOKEN)

SIZES = {
    "vocab_size": "vocabulary",
    "num_hidden_layers": "layers",
    "hidden_size": "width",
    "num_attention_heads": "heads",
    "intermediate_size": "intermediate",
}
# What our layers compute, and what transformers takes for granted where nothing is said.
FIXED: dict[str, Any] = {
    "hidden_activation": "gelu",
    "classifier_activation": "gelu",
    "attention_bias": False,
    "mlp_bias": False,
    "norm_bias": False,
    "classifier_bias": False,
    "rope_scaling": None,
    "quantization_config": None,
    "auto_map": None,
}


@dataclass(frozen=True)
class Description:
    """What a folder holds, without its weights.

    Attributes:
        architecture: `ModernBertForMaskedLM`, `...SequenceClassification`, `...TokenClassification`.
        config: The encoder's shape.
        labels: Names of classes or tags in the order of the outputs; none of a masked model.
        max_tokens: The most tokens to be read of a text, special tokens counted.
        decoder_bias: Whether the masked model's decoder has a bias.
        dropout: Of the classification head, in training.
    """

    architecture: str
    config: EncoderConfig
    labels: tuple[str, ...]
    max_tokens: int
    decoder_bias: bool
    dropout: float


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        ValueError: The file is missing or holds something else.
    """
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds no JSON object")
    return values


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON object; equal objects give equal bytes."""
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def describe(folder: Path) -> Description:
    """Read `config.json`, and `tokenizer_config.json` for the most tokens.

    Raises:
        ValueError: A file cannot be read, or says something that our model cannot do; every key
            that is in the way is named with its value.
    """
    path = folder / FILE
    values = read_json(path)
    kind = values.get("model_type")
    if kind != "modernbert":
        why = (
            "; BERT's learned positions and norms after each layer differ" if kind == "bert" else ""
        )
        raise ValueError(f"{path}: model_type is {kind!r}, and only 'modernbert' can be read{why}")
    problems: list[str] = []
    architecture = _architecture(values, problems)
    config = _shape(values, problems)
    labels = () if architecture == MASKED else _labels(values, problems)
    if architecture == SEQUENCE and len(labels) == 1:
        problems.append("id2label has 1 label, which is a regression and no classification")
    if problems or config is None:
        raise ValueError(f"{path} describes a model that cannot be read: {'; '.join(problems)}")
    return Description(
        architecture,
        config,
        labels,
        _max_tokens(folder, values),
        bool(values.get("decoder_bias", True)),
        float(values.get("classifier_dropout", 0.0)),
    )


def _architecture(values: dict[str, Any], problems: list[str]) -> str:
    """The one architecture named, and what must hold for it."""
    named = values.get("architectures") or []
    known = [name for name in named if name in _ARCHITECTURES]
    if len(known) != 1 or len(named) != 1:
        problems.append(f"architectures is {named!r}, expected one of {', '.join(_ARCHITECTURES)}")
    for key, supported in FIXED.items():
        if values.get(key, supported) != supported:
            problems.append(f"{key} is {values[key]!r}, only {supported!r} is supported")
    if known == [SEQUENCE]:
        pooling, problem = values.get("classifier_pooling", "cls"), values.get("problem_type")
        if pooling != "mean":
            problems.append(f"classifier_pooling is {pooling!r}, only 'mean' is supported")
        if problem not in (None, "single_label_classification"):
            problems.append(f"problem_type is {problem!r}, one class of several is supported")
    return known[0] if known else ""


def _shape(values: dict[str, Any], problems: list[str]) -> EncoderConfig | None:
    """The encoder's shape; None, and a problem noted, if there is none."""
    before = len(problems)
    sizes: dict[str, Any] = {}
    for theirs, ours in SIZES.items():
        sizes[ours] = values.get(theirs)
        if not _whole(sizes[ours]):
            problems.append(f"{theirs} is {sizes[ours]!r}, expected a whole number above 0")
    window = values.get("local_attention", 128)
    if not _whole(window):
        problems.append(f"local_attention is {window!r}, expected a whole number above 0")
    thetas = _thetas(values, problems)
    every = _global_every(values, sizes["layers"], problems) if _whole(sizes["layers"]) else 1
    if len(problems) > before:
        return None
    try:
        return EncoderConfig(
            **sizes,
            local_window=window,
            global_every=every,
            rope_theta_global=thetas[0],
            rope_theta_local=thetas[1],
            norm_epsilon=float(values.get("norm_eps", 1e-5)),
            tied=bool(values.get("tie_word_embeddings", True)),
        )
    except ValueError as error:
        problems.append(str(error))
        return None


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _thetas(values: dict[str, Any], problems: list[str]) -> tuple[float, float]:
    """Rotary bases of global and of local layers, from either layout."""
    found = [values.get("global_rope_theta", 160_000.0), values.get("local_rope_theta", 10_000.0)]
    if found[1] is None:
        found[1] = found[0]
    newer = values.get("rope_parameters") or {}
    for place, kind in enumerate(("full_attention", "sliding_attention")):
        given = newer.get(kind) or {}
        if given.get("rope_type", "default") != "default":
            problems.append(f"rope_parameters.{kind}.rope_type is {given['rope_type']!r}")
        found[place] = given.get("rope_theta", found[place])
    unknown = sorted(set(newer) - {"full_attention", "sliding_attention"})
    if unknown:
        problems.append(f"rope_parameters has {', '.join(unknown)}")
    for theta in found:
        if isinstance(theta, bool) or not isinstance(theta, int | float) or theta <= 0:
            problems.append(f"a rotary base is {theta!r}, expected a number above 0")
            return 1.0, 1.0
    return float(found[0]), float(found[1])


def _global_every(values: dict[str, Any], layers: int, problems: list[str]) -> int:
    """Of how many layers one is global, beginning with the first."""
    every = values.get("global_attn_every_n_layers", 3)
    if not _whole(every):
        problems.append(f"global_attn_every_n_layers is {every!r}, expected a whole number above 0")
        return 1
    kinds = values.get("layer_types")
    if kinds is None:
        return int(every)
    for period in (every, *range(1, layers + 1)):
        names = ("sliding_attention", "full_attention")
        if kinds == [names[index % period == 0] for index in range(layers)]:
            return int(period)
    problems.append(f"layer_types is {kinds!r}, expected every n-th layer to be full_attention")
    return 1


def _labels(values: dict[str, Any], problems: list[str]) -> tuple[str, ...]:
    """Names of the outputs; transformers leaves its default of two unsaid."""
    given = values.get("id2label")
    if given is None:
        count = values.get("num_labels", 2)
        return tuple(f"LABEL_{i}" for i in range(count if _whole(count) else 2))
    named = isinstance(given, dict)
    found = [given.get(str(i)) for i in range(len(given))] if named else [None]
    labels = [label for label in found if isinstance(label, str)]
    if len(set(labels)) < len(found):
        problems.append(f"id2label is {given!r}, expected distinct names numbered from 0")
        return ()
    return tuple(labels)


def _max_tokens(folder: Path, values: dict[str, Any]) -> int:
    """The smaller of what the model and its tokenizer say; a tokenizer may say "no limit"."""
    limits = [values.get("max_position_embeddings", 8192)]
    path = folder / "tokenizer_config.json"
    if path.exists():
        limits.append(read_json(path).get("model_max_length"))
    return min(int(limit) for limit in limits if isinstance(limit, int | float) and limit > 0)
