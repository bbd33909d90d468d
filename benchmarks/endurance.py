"""Whether the trainer stays as it begins: memory over 10^4 steps, cost over 10^8 tokens, full rows.

    python benchmarks/endurance.py [--quick]

Memory: resident size of a tiny model's run with checkpoints, after 10^3 steps and after 10^4. Cost:
packing a corpus and reading its rows back at random, a token, from 10^5 to 10^8 tokens. Packing:
share of the positions that hold a token, lengths lognormal with median 40 and mean 66. The last
line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from measuring import run_once, table


def main() -> None:
    """Measure, print, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a hundredth of everything")
    asked = parser.parse_args()
    steps = 200 if asked.quick else 10_000
    sizes = [10**5, 10**6] if asked.quick else [10**5, 10**6, 10**7, 10**8]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        early, middle, late = run_once("ours_upkeep.endurance", {"steps": steps}, log)["resident"]
        costs = {}
        for length in (128, 256):
            found = run_once("ours_upkeep.scale", {"tokens": sizes, "length": length}, log)
            costs[length] = found["sizes"]
    table(
        ["steps", "resident MB"],
        [[f"{steps // 10:,}", f"{early / 1e6:.1f}"], [f"{steps // 2:,}", f"{middle / 1e6:.1f}"],
         [f"{steps:,}", f"{late / 1e6:.1f}"]],
        title="Memory of a run with a checkpoint every 5 s",
    )  # fmt: skip
    table(
        ["tokens of corpus", "row", "pack, ns/token", "read, ns/position", "positions filled"],
        [[f"{one['tokens']:,}", length, f"{one['pack_ns']:.1f}", f"{one['read_ns']:.2f}",
          f"{one['fill']:.2%}"] for length, each in costs.items() for one in each],
        title="Cost of the data path and fill of the rows",
    )  # fmt: skip
    print("\n" + json.dumps({
        "memory_growth": round(late / early - 1, 4),
        "packing": round(min(each[-1]["fill"] for each in costs.values()), 4),
        "pack_cost_growth": round(costs[128][-1]["pack_ns"] / costs[128][1]["pack_ns"], 2),
        "read_cost_growth": round(costs[128][-1]["read_ns"] / costs[128][0]["read_ns"], 2),
        "quick": asked.quick,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
