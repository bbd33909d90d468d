"""The shape of an encoder, as it is saved with a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class EncoderConfig:
    """The shape of an encoder.

    Attributes:
        vocabulary: Number of subwords.
        layers: Number of blocks.
        width: Size of a hidden state, a multiple of `heads`.
        heads: Attention heads; each has `width / heads` channels, an even number.
        intermediate: Inner size of the GeGLU; 0 chooses 8/3 of `width`, rounded up to 32, which
            gives the parameters of an ordinary feed-forward layer of four times the width.
        local_window: Tokens seen by a local layer: half of them on either side.
        global_every: Every so many layers, beginning with the first, attention is global.
        rope_theta_global: Base of the rotary wavelengths in global layers.
        rope_theta_local: The same in local layers.
        norm_epsilon: Added to the variance in every layer norm.
        tied: Whether the decoder is the embedding transposed, or a matrix of its own.
    """

    vocabulary: int
    layers: int = 2
    width: int = 128
    heads: int = 4
    intermediate: int = 0
    local_window: int = 128
    global_every: int = 3
    rope_theta_global: float = 160_000.0
    rope_theta_local: float = 10_000.0
    norm_epsilon: float = 1e-5
    tied: bool = True

    def __post_init__(self) -> None:
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ValueError(
                f"width must be an even multiple of heads, got width {self.width} "
                f"and {self.heads} heads"
            )
        if not self.intermediate:
            object.__setattr__(self, "intermediate", -(-8 * self.width // 3 // 32) * 32)

    def is_global(self, layer: int) -> bool:
        """Whether a layer attends to its whole document."""
        return layer % self.global_every == 0

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EncoderConfig:
        """The inverse of `to_dict`.

        Raises:
            ValueError: A key is unknown.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"unknown encoder settings: {', '.join(unknown)}")
        return cls(**values)
