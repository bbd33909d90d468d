"""How fast the masked-LM trainer is, against Hugging Face's `Trainer` and KerasHub's task.

    make bench          or    python benchmarks/training.py [--quick]

Real tokens a second (padding does not count; `[CLS]` and `[SEP]` do) at two sizes, on made-up
documents with lognormal lengths (median 40, mean 66 tokens), vocabulary 8192, 4096 positions a
step, 15 % masked in BERT's 80/10/10 manner, dropout 0, AdamW, in every contender. Then what of the
machine's measured matrix-product peak that is, what bfloat16 does to the loss curve, and what the
loop costs beside its steps. `PLUMBLINE_DATA` names the folder of real text, for the loss curves.

The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import corpora
import numpy as np
from measuring import Rates, Worker, alternate, run_once, table, tell

POSITIONS = 4096  # of a step, in every contender
SIZES: dict[str, tuple[dict[str, int], int]] = {
    "A": ({"layers": 4, "width": 256, "heads": 4}, 128),
    "B": ({"layers": 6, "width": 384, "heads": 6}, 256),
}
QUICK: dict[str, tuple[dict[str, int], int]] = {
    "A": ({"layers": 1, "width": 64, "heads": 2}, 128),
    "B": ({"layers": 2, "width": 64, "heads": 2}, 256),
}
OURS, OURS_BF16, PEAK = "ours, packed, fp32", "ours, packed, bf16", "matmul peak fp32"
HF, HF_LONGEST = "HF Trainer, padded to max length, fp32", "HF Trainer, padded to longest, fp32"
HF_BEST = "HF Trainer, grouped, bf16"
HUB_FIT, HUB_BARE = "KerasHub fit, padded, fp32", "KerasHub bare, padded, fp32"
HUB_BARE_NO_XLA = "KerasHub bare, padded, fp32, no XLA"
HUB_GROUPED, HUB_BEST = "KerasHub bare, grouped, fp32", "KerasHub bare, grouped, bf16, no XLA"


def contenders(
    shape: dict[str, int], length: int, documents: int
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Job and arguments of each."""
    same = {"shape": shape, "length": length, "batch": POSITIONS // length, "documents": documents}

    def ours(policy: str) -> tuple[str, dict[str, Any]]:
        return "ours.throughput", {**same, "policy": policy}

    def face(layout: str, bf16: bool = False) -> tuple[str, dict[str, Any]]:
        return "hugging_face.throughput", {**same, "layout": layout, "bf16": bf16}

    def hub(layout: str, way: str, policy: str = "float32") -> tuple[str, dict[str, Any]]:
        return "keras_hub.throughput", {**same, "layout": layout, "way": way, "policy": policy}

    return {
        OURS: ours("float32"),
        PEAK: ("ours.peak", {}),
        OURS_BF16: ours("mixed_bfloat16"),
        HF: face("max_length"),
        HF_LONGEST: face("longest"),
        HF_BEST: face("grouped", bf16=True),
        HUB_FIT: hub("padded", "fit"),
        HUB_BARE: hub("padded", "bare"),
        HUB_BARE_NO_XLA: hub("padded", "bare_no_xla"),
        HUB_GROUPED: hub("grouped", "bare"),
        HUB_BEST: hub("grouped", "bare_no_xla", "mixed_bfloat16"),
    }


def race(
    shape: dict[str, int], length: int, *, documents: int, repeats: int, seconds: float, logs: Path
) -> tuple[dict[str, Rates], dict[str, Any]]:
    """Start all contenders, then let them train in turns; also what ours says of itself."""
    facts: dict[str, Any] = {}
    with ExitStack() as stack:
        workers = {}
        for number, (name, (job, arguments)) in enumerate(
            contenders(shape, length, documents).items()
        ):
            tell(f"starting {name}")
            worker = stack.enter_context(Worker(job, arguments, logs / f"{length}-{number}.log"))
            facts[name] = worker.answer()
            workers[name] = worker
        return alternate(workers, repeats=repeats, seconds=seconds), facts[OURS]


def report_race(name: str, rates: dict[str, Rates], facts: dict[str, Any]) -> dict[str, float]:
    """Print the table of one size; headline figures by name."""
    speed = {who: found.median for who, found in rates.items() if who != PEAK}
    best = max(speed[OURS], speed[OURS_BF16])
    headline = {
        "tokens_per_second": best,
        "ratio_hf": best / speed[HF],
        "ratio_hf_longest": best / speed[HF_LONGEST],
        "ratio_hf_best": best / speed[HF_BEST],
        "ratio_kerashub": best / max(speed[w] for w in (HUB_FIT, HUB_BARE, HUB_BARE_NO_XLA)),
        "ratio_kerashub_grouped": best / max(speed[HUB_GROUPED], speed[HUB_BEST]),
        "ratio_fp32_hf": speed[OURS] / speed[HF],
        "bf16_over_fp32": speed[OURS_BF16] / speed[OURS],
        "peak_gflops": rates[PEAK].median / 1e9,
        "utilisation": speed[OURS] * facts["flops_per_token"] / rates[PEAK].median,
        "packing": facts["fill"],
        "foreign_cpu": max(found.foreign for found in rates.values()),
    }
    table(
        ["contender", "real tokens/s, median [range]", "ours / it", "foreign CPU"],
        [
            [who, rates[who], f"{best / speed[who]:.2f}", f"{rates[who].foreign:.2f}"]
            for who in speed
        ],
        title=f"Model {name}: throughput",
    )
    flops = facts["flops_per_token"]
    table(
        ["ours", "GFLOP/s", "of the fp32 peak"],
        [
            [who, f"{speed[who] * flops / 1e9:,.0f}",
             f"{speed[who] * flops / rates[PEAK].median:.0%}"]
            for who in (OURS, OURS_BF16)
        ] + [[PEAK, f"{rates[PEAK].median / 1e9:,.0f}", "100%"]],
        title=f"Model {name}: utilisation (3 x the forward matrix products)",
    )  # fmt: skip
    return headline


def curves(size: tuple[dict[str, int], int], steps: int, logs: Path, quick: bool) -> dict[str, Any]:
    """Losses on real text in both precisions, beside how far two seeds lie apart."""
    import prepared

    if "PLUMBLINE_DATA" not in os.environ:
        print("\nLoss curves: not measured, PLUMBLINE_DATA names no folder of text")
        return {}
    into = Path(__file__).with_name("results")
    folder = prepared.prepare(Path(os.environ["PLUMBLINE_DATA"]), into, quick=quick)
    shape, length = size
    same = {"folder": str(folder), "shape": shape, "length": length, "steps": steps,
            "batch": POSITIONS // length}  # fmt: skip
    smooth = {}
    for name, policy, seed in (
        ("fp32", "float32", 0), ("bf16", "mixed_bfloat16", 0), ("fp32, another seed", "float32", 1)
    ):  # fmt: skip
        arguments = {**same, "policy": policy, "seed": seed}
        losses = run_once("ours.curve", arguments, logs / f"curve-{name}.log")["losses"]
        window = max(1, steps // 15)
        smooth[name] = np.convolve(losses, np.ones(window) / window, "valid")
    apart = {name: np.abs(smooth[name] - smooth["fp32"]) for name in list(smooth)[1:]}
    table(
        ["curve", "last smoothed loss", "mean |difference to fp32|", "largest"],
        [["fp32", f"{smooth['fp32'][-1]:.3f}", "", ""]]
        + [[name, f"{smooth[name][-1]:.3f}", f"{far.mean():.4f}", f"{far.max():.4f}"]
           for name, far in apart.items()],
        title=f"Loss curves on real text, {steps} steps, moving mean of {max(1, steps // 15)}",
    )  # fmt: skip
    return {
        "bf16_curve_mean_difference": float(apart["bf16"].mean()),
        "bf16_curve_largest_difference": float(apart["bf16"].max()),
        "seed_curve_mean_difference": float(apart["fp32, another seed"].mean()),
    }


def overheads(size: tuple[dict[str, int], int], steps: int, logs: Path) -> dict[str, float]:
    """What the loop costs beside the compiled step."""
    shape, length = size
    arguments = {"shape": shape, "length": length, "batch": POSITIONS // length, "steps": steps,
                 "policy": "mixed_bfloat16", "documents": 20_000}  # fmt: skip
    found = run_once("ours_upkeep.overheads", arguments, logs / "overheads.log")
    table(
        ["share of the loop's time", "", "limit"],
        [
            ["input path", f"{found['input_share']:.2%}", "3%"],
            ["logging and all else outside the step", f"{found['logging_share']:.2%}", ""],
            [f"a checkpoint every {found['checkpoint_interval']:.0f} s",
             f"{found['checkpoint_share']:.2%}", ""],
            ["logging and checkpoints",
             f"{found['logging_share'] + found['checkpoint_share']:.2%}", "2%"],
        ],
        title=f"Overheads beside a step of {found['step_ms']:.0f} ms (bf16; foreign load "
        f"{found['foreign_cpu']:.2f} CPU)",
    )  # fmt: skip
    return {
        "input_share": found["input_share"],
        "logging_share": found["logging_share"] + found["checkpoint_share"],
    }


def main() -> None:
    """Measure, print, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny models: does it run at all")
    parser.add_argument("--repeats", type=int, default=5, help="slices of each contender")
    parser.add_argument("--seconds", type=float, default=8.0, help="of a slice")
    parser.add_argument("--models", nargs="+", choices=sorted(SIZES), default=sorted(SIZES))
    asked = parser.parse_args()
    sizes = QUICK if asked.quick else SIZES
    repeats, seconds = (1, 0.5) if asked.quick else (asked.repeats, asked.seconds)
    headline: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder)
        for name in asked.models:
            shape, length = sizes[name]
            found = report_race(name, *race(
                shape, length, documents=2_000 if asked.quick else 20_000, repeats=repeats,
                seconds=seconds, logs=logs,
            ))  # fmt: skip
            headline |= found if name == "A" else {f"{key}_{name}": found[key] for key in found}
        headline |= curves(sizes["A"], 30 if asked.quick else 300, logs, asked.quick)
        headline |= overheads(sizes["A"], 40 if asked.quick else 200, logs)
    headline["documents"] = f"lognormal, median {corpora.MEDIAN:.0f}, mean {corpora.MEAN:.0f}"
    headline["quick"] = asked.quick
    rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in headline.items()}
    print("\n" + json.dumps(rounded))


if __name__ == "__main__":
    main()
