"""The parts of ModernBERT's encoder: rotary positions, masked attention, GeGLU, and their block.

On `keras.ops` alone, so that any Keras backend runs them.
"""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from models.network.configuration import EncoderConfig

PACKAGE = "plumbline"
_FAR = -1e9  # added to a masked score; finite, so that a row of padding stays free of NaN


class Shaped:
    """Keras's serialisation of what is made from an `EncoderConfig` and plain arguments.

    Comes before the Keras class among the bases. `saved` names the plain arguments, each of which
    is an attribute of the same name.
    """

    config: EncoderConfig
    saved: ClassVar[tuple[str, ...]] = ("seed",)

    def get_config(self) -> dict[str, Any]:
        """What Keras needs to make an equal object."""
        base: dict[str, Any] = super().get_config()  # type: ignore[misc]
        plain = {name: getattr(self, name) for name in self.saved}
        return {**base, "config": self.config.to_dict(), **plain}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The inverse of `get_config`."""
        return cls(**{**config, "config": EncoderConfig.from_dict(config["config"])})


def normal(seed: int, index: int, deviation: float) -> keras.initializers.Initializer:
    """A truncated normal initialiser whose draws depend on (seed, index) alone."""
    state = int(np.random.SeedSequence((seed, index)).generate_state(1)[0])
    return keras.initializers.TruncatedNormal(stddev=deviation, seed=state & 0x7FFFFFFF)


def deviation(config: EncoderConfig) -> float:
    """Standard deviation of initial matrices: ModernBERT's 0.02 at its width of 768.

    Scaled with the root of the width, without which a narrow model takes far longer to get going.
    """
    return 0.02 * float((768 / config.width) ** 0.5)


def norm(config: EncoderConfig, name: str, dtype: Any) -> keras.layers.LayerNormalization:
    """A layer norm without bias."""
    return keras.layers.LayerNormalization(
        epsilon=config.norm_epsilon, center=False, name=name, dtype=dtype
    )


def rotary(positions: Any, channels: int, theta: float, dtype: str) -> tuple[Any, Any]:
    """Cosine and sine of the rotary angles `position * theta ** (-2 i / channels)`.

    A query and a key that are rotated so have an inner product that depends on their distance
    only (Su et al. 2021, https://arxiv.org/abs/2104.09864).

    Args:
        positions: int32 (B, L).
        channels: Channels of a head, even.
        theta: Base of the wavelengths.
        dtype: Type of the result; the angles themselves are float32.

    Returns:
        Two tensors (B, L, 1, channels / 2).
    """
    exponents = np.arange(0, channels, 2, dtype=np.float32) / channels
    frequencies = (theta**-exponents).astype(np.float32)
    angles = ops.cast(positions, "float32")[:, :, None, None] * frequencies
    return ops.cast(ops.cos(angles), dtype), ops.cast(ops.sin(angles), dtype)


def rotate(x: Any, cosine: Any, sine: Any) -> Any:
    """Turn channel pairs (i, i + channels / 2) of (B, L, H, channels) by the rotary angles."""
    first, second = ops.split(x, 2, axis=-1)
    return ops.concatenate(
        [first * cosine - second * sine, second * cosine + first * sine], axis=-1
    )


def attention_bias(segments: Any, positions: Any, window: int | None) -> Any:
    """What is added to the scores: 0 where a position may look, a large negative elsewhere.

    Args:
        segments: int32 (B, L); 0 is padding, which nothing looks at.
        positions: int32 (B, L), counted from each document's start.
        window: Tokens seen by local attention, or None for global attention.

    Returns:
        float32 (B, 1, L, L).
    """
    seen = ops.equal(segments[:, :, None], segments[:, None, :])
    seen = ops.logical_and(seen, segments[:, None, :] > 0)
    if window is not None:
        distance = ops.abs(positions[:, :, None] - positions[:, None, :])
        seen = ops.logical_and(seen, distance <= window // 2)
    return ops.where(seen, 0.0, _FAR)[:, None]


def parted(dense: keras.layers.Dense, x: Any, parts: int) -> list[Any]:
    """What a linear layer without bias makes of x (B, L, D), in so many equal parts.

    Its matrix is split, not its output: that is as large as the batch, here and in the gradient.
    """
    kernel = ops.cast(dense.kernel, dense.compute_dtype)
    return [ops.matmul(x, part) for part in ops.split(kernel, parts, axis=-1)]


@keras.saving.register_keras_serializable(package=PACKAGE)
class Attention(Shaped, keras.layers.Layer):  # type: ignore[misc]
    """Multi-head self-attention with rotary positions and an additive bias."""

    saved = ("seed", "first")

    def __init__(self, config: EncoderConfig, seed: int, first: int, **kwargs: Any) -> None:
        kwargs["autocast"] = False  # the bias stays float32
        super().__init__(**kwargs)
        self.config, self.seed, self.first = config, seed, first
        policy = self.dtype_policy
        scale = deviation(config)
        small = scale / (2 * config.layers) ** 0.5
        self.qkv = keras.layers.Dense(
            3 * config.width, use_bias=False, name="qkv", dtype=policy,
            kernel_initializer=normal(seed, first, scale),
        )  # fmt: skip
        self.out = keras.layers.Dense(
            config.width, use_bias=False, name="output", dtype=policy,
            kernel_initializer=normal(seed, first + 1, small),
        )  # fmt: skip

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        for layer in (self.qkv, self.out):
            layer.build((None, None, self.config.width))

    def call(self, x: Any, bias: Any, cosine: Any, sine: Any) -> Any:
        """Mix (B, L, D) along L as the bias (B, 1, L, L) allows."""
        length, heads = ops.shape(x)[1], self.config.heads
        channels = self.config.width // heads
        q, k, v = (
            ops.reshape(part, (-1, length, heads, channels)) for part in parted(self.qkv, x, 3)
        )
        q = ops.transpose(rotate(q, cosine, sine) * channels**-0.5, (0, 2, 1, 3))
        k = ops.transpose(rotate(k, cosine, sine), (0, 2, 3, 1))
        scores = ops.cast(ops.matmul(q, k), "float32") + bias  # (B, H, L, L)
        shares = ops.cast(ops.softmax(scores, axis=-1), self.compute_dtype)
        mixed = ops.transpose(ops.matmul(shares, ops.transpose(v, (0, 2, 1, 3))), (0, 2, 1, 3))
        return self.out(ops.reshape(mixed, (-1, length, self.config.width)))


@keras.saving.register_keras_serializable(package=PACKAGE)
class GeGLU(Shaped, keras.layers.Layer):  # type: ignore[misc]
    """The feed-forward layer `W_out(GELU(a) * b)` with `(a, b) = W_in x` (Shazeer 2020)."""

    saved = ("seed", "first")

    def __init__(self, config: EncoderConfig, seed: int, first: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config, self.seed, self.first = config, seed, first
        policy = self.dtype_policy
        scale = deviation(config)
        small = scale / (2 * config.layers) ** 0.5
        self.inner = keras.layers.Dense(
            2 * config.intermediate, use_bias=False, name="input", dtype=policy,
            kernel_initializer=normal(seed, first, scale),
        )  # fmt: skip
        self.out = keras.layers.Dense(
            config.width, use_bias=False, name="output", dtype=policy,
            kernel_initializer=normal(seed, first + 1, small),
        )  # fmt: skip

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        self.inner.build((None, None, self.config.width))
        self.out.build((None, None, self.config.intermediate))

    def call(self, x: Any) -> Any:
        """Transform (B, L, D) position by position."""
        value, gate = parted(self.inner, x, 2)
        return self.out(ops.gelu(value, approximate=False) * gate)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Block(Shaped, keras.layers.Layer):  # type: ignore[misc]
    """One pre-norm layer; the first has no attention norm, as the embedding's comes just before."""

    saved = ("seed", "index")

    def __init__(self, config: EncoderConfig, seed: int, index: int, **kwargs: Any) -> None:
        super().__init__(**{"name": f"layer_{index}", **kwargs, "autocast": False})
        self.config, self.seed, self.index = config, seed, index
        policy = self.dtype_policy
        self.attention_norm = norm(config, "attention_norm", policy) if index else None
        self.attention = Attention(config, seed, 4 * index + 2, name="attention", dtype=policy)
        self.feedforward_norm = norm(config, "feedforward_norm", policy)
        self.feedforward = GeGLU(config, seed, 4 * index + 4, name="feedforward", dtype=policy)

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        shape = (None, None, self.config.width)
        for layer in (self.attention_norm, self.attention, self.feedforward_norm, self.feedforward):
            if layer is not None:
                layer.build(shape)

    def call(self, x: Any, bias: Any, cosine: Any, sine: Any) -> Any:
        """Add attention and feed-forward to the stream (B, L, D)."""
        normed = x if self.attention_norm is None else self.attention_norm(x)
        x = x + self.attention(normed, bias, cosine, sine)
        return x + self.feedforward(self.feedforward_norm(x))
