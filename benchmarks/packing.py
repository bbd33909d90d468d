"""How full packed rows are, and what a token of corpus costs before training, from small to large.

Makes a corpus of a few thousand documents of lognormal lengths (median 40 tokens, mean 66), repeats it
with an edit in each copy until it has the asked number of tokens, and runs the stages `tokenize`
and `pack` on it, each size in a process of its own. The vocabulary is learnt once, before, and its
time is told apart. Memory is what the process holds itself (RssAnon); mapped files, which the system
may drop at any time, are left out.

    python benchmarks/packing.py [largest corpus in tokens, default 1e8]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import psutil

from models.text.packing import best_fit, cut
from tasks.configuration import Tokenization
from tasks.log import Log
from tasks.settings import ROOT
from tasks.training.pack import pack
from tasks.training.tokenize import tokenize

SIZES = [10**5, 10**6, 10**7, 10**8]
BASE = 10_000  # documents that are repeated
CONFIG = Tokenization(vocabulary=8000)
WORDS = ROOT / "tasks" / "corpus" / "words_english.txt"
TOKENS_PER_WORD = 1.1  # roughly, with this vocabulary


def base_texts(rng: np.random.Generator) -> list[str]:
    """Documents of English words, frequent ones first in the manner of Zipf."""
    words = np.array([w for w in WORDS.read_text().split() if w.isalpha()])
    sizes = np.maximum(1, rng.lognormal(np.log(40 / TOKENS_PER_WORD), 1.0, BASE)).astype(int)
    ranks = np.minimum(rng.zipf(1.2, sizes.sum()), len(words)) - 1
    return [" ".join(part) for part in np.split(words[ranks], np.cumsum(sizes)[:-1])]


def write_corpus(folder: Path, documents: int) -> None:
    """`corpus.parquet` of so many edited documents, written a part at a time."""
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    base = pl.Series("text", base_texts(rng))
    folder.mkdir(parents=True, exist_ok=True)
    writer = None
    for start in range(0, documents, BASE):
        count = min(BASE, documents - start)
        edits = pl.Series("edit", [f" {n:x}" for n in rng.integers(1 << 16, size=count)])
        part = pl.DataFrame({"text": base[:count] + edits}).with_columns(
            row_id=pl.format("row-{}", pl.int_range(start, start + count)),
            split=pl.lit("train"), source=pl.lit("made"),
        ).to_arrow()  # fmt: skip
        writer = writer or pq.ParquetWriter(folder / "corpus.parquet", part.schema)
        writer.write_table(part)
    if writer is not None:
        writer.close()


class Memory(threading.Thread):
    """Watches what this process holds in memory of its own."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mb = 0.0
        self.over = threading.Event()

    def run(self) -> None:
        """Look every few milliseconds until `over` is set."""
        while not self.over.wait(0.02):
            status = Path("/proc/self/status").read_text()
            held = next(line for line in status.splitlines() if line.startswith("RssAnon"))
            self.peak_mb = max(self.peak_mb, int(held.split()[1]) / 1024)


def one_size(start: Path, tokens: int, place: Path) -> dict[str, float]:
    """Seconds and memory of both stages on a corpus of about so many tokens."""
    write_corpus(place / "corpus", max(1, tokens // 66))
    write_corpus(place / "few", 100)
    made = {name: place / name for name in ("warm", "tokenized", "packed")}
    for folder in made.values():
        folder.mkdir()
    # Imports and the first use of thread pools are a process's, not a token's.
    tokenize.fn(place / "few", None, start, config=CONFIG, out=made["warm"], log=Log())
    pack.fn(made["warm"], config=CONFIG, out=made["warm"], log=Log())
    memory = Memory()
    memory.start()
    busy, own = psutil.cpu_times(), sum(psutil.Process().cpu_times()[:2])
    began = time.perf_counter()
    tokenize.fn(place / "corpus", None, start, config=CONFIG, out=made["tokenized"], log=Log())
    between = time.perf_counter()
    pack.fn(made["tokenized"], config=CONFIG, out=made["packed"], log=Log())
    ended = time.perf_counter()
    memory.over.set()
    own = sum(psutil.Process().cpu_times()[:2]) - own
    foreign = _busy(psutil.cpu_times()) - _busy(busy) - own
    train = json.loads((made["packed"] / "packing.json").read_text())["train"]
    counted = int(np.load(made["tokenized"] / "offsets_train.npy", mmap_mode="r")[-1])
    return {
        "tokens": counted, "fill": train["fill"], "tokenize_s": between - began,
        "pack_s": ended - between, "peak_mb": memory.peak_mb,
        "foreign_cpu": max(0.0, foreign / (ended - began)),
    }  # fmt: skip


def _busy(times: object) -> float:
    return sum(getattr(times, kind) for kind in ("user", "nice", "system"))


def fill(length: int) -> float:
    """Share of the positions used by 100 000 documents of the lengths above."""
    draws = np.random.default_rng(0).lognormal(np.log(40), 1.0, 100_000)
    sizes = np.maximum(1, draws).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    taken = cut(offsets, np.arange(len(sizes)), length - 2).positions
    return float(taken.sum() / ((best_fit(taken, length)[0].max() + 1) * length))


def main() -> None:
    """Print the table; the last line is JSON."""
    largest = float(sys.argv[1]) if len(sys.argv) > 1 else SIZES[-1]
    fills = {length: fill(length) for length in (128, 256)}
    found = []
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder, "start")
        start.mkdir()
        write_corpus(Path(folder, "sample"), 10 * BASE)
        began = time.perf_counter()
        tokenize.fn(Path(folder, "sample"), config=CONFIG, out=start, log=Log())
        learnt = time.perf_counter() - began
        for size in (s for s in SIZES if s <= largest):
            with tempfile.TemporaryDirectory() as place:
                command = [sys.executable, __file__, "--one", str(start), str(size), place]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
    for length, share in fills.items():
        print(f"fill at {length} positions, lognormal lengths: {share:.2%}")
    print(f"vocabulary learnt and 6.6M tokens encoded with it in {learnt:.1f} s")
    print(
        f"{'tokens':>12} {'fill':>7} {'tokenise':>12} {'pack':>12} {'both':>12} {'memory':>8} load"
    )
    for row in found:
        costs = [row[name] / row["tokens"] * 1e6 for name in ("tokenize_s", "pack_s")]
        print(
            f"{row['tokens']:>12,} {row['fill']:>7.2%} {costs[0]:>7.3f} us/t {costs[1]:>7.3f} us/t "
            f"{sum(costs):>7.3f} us/t {row['peak_mb']:>5.0f} MB {row['foreign_cpu']:.2f}"
        )
    both = [(r["tokenize_s"] + r["pack_s"]) / r["tokens"] * 1e6 for r in found]
    print(
        json.dumps({
            "fill_128": round(fills[128], 4), "fill_256": round(fills[256], 4),
            "tokens": [r["tokens"] for r in found], "us_per_token": [round(c, 3) for c in both],
            "growth": round(both[-1] / both[0], 3),
            "tokenize_tokens_per_s": round(found[-1]["tokens"] / found[-1]["tokenize_s"]),
            "pack_tokens_per_s": round(found[-1]["tokens"] / found[-1]["pack_s"]),
            "peak_mb": [round(r["peak_mb"]) for r in found],
            "foreign_cpu": round(max(r["foreign_cpu"] for r in found), 2),
        })
    )  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one_size(Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))))
    else:
        main()
