"""How much of the rate each layer of a model is trained with, and what is trained at all.

Lower layers hold what pretraining learnt of language in general, so a small labelled set should
move them less than the head that it has to invent (Howard & Ruder 2018,
https://arxiv.org/abs/1801.06146; as a geometric decay in Clark et al. 2020,
https://arxiv.org/abs/2003.10555): rate(layer) = rate * decay ** depth, the depth counted from the
top. The head has depth 0, the uppermost block and the final norm 1, the embeddings layers + 1.
"""

from __future__ import annotations

import re

import keras

from models.network import weights
from models.network.heads import Head


def depth(name: str, layers: int) -> int:
    """How far below the top a weight is, by its name in `weights.named`."""
    if not name.startswith("encoder/"):
        return 0
    block = re.search(r"/layer_(\d+)/", name)
    if block:
        return layers - int(block[1])
    return layers + 1 if "embedding" in name else 1


def trained(head: Head, decay: float, *, frozen: bool) -> tuple[list[keras.Variable], list[float]]:
    """What is trained, and what each variable's rate is multiplied with.

    Args:
        head: Built.
        decay: Of the rate from one layer to the one below; 1 trains all of them alike.
        frozen: Whether the encoder stays as it is.
    """
    variables, shares = [], []
    for name, variable in weights.named(head).items():
        below = depth(name, head.config.layers)
        if not (frozen and below):
            variables.append(variable)
            shares.append(float(decay**below))
    return variables, shares
