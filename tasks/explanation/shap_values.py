"""SHAP: what each word adds to the probability of the predicted class.

Owen values over a tree of neighbouring words (Lundberg's partition explainer; Owen 1977), the
words left out being replaced by "...". They add up: base value + sum of the values = probability.
The base value is the probability for "..." alone, so it says what the model thinks of nothing.

If the evaluations run out before the tree's leaves, the words of a branch share its value. Only
the partition explainer is used: shap's DeepExplainer leaves TensorFlow's gradient registry
replaced, and whatever trains later in the process fails.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.classifier import Classifier, probabilities, seeded
from tasks.explanation.words import pieces, words

_MASK = "..."
_MASK_IN_TEXT = "... "  # without the space, shap glues the mask to the word that follows
_AT_ONCE = 64  # texts in one call of the model


@dataclass(frozen=True)
class Attribution:
    """Why one class got its probability.

    Attributes:
        tokens: The pieces of the text and their values; the pieces joined are the text.
        base_value: Probability of the class when every word is left out.
        additivity_error: `|base value + sum of values - probability|`, 0 up to rounding.
    """

    tokens: list[tuple[str, float]]
    base_value: float
    additivity_error: float


def shap_values(
    model: Classifier, text: str, target: int, *, evaluations: int, seed: int
) -> Attribution:
    """Explain the probability of one class.

    Args:
        model: The classifier.
        text: The text, with single spaces; a text without a word has nothing to explain.
        target: Index of the class.
        evaluations: Texts that the model is asked about, more or less.
        seed: Decides between branches that matter alike.
    """
    base, whole = (float(p) for p in probabilities(model, [_MASK, text])[:, target])
    count = len(words(text))
    if count == 0:
        tokens = [(piece, 0.0) for piece in pieces(text)]
        return Attribution(tokens=tokens, base_value=whole, additivity_error=0.0)
    if count == 1:  # shap builds no tree of a single leaf
        return Attribution(tokens=[(text, whole - base)], base_value=base, additivity_error=0.0)
    values, base = _owen_values(model, text, target, evaluations, seed)
    return Attribution(
        tokens=list(zip(pieces(text), (float(v) for v in values), strict=True)),
        base_value=base,
        additivity_error=abs(base + float(values.sum()) - whole),
    )


def _owen_values(
    model: Classifier, text: str, target: int, evaluations: int, seed: int
) -> tuple[NDArray[np.float64], float]:
    shap = _import_shap()

    def predict(texts: Sequence[Any]) -> NDArray[np.float64]:
        return probabilities(model, [str(text) for text in texts])

    with seeded(seed), _transformers_without_tensorflow():
        masker = shap.maskers.Text(_Tokenizer(), mask_token=_MASK_IN_TEXT)
        explainer = shap.PartitionExplainer(predict, masker, output_names=model.classes)
        found = explainer([text], max_evals=evaluations, batch_size=_AT_ONCE, silent=True)
    values = np.asarray(found.values[0], dtype=np.float64)
    return values[:, target], float(np.asarray(found.base_values)[0][target])


@cache
def _import_shap() -> Any:
    """shap, its loops left to Python.

    Numba takes 5 s to compile what Python does for a hundred words in a tenth of a second.
    """
    numba = import_module("numba")
    compiled = numba.config.DISABLE_JIT
    numba.config.DISABLE_JIT = True
    try:
        import shap
    finally:
        numba.config.DISABLE_JIT = compiled
    return shap


@contextmanager
def _transformers_without_tensorflow() -> Iterator[None]:
    """Keep shap's question whether a model is of transformers from failing.

    Once transformers is imported, shap asks it for its TensorFlow class, and transformers raises
    ValueError beside Keras 3. Here it gets a class that no model is of.
    """
    names = vars(sys.modules["transformers"]) if "transformers" in sys.modules else {}
    asked = "TFPreTrainedModel"
    if asked in names:
        yield
        return
    names[asked] = type(asked, (), {})
    try:
        yield
    finally:
        del names[asked]


class _Tokenizer:
    """The pieces of a text, told the way that shap's text masker asks for them."""

    def __call__(self, text: str, return_offsets_mapping: bool = True) -> dict[str, list[Any]]:
        parts = pieces(text)
        ends = np.cumsum([len(part) for part in parts]).tolist()
        spans = [(end - len(part), end) for part, end in zip(parts, ends, strict=True)]
        return {"input_ids": parts, "offset_mapping": spans}
