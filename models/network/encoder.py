"""ModernBERT's encoder and its masked-language-model head, on `keras.ops` alone.

Pre-norm blocks, rotary positions, GeGLU, no biases in the linear layers, and alternating local and
global attention (Warner et al. 2024, https://arxiv.org/abs/2412.13663). Written for packed rows:
`segments` says which document a position belongs to, and nothing crosses from one to another.

This file owns the models. Their parts are in `layers`, their files in `hugging_face`. Dropout is
left out, as in ModernBERT's pretraining.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from models.network import attention, fused, taps
from models.network.configuration import EncoderConfig
from models.network.layers import (
    PACKAGE,
    Block,
    Shaped,
    deviation,
    norm,
    normal,
)

__all__ = ["Encoder", "EncoderConfig", "MaskedLanguageModel", "build"]


@keras.saving.register_keras_serializable(package=PACKAGE)
class Encoder(Shaped, keras.Model):  # type: ignore[misc]
    """Token ids to hidden states.

    Args:
        config: The shape.
        seed: Decides the initial weights.
    """

    def __init__(self, config: EncoderConfig, seed: int = 0, **kwargs: Any) -> None:
        kwargs.setdefault("name", "encoder")
        super().__init__(**kwargs)
        self.config = config
        self.seed = seed
        policy = self.dtype_policy
        self.token_embedding = keras.layers.Embedding(
            config.vocabulary, config.width, name="token_embedding", dtype=policy,
            embeddings_initializer=normal(seed, 0, 0.02),
        )  # fmt: skip
        self.embedding_norm = norm(config, "embedding_norm", policy)
        self.blocks = [Block(config, seed, i, dtype=policy) for i in range(config.layers)]
        self.final_norm = norm(config, "final_norm", policy)

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        shape = (None, None, self.config.width)
        self.token_embedding.build((None, None))
        layers: list[keras.layers.Layer] = [self.embedding_norm, *self.blocks, self.final_norm]
        for layer in layers:
            layer.build(shape)

    def embed(self, tokens: Any) -> Any:
        """Token ids (B, L) to the embeddings (B, L, D) that an adversary may perturb."""
        return self.token_embedding(tokens)

    def call(
        self,
        tokens: Any,
        segments: Any,
        positions: Any,
        embeddings: Any = None,
        training: bool = False,
    ) -> Any:
        """Hidden states of packed rows.

        Args:
            tokens: int32 (B, L); not read when `embeddings` is given.
            segments: int32 (B, L); positions see each other within equal non-zero values.
            positions: int32 (B, L), counted from each document's start.
            embeddings: (B, L, D) to take in the place of `embed(tokens)`.
            training: Whether to compile the elementwise parts, which pays where a shape comes
                again and again; the values are the same, there being no dropout.

        Returns:
            (B, L, D). Where `segments` is 0 the values are finite and mean nothing.
        """
        config, dtype = self.config, self.compute_dtype
        channels = config.width // config.heads
        x = self.embedding_norm(self.embed(tokens) if embeddings is None else embeddings)
        kinds = {}
        for kind in {config.is_global(index) for index in range(config.layers)}:
            window = None if kind else config.local_window
            theta = config.rope_theta_global if kind else config.rope_theta_local
            bias = attention.bias(segments, positions, window)
            kinds[kind] = (bias, *attention.rotary(positions, channels, theta, dtype))
        for index, block in enumerate(self.blocks):
            x = block(x, *kinds[config.is_global(index)], training=training)
        return self.final_norm(x)


@keras.saving.register_keras_serializable(package=PACKAGE)
class MaskedLanguageModel(Shaped, keras.Model):  # type: ignore[misc]
    """The encoder with ModernBERT's prediction head.

    The decoder is the embedding transposed if `config.tied`, and else a matrix of its own.

    Args:
        config: The shape.
        seed: Decides the initial weights.
    """

    def __init__(self, config: EncoderConfig, seed: int = 0, **kwargs: Any) -> None:
        kwargs.setdefault("name", "masked_language_model")
        super().__init__(**kwargs)
        self.config = config
        self.seed = seed
        policy = self.dtype_policy
        self.encoder = Encoder(config, seed, dtype=policy)
        self.head_dense = keras.layers.Dense(
            config.width, use_bias=False, name="head_dense", dtype=policy,
            kernel_initializer=normal(seed, 1, deviation(config)),
        )  # fmt: skip
        self.head_norm = norm(config, "head_norm", policy)

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        self.encoder.build()
        self.head_dense.build((None, self.config.width))
        self.head_norm.build((None, self.config.width))
        if not self.config.tied:
            self.decoder_weight = self.add_weight(
                shape=(self.config.vocabulary, self.config.width),
                initializer=normal(self.seed, 4 * self.config.layers + 2, 0.02),
                name="decoder_weight",
            )
        self.decoder_bias = self.add_weight(
            shape=(self.config.vocabulary,), initializer="zeros", name="decoder_bias"
        )

    def logits(self, hidden: Any) -> Any:
        """Scores over the vocabulary for gathered positions: (N, D) to (N, V), compute dtype."""
        x = self.head_norm(ops.gelu(taps.dense(self.head_dense, hidden), approximate=False))
        tied = self.config.tied
        weight = self.encoder.token_embedding.embeddings if tied else self.decoder_weight
        table = ops.cast(weight, self.compute_dtype)
        bias = ops.cast(self.decoder_bias, self.compute_dtype)
        return taps.tapped(weight, x, fused.project(x, table)) + bias

    def call(self, tokens: Any, segments: Any, positions: Any, training: bool = False) -> Any:
        """Scores at every position, (B, L, V); training gathers the masked ones first."""
        hidden = self.encoder(tokens, segments, positions, training=training)
        scores = self.logits(ops.reshape(hidden, (-1, self.config.width)))
        return ops.reshape(scores, (-1, ops.shape(tokens)[1], self.config.vocabulary))


def build(config: EncoderConfig, seed: int = 0, precision: str = "float32") -> MaskedLanguageModel:
    """A masked language model with all its weights, the same ones for the same seed.

    Args:
        config: The shape.
        seed: Decides the initial weights.
        precision: A Keras dtype policy (`float32`, `mixed_bfloat16`); Keras's global policy is
            neither read nor changed.
    """
    model = MaskedLanguageModel(config, seed, dtype=precision)
    model.build()
    return model
