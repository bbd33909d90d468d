"""What a night costs beside its stages: keys, store, digests, Prefect, MLflow, and starting up.

A default night in a home of its own, in this process, with a clock around every stage's function: the
very call that one makes who calls the function directly. What else the night takes is orchestration.
Starting up (imports, Prefect's and MLflow's tables) is told apart, since it is paid once, whatever
the night does.

    python benchmarks/orchestration.py [--config deployments/nightly.yaml]

The last line is JSON.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import table

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run the night and print what is left beside its stages."""
    began = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, default=ROOT / "deployments" / "nightly.yaml")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PLUMBLINE_HOME"] = str(Path(folder, "runs"))
        stages, started, ended = night(asked.config)
    inside = sum(took for _, took in stages.values())
    outside = sum(whole - took for whole, took in stages.values())
    table(
        ["stage", "in all, s", "its function, s", "beside it, s"],
        [[title, f"{whole:.2f}", f"{took:.2f}", f"{whole - took:.2f}"]
         for title, (whole, took) in stages.items()],
    )  # fmt: skip
    total = ended - started
    found = {
        "night_s": round(total, 1),
        "functions_s": round(inside, 1),
        "orchestration_share": round((total - inside) / total, 4),
        "orchestration_s_a_stage": round((total - inside) / len(stages), 3),
        "of_which_in_stages_s": round(outside, 2),
        "starting_up_s": round(started - began, 1),
    }
    print("\n" + json.dumps(found))


def night(config: Path) -> tuple[dict[str, tuple[float, float]], float, float]:
    """Run one.

    Returns:
        Seconds of each stage in all and of its function, by title; when the first stage was called,
        and when the night had ended.
    """
    from tasks.settings import Environment

    Environment().apply()
    from flows.nightly import nightly
    from tasks.configuration import Configuration
    from tasks.settings import load_as
    from tasks.stage import Stage

    inside: dict[str, float] = {}
    whole: dict[str, float] = {}
    begins: list[float] = []
    compute, call = Stage._compute, Stage.__call__

    def timed_compute(self: Any, store: Any, key: str, title: str, given: Any, run: Any) -> Any:
        function = self.fn

        @functools.wraps(function)
        def clocked(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                inside[title] = time.perf_counter() - started

        self.fn = clocked
        try:
            return compute(self, store, key, title, given, run)
        finally:
            self.fn = function

    def timed_call(self: Any, *records: Any, title: str | None = None, **arguments: Any) -> Any:
        begins.append(time.perf_counter())
        try:
            return call(self, *records, title=title, **arguments)
        finally:
            whole[title or self.name] = time.perf_counter() - begins[-1]

    Stage._compute, Stage.__call__ = timed_compute, timed_call
    nightly(load_as(Configuration, config, []))
    ended = time.perf_counter()
    return {title: (whole[title], inside[title]) for title in whole}, begins[0], ended


if __name__ == "__main__":
    main()
