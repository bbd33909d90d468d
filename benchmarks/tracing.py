"""How well wrong answers are traced to the rows that taught them, and what that costs.

Trains the default night's model on the raw fictional corpus with a fifth of the facts contradicted
by four false rows each, nothing cleaned, and takes the answers that are wrong as taught. For each
method: precision at 10 (of at most as many as there are), reciprocal rank of the first false row,
recall at 10, with bootstrap intervals over answers. Then the index beside an epoch of training, in
seconds of CPU, since other processes' load would decide the others; and one query in a fresh process.
With `--cause` the rows that each method names for 20 wrong answers are removed, the model is trained
anew, and the wrong answers that are gone are counted.

    python benchmarks/tracing.py [--quick] [--seeds 1] [--cause]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import tracing_night
from numpy.typing import NDArray

from tasks.configuration import Configuration
from tasks.corpus.sources.probes import MASK
from tasks.corpus.statements.stating import Texts
from tasks.evaluation.bootstrap import interval
from tasks.explanation.trace.combine import combined
from tasks.explanation.trace.gradient_ranking import GradientRanking
from tasks.explanation.trace.retrieval import Bm25

K = 10
RESULTS = Path(__file__).with_name("results") / "tracing.json"
MEASURES = ("precision at 10", "reciprocal rank", "recall at 10")
_ONE_QUERY = """
import sys, time
from pathlib import Path
from models import devices
from tasks.explanation.trace.gradient_ranking import GradientRanking
import tensorflow
begun = time.perf_counter()
ranking = GradientRanking.open(Path(sys.argv[1]), Path(sys.argv[2]))
ranking.top([sys.argv[3]], [sys.argv[4]], 10)
print(time.perf_counter() - begun)
"""


def main() -> None:
    """Print the tables; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small corpus and a short training")
    parser.add_argument("--seeds", type=int, default=1, help="corpora and trainings")
    parser.add_argument("--cause", action="store_true", help="remove rows and train again")
    options = parser.parse_args()
    configuration = tracing_night.configuration(quick=options.quick)
    per_seed, costs, causes = [], [], []
    for seed in range(options.seeds):
        night = tracing_night.night(configuration, seed)
        if night.wrong.is_empty():
            sys.exit(f"with seed {seed} the model asserts no planted answer; train it for longer")
        scores = all_scores(night)
        per_seed.append({m: attribution(s, night.relevant) for m, s in scores.items()})
        costs.append(cost(night, configuration))
        if options.cause:
            causes.append(cause(night, scores, configuration))
    found = report(per_seed, costs)
    if causes:
        found["gone"] = report_cause(causes)
    found["combined_p_at_10"] = found["combined"][MEASURES[0]]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found))
    print(json.dumps(found))


def all_scores(night: tracing_night.Night) -> dict[str, NDArray[np.float32]]:
    """The scores of all rows for each wrong answer, (Q, N), by method."""
    ranking = GradientRanking.open(night.index, night.pretrained)
    statements, answers = night.wrong["statement"].to_list(), night.wrong["asserted"].to_list()
    gradient = ranking.scores(statements, answers)
    texts = pl.Series(night.texts)
    said = [s.replace(MASK, a) for s, a in zip(statements, answers, strict=True)]
    lexical, told = Bm25(texts).scores(said), Texts(texts)
    both = [
        combined(
            [np.where(lexical[place] > 0, lexical[place], -np.inf), gradient[place]],
            told.states(answer["subject"], [answer["answer"]], answer["asserted"]),
        )
        for place, answer in enumerate(night.wrong.iter_rows(named=True))
    ]
    chance = np.random.default_rng(0).random(gradient.shape).astype(np.float32)
    return {
        "BM25": lexical, "gradient": gradient, "combined": np.array(both, np.float32),
        "random": chance,
    }  # fmt: skip


def attribution(scores: NDArray[np.float32], relevant: list[set[int]]) -> NDArray[np.float64]:
    """The three measures of each answer, (Q, 3)."""
    found = []
    for line, rows in zip(scores, relevant, strict=True):
        hits = np.isin(np.argsort(-line, kind="stable"), list(rows))
        among = int(hits[:K].sum())
        found.append((among / min(K, len(rows)), 1 / (1 + hits.argmax()), among / len(rows)))
    return np.array(found)


