"""What a micro-batch asks of the model: its losses, and their gradients.

    total = sum of w * -log p(token | rest)  over the hidden tokens
          + the same over the perturbed rows (`adversary`)
          + next_sentence * sum of the pairs' losses

w is the weight of the token's document, and `next_sentence` says how many hidden tokens a pair
counts for. Gradients are of this sum; whoever adds up micro-batches
and replicas divides by the sum of w of them all, so that a batch means the same however it was cut.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from models.network.encoder import MaskedLanguageModel
from models.network.layers import normal
from models.text.masking import Alphabet, MaskedBatch, mask
from models.training.adversary import fast_gradient, perturbed_rows
from models.training.schedule import Plan

_SHORTEST_PAIR = 5  # [CLS] a [SEP] b [SEP]


class Objective:
    """The losses of a masked language model under a plan.

    Args:
        model: Built.
        plan: Which losses, and how much they count.
        alphabet: Of the vocabulary.
        slots: Hidden tokens that a row has room for.
        lanes: Shares of a batch that are computed side by side; see `devices`.
    """

    def __init__(
        self,
        model: MaskedLanguageModel,
        plan: Plan,
        alphabet: Alphabet,
        slots: int,
        lanes: int = 1,
    ) -> None:
        self.model = model
        self.lanes = lanes
        self.plan = plan
        self.alphabet = alphabet
        self.slots = slots
        self._follows: keras.layers.Dense | None = None
        if plan.next_sentence:
            self._follows = keras.layers.Dense(
                2, name="follows", dtype="float32",
                kernel_initializer=normal(plan.seed, 1 << 20, 0.02),
            )  # fmt: skip
            self._follows.build((None, model.config.width))

    @property
    def own_variables(self) -> list[keras.Variable]:
        """Those of the next-sentence head, which no later stage needs."""
        return list(self._follows.trainable_variables) if self._follows else []

    @property
    def variables(self) -> list[keras.Variable]:
        """All that is trained."""
        return [*self.model.trainable_variables, *self.own_variables]

    def gradients(
        self, batch: Any, draw: tf.Tensor, mask_rate: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Gradients of the total, and what they are sums of.

        Each lane has every n-th row, and nothing in common with the others until the sums.

        Args:
            batch: The fields of a `Batch`, (B, L).
            draw: Decides the masks.
            mask_rate: Share of the ordinary tokens to hide.

        Returns:
            The gradients in the order of `variables`, and float32 (6,): sums of the clean, the
            adversarial and the next-sentence losses, and the sums of the weights that belong to
            them.
        """
        found = []
        for lane in range(self.lanes):
            share = tuple(field[lane :: self.lanes] for field in batch)
            found.append(self._of_lane(lane, share, batch[0].shape[0], draw, mask_rate))
        gradients, sums = zip(*found, strict=True)
        return [tf.add_n(parts) for parts in zip(*gradients, strict=True)], tf.add_n(sums)

    def _of_lane(
        self, lane: int, batch: Any, rows: int, draw: tf.Tensor, mask_rate: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        tokens, segments, positions, weights, follows = batch
        encoder = self.model.encoder
        variables = [v.value for v in self.variables]
        masked = self.masked(tokens, segments, draw, mask_rate, lane)
        weights = masked.weights * tf.gather(weights, masked.slots, batch_dims=1)
        count = tf.reduce_sum(weights)
        with tf.GradientTape() as tape:
            embeddings = encoder.embed(masked.tokens)
            hidden = encoder(
                masked.tokens, segments, positions, embeddings=embeddings, training=True
            )
            clean = tf.reduce_sum(self.losses(hidden, masked)[0] * weights)
            pairs, paired = self._next_sentence(hidden, follows)
            total = clean + self.plan.next_sentence * pairs
        *gradients, slope = tape.gradient(total, [*variables, embeddings])
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        adversarial = perturbed = tf.constant(0.0)
        first, stride = self._places(lane)
        again = len(range(first, self._perturbed(rows), stride))
        if again:
            second, adversarial, perturbed = self._adversarial(
                masked, (segments, positions, weights), embeddings[:again], slope[:again]
            )
            gradients = [a + b for a, b in zip(gradients, second, strict=True)]
        return gradients, tf.stack([clean, adversarial, pairs, count, perturbed, paired])

    def masked(
        self,
        tokens: tf.Tensor,
        segments: tf.Tensor,
        draw: tf.Tensor,
        rate: tf.Tensor,
        lane: int = 0,
    ) -> MaskedBatch:
        """The masks of a lane's rows, the same ones however many lanes and replicas there are."""
        return mask(
            tokens, segments, alphabet=self.alphabet, rate=rate, slots=self.slots,
            seed=self.plan.seed, draw=draw, kind=self.plan.masking, span=self.plan.span,
            share=self._places(lane),
        )  # fmt: skip

    def losses(self, hidden: tf.Tensor, masked: MaskedBatch) -> tuple[tf.Tensor, tf.Tensor]:
        """Cross-entropy (nats) of each slot and 1 where its token is guessed, (B, K) each.

        Only the masked positions are projected to the vocabulary.
        """
        gathered = tf.gather(hidden, masked.slots, batch_dims=1)  # (B, K, D)
        logits = self.model.logits(tf.reshape(gathered, (-1, self.model.config.width)))
        targets = tf.reshape(masked.targets, (-1,))
        losses = cross_entropy(tf.cast(logits, tf.float32), targets)
        right = tf.cast(tf.equal(tf.argmax(logits, -1, tf.int32), targets), tf.float32)
        return tf.reshape(losses, masked.slots.shape), tf.reshape(right, masked.slots.shape)

    def _adversarial(
        self, masked: MaskedBatch, others: tuple[Any, Any, Any], embeddings: Any, slope: Any
    ) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
        """Gradients, loss and weight of the first rows, moved against the model."""
        n = embeddings.shape[0]
        part = MaskedBatch(*(field[:n] for field in masked))
        segments, positions, weights = (field[:n] for field in others)
        away = fast_gradient(embeddings, slope, self.plan.adversarial_epsilon)
        encoder = self.model.encoder
        with tf.GradientTape() as tape:
            moved = encoder.embed(part.tokens)
            moved += tf.cast(away, moved.dtype)
            hidden = encoder(part.tokens, segments, positions, embeddings=moved, training=True)
            total = tf.reduce_sum(self.losses(hidden, part)[0] * weights)
        variables = [v.value for v in self.variables]
        gradients = tape.gradient(total, variables, unconnected_gradients="zero")
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        return dense, total, tf.reduce_sum(weights)

    def _places(self, lane: int) -> tuple[int, int]:
        """The first row of the micro-batch that is this lane's on this replica, and the step to the next.

        Replica r has rows r, r + replicas, ... of the micro-batch, and its lane every n-th of these.
        """
        context = tf.distribute.get_replica_context()
        replicas, replica = context.num_replicas_in_sync, context.replica_id_in_sync_group
        if tf.is_tensor(replica):  # a constant, where one process is one replica
            replica = int(tf.get_static_value(replica))
        return replica + replicas * lane, replicas * self.lanes

    def _perturbed(self, rows: int) -> int:
        """Rows of the whole micro-batch that are perturbed, the first ones, given a replica's rows."""
        share = self.plan.adversarial_share
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        return perturbed_rows(rows * replicas, share) if share else 0

    def _next_sentence(self, hidden: tf.Tensor, follows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Sum of the pairs' losses (nats) and number of pairs (Devlin et al. 2019)."""
        if self._follows is None:
            return tf.constant(0.0), tf.constant(0.0)
        most = max(1, follows.shape[1] // _SHORTEST_PAIR)
        labels, slots = tf.math.top_k(follows, most)  # pairs first, in whatever order
        given = tf.cast(labels >= 0, tf.float32)
        states = tf.cast(tf.gather(hidden, slots, batch_dims=1), tf.float32)
        scores = tf.reshape(self._follows(states), (-1, 2))
        targets = tf.reshape(tf.maximum(labels, 0), (-1,))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, scores)
        return tf.reduce_sum(losses * tf.reshape(given, (-1,))), tf.reduce_sum(given)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def cross_entropy(logits: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """Cross-entropy (nats) of float32 logits (N, V) at int32 targets (N,).

    TensorFlow's own fused kernel took a fifth of a small model's step on a CPU; this one goes by
    way of oneDNN's softmax, p, and the gradient p - onehot. A loss is at most 69 nats.
    """
    shares = tf.nn.softmax(logits)
    where = tf.stack([tf.range(tf.shape(targets)[0]), targets], axis=1)
    losses = -tf.math.log(tf.maximum(tf.gather_nd(shares, where), 1e-30))

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        return tf.tensor_scatter_nd_sub(shares * upstream[:, None], where, upstream), None

    return losses, gradient
