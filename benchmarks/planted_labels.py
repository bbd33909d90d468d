"""Planted label errors: how early the ranking names them, ours and cleanlab's, side by side.

A tenth of the rows of PLUMBLINE_DATA get another label, three seeds: on short film reviews (two
classes, 10,662 rows) in both directions, then in one only; on sentences of Wikipedia (five
domains, 4,000 rows) in any. All are judged by the stage's own cross-validation. Both rankings see
the same probabilities, so the figures compare rankings and not models:

    AUPR = area under the precision-recall curve of finding the changed rows (average precision)

The interval of the difference to cleanlab's default ranking is that of resampled rows, all seeds
drawn together. `cleanlab, best` is the best of its five ways to rank, picked with the answers in
sight. What the films' own labels have wrong counts against both.

cleanlab is AGPL and stays out of our environment: name an interpreter that has it, or let
`--install` make a throw-away one with `python -m venv` and pip.

    python benchmarks/planted_labels.py [--cleanlab-python BIN | --install] [--seeds 3] [--rows 0]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from tasks.configuration import Labels
from tasks.corpus.labels import confident
from tasks.corpus.labels.models import out_of_sample
from tasks.evaluation.bootstrap import wilson

SHARE = 0.1
RESAMPLES = 200
PEER = Path(__file__).parent / "peers" / "cleanlab_ranking.py"
DEFAULT = "self_confidence"
Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]


def cases(data: Path, most: int) -> dict[str, tuple[pl.DataFrame, str]]:
    """Rows of `text` and `label` by name, and which way labels are changed."""
    films = pl.read_parquet(data / "sentiment" / "mr_polarity.parquet")
    films = films.select("text", pl.col("label").cast(pl.String))
    wiki = pl.read_parquet(data / "pretrain_wiki" / "bold_wiki.parquet")
    wiki = wiki.select("text", label="domain").sample(4000, seed=0)
    found = {
        "films, both ways": (films, "any"),
        "films, one way": (films, "one"),
        "domains, any way": (wiki, "any"),
    }
    return {
        name: (rows.sample(most, seed=0) if 0 < most < rows.height else rows, way)
        for name, (rows, way) in found.items()
    }


def planted(
    truth: confident.Codes, classes: int, way: str, seed: int
) -> tuple[confident.Codes, Flags]:
    """Given labels, and which of them were changed: to any other class, or the first class only."""
    rng = np.random.default_rng(seed)
    pool = np.flatnonzero(truth == 0) if way == "one" else np.arange(len(truth))
    changed = np.zeros(len(truth), bool)
    changed[rng.choice(pool, round(SHARE * len(truth)), replace=False)] = True
    moved = (truth + rng.integers(1, classes, len(truth))) % classes
    return np.where(changed, moved, truth), changed


def peer(interpreter: str | None, given: confident.Codes, probabilities: Numbers) -> dict[str, Any]:
    """What cleanlab makes of the same probabilities; nothing where it is not there."""
    if interpreter is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        here, there = Path(folder, "in.npz"), Path(folder, "out.npz")
        np.savez(here, given=given, probabilities=probabilities)
        done = subprocess.run([interpreter, PEER, here, there], capture_output=True, text=True)
        if done.returncode:
            print(f"cleanlab failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
            return {}
        return dict(np.load(there))


def installed(folder: Path) -> str | None:
    """An interpreter with cleanlab in a new environment, None where it cannot be had."""
    python = folder / "bin" / "python"
    for line in (
        [sys.executable, "-m", "venv", folder],
        [python, "-m", "pip", "install", "-qq", "cleanlab"],
    ):
        done = subprocess.run(line, capture_output=True, text=True)
        if done.returncode:
            print(f"cleanlab was not installed: {done.stderr[-200:]}", file=sys.stderr)
            return None
    return str(python)


def difference(
    ours: list[Numbers], theirs: list[Numbers], changed: list[Flags]
) -> dict[str, float]:
    """Mean difference of the AUPR over the seeds, and its interval over resampled rows."""
    rng = np.random.default_rng(0)
    every = np.arange(len(changed[0]))

    def gain(rows: NDArray[np.int64]) -> float:
        pairs = zip(ours, theirs, changed, strict=True)
        return float(np.mean([
            average_precision_score(c[rows], a[rows]) - average_precision_score(c[rows], b[rows])
            for a, b, c in pairs
        ]))  # fmt: skip

    drawn = [gain(rng.choice(every, len(every))) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {"value": gain(every), "low": float(low), "high": float(high)}


def compared(rows: pl.DataFrame, way: str, seeds: int, interpreter: str | None) -> dict[str, Any]:
    """One case over all seeds: AUPR of both, and precision and recall of the suspects."""
    names = rows["label"].unique().sort()
    truth = rows["label"].replace_strict(names, range(len(names)), return_dtype=pl.Int64).to_numpy()
    scores, flags, marks, theirs = [], [], [], []
    for seed in range(seeds):
        given, changed = planted(truth, len(names), way, seed)
        probabilities = out_of_sample(
            rows["text"], given, np.ones(len(given), bool), Labels(), seed=seed,
            tell=lambda done, what: None,
        )  # fmt: skip
        limits = confident.thresholds(given, probabilities)
        ours = confident.judge(given, probabilities, limits, np.bincount(given) / len(given))
        scores.append(ours.score)
        flags.append(ours.suspect)
        marks.append(changed)
        theirs.append(peer(interpreter, given, probabilities))
        print(f"  seed {seed} done", file=sys.stderr)
    told = {"aupr": area(scores, marks), "aupr_cleanlab": None, **named(flags, marks)}
    if not all(theirs):
        return told
    their_flags = named([found.pop("suspects") for found in theirs], marks)
    areas = {how: area([found[how] for found in theirs], marks) for how in theirs[0]}
    best = max(areas, key=lambda how: areas[how])
    return told | {
        "aupr_cleanlab": areas[DEFAULT], "aupr_cleanlab_best": areas[best], "best": best,
        "gain": difference(scores, [found[DEFAULT] for found in theirs], marks),
        "precision_cleanlab": their_flags["precision"], "recall_cleanlab": their_flags["recall"],
    }  # fmt: skip


def area(scores: list[Numbers], marks: list[Flags]) -> float:
    """Mean over the seeds of the area under the precision-recall curve."""
    pairs = zip(marks, scores, strict=True)
    return float(np.mean([average_precision_score(mark, score) for mark, score in pairs]))


def named(flags: list[Flags], marks: list[Flags]) -> dict[str, Any]:
    """Precision and recall of the rows that are flagged, over all seeds, with Wilson's intervals."""
    flagged, changed = np.concatenate(flags), np.concatenate(marks)
    hits, every, wrong = (int(x.sum()) for x in (flagged & changed, flagged, changed))
    every = max(1, every)
    return {
        "precision": hits / every, "precision_interval": wilson(hits / every, every),
        "recall": hits / wrong, "recall_interval": wilson(hits / wrong, wrong),
    }  # fmt: skip


