"""The parts of ModernBERT's encoder that have weights: norm, attention, GeGLU, and their block.

On `keras.ops` alone, so that any Keras backend runs them.
"""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from models.network import fused, taps
from models.network.attention import attend
from models.network.configuration import EncoderConfig

PACKAGE = "plumbline"


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


@keras.saving.register_keras_serializable(package=PACKAGE)
class Norm(keras.layers.LayerNormalization):  # type: ignore[misc]
    """A layer norm without bias, over the last axis."""

    def call(self, x: Any) -> Any:
        """Normalise (..., D)."""
        x = ops.cast(x, self.compute_dtype)
        return fused.layer_norm(x, ops.convert_to_tensor(self.gamma), self.epsilon)


def norm(config: EncoderConfig, name: str, dtype: Any) -> Norm:
    """The layer norm of that name."""
    return Norm(epsilon=config.norm_epsilon, center=False, name=name, dtype=dtype)


def parted(dense: keras.layers.Dense, x: Any, parts: int) -> list[Any]:
    """What a linear layer without bias makes of x (B, L, D), in so many equal parts.

    Its matrix is split, not its output: that is as large as the batch, here and in the gradient.
    """
    kernel = ops.cast(dense.kernel, dense.compute_dtype)
    made = [ops.matmul(x, part) for part in ops.split(kernel, parts, axis=-1)]
    return taps.tapped_parts(dense.kernel, x, made)


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

    def call(self, x: Any, bias: Any, cosine: Any, sine: Any, training: bool = False) -> Any:
        """Mix (B, L, D) along L as the bias (B, 1, L, L) allows."""
        length, heads = ops.shape(x)[1], self.config.heads
        shape = (-1, length, heads, self.config.width // heads)
        q, k, v = (ops.reshape(part, shape) for part in parted(self.qkv, x, 3))
        mixed = attend(q, k, v, bias, cosine, sine, compiled=training)
        return taps.dense(self.out, ops.reshape(mixed, (-1, length, self.config.width)))


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

    def call(self, x: Any, training: bool = False) -> Any:
        """Transform (B, L, D) position by position."""
        value, gate = parted(self.inner, x, 2)
        return taps.dense(self.out, fused.geglu(value, gate, compiled=training))


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

    def call(self, x: Any, bias: Any, cosine: Any, sine: Any, training: bool = False) -> Any:
        """Add attention and feed-forward to the stream (B, L, D)."""
        normed = x if self.attention_norm is None else self.attention_norm(x)
        x = x + self.attention(normed, bias, cosine, sine, training=training)
        return x + self.feedforward(self.feedforward_norm(x), training=training)
