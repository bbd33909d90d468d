"""What this machine computes on, and in which precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

# On a shared CPU, per step of 4096 tokens, the adversary on a quarter of the rows, in CPU time:
# 4 x 256: float32 1487 ms, with XLA 1442 ms, bfloat16 963 ms; 2 x 128: 349, 288 and 310 ms.
# Below this width the casts cost what the faster products save, and XLA's fused passes win.
BFLOAT16_FROM_WIDTH = 256
_XLA_FROM_STEPS = 300  # compiling takes as long as this many steps gain
_AMPERE = 8  # first compute capability with bfloat16 units


def prepare() -> None:
    """Let TensorFlow take GPU memory as it needs it, not all at once."""
    for gpu in tf.config.list_physical_devices("GPU"):
        if not tf.config.experimental.get_memory_growth(gpu):
            tf.config.experimental.set_memory_growth(gpu, True)


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


def use_xla(policy: str, width: int, steps: int) -> bool:
    """Whether a run is long enough, and its model narrow enough, for XLA to pay on a CPU.

    Args:
        policy: What `dtype_policy` gave; XLA makes bfloat16 slower on a CPU.
        width: The encoder's hidden size.
        steps: Optimizer steps of the run.
    """
    on_cpu = not tf.config.list_physical_devices("GPU")
    narrow = policy == "float32" and width < BFLOAT16_FROM_WIDTH
    return on_cpu and narrow and steps >= _XLA_FROM_STEPS


def _gpus_have_bfloat16(gpus: list[Any]) -> bool:
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return all(d.get("compute_capability", (0, 0))[0] >= _AMPERE for d in details)


def _cpu_has_bfloat16(width: int) -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return width >= BFLOAT16_FROM_WIDTH and bool({"avx512_bf16", "amx_bf16"} & set(flags))
