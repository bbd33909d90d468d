"""Precision and recall of cleaning per kind of planted defect, with Wilson's 95 % intervals.

On the fictional corpus every fact and every defect is known. On real sentences (PLUMBLINE_DATA)
defects are planted in rows that cleaning had no objection to; see `planting`. Kinds that nothing
in cleaning looks for show a recall of 0;
`typos` are rows beyond the noise suite's warning. `false_fact` counts rows with a statement that was
outvoted, `false_fact_flagged` those with one that is disputed at all. `leak_inside` is a test sentence
before a sentence of training, about half of the row's words.

    python benchmarks/planted.py [--people 240] [--seeds 3] [--rows 8000] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from planted_scores import (
    FOUND,
    Night,
    Score,
    clean_fictional,
    clean_planted,
    found_rows,
    planted_as,
    score,
    struck_rows,
    table,
)
from planting import plant_real, sentences

NOTHING = pl.DataFrame(schema={"kind": pl.String})


def main() -> None:
    """Print both tables; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=240, help="of the fictional corpus")
    parser.add_argument("--seeds", type=int, default=3, help="corpora of each kind, added up")
    parser.add_argument("--rows", type=int, default=8000, help="real sentences")
    parser.add_argument("--quick", action="store_true", help="one small corpus of each kind")
    options = parser.parse_args()
    if options.quick:
        options.people, options.seeds, options.rows = 60, 1, 2000
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        nights = [
            clean_fictional(options.people, seed, Path(folder, f"fictional{seed}"))
            for seed in range(options.seeds)
        ]
        print(f"fictional corpus, {options.people} people, {options.seeds} seeds")
        found["fictional"] = _report(nights)
        found["rescued_facts"] = _rescued(nights)
        data = os.environ.get("PLUMBLINE_DATA")
        if data:
            found |= _real(Path(data), options, Path(folder))
        else:
            print("PLUMBLINE_DATA is not set: no real text")
    print(json.dumps(found))


def _real(data: Path, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    rows = sentences(data, options.rows, 0)
    before = _cleaned(rows, NOTHING, folder / "unplanted")
    touched = {*before.quarantine["row_id"], *before.repairs["row_id"]}
    natural = {
        name: len(found_rows(before, kind))
        for kind, (place, name) in FOUND.items()
        if place in ("quarantine", "repairs")
    }
    rows = rows.filter(~pl.col("row_id").is_in(list(touched)))
    nights = []
    for seed in range(options.seeds):
        corpus, planted = plant_real(rows, data, np.random.default_rng(seed))
        nights.append(_cleaned(corpus, planted, folder / f"real{seed}"))
    print(f"\nreal sentences, {rows.height:,} rows, {options.seeds} seeds")
    print(f"found before planting, and taken out, of {rows.height + len(touched):,}: {natural}")
    return {"real": _report(nights), "real_found_before_planting": natural}


def _cleaned(corpus: pl.DataFrame, planted: pl.DataFrame, folder: Path) -> Night:
    (folder / "ingested").mkdir(parents=True)
    corpus.write_parquet(folder / "ingested" / "corpus.parquet")
    return clean_planted(folder / "ingested", planted, folder)


def _report(nights: list[Night]) -> dict[str, Any]:
    kinds = {kind for night in nights for kind in night.planted["kind"]}
    scores = {}
    for kind in FOUND:
        if kinds & set(planted_as(kind)):
            scores[kind] = sum((score(night, kind) for night in nights), Score(0, 0, 0))
    print(table(scores))
    return {
        kind: {
            "planted": s.true + s.missed,
            **{
                name: [round(v, 4) for v in (getattr(s, name), *s.interval(name))]
                for name in ("precision", "recall")
            },
        }
        for kind, s in scores.items()
    }


def _rescued(nights: list[Night]) -> dict[str, int]:
    """Of the facts with a false version: how many are left with none, and with none but flagged."""
    counts = {"contradicted": 0, "no_false_version_left": 0, "only_flagged_left": 0}
    for night in nights:
        gone = set(night.quarantine["row_id"]) | struck_rows(night)
        flagged = found_rows(night, "false_fact_flagged")
        false = night.planted.filter(pl.col("kind") == "false_fact")
        for _, rows in false.group_by("subject", "relation"):
            left = set(rows["row_id"]) - gone
            counts["contradicted"] += 1
            counts["no_false_version_left"] += not left
            counts["only_flagged_left"] += bool(left) and left <= flagged
    print(f"contradicted facts: {counts}")
    return counts


if __name__ == "__main__":
    main()
