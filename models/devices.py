"""What this machine computes on, how its cores share the work, and in which precision.

On a CPU every operation runs on one core, and the cores work on separate lanes: shares of a batch
that are computed side by side from the first layer to the last gradient. The usual way, all cores
on each operation, makes them wait for one another at every small one. Two cores, 4 x 256 and 4096
tokens a step, alternated: 606 ms that way and 566 ms in two lanes in float32, 406 and 370 in
bfloat16; at 2 x 128 and 1024 tokens, 45 and 36 ms, where XLA, which fuses the small ones, takes 39.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import tensorflow as tf

Item = TypeVar("Item")
Found = TypeVar("Found")

# On a shared CPU, 4 x 256: float32 1487 ms of CPU time a step, bfloat16 963; at 2 x 128 349 and 310.
# Below this width the casts cost most of what the faster products save.
BFLOAT16_FROM_WIDTH = 256
_MOST_LANES = 8  # each has gradients of its own, which have to be added up
_AMPERE = 8  # first compute capability with bfloat16 units


def prepare() -> None:
    """Let TensorFlow use this machine as this project does; best before its first operation.

    Of a GPU it takes memory as it needs it, not all at once. A process that has computed already
    keeps its threads and its way with memory: it computes the same, only slower.
    """
    try:
        for gpu in tf.config.list_physical_devices("GPU"):
            if not tf.config.experimental.get_memory_growth(gpu):
                tf.config.experimental.set_memory_growth(gpu, True)
        tf.config.threading.set_intra_op_parallelism_threads(max(1, _cores() // lanes()))
        tf.config.threading.set_inter_op_parallelism_threads(max(2, lanes()))
    except RuntimeError:  # already in use
        return


def lanes() -> int:
    """Shares of a batch that are computed side by side: one a core, and one on GPUs."""
    if tf.config.list_physical_devices("GPU"):
        return 1
    return min(_MOST_LANES, _cores())


def side_by_side(function: Callable[[Item], Found], items: Iterable[Item]) -> Iterator[Found]:
    """The function's result for each item, in their order, as many computed at once as there are lanes.

    Only a few results are held, whatever the number of items.
    """
    waiting: deque[Future[Found]] = deque()
    with ThreadPoolExecutor(lanes()) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > lanes():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def dtype_policy(asked: str, width: int) -> str:
    """The Keras dtype policy for a precision.

    `auto` goes by what the hardware says it has and by the model's width, never by a timing, so
    that a run that is repeated or resumed on the same machine computes the same bits.

    Args:
        asked: `float32`, `bfloat16` or `auto`.
        width: The encoder's hidden size.
    """
    if asked == "auto":
        gpus = tf.config.list_physical_devices("GPU")
        wins = _gpus_have_bfloat16(gpus) if gpus else _cpu_has_bfloat16(width)
        asked = "bfloat16" if wins else "float32"
    return {"float32": "float32", "bfloat16": "mixed_bfloat16"}[asked]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpus_have_bfloat16(gpus: list[Any]) -> bool:
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return all(d.get("compute_capability", (0, 0))[0] >= _AMPERE for d in details)


def _cpu_has_bfloat16(width: int) -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return width >= BFLOAT16_FROM_WIDTH and bool({"avx512_bf16", "amx_bf16"} & set(flags))
