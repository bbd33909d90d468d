"""LIME: a linear model of the classifier in the neighbourhood of one text.

Words are taken out of the text at random, the classifier is asked about what is left, and a ridge
regression weighted by nearness to the whole text predicts its answers from which words are there
(Ribeiro, Singh and Guestrin 2016, arXiv:1602.04938). A weight is what a word's presence, in all
its places at once, adds to the probability of the class. With few samples the weights are noisy,
and being a fit they do not add up to the probability as SHAP's values do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.classifier import Classifier, probabilities
from tasks.explanation.words import words


def lime_weights(
    model: Classifier, text: str, target: int, *, samples: int, seed: int
) -> list[tuple[str, float]]:
    """The weight of each distinct word, the largest in size first.

    Args:
        model: The classifier.
        text: The text; without a word there is no weight.
        target: Index of the class.
        samples: Texts that the model is asked about.
        seed: Seed of what is taken out.
    """
    if not words(text):
        return []
    from lime.lime_text import LimeTextExplainer

    def predict(texts: Sequence[Any]) -> NDArray[np.float64]:
        return probabilities(model, [str(text) for text in texts])

    explainer = LimeTextExplainer(
        class_names=model.classes,
        split_expression=words,
        feature_selection="none",
        random_state=seed,
    )
    found = explainer.explain_instance(
        text, predict, labels=(target,), num_features=len(text), num_samples=samples
    )
    weights = [(str(word), float(weight)) for word, weight in found.as_list(label=target)]
    return sorted(weights, key=lambda pair: (-abs(pair[1]), pair[0]))
