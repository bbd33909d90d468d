"""Which devices share a step, and how a variable is written on all of them.

TensorFlow's own strategies: several workers where `TF_CONFIG` names them, the GPUs of a machine
where there are several, else one device. Every replica computes its share of a micro-batch, the
gradients are summed over all, and each then makes the same update (data parallelism).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import tensorflow as tf


def strategy() -> tf.distribute.Strategy:
    """The strategy for this process; has to be made before any other use of TensorFlow.

    Raises:
        ValueError: `TF_CONFIG` is set and cannot be read.
    """
    if _cluster()[0] > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def workers() -> int:
    """Processes that take part.

    Raises:
        ValueError: `TF_CONFIG` is set and cannot be read.
    """
    return _cluster()[0]


def is_chief() -> bool:
    """Whether this process is the one that writes: the only one, or the first worker."""
    return _cluster()[1] == 0


def _cluster() -> tuple[int, int]:
    """Number of workers, and which of them this process is."""
    described = os.environ.get("TF_CONFIG")
    if not described:
        return 1, 0
    try:
        told = orjson.loads(described)
        return len(told["cluster"]["worker"]), int(told["task"]["index"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"TF_CONFIG does not name the workers: {described!r}; it should look like "
            '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
        ) from error


def on_each(
    change: Callable[..., Any], variables: Sequence[tf.Variable], *columns: Sequence[Any]
) -> None:
    """Within a replica: call `change(variable, ...)` for each variable, on every device alike.

    Args:
        change: Changes a variable that lives on one device.
        variables: Possibly mirrored over the devices.
        columns: For each variable what `change` is given beside it: tensors that are equal on all
            replicas, or variables of which each device is given its own.
    """

    def change_all(strategy: tf.distribute.Strategy, *columns: Sequence[Any]) -> None:
        for number, variable in enumerate(variables):
            arguments = tuple(column[number] for column in columns)
            strategy.extended.update(variable, change, arguments, group=False)

    tf.distribute.get_replica_context().merge_call(change_all, args=columns)