def cost(night: tracing_night.Night, configuration: Configuration) -> dict[str, float]:
    """CPU seconds of an index and of an epoch, and seconds of one query in a new process."""
    found = tracing_night.timed(night, configuration)
    row = night.wrong.row(0, named=True)
    command = [sys.executable, "-c", _ONE_QUERY, night.index, night.pretrained]
    done = subprocess.run(
        [*map(str, command), row["statement"], row["asserted"]],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {**found, "query_s": float(done.stdout.split()[-1])}


def cause(
    night: tracing_night.Night, scores: dict[str, NDArray[np.float32]], configuration: Configuration
) -> dict[str, NDArray[np.float64]]:
    """What becomes of 20 wrong answers after a training without the rows that a method names.

    Returns:
        By method (answers, 2): whether the wrong answer is gone, and whether the right one is there.
    """
    chosen = np.sort(np.random.default_rng(0).permutation(len(night.wrong))[:20])
    asked = night.wrong[chosen]
    found = {}
    for method, lines in scores.items():
        rows = {int(i) for line in lines[chosen] for i in np.argsort(-line, kind="stable")[:K]}
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            again = tracing_night.retrained(night, rows, configuration, Path(folder))
            now = tracing_night.asserted(again, asked.drop("asserted"), night.candidates)
        gone = (now["asserted"] != asked["asserted"]).to_numpy()
        right = (now["asserted"] == asked["answer"]).to_numpy()
        found[method] = np.stack([gone, right], axis=1).astype(np.float64)
        shares = f"{gone.mean():.0%} gone, {right.mean():.0%} right"
        seconds = time.perf_counter() - begun
        print(f"{method}: {len(rows)} rows removed, {shares}, {seconds:.0f} s", flush=True)
    return found


def report(
    per_seed: list[dict[str, NDArray[np.float64]]], costs: list[dict[str, float]]
) -> dict[str, Any]:
    """Print attribution and cost."""
    answers = sum(len(found["BM25"]) for found in per_seed)
    print(
        f"\n{answers} wrong answers as taught, {len(per_seed)} seeds; 95 % intervals over answers"
    )
    print(f"{'':<10}" + "".join(f"{name:>24}" for name in MEASURES))
    found: dict[str, Any] = {"answers": answers}
    for method in per_seed[0]:
        values = np.concatenate([each[method] for each in per_seed])
        intervals = [interval(column, resamples=2000, seed=0) for column in values.T]
        cells = [f"{i['value']:.3f} [{i['low']:.3f}, {i['high']:.3f}]" for i in intervals]
        print(f"{method:<10}" + "".join(f"{cell:>24}" for cell in cells))
        found[method] = {
            name: round(i["value"], 4) for name, i in zip(MEASURES, intervals, strict=True)
        }
    for name in costs[0]:
        found[name] = round(float(np.median([each[name] for each in costs])), 3)
    found["index_per_epoch"] = round(found["rows_s"] / found["epoch_s"], 2)
    print(
        f"index {found['fixed_s']:.1f} s of CPU whatever the rows and {found['rows_s']:.1f} s for these "
        f"rows; an epoch on them {found['epoch_s']:.1f} s, so {found['index_per_epoch']:.2f} times\n"
        f"one query, loading included, {found['query_s']:.2f} s"
    )
    return found


def report_cause(causes: list[dict[str, NDArray[np.float64]]]) -> dict[str, float]:
    """Print the shares of wrong answers that are gone, and that are right now."""
    shares = {}
    for method in causes[0]:
        values = np.concatenate([each[method] for each in causes])
        gone, right = (interval(column, resamples=2000, seed=0) for column in values.T)
        shares[method] = round(gone["value"], 4)
        cells = [f"{i['value']:.0%} [{i['low']:.0%}, {i['high']:.0%}]" for i in (gone, right)]
        print(f"{method:<10} gone {cells[0]}, right {cells[1]} of {len(values)}")
    return shares


if __name__ == "__main__":
    main()