def table(found: dict[str, dict[str, Any]]) -> None:
    """Print the cases."""
    print(
        f"\n{'AUPR of changed rows':<22}{'ours':>7}{'cleanlab':>10}  {'difference':<30}"
        "cleanlab, best of its five"
    )
    for name, case in found.items():
        line = f"{name:<22}{case['aupr']:>7.3f}"
        if case["aupr_cleanlab"] is None:
            print(line + "  not measured")
            continue
        g = case["gain"]
        span = f"{g['value']:+.4f} ({g['low']:+.4f} to {g['high']:+.4f})"
        best = f"{case['aupr_cleanlab_best']:.3f}, {case['best']}"
        print(line + f"{case['aupr_cleanlab']:>10.3f}  {span:<30}{best}")
    print(f"\n{'suspects':<22}{'precision':>26}{'recall':>26}{'cleanlab':>18}")
    for name, case in found.items():
        line = f"{name:<22}"
        for key in ("precision", "recall"):
            low, high = case[f"{key}_interval"]
            line += f"{case[key]:.3f} ({low:.3f} to {high:.3f})".rjust(26)
        theirs = "not measured"
        if case["aupr_cleanlab"] is not None:
            theirs = f"{case['precision_cleanlab']:.3f} / {case['recall_cleanlab']:.3f}"
        print(line + theirs.rjust(18))


def main() -> None:
    """Run all cases and print the tables; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cleanlab-python", help="an interpreter that has cleanlab")
    parser.add_argument("--install", action="store_true", help="install it in a throw-away venv")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=0, help="rows of each case, 0 for all")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        interpreter = arguments.cleanlab_python
        if interpreter is None and arguments.install:
            interpreter = installed(Path(folder, "venv"))
        found = {}
        for name, (rows, way) in cases(Path(os.environ["PLUMBLINE_DATA"]), arguments.rows).items():
            print(f"{name}: {rows.height:,} rows", file=sys.stderr)
            found[name] = compared(rows, way, arguments.seeds, interpreter)
    table(found)
    first, *others = found
    keys = ("aupr", "aupr_cleanlab", "precision", "recall", "gain")
    told = {key: found[first].get(key) for key in keys}
    told |= {
        "seeds": arguments.seeds,
        "others": {n: {k: found[n].get(k) for k in keys} for n in others},
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
