"""What this machine could compute at best: the measured peak of its matrix products."""

from __future__ import annotations

import time

import tensorflow as tf

from models.devices import lanes, side_by_side

_SIZES = (512, 1024, 2048, 4096, 8192)
_MOST_SHARE = 4  # a product may take a quarter of the measurement
_FEW = 0.01  # seconds; shorter products are timed several in a row, or the launch is timed too
_ROW = 8  # so many


def matmul_peak(policy: str = "float32", seconds: float = 0.8) -> float:
    """FLOP/s of the best of repeated square products, one in each of the machine's lanes at once.

    The size is the largest of 512 to 8192 whose product takes at most a quarter of `seconds`: 2048
    on two CPU cores, 8192 on a large GPU. It is a measured peak, so it includes what the machine
    is doing besides; measure before training, never during it. TensorFlow uses TensorFloat-32 for
    float32 on GPUs that have it, here as in the model. Of one device: a run on several has as
    many times that.

    Args:
        policy: The Keras dtype policy of the run; `mixed_bfloat16` multiplies in bfloat16.
        seconds: Time for the repetitions; choosing the size takes about half as much again.

    Raises:
        ValueError: The policy is not one that a run can have.
    """
    kinds = {"float32": tf.float32, "mixed_bfloat16": tf.bfloat16}
    if policy not in kinds:
        raise ValueError(f"policy must be one of {', '.join(kinds)}, got {policy!r}")
    size, once = _SIZES[0], 0.0
    for candidate in _SIZES:
        if once * (candidate / size) ** 3 > seconds / _MOST_SHARE:
            break
        size, factors = candidate, _factors(candidate, kinds[policy])
        _timed(factors, 1)
        once = _timed(factors, 1)
    repeats = _ROW if once < _FEW else 1
    best, end = once, time.perf_counter() + seconds
    while time.perf_counter() < end:
        best = min(best, _timed(factors, repeats))
    return lanes() * 2 * size**3 / best


def _factors(size: int, dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
    """Two matrices whose product has entries of about the same size, so that a row of them may follow."""
    draws = tf.random.stateless_normal((2, size, size), (0, 0), stddev=size**-0.5)
    first, second = tf.unstack(tf.cast(draws, dtype))
    return first, second


def _timed(factors: tuple[tf.Tensor, tf.Tensor], repeats: int) -> float:
    """Seconds for one product in each lane, timed until they have come back from the device."""

    def product(_: int) -> None:
        found, factor = factors
        for _ in range(repeats):
            found = tf.matmul(found, factor)
        _ = found[0, 0].numpy()

    started = time.perf_counter()
    list(side_by_side(product, range(lanes())))
    return (time.perf_counter() - started) / repeats
