"""What each word of a text does to the class that the model gives it, by leaving the word out.

Occlusion (Li, Monroe and Jurafsky 2016, arXiv:1612.08220): the value of a word is what the
probability of the predicted class loses without it. One question to the model for each word, no
gradients, nothing random; words that only matter together show too little.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

MOST_WORDS = 200  # of a text; those behind them have no value
_WORD = re.compile(r"\w+(?:[-'’]\w+)*")


def occlusion(
    predict: Callable[[Sequence[str]], NDArray[np.float64]], text: str
) -> list[tuple[str, int, float]]:
    """The words of a text and their values.

    Args:
        predict: From N texts to the probabilities of their classes, (N, C).
        text: Any string.

    Returns:
        Word, offset of its first character, and probability of the predicted class with it minus
        without it (-1..1), in the text's order.
    """
    found = [match.span() for match in _WORD.finditer(text)][:MOST_WORDS]
    without = [text[:start] + text[end:] for start, end in found]
    shares = predict([text, *without])
    chosen = int(shares[0].argmax())
    lost = shares[0, chosen] - shares[1:, chosen]
    return [
        (text[start:end], start, float(value))
        for (start, end), value in zip(found, lost, strict=True)
    ]
