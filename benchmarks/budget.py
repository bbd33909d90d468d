"""The best model for a budget of minutes: ours, Hugging Face's loop, KerasHub's, and an LSTM.

    PLUMBLINE_DATA=folder python benchmarks/budget.py [--minutes 15] [--seeds 0 1 2] [--quick]

Each trains 4 layers x 256 (the LSTM 3 x 256) on the same novels and Wikipedia text, with the same
WordPiece vocabulary of 8192, for the same minutes on the same machine, one after another. Then two
figures: bits per character of the same hidden held-out tokens (see `prepared.py`), and accuracy on
`mr_polarity` after three epochs of fine-tuning with the framework's own classification head.

Every contender has its sensible recipe: full rows of 128 (ours packed, the peers' grouped texts),
32 rows a step, bfloat16 where the processor has it, a learning rate that rises and decays to zero
within the time, its peak and the share of masked tokens chosen beforehand by short runs on another
seed (the peak at 30 %, then the common 15 % at the best peak), and fine-tuning rates chosen on
validation.

A result is written to `benchmarks/recorded/budget.jsonl` as soon as it is there, and is never
measured again: after an interruption the same command goes on. The file is committed, because the
whole table takes longer than most sittings; remove it to measure everything anew. The last line is
JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import prepared
from measuring import FOREIGN_LIMIT, run_once, table, tell

RESULTS = Path(__file__).with_name("results")
RECORDED = Path(__file__).with_name("recorded")
SHAPE, LENGTH, BATCH = {"layers": 4, "width": 256, "heads": 4}, 128, 32
QUICK = {"layers": 1, "width": 64, "heads": 2}
RATES = [2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3]  # peaks tried for pretraining, from the middle outwards
MASK_RATES = [0.3, 0.15]
TUNE = {"rates": [1e-4, 3e-4, 1e-3], "epochs": 3, "batch": 32, "length": 64}
SWEEP_SEED = 100
OURS = "ours"


def contenders() -> dict[str, tuple[str, dict[str, Any]]]:
    """Job and own arguments of each."""
    bf16 = "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    policy = "mixed_bfloat16" if bf16 else "float32"
    return {
        OURS: ("ours_budget.budget", {"policy": policy, "kind": "encoder", "recipe": {}}),
        "Hugging Face Trainer": ("hugging_face.budget", {"bf16": bf16}),
        "KerasHub": ("keras_hub.budget", {"policy": policy}),
        "LSTM": ("ours_budget.budget", {"policy": "float32", "kind": "lstm", "recipe": {}}),
    }


def machine() -> dict[str, Any]:
    """What it was measured on, so that nobody compares runs of different machines."""
    side, times = 2048, []
    block = np.ones((side, side), np.float32)
    for _ in range(8):
        begun = time.perf_counter()
        _ = block @ block
        times.append(time.perf_counter() - begun)
    return {"cores": os.cpu_count(), "matmul_gflops": round(2e-9 * side**3 / min(times))}


class Results:
    """What was measured, one JSON object a line.

    Args:
        path: The file; need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self._known = {}
        for line in lines:
            try:
                found = json.loads(line)
            except json.JSONDecodeError:  # cut short when the machine went down
                continue
            self._known[self._key(found["asked"])] = found

    @staticmethod
    def _key(asked: dict[str, Any]) -> str:
        return json.dumps(asked, sort_keys=True)

    def of(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        """What was found before, if anything."""
        return self._known.get(self._key(asked))

    def add(self, asked: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
        """Keep what was found, at once and on the disk."""
        entry = {"asked": asked, **found}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as handle:
            handle.write(json.dumps(entry) + "\n")
            handle.flush()
            os.fsync(handle.fileno())
        self._known[self._key(asked)] = entry
        return entry


def measured(
    results: Results, name: str, data: Path, asked: argparse.Namespace, *, minutes: float,
    rate: float, masks: float, seed: int, tune: bool,
) -> dict[str, Any]:  # fmt: skip
    """One run of one contender, or what an earlier call found."""
    job, own = contenders()[name]
    tuning = {**TUNE, "rates": TUNE["rates"][:1], "epochs": 1} if asked.quick else TUNE
    arguments = {
        **own, "folder": str(data), "shape": QUICK if asked.quick else SHAPE, "length": LENGTH,
        "batch": BATCH, "seconds": 60 * minutes, "learning_rate": rate, "mask_rate": masks,
        "seed": seed, "tune": tuning if tune else None,
    }  # fmt: skip
    key = {"contender": name, **arguments, "folder": data.name}
    if (known := results.of(key)) is not None:
        return known
    with tempfile.TemporaryDirectory() as logs:
        found = run_once(job, arguments, Path(logs, "log"))
    found |= {"machine": machine()}
    characters = prepared.Prepared.open(data).characters
    found["bits_per_character"] = found["nats"] / 0.6931471805599453 / characters
    tell(f"{name}, seed {seed}: {found['bits_per_character']:.3f} bits per character")
    return results.add(key, found)


def best_setting(
    results: Results, name: str, data: Path, asked: argparse.Namespace
) -> tuple[float, float]:
    """The peak learning rate and the mask rate with the lowest held-out loss in short runs."""
    if asked.quick:
        return RATES[2], MASK_RATES[0]

    def loss(rate: float, masks: float) -> float:
        found = measured(results, name, data, asked, minutes=asked.sweep_minutes, rate=rate,
                         masks=masks, seed=SWEEP_SEED, tune=False)  # fmt: skip
        return float(found["nats"])

    place = len(RATES) // 2
    while (near := _better_neighbour(place, lambda i: loss(RATES[i], MASK_RATES[0]))) != place:
        place = near
    rate = RATES[place]
    return rate, min(MASK_RATES, key=lambda masks: loss(rate, masks))


def _better_neighbour(place: int, loss: Callable[[int], float]) -> int:
    """The place of the lowest loss among this one and the two beside it."""
    return min((i for i in (place, place - 1, place + 1) if 0 <= i < len(RATES)), key=loss)


def spread(values: list[float], digits: int) -> str:
    """Mean and standard deviation over seeds."""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}"


def report(
    found: dict[str, list[dict[str, Any]]], chosen: dict[str, tuple[float, float]], minutes: float
) -> dict[str, Any]:
    """Print the table; by how much ours leads each of the others, seed by seed."""
    table(
        ["contender", "bits/character", "accuracy", "steps", "peak rate", "masked", "foreign CPU"],
        [
            [
                name,
                spread([run["bits_per_character"] for run in runs], 3),
                spread([run["accuracy"] for run in runs], 4),
                f"{statistics.mean(run['steps'] for run in runs):,.0f}",
                f"{chosen[name][0]:g}",
                f"{chosen[name][1]:.0%}",
                f"{max(run['foreign_cpu'] for run in runs):.2f}",
            ]
            for name, runs in found.items()
        ],
        title=f"{minutes:g} minutes each; mean ± standard deviation over "
        f"{len(next(iter(found.values())))} seeds",
    )
    leads: dict[str, dict[str, list[float]]] = {}
    for name, runs in found.items():
        if name != OURS:
            pairs = list(zip(found[OURS], runs, strict=True))
            leads[name] = {
                "bits": [b["bits_per_character"] - a["bits_per_character"] for a, b in pairs],
                "accuracy": [a["accuracy"] - b["accuracy"] for a, b in pairs],
            }
    table(
        ["ours leads", "by bits/character", "least", "by accuracy", "least"],
        [
            [name, spread(lead["bits"], 3), f"{min(lead['bits']):.3f}",
             spread(lead["accuracy"], 4), f"{min(lead['accuracy']):.4f}"]
            for name, lead in leads.items()
        ],
        title="Differences seed by seed",
    )  # fmt: skip
    disturbed = sum(r["foreign_cpu"] > FOREIGN_LIMIT for runs in found.values() for r in runs)
    if disturbed:
        print(f"{disturbed} runs had more than {FOREIGN_LIMIT} CPUs of foreign load")
    return {
        "bits_per_character": {n: statistics.mean(r["bits_per_character"] for r in runs)
                               for n, runs in found.items()},
        "accuracy": {n: statistics.mean(r["accuracy"] for r in runs) for n, runs in found.items()},
        "lead_bits": min(statistics.mean(lead["bits"]) for lead in leads.values()),
        "lead_accuracy": min(statistics.mean(lead["accuracy"]) for lead in leads.values()),
        "disturbed": disturbed,
    }  # fmt: skip


def main() -> None:
    """Measure what is not measured yet, print, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--sweep-minutes", type=float, default=2.5, help="of each setting tried")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--contenders", nargs="+", default=list(contenders()))
    parser.add_argument("--quick", action="store_true", help="seconds, not minutes")
    asked = parser.parse_args()
    if "PLUMBLINE_DATA" not in os.environ:
        sys.exit("PLUMBLINE_DATA must name the folder that holds pretrain_books and the others")
    if asked.quick:
        asked.minutes, asked.seeds = 0.1, asked.seeds[:1]
    data = prepared.prepare(Path(os.environ["PLUMBLINE_DATA"]), RESULTS, quick=asked.quick)
    results = Results(RESULTS / "budget_quick.jsonl" if asked.quick else RECORDED / "budget.jsonl")
    chosen = {name: best_setting(results, name, data, asked) for name in asked.contenders}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in asked.contenders}
    for seed in asked.seeds:  # outermost, so that a part of the table is a fair one too
        for name in asked.contenders:
            rate, masks = chosen[name]
            found[name].append(measured(
                results, name, data, asked, minutes=asked.minutes, rate=rate, masks=masks,
                seed=seed, tune=True,
            ))  # fmt: skip
    headline = report(found, chosen, asked.minutes)
    print("\n" + json.dumps({"minutes": asked.minutes, "seeds": asked.seeds, **headline}))


if __name__ == "__main__":
    main()
