"""How long a night takes, first and repeated, and what of it is waiting for Prefect and MLflow.

Runs the given configuration twice in a fresh home and prints what each stage took, with the load
that other processes put on the machine meanwhile; a busy machine is said to be one.

    python benchmarks/night.py [configuration.yaml]
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]


def timed_night(configuration: Path, home: Path) -> tuple[float, float, list[tuple[str, str]]]:
    """One night in a process of its own.

    Returns:
        Seconds from prompt to page, mean CPUs that other processes used, and (stage, took) pairs.
    """
    plumbline = Path(sys.executable).with_name("plumbline")
    environment = {**os.environ, "PLUMBLINE_HOME": str(home), "COLUMNS": "120"}
    before = psutil.cpu_times()
    started = time.perf_counter()
    done = subprocess.run(
        [str(plumbline), "nightly", "--config", str(configuration)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    after = psutil.cpu_times()
    ours = _child_seconds()
    busy = sum(getattr(after, k) - getattr(before, k) for k in ("user", "nice", "system"))
    foreign = max(0.0, busy - ours) / seconds
    stages = re.findall(r"✓ (\w+) .*?(reused|[\d.]+ s)$", done.stderr, re.MULTILINE)
    return seconds, foreign, stages


_spent = 0.0


def _child_seconds() -> float:
    """CPU seconds of the children that ended since the last call."""
    global _spent
    times = os.times()
    total = times.children_user + times.children_system
    new, _spent = total - _spent, total
    return new


def main() -> None:
    """Run both nights and print the table; the last line is JSON."""
    configuration = (
        Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "deployments" / "nightly.yaml"
    )
    with tempfile.TemporaryDirectory() as folder:
        first, load, stages = timed_night(configuration, Path(folder, "runs"))
        second, load_again, reused = timed_night(configuration, Path(folder, "runs"))
    print(f"{'stage':<18} {'first':>9} {'repeated':>9}")
    for (name, took), (_, again) in zip(stages, reused, strict=True):
        print(f"{name:<18} {took:>9} {again:>9}")
    print(f"{'prompt to page':<18} {first:>7.0f} s {second:>7.1f} s")
    print(f"{'foreign load':<18} {load:>5.2f} CPU {load_again:>5.2f} CPU")
    print(
        json.dumps(
            {
                "first_s": round(first, 1),
                "repeated_s": round(second, 1),
                "foreign_cpu": round(load, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
