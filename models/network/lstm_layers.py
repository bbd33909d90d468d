"""The parts of the LSTM baseline: its shape, its recurrence, and one bidirectional layer.

The loop over positions is TensorFlow's own: `keras.ops.scan` took 1.3 to 1.8 times as long on a
CPU, and Keras's LSTM layer cannot reset its state in the middle of a row.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from models.network.layers import PACKAGE, normal


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
