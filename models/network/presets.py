"""Named shapes of the encoder, from one that trains in a minute to ModernBERT-large.

`base` and `large` are ModernBERT's (Warner et al. 2024, https://arxiv.org/abs/2412.13663, table 1).
`tiny`, `mini` and `small` are the same architecture at 17, 32 and 68 million parameters with
ModernBERT's vocabulary: the Ettin encoders (Weller et al. 2025, https://arxiv.org/abs/2507.11412).
`minute` is BERT-tiny's depth and width (Turc et al. 2019, https://arxiv.org/abs/1908.08962), with
the attention heads that suit texts of this project's default night.
"""

from __future__ import annotations

from models.network.configuration import EncoderConfig

MODERNBERT_VOCABULARY = 50_368  # subwords, those kept free for later use included

# layers, width, heads, intermediate (0: as `EncoderConfig` chooses it)
_SHAPES = {
    "minute": (2, 128, 4, 0),
    "tiny": (7, 256, 4, 384),
    "mini": (10, 384, 6, 576),
    "small": (19, 512, 8, 768),
    "base": (22, 768, 12, 1152),
    "large": (28, 1024, 16, 2624),
}
NAMES = tuple(_SHAPES)


def preset(name: str, vocabulary: int = MODERNBERT_VOCABULARY) -> EncoderConfig:
    """The shape of that name; local windows of 128 tokens, every third layer global.

    Args:
        name: One of `NAMES`.
        vocabulary: Number of subwords.

    Raises:
        ValueError: There is no such preset.
    """
    if name not in _SHAPES:
        raise ValueError(f"there is no preset {name!r}; there are {', '.join(NAMES)}")
    layers, width, heads, intermediate = _SHAPES[name]
    return EncoderConfig(
        vocabulary=vocabulary,
        layers=layers,
        width=width,
        heads=heads,
        intermediate=intermediate,
        local_window=128,
        global_every=3,
    )
