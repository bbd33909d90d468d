"""The compiled functions of masked-language-model training: a step, an update, an average.

`model.fit` is not used: it fails on several workers, it waited seconds between steps on the
machines where it was timed, and a plain step makes what happens in it readable. A batch is computed
in micro-batches whose gradients are added up, and each micro-batch on all devices of the strategy
that is in force when the trainer is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models.network import weights
from models.network.encoder import MaskedLanguageModel
from models.text.masking import Alphabet, slots_per_row
from models.text.rows import Batch, Rows
from models.training.distribution import on_each, workers
from models.training.judging import Judge, hide
from models.training.objective import Objective
from models.training.optimizer import AdamW
from models.training.schedule import Plan

_AVERAGE_RAMP = 10.0  # an average over t steps forgets no slower than (1 + t) / (10 + t)


class Trainer:
    """A model with its optimizer and its compiled functions.

    Args:
        model: Built, in the scope of the strategy in force; trained in place.
        plan: How to train it.
        length: Positions of a packed row.
        alphabet: Of the vocabulary; by default its first five tokens are special.
        lanes: Shares of a batch that are computed side by side, at most one a row.

    Raises:
        ValueError: The rows of a micro-batch cannot be shared out evenly among the devices.
    """

    def __init__(
        self,
        model: MaskedLanguageModel,
        plan: Plan,
        length: int,
        alphabet: Alphabet | None = None,
        *,
        lanes: int = 1,
    ) -> None:
        self.model = model
        self.plan = plan
        self.length = length
        self.strategy = tf.distribute.get_strategy()
        self.replicas: int = self.strategy.num_replicas_in_sync
        if plan.rows % self.replicas:
            raise ValueError(
                f"{plan.rows} rows of a micro-batch cannot be shared out among {self.replicas} devices"
            )
        alphabet = alphabet or Alphabet.plain(model.config.vocabulary)
        slots = slots_per_row(length, plan.highest_mask_rate)
        lanes = min(lanes, plan.rows // self.replicas)
        self.objective = Objective(model, plan, alphabet, slots, lanes)
        self.variables = self.objective.variables
        self.optimizer = AdamW(
            self.variables, weight_decay=plan.weight_decay, clip=plan.clip,
            stable=plan.optimizer == "stable_adamw",
        )  # fmt: skip
        copies = [v.value for v in self.variables]
        self._average = _zeros(copies, "average") if plan.average else []
        self._sums = _zeros([*copies, tf.constant(0.0)], "sum") if plan.accumulate > 1 else []
        self._initial = [variable.numpy() for variable in self.variables]
        self._whole = self._compiled(self._train_whole, 3)
        self._part = self._compiled(self._train_part, 1)
        self._finish = self._on_all(self._update_from_sums)
        self._agree = self._on_all(self._firsts)
        self._judged: Rows | None = None
        self._swap = self._on_all(self._exchange)
        self.reset()

    @property
    def lanes(self) -> int:
        """Shares of a batch that are computed side by side."""
        return self.objective.lanes

    def step(
        self, micro_batches: Sequence[Batch], draw: int, step: int, rate: float, mask_rate: float
    ) -> tf.Tensor:
        """Train on one batch.

        Args:
            micro_batches: Each (rows, L); their gradients are added up.
            draw: Number of the first micro-batch in the run, which decides its masks.
            step: Optimizer step, from 0.
            rate: Learning rate.
            mask_rate: Share of the tokens to hide.

        Returns:
            float32 (3,): clean loss and adversarial loss (nats a token, the latter 0 without
            adversary), and next-sentence loss (nats a pair, 0 without).
        """
        scalars = [np.float32(mask_rate), np.float32(rate), np.int32(step)]
        if len(micro_batches) == 1:
            return self._whole(self._shared_out(micro_batches[0]), np.int32(draw), *scalars)
        found = [
            self._part(self._shared_out(batch), np.int32(draw + number), *scalars[:1])
            for number, batch in enumerate(micro_batches)
        ]
        self._finish(*scalars[1:])
        return _means(tf.add_n(found))

    def held_out_loss(self, rows: Rows) -> float:
        """Mean loss (nats a token) at masks that are the same whenever it is called.

        NaN where there is nothing to hide.
        """
        if not len(rows):
            return float("nan")
        if self._judged is not rows:
            hidden = hide(rows, self.objective.alphabet, self.plan.seed)
            self._judged, self._judge = rows, Judge(self.model, hidden, self.plan.rows)
        losses, _ = self._judge()
        return float(losses.mean()) if len(losses) else float("nan")

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within, the model has its averaged weights, if there are any."""
        if self._average:
            self._swap()
        try:
            yield
        finally:
            if self._average:
                self._swap()

    def agreed(self, value: float) -> float:
        """The first worker's value, for all; returns when every worker has come here."""
        if workers() == 1:
            return value
        return float(self._agree(tf.constant(value, tf.float32)))

    def keep_average(self) -> None:
        """Leave the model with its averaged weights for good, if there are any."""
        for variable, average in zip(self.variables, self._average, strict=bool(self._average)):
            variable.assign(average)

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Weights and optimizer state: all that a resumed run needs beside its numbers."""
        return {name: np.array(variable.numpy()) for name, variable in self._state().items()}

    def restore(self, tensors: dict[str, npt.NDArray[Any]]) -> None:
        """Put back what `tensors` gave."""
        for name, variable in self._state().items():
            variable.assign(tensors[name])

    def reset(self) -> None:
        """Go back to before the first step."""
        for variable, value in zip(self.variables, self._initial, strict=True):
            variable.assign(value)
        for variable in self.optimizer.state:
            variable.assign(np.zeros(variable.shape, np.float32))
        for variable, value in zip(self._average, self._initial, strict=bool(self._average)):
            variable.assign(value)

    def _state(self) -> dict[str, Any]:
        named = {f"model/{name}": v for name, v in weights.named(self.model).items()}
        named |= {f"objective/{n}": v for n, v in enumerate(self.objective.own_variables)}
        named |= {f"optimizer/{n}": v for n, v in enumerate(self.optimizer.state)}
        return named | {f"average/{n}": v for n, v in enumerate(self._average)}

    def _compiled(self, function: Any, scalars: int) -> Any:
        """A function of a batch, its draw and some of (mask rate, rate, step), compiled."""
        on_all = self._everywhere(function)
        if self.replicas > 1:
            return tf.function(on_all, autograph=False)
        row = tf.TensorSpec((self.plan.rows, self.length), tf.int32)
        weight = tf.TensorSpec((self.plan.rows, self.length), tf.float32)
        number, share = tf.TensorSpec((), tf.int32), tf.TensorSpec((), tf.float32)
        signature = [(row, row, row, weight, row), number, *[share, share, number][:scalars]]
        return tf.function(on_all, signature, autograph=False)

    def _on_all(self, function: Any) -> Any:
        return tf.function(self._everywhere(function), autograph=False)

    def _everywhere(self, function: Any) -> Any:
        """The function on every replica; what it returns is equal on all of them."""

        def on_all(*arguments: Any) -> Any:
            found = self.strategy.run(function, arguments)
            return None if found is None else self.strategy.experimental_local_results(found)[0]

        return on_all

    def _shared_out(self, batch: Batch) -> Any:
        """Every n-th row to each of n devices."""
        n = self.replicas
        if n == 1:
            return tuple(batch)
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tuple(
                tf.constant(field[context.replica_id_in_sync_group :: n]) for field in batch
            )
        )

    # What follows runs within a replica.

    def _train_whole(
        self, batch: Any, draw: tf.Tensor, mask_rate: tf.Tensor, rate: tf.Tensor, step: tf.Tensor
    ) -> tf.Tensor:
        *gradients, sums = self._gradients(batch, draw, mask_rate)
        self._update(gradients, sums[3], rate, step)
        return _means(sums)

    def _train_part(self, batch: Any, draw: tf.Tensor, mask_rate: tf.Tensor) -> tf.Tensor:
        *gradients, sums = self._gradients(batch, draw, mask_rate)
        on_each(_add, self._sums, [*gradients, sums[3]])
        return sums

    def _update_from_sums(self, rate: tf.Tensor, step: tf.Tensor) -> None:
        *gradients, count = [tf.convert_to_tensor(total) for total in self._sums]
        self._update(gradients, count, rate, step)
        on_each(_assign, self._sums, [tf.zeros_like(v) for v in [*gradients, count]])

    def _gradients(self, batch: Any, draw: tf.Tensor, mask_rate: tf.Tensor) -> list[tf.Tensor]:
        """Gradients of the micro-batch's total loss and, last, its sums, over all replicas."""
        gradients, sums = self.objective.gradients(batch, draw, mask_rate)
        return list(self._summed([*gradients, sums]))

    def _summed(self, values: Any) -> Any:
        if self.replicas == 1:
            return values
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, values)

    def _update(
        self, gradients: list[tf.Tensor], count: tf.Tensor, rate: tf.Tensor, step: tf.Tensor
    ) -> None:
        share = tf.math.divide_no_nan(1.0, count)
        self.optimizer.apply(gradients, rate, step, share)
        if self._average:
            time = tf.cast(step, tf.float32)
            kept = tf.minimum(self.plan.average, (1.0 + time) / (_AVERAGE_RAMP + time))
            values = [tf.convert_to_tensor(v.value) for v in self.variables]
            news = [
                (1.0 - kept) * (new - old) for new, old in zip(values, self._average, strict=True)
            ]
            on_each(_add, self._average, news)

    def _firsts(self, own: tf.Tensor) -> tf.Tensor:
        """What the first replica has, on all of them."""
        context = tf.distribute.get_replica_context()
        first = tf.equal(context.replica_id_in_sync_group, 0)
        return self._summed(tf.where(first, own, 0.0))

    def _exchange(self) -> None:
        """The weights for their average and the average for the weights."""
        values = [tf.identity(v.value) for v in self.variables]
        averages = [tf.identity(v) for v in self._average]
        with tf.control_dependencies([*values, *averages]):
            on_each(_assign, [v.value for v in self.variables], averages)
            on_each(_assign, self._average, values)


def _means(sums: tf.Tensor) -> tf.Tensor:
    """Sums and their weights, (6,), to means, (3,)."""
    return tf.math.divide_no_nan(sums[:3], sums[3:])


def _assign(variable: tf.Variable, value: tf.Tensor) -> None:
    variable.assign(value)


def _add(variable: tf.Variable, value: tf.Tensor) -> None:
    variable.assign_add(value)


def _zeros(like: Sequence[Any], name: str) -> list[tf.Variable]:
    return [tf.Variable(tf.zeros(v.shape, tf.float32), trainable=False, name=name) for v in like]
