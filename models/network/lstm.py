"""The baseline of every report: a bidirectional LSTM in the place of the encoder.

What masked language models were before attention (Hochreiter and Schmidhuber 1997,
https://doi.org/10.1162/neco.1997.9.8.1735; stacked both ways for words in context by Peters et al.
2018, https://arxiv.org/abs/1802.05365). It has the encoder's interface, so the same loop trains it
on the same packed rows, and everything that judges the one judges the other.

Each direction has half of the width and the two are put side by side, so that a state is as wide
as the encoder's and no projection is needed between layers; with the full width each way the
recurrent product, which is the part that no batching over positions can hide, would cost four
times as much. A packed row is read in one sweep each way, and the state is put back to zero
wherever a new document begins: no document sees its neighbour.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from models.network.layers import PACKAGE, normal
from models.network.lstm_layers import BidirectionalLstm, LstmConfig, continued

__all__ = ["LstmConfig", "LstmEncoder", "LstmMaskedModel", "build_lstm"]

_EPSILON = 1e-5
_EMBEDDING_DEVIATION = 0.02


@keras.saving.register_keras_serializable(package=PACKAGE)
class LstmEncoder(keras.Model):  # type: ignore[misc]
    """Token ids to hidden states, with the interface of `encoder.Encoder`.

    Args:
        config: The shape.
        seed: Decides the initial weights.
    """

    def __init__(self, config: LstmConfig, seed: int = 0, **kwargs: Any) -> None:
        kwargs.setdefault("name", "encoder")
        super().__init__(**kwargs)
        self.config = config
        self.seed = seed
        policy = self.dtype_policy
        self.token_embedding = keras.layers.Embedding(
            config.vocabulary, config.width, name="token_embedding", dtype=policy,
            embeddings_initializer=normal(seed, 0, _EMBEDDING_DEVIATION),
        )  # fmt: skip
        self.embedding_norm = _norm("embedding_norm", policy)
        self.blocks = [
            BidirectionalLstm(config, seed, i, dtype=policy) for i in range(config.layers)
        ]

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        self.token_embedding.build((None, None))
        self.embedding_norm.build((None, None, self.config.width))
        for block in self.blocks:
            block.build()

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
            positions: Not read: an LSTM counts by itself.
            embeddings: (B, L, D) to take in the place of `embed(tokens)`.
            training: Without effect, there being no dropout.

        Returns:
            (B, L, D). Where `segments` is 0 the values are finite and mean nothing.
        """
        x = self.embedding_norm(self.embed(tokens) if embeddings is None else embeddings)
        x = ops.transpose(x, (1, 0, 2))  # positions first, as they are read
        carry = continued(segments, self.compute_dtype)
        for block in self.blocks:
            x = block(x, carry)
        return ops.transpose(x, (1, 0, 2))

    def get_config(self) -> dict[str, Any]:
        """What Keras needs to make an equal encoder."""
        return {**super().get_config(), "config": self.config.to_dict(), "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> LstmEncoder:
        """The inverse of `get_config`."""
        return cls(**{**config, "config": LstmConfig.from_dict(config["config"])})


@keras.saving.register_keras_serializable(package=PACKAGE)
class LstmMaskedModel(keras.Model):  # type: ignore[misc]
    """The LSTM with the prediction head of `encoder.MaskedLanguageModel`.

    Args:
        config: The shape.
        seed: Decides the initial weights.
    """

    def __init__(self, config: LstmConfig, seed: int = 0, **kwargs: Any) -> None:
        kwargs.setdefault("name", "lstm_masked_model")
        super().__init__(**kwargs)
        self.config = config
        self.seed = seed
        policy = self.dtype_policy
        self.encoder = LstmEncoder(config, seed, dtype=policy)
        self.head_dense = keras.layers.Dense(
            config.width, use_bias=False, name="head_dense", dtype=policy,
            kernel_initializer=normal(seed, 1, config.width**-0.5),
        )  # fmt: skip
        self.head_norm = _norm("head_norm", policy)

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        self.encoder.build()
        self.head_dense.build((None, self.config.width))
        self.head_norm.build((None, self.config.width))
        self.decoder_bias = self.add_weight(
            shape=(self.config.vocabulary,), initializer="zeros", name="decoder_bias"
        )

    def logits(self, hidden: Any) -> Any:
        """Scores over the vocabulary for gathered positions: (N, D) to (N, V), compute dtype."""
        x = self.head_norm(ops.gelu(self.head_dense(hidden), approximate=False))
        table = ops.cast(self.encoder.token_embedding.embeddings, self.compute_dtype)
        return ops.matmul(x, ops.transpose(table)) + ops.cast(self.decoder_bias, self.compute_dtype)

    def call(self, tokens: Any, segments: Any, positions: Any, training: bool = False) -> Any:
        """Scores at every position, (B, L, V); training gathers the masked ones first."""
        hidden = self.encoder(tokens, segments, positions, training=training)
        scores = self.logits(ops.reshape(hidden, (-1, self.config.width)))
        return ops.reshape(scores, (-1, ops.shape(tokens)[1], self.config.vocabulary))

    def get_config(self) -> dict[str, Any]:
        """What Keras needs to make an equal model."""
        return {**super().get_config(), "config": self.config.to_dict(), "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> LstmMaskedModel:
        """The inverse of `get_config`."""
        return cls(**{**config, "config": LstmConfig.from_dict(config["config"])})


def build_lstm(config: LstmConfig, seed: int = 0) -> LstmMaskedModel:
    """A float32 baseline with all its weights, the same ones for the same seed."""
    model = LstmMaskedModel(config, seed, dtype="float32")
    model.build()
    return model


def _norm(name: str, policy: Any) -> keras.layers.LayerNormalization:
    return keras.layers.LayerNormalization(epsilon=_EPSILON, center=False, name=name, dtype=policy)
