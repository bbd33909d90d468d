"""What a document costs from ten thousand to a million: ingest, profile and clean, time and memory.

Corpora of 10^4 and 10^5 documents of about 40 words (10^6 with `--full`), made of the real text of
PLUMBLINE_DATA, go through the three stages, each in a process of its own that has worked on 500
documents before, so that what a process does once is not counted. Figures are documents a second,
CPU seconds by which the cost per document is compared (others may use the machine), and the peak of
the process's resident memory, the pages of files that it has mapped included.

Then an incremental night: a tenth of new rows at the end of a corpus whose other rows an earlier
night has measured, beside the same corpus with nothing known. And the same corpus once more with its
shards measured by two workers of Dask. All must keep the same rows, byte for byte.

    python benchmarks/scale.py [--full] [--sizes 10000,100000] [--no-dask]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import scaling
from measuring import run_once, table, tell

_SIZES = (10_000, 100_000)
_FULL = 1_000_000
_NEW = 0.1  # share of the rows that are new in the incremental night


class Bench:
    """Runs nights in processes of their own.

    Args:
        folder: Receives corpora and homes.
        data: Real text.
    """

    def __init__(self, folder: Path, data: Path) -> None:
        self._folder, self._data = folder, data
        self._warm = folder / "warm.parquet"
        scaling.warming(self._warm, data)

    def corpus(self, documents: int) -> Path:
        """A corpus of so many documents."""
        path = self._folder / f"{documents}.parquet"
        if not path.exists():
            scaling.write_corpus(path, documents, self._data)
            tell(f"a corpus of {documents:,} documents is written")
        return path

    def night(self, documents: int, home: str, runner: str = "in_process") -> dict[str, Any]:
        """One night."""
        given = {
            "corpus": str(self.corpus(documents)), "home": str(self._folder / home),
            "runner": runner, "workers": 2, "warm": str(self._warm),
        }  # fmt: skip
        return run_once("scaling.night", given, self._folder / f"{home}.log")


def total(found: dict[str, Any], what: str) -> float:
    """Seconds of all three stages."""
    return float(sum(found[what].values()))


def line(name: str, documents: int, found: dict[str, Any]) -> tuple[object, ...]:
    """A row of the table."""
    wall, cpu = total(found, "seconds"), total(found, "cpu")
    stages = " / ".join(f"{found['seconds'][stage]:,.1f}" for stage in found["seconds"])
    return (
        name, f"{documents:,}", f"{documents / wall:,.0f}", f"{1e6 * cpu / documents:,.0f}", stages,
        f"{found['peak_gib']:.2f}", f"{found['kept']:,}", f"{found['foreign_cpu']:.2f}",
    )  # fmt: skip


def main() -> None:
    """Print the table; the last line is JSON."""
    parser = argparse.ArgumentParser(description="Cost and memory of the data stages by size")
    parser.add_argument("--full", action="store_true", help="also a million documents")
    parser.add_argument("--quick", action="store_true", help="only the smallest corpus and a tenth")
    parser.add_argument("--sizes", default="", help="other sizes, with commas between them")
    parser.add_argument("--no-dask", action="store_true", help="leave out the workers of Dask")
    options = parser.parse_args()
    data = os.environ.get("PLUMBLINE_DATA")
    if not data:
        sys.exit("PLUMBLINE_DATA is not set: the documents are made of the real text there")
    sizes = [int(size) for size in options.sizes.split(",") if size]
    sizes = sizes or [*_SIZES, *([_FULL] if options.full else [])]
    sizes = [_SIZES[0] // 10, _SIZES[0]] if options.quick else sizes
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), Path(data))
        nights = {size: bench.night(size, f"night-{size}") for size in sizes}
        rows = [line("whole", size, found) for size, found in nights.items()]
        base = max(size for size in sizes if size < _FULL)
        after = base + int(_NEW * base)
        fresh = bench.night(after, "fresh")
        incremental = bench.night(after, f"night-{base}")
        rows.append(line("a tenth new, nothing known", after, fresh))
        rows.append(line("a tenth new, the rest known", after, incremental))
        same = [fresh["digest"] == incremental["digest"]]
        if not options.no_dask:
            dask = bench.night(base, "dask", "dask")
            rows.append(line("two workers of Dask", base, dask))
            same.append(dask["digest"] == nights[base]["digest"])
        tell(incremental["profile"])
    heads = (
        "night", "documents", "documents/s", "CPU us a document", "s: ingest / profile / clean",
        "peak GiB", "kept", "load of others",
    )  # fmt: skip
    table(heads, rows, "Ingest, profile and clean")
    costs = [total(found, "cpu") / size for size, found in nights.items()]
    print(json.dumps({
        "cost_flatness": round(max(costs) / min(costs), 3),
        "peak_gib": round(max(found["peak_gib"] for found in nights.values()), 2),
        "incremental_ratio": round(total(incremental, "cpu") / total(fresh, "cpu"), 3),
        "incremental_ratio_profile": round(incremental["cpu"]["profile"] / fresh["cpu"]["profile"], 3),
        "incremental_ratio_wall": round(
            total(incremental, "seconds") / total(fresh, "seconds"), 3
        ),
        "identical": all(same),
        "documents_per_s": round(max(sizes) / total(nights[max(sizes)], "seconds"), 1),
        "sizes": sizes,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
