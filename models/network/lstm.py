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

The loop over positions is TensorFlow's own. `keras.ops.scan` took 1.3 to 1.8 times as long on a
CPU and cannot be compiled by XLA, which makes a step here another 1.4 to 1.6 times faster;
Keras's LSTM layer cannot reset its state in the middle of a row.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from models.network.layers import PACKAGE, normal

_EPSILON = 1e-5
_EMBEDDING_DEVIATION = 0.02


@dataclass(frozen=True)
class LstmConfig:
    """The shape of the baseline.

    Attributes:
        vocabulary: Number of subwords.
        layers: Bidirectional layers over one another.
        width: Size of an embedding and of a hidden state, half of it for each direction; even.
    """

    vocabulary: int
    layers: int = 3
    width: int = 256

    def __post_init__(self) -> None:
        if self.width % 2:
            raise ValueError(f"width must be even, half for each direction, got {self.width}")

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> LstmConfig:
        """The inverse of `to_dict`.

        Raises:
            ValueError: A key is unknown.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"unknown LSTM settings: {', '.join(unknown)}")
        return cls(**values)


def continued(segments: Any, dtype: str) -> Any:
    """Where the state is carried on from the position read just before: 1, else 0.

    Args:
        segments: int32 (B, L).
        dtype: Type of the result.

    Returns:
        (L, 2, B, 1) in the order of reading: `[:, 0]` forwards, `[:, 1]` backwards.
    """
    ordered = ops.transpose(segments)  # (L, B)
    same = ops.cast(ops.equal(ordered[1:], ordered[:-1]), dtype)
    first = ops.zeros_like(ops.cast(ordered[:1], dtype))
    forwards = ops.concatenate([first, same], axis=0)
    backwards = ops.concatenate([first, ops.flip(same, axis=0)], axis=0)
    return ops.stack([forwards, backwards], axis=1)[..., None]


def recur(gates: tf.Tensor, kernel: tf.Tensor, carry: tf.Tensor) -> tf.Tensor:
    """Both directions' states, read one position after the other.

        i, f, o, n = gates_t + h_(t-1) W,   c_t = s(f) c_(t-1) + s(i) tanh(n),   h_t = s(o) tanh(c_t)

    with s the logistic function and h, c put to zero first where `carry` is 0.

    Args:
        gates: (L, 2, B, 4H), what the inputs add to the gates, in the order of reading.
        kernel: (2, H, 4H), W of each direction.
        carry: (L, 2, B, 1), from `continued`.

    Returns:
        (L, 2, B, H), in the order of reading.
    """
    size = kernel.shape[1]
    length = gates.shape[0] if gates.shape[0] is not None else tf.shape(gates)[0]
    inputs = tf.TensorArray(gates.dtype, length).unstack(gates)
    carries = tf.TensorArray(carry.dtype, length).unstack(carry)
    states = tf.TensorArray(gates.dtype, length, element_shape=(2, gates.shape[2], size))
    nothing = tf.zeros_like(gates[0, :, :, :size])

    def read(t: Any, h: tf.Tensor, c: tf.Tensor, states: tf.TensorArray) -> tuple[Any, ...]:
        keep = carries.read(t)
        drive = inputs.read(t) + tf.matmul(h * keep, kernel)
        enter, forget, leave, new = tf.split(drive, 4, axis=-1)
        c = tf.sigmoid(forget) * (c * keep) + tf.sigmoid(enter) * tf.tanh(new)
        h = tf.sigmoid(leave) * tf.tanh(c)
        return t + 1, h, c, states.write(t, h)

    *_, states = tf.while_loop(
        lambda t, *_: t < length, read, (0, nothing, nothing, states), maximum_iterations=length
    )
    return states.stack()


@keras.saving.register_keras_serializable(package=PACKAGE)
class BidirectionalLstm(keras.layers.Layer):  # type: ignore[misc]
    """One layer: the inputs of all positions in one product, then the two sweeps together."""

    def __init__(self, config: LstmConfig, seed: int, index: int, **kwargs: Any) -> None:
        super().__init__(name=f"layer_{index}", **kwargs)
        self.config = config
        self.seed = seed
        self.index = index

    def build(self, input_shape: Any = None) -> None:
        """Create the weights; gates that forget begin open (Jozefowicz et al. 2015)."""
        width, half, first = self.config.width, self.config.width // 2, 2 * self.index + 2
        self.kernel = self.add_weight(
            shape=(width, 8 * half), name="kernel",
            initializer=normal(self.seed, first, width**-0.5),
        )  # fmt: skip
        self.recurrent_kernel = self.add_weight(
            shape=(2, half, 4 * half), name="recurrent_kernel",
            initializer=normal(self.seed, first + 1, half**-0.5),
        )  # fmt: skip
        self.bias = self.add_weight(shape=(8 * half,), name="bias", initializer="zeros")
        parts = tf.one_hot([1, 1], 4)  # enter, FORGET, leave, new; both directions
        self.bias.assign(ops.reshape(ops.repeat(parts, half, axis=1), (-1,)))
        self.built = True

    def call(self, x: Any, carry: Any) -> Any:
        """Read (L, B, D) both ways, to (L, B, D)."""
        half = self.config.width // 2
        forwards, backwards = ops.split(ops.matmul(x, self.kernel) + self.bias, 2, axis=-1)
        gates = ops.stack([forwards, ops.flip(backwards, axis=0)], axis=1)  # (L, 2, B, 4H)
        states = recur(gates, ops.convert_to_tensor(self.recurrent_kernel), carry)
        forwards, backwards = ops.split(states, 2, axis=1)
        both = [ops.squeeze(forwards, 1), ops.flip(ops.squeeze(backwards, 1), axis=0)]
        return ops.reshape(ops.concatenate(both, axis=-1), (*ops.shape(x)[:2], 2 * half))


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
