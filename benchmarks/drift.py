"""How often the suites `skew` and `drift` cry wolf, and how small a shift they see, beside SciPy.

    python benchmarks/drift.py [--resamples 200] [--draws 100] [--rows 1000] [--quick]

One corpus: film reviews and Wikipedia sentences where PLUMBLINE_DATA names the real data, the
fictional corpus elsewhere. A fifth of it is what vocabulary and topics are learnt from; the rest is
drawn from with replacement, so that both sides of a comparison come from one distribution.

- False alarms: both sides anew, both suites judged whole by Great Expectations; a suite that fails
  anywhere is an alarm. With Wilson's 95 % interval (Wilson 1927).
- Power: one side is shifted by a growing amount. Detectors are held to the same false-alarm rate:
  each alarms above the 95 % quantile of its own values over unshifted draws. SciPy's tests are
  `ks_2samp` on numbers, `chi2_contingency` on names, and for the vocabulary `chi2_contingency` on
  counts of the 100 commonest words. `suite` is the line of the suite itself, with its threshold and
  the level that all its lines share: it is meant to be blind to shifts below its threshold.

Prints a table, writes benchmarks/results/drift.html, and ends in one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from shifts import SHIFTS, Corpus, Curves, load, power

from expectations.runner import load_suite, run_suite
from expectations.suite_files import suite_path
from tasks.promotion.page.plots import Line, line_chart

RESULTS = Path(__file__).parent / "results"


def alarms(corpus: Corpus, resamples: int, rows: int) -> tuple[dict[str, int], dict[str, float]]:
    """Resamples in which each suite failed, and the level of one line of it."""
    suites = {name: load_suite(suite_path(name)) for name in ("skew", "drift")}
    found, levels = dict.fromkeys(suites, 0), dict.fromkeys(suites, 0.0)
    for resample in range(resamples):
        rng = np.random.default_rng([1, resample])
        sides = [("train", rows), ("serving", max(rows // 3, 60)), ("test", max(rows // 3, 60))]
        frames = {
            "skew": pl.concat(
                corpus.draw(n, rng)[0].with_columns(split=pl.lit(name)) for name, n in sides
            ),
            "drift": pl.concat(
                corpus.draw(rows, rng)[0].with_columns(night=pl.lit(name))
                for name in ("tonight", "reference")
            ),
        }
        for name, frame in frames.items():
            named = frame.drop("row_id").with_row_index("row_id").cast({"row_id": pl.String})
            records = run_suite(named, suites[name]).records
            found[name] += any(not record["success"] for record in records)
            levels[name] = next(
                r["kwargs"]["level"] for r in records if isinstance(r["kwargs"].get("level"), float)
            )
    return found, levels


def wilson(hits: int, of: int) -> tuple[float, float]:
    """95 % interval of a rate."""
    z, rate = 1.96, hits / of
    middle = (rate + z * z / (2 * of)) / (1 + z * z / of)
    reach = z / (1 + z * z / of) * math.sqrt(rate * (1 - rate) / of + z * z / (4 * of * of))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def detectable(points: Iterable[tuple[float, float]], wanted: float = 0.8) -> float | None:
    """The smallest shift seen in four of five draws, by straight lines between the sizes."""
    last: tuple[float, float] | None = None
    for size, rate in points:
        if rate >= wanted:
            if last is None or rate == last[1]:
                return size
            return round(last[0] + (size - last[0]) * (wanted - last[1]) / (rate - last[1]), 4)
        last = (size, rate)
    return None


def show(curves: Curves) -> None:
    """A table for each kind of shift."""
    for kind, found in curves.items():
        sizes = [size for size, _ in next(iter(found.values()))]
        print(f"\npower by {kind}; detectors other than the suite at a false-alarm rate of 5 %")
        print(f"{'':26}" + "".join(f"{size:>8g}" for size in sizes) + "   80 % from")
        for name, points in found.items():
            rates = "".join(f"{rate:>8.2f}" for _, rate in points)
            print(f"{name:26}{rates}   {detectable(points)}")


def draw_page(curves: Curves) -> Path:
    """The curves as a page."""
    styles = ("c1", "c2", "c3", "c0", "c4")
    charts = [
        line_chart(
            [Line(n, p, styles[i % len(styles)]) for i, (n, p) in enumerate(found.items())],
            kind, "share of the draws found", zero=True,
        )
        for kind, found in curves.items()
    ]  # fmt: skip
    style = (Path(line_chart.__code__.co_filename).parent / "style.css").read_text()
    style += ".c4 { stroke: #2f7d4f; background: #2f7d4f }"
    body = "".join(f"<figure>{chart}</figure>" for chart in charts)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "drift.html"
    path.write_text(
        f'<!doctype html><meta charset="utf-8"><title>Drift</title><style>{style}</style>'
        f'<main style="max-width:60rem;margin:2rem auto"><h2>Power to see a shift</h2>{body}</main>',
        encoding="utf-8",
    )
    return path


def main() -> None:
    """Measure, print, and end in one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--resamples", type=int, default=200, help="of the false-alarm rate")
    parser.add_argument("--draws", type=int, default=100, help="of each point of a power curve")
    parser.add_argument("--rows", type=int, default=1000, help="on each side")
    parser.add_argument("--quick", action="store_true", help="20 resamples, 20 draws")
    options = parser.parse_args()
    resamples, draws = (20, 20) if options.quick else (options.resamples, options.draws)
    corpus = load()
    found, levels = alarms(corpus, resamples, options.rows)
    told: dict[str, Any] = {"resamples": resamples, "draws": draws, "rows": options.rows}
    print(f"{corpus.rows.height:,} rows to draw from, {options.rows:,} on each side")
    for name, hits in found.items():
        low, high = wilson(hits, resamples)
        told[f"false_alarm_{name}"] = hits / resamples
        told[f"false_alarm_{name}_high"] = round(high, 4)
        print(
            f"false alarms of {name}: {hits} of {resamples} resamples "
            f"({low:.3f} to {high:.3f}); level of one line {levels[name]:.2e}"
        )
    curves = power(corpus, draws, options.rows, levels["drift"])
    show(curves)
    short = dict(zip(SHIFTS, ("mean", "share", "vocabulary"), strict=True))
    for kind, by in curves.items():
        told[f"power_{short[kind]}"] = {
            name: [rate for _, rate in points] for name, points in by.items()
        }
        told[f"detectable_{short[kind]}"] = {n: detectable(p) for n, p in by.items()}
    print(f"\nthe curves are drawn in {draw_page(curves).relative_to(Path(__file__).parents[1])}")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
