"""The projected gradient of each text's own loss, from one forward and one backward pass of many.

A zero tensor Z (r, r) of its own is given to each text and each weight matrix, and the matrix's
output is said to depend on it in such a way that the gradient of Z is `(A P)^T (B Q)`, with A
(positions, m) what came into the matrix and B (positions, n) the gradient of what went out. That is
the projected gradient of the matrix for that text alone. The output's values do not change.

The embedding is such a matrix, too: what came in are token ids, whose rows of P are looked up. Where
the decoder is the embedding transposed, its two uses are told apart all the same, as two matrices:
what a text says of reading a word, and of saying it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models.influence.moments import DECODER, EMBEDDING
from models.influence.projection import Projection
from models.network.encoder import MaskedLanguageModel
from models.network.taps import tapping
from models.network.weights import named
from models.text.batching import pad
from models.training.objective import cross_entropy

Float32 = npt.NDArray[np.float32]
Chosen = tuple[npt.NDArray[np.int64], int]  # numbers of texts, and the length to pad them to
_POSITIONS = 2048  # of a batch, copies and padding included
_STEP = 8  # lengths are multiples of it; any shape will do, and padding costs as much as text


class Asked(NamedTuple):
    """One text as the model is asked about it.

    Attributes:
        tokens: Token ids with begin and end, nothing hidden.
        hidden: Of each copy of the text, the positions to hide and predict. All copies' losses add
            up.
        shown: Token in the place of a hidden one.
        targets: Of each copy what is to be predicted there; None for what the text has there.
    """

    tokens: npt.NDArray[np.int32]
    hidden: Sequence[npt.NDArray[np.int64]]
    shown: int
    targets: Sequence[npt.NDArray[np.int64]] | None = None


class TextGradients:
    """Projected gradients under one model.

    Args:
        model: Built; not changed.
        projection: Of its matrices, or of some of them.
    """

    def __init__(self, model: MaskedLanguageModel, projection: Projection) -> None:
        self.model = model
        self.projection = projection
        self._names = {weight.path: name for name, weight in named(model).items()}
        self._factors = {
            name: (tf.constant(projection.left[name]), tf.constant(projection.right[name]))
            for name in projection.names
        }
        ids = tf.TensorSpec((None, None), tf.int32)
        weights = tf.TensorSpec((None, None), tf.float32)
        count = tf.TensorSpec((), tf.int32)
        signature = [ids, ids, ids, ids, ids, weights, count]
        self._compiled = tf.function(self._gradients, signature, autograph=False)

    def batches(self, lengths: npt.ArrayLike, copies: int) -> Iterator[Chosen]:
        """Texts to compute together, shortest first: their numbers, and the length to pad them to.

        Args:
            lengths: Of the texts, in tokens.
            copies: Of each text.
        """
        padded = -(-np.asarray(lengths, np.int64) // _STEP) * _STEP
        for length in np.unique(padded).tolist():
            which = np.flatnonzero(padded == length)
            size = max(1, _POSITIONS // (copies * length))
            for start in range(0, len(which), size):
                yield which[start : start + size], length

    def of(self, texts: Sequence[Asked], length: int, compiled: bool = True) -> Float32:
        """The projected gradients of texts with equally many copies, (N, d).

        Args:
            texts: At least one.
            length: To pad them to.
            compiled: Whether through the compiled function, whose first call takes seconds.
        """
        rows, places, wanted = [], [], []
        for text in texts:
            for copy, hidden in enumerate(text.hidden):
                tokens = text.tokens.copy()
                wanted.append(tokens[hidden] if text.targets is None else text.targets[copy])
                tokens[hidden] = text.shown
                rows.append(tokens.tolist())
                places.append(hidden)
        room = max(1, *(len(hidden) for hidden in places)) if places else 1
        slots, targets = (np.zeros((len(rows), room), np.int32) for _ in range(2))
        weights = np.zeros((len(rows), room), np.float32)
        for number, (hidden, truth) in enumerate(zip(places, wanted, strict=True)):
            slots[number, : len(hidden)] = hidden
            targets[number, : len(hidden)] = truth
            weights[number, : len(hidden)] = 1.0
        inputs = (*pad(rows, length), slots, targets, weights)
        function: Any = self._compiled if compiled else self._gradients
        found = function(*map(tf.constant, inputs), tf.constant(len(texts)))
        return np.asarray(found.numpy(), np.float32)

    def _gradients(
        self,
        tokens: tf.Tensor,
        segments: tf.Tensor,
        positions: tf.Tensor,
        slots: tf.Tensor,
        targets: tf.Tensor,
        weights: tf.Tensor,
        count: tf.Tensor,
    ) -> tf.Tensor:
        """Rows (C N, L), a text's C copies after one another, to (N, d)."""
        model, rank = self.model, self.projection.rank
        own = {name: tf.zeros((count, rank, rank)) for name in self.projection.names}
        watcher = _Watcher(self._names, self._factors, own, count)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(own)
            with tapping(watcher):
                looked_up = watcher.lookup(tokens, model.encoder.embed(tokens))
                hidden = model.encoder(tokens, segments, positions, embeddings=looked_up)
                gathered = tf.gather(hidden, slots, batch_dims=1)
                logits = model.logits(tf.reshape(gathered, (-1, model.config.width)))
            losses = cross_entropy(tf.cast(logits, tf.float32), tf.reshape(targets, (-1,)))
            total = tf.reduce_sum(losses * tf.reshape(weights, (-1,)))
        found = tape.gradient(total, own)
        each = [tf.reshape(found[name], (count, rank * rank)) for name in self.projection.names]
        return tf.concat(each, axis=1)


class _Watcher:
    """Makes the outputs of the matrices depend on each text's own zeros."""

    def __init__(
        self, names: dict[str, str], factors: dict[str, Any], own: dict[str, Any], count: tf.Tensor
    ) -> None:
        self._names, self._factors, self._own, self._count = names, factors, own, count

    def __call__(self, weight: keras.Variable, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """See `models.network.taps`."""
        name = self._names[weight.path]
        turned = name in (EMBEDDING, DECODER)  # y = x W^T
        name = DECODER if turned else name
        if name not in self._own:
            return y
        left, right = self._factors[name]
        came_in = _flat(x)
        if turned:
            return self._watched(name, y, lambda g: (_flat(g) @ left, came_in @ right))
        return self._watched(name, y, lambda g: (came_in @ left, _flat(g) @ right))

    def lookup(self, tokens: tf.Tensor, embeddings: tf.Tensor) -> tf.Tensor:
        """As the call, of the embeddings that were looked up for the tokens."""
        if EMBEDDING not in self._own:
            return embeddings
        left, right = self._factors[EMBEDDING]
        rows = tf.gather(left, tf.reshape(tokens, (-1,)))
        return self._watched(EMBEDDING, embeddings, lambda g: (rows, _flat(g) @ right))

    def _watched(self, name: str, y: tf.Tensor, sides: Any) -> tf.Tensor:
        count = self._count

        def watched(y: tf.Tensor, own: tf.Tensor) -> tuple[tf.Tensor, Any]:
            def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                left, right = (
                    tf.reshape(side, (count, -1, side.shape[-1])) for side in sides(upstream)
                )
                return upstream, tf.matmul(left, right, transpose_a=True)

            return tf.identity(y), gradient

        return tf.custom_gradient(watched)(y, self._own[name])


def _flat(x: tf.Tensor) -> tf.Tensor:
    """Vectors (..., D) as float32 (positions, D), without a way back for a gradient."""
    return tf.reshape(tf.cast(tf.stop_gradient(x), tf.float32), (-1, x.shape[-1]))
