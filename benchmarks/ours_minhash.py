"""MinHash signatures of texts: Plumbline's, and datatrove's beside them when run alone.

    python benchmarks/ours_minhash.py [MB]

Both read the same texts and end in 112 minima over word 5-grams, datatrove's default of 14 bands of
8; each counts its own splitting into words and lower case. Units are CPU seconds of one process, so
that another's load counts less; both take turns. The last line is JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from tasks.corpus.duplicates import hashing, minhash

PERMUTATIONS = 112
SHINGLE = 5
_TURNS = 3


def signatures(texts: Sequence[str]) -> float:
    """CPU seconds to hash the words of the texts and make their signatures.

    Kernels are compiled and tables made before, on a few of the texts.
    """
    _made(texts[:2])
    began = time.process_time()
    found = _made(texts)
    spent = time.process_time() - began
    if found != (len(texts), PERMUTATIONS):
        raise RuntimeError(f"{found} in the place of {len(texts)} signatures")
    return spent


def _made(texts: Sequence[str]) -> tuple[int, ...]:
    words = hashing.hash_texts(pl.Series(texts, dtype=pl.String))
    return minhash.signatures(words, PERMUTATIONS, SHINGLE).shape


def sample(megabytes: float) -> list[str]:
    """About so much English: reviews of PLUMBLINE_DATA, or made-up rows of the fictional corpus."""
    folder = os.environ.get("PLUMBLINE_DATA")
    if folder:
        frame = pl.read_parquet(Path(folder, "sentiment", "movie_reviews.parquet"))
        texts = frame["text"].to_list()
    else:
        from tasks.configuration import Defects
        from tasks.corpus.sources.fictional import generate

        texts = generate(500, Defects(), 1).corpus["text"].to_list()
    found: list[str] = []
    left = megabytes * 1e6
    while left > 0:
        found.append(texts[len(found) % len(texts)])
        left -= len(found[-1].encode())
    return found


def main() -> None:
    """Print both rates; the last line is JSON."""
    texts = sample(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    contenders: dict[str, Callable[[Sequence[str]], float]] = {"plumbline": signatures}
    try:
        from peers import datatrove_minhash

        contenders["datatrove"] = datatrove_minhash.signatures
    except ImportError as error:
        print(f"datatrove is not measured: {error}")
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(_TURNS):
        for name, contender in contenders.items():
            spent[name].append(contender(texts))
    rates = {name: megabytes / statistics.median(times) for name, times in spent.items()}
    for name, rate in rates.items():
        low, high = megabytes / max(spent[name]), megabytes / min(spent[name])
        print(f"{name:<12} {rate:10.2f} MB per CPU second [{low:.2f}-{high:.2f}] n={_TURNS}")
    ratio = rates["plumbline"] / rates["datatrove"] if "datatrove" in rates else None
    print(
        json.dumps({
            "documents": len(texts), "megabytes": round(megabytes, 3),
            "mb_per_cpu_second": {name: round(rate, 3) for name, rate in rates.items()},
            "ratio_datatrove_minhash": None if ratio is None else round(ratio, 1),
        })
    )  # fmt: skip


if __name__ == "__main__":
    main()
