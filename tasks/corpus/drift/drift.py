"""Measures how tonight's training rows differ from an earlier night's, and draws it; judges nothing.

`rows.parquet` holds both nights' samples in one table, told apart by the column `night`, with
tonight's topics and familiar words found as the reference's were. The suite `drift` judges that
table in `validate`; here every statistic of every column is written down for the run page and for
MLflow, whether a suite asks for it or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from expectations.changes import column_changes
from expectations.comparing import comparable, compare, compare_slices
from expectations.divergence import held
from expectations.statistics import BINNED, NUMERIC
from tasks.configuration import Validation
from tasks.corpus.drift.snapshot import (
    Snapshot,
    comparable_words,
    described,
    read_snapshot,
    sampled,
)
from tasks.log import Log
from tasks.promotion.page.drift import standalone
from tasks.records import Outcome
from tasks.stage import stage

ROWS, FACTS, PAGE = "rows.parquet", "drift.json", "drift.html"
TONIGHT, REFERENCE = "tonight", "reference"
_FALSE_ALARM = 0.05  # of all columns together (Bonferroni)
_SLICERS = ("source", "label")
_WORDS = 40
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@stage
def drift(
    corpus: Path,
    profiled: Path,
    reference: Path | None,
    *,
    config: Validation,
    cleaned: bool,
    out: Path,
    log: Log,
) -> Outcome:
    """Compare tonight's training rows with a reference's.

    Args:
        corpus: Folder of tonight's rows.
        profiled: Folder of their signals.
        reference: Folder of the snapshot to compare with, None where there is none.
        config: How much is sampled.
        cleaned: Whether tonight's rows are cleaned ones.
        out: Gets `drift.json`; with a reference also `rows.parquet` and `drift.html`.
        log: Told which column is measured.
    """
    found = None if reference is None else read_snapshot(reference)
    why = _why_not(found, config, cleaned)
    if found is None or why:
        (out / FACTS).write_bytes(orjson.dumps({"why": why}, option=_JSON))
        return Outcome(summary=why, skipped=why)
    rows, texts, total = sampled(corpus, profiled, config.snapshot_rows)
    tonight = described(rows, texts, found.language)
    both = two_nights(tonight, found.sample)
    both.write_parquet(out / ROWS)
    facts = {
        "why": "",
        "rows": {TONIGHT: tonight.height, REFERENCE: found.sample.height},
        "of": {TONIGHT: total, REFERENCE: found.facts["rows"]},
        "columns": list(_columns(both, log)),
        "changes": column_changes(*_sides(both)).names() + _types(tonight, found.sample),
        "words": _words(texts, rows["row_id"], found),
    }
    (out / FACTS).write_bytes(orjson.dumps(facts, option=_JSON))
    (out / PAGE).write_text(standalone(facts, both), encoding="utf-8")
    return Outcome(summary=_summary(facts), metrics=_metrics(facts), artifacts=(PAGE, FACTS))


def two_nights(tonight: pl.DataFrame, reference: pl.DataFrame) -> pl.DataFrame:
    """Both samples in one table; a column whose type changed between number and name is text.

    Args:
        tonight: Tonight's rows.
        reference: The reference's.

    Returns:
        Every column of either, and `night`: `tonight` or `reference`.
    """
    frames = [
        frame.with_columns(night=pl.lit(name))
        for name, frame in ((TONIGHT, tonight), (REFERENCE, reference))
    ]
    shared = set(tonight.columns) & set(reference.columns)
    unlike = [
        c for c in sorted(shared)
        if tonight.schema[c].is_numeric() != reference.schema[c].is_numeric()
    ]  # fmt: skip
    texts = [frame.with_columns(pl.col(unlike).cast(pl.String)) for frame in frames]
    return pl.concat(texts, how="diagonal_relaxed")


def _why_not(found: Snapshot | None, config: Validation, cleaned: bool) -> str:
    """Why there is nothing to compare with, empty if there is something."""
    if found is None:
        if config.reference == "none":
            return "no reference is asked for"
        return "there is no accepted night to compare with yet"
    if bool(found.facts["cleaned"]) != cleaned:
        kinds = ("cleaned rows", "rows as they arrived")
        return f"the reference is of {kinds[cleaned]}, these are {kinds[not cleaned]}"
    return ""


def _sides(both: pl.DataFrame) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tonight's columns and the reference's."""
    parts = (both.filter(pl.col("night") == name) for name in (TONIGHT, REFERENCE))
    here, there = ({name: part[name].to_numpy() for name in part.columns} for part in parts)
    return here, there


def _columns(both: pl.DataFrame, log: Log) -> Iterator[dict[str, Any]]:
    """Every comparable column with all its statistics, as a whole and by slice."""
    here, there = _sides(both)
    slicers = [c for c in both.columns if c in _SLICERS or c.startswith("group_")]
    numeric = [c for c, kind in both.schema.items() if comparable(kind, c, NUMERIC[0])]
    compared = [c for c, kind in both.schema.items() if c in numeric or comparable(kind, c, None)]
    level = _FALSE_ALARM / max(len(compared), 1)
    for number, name in enumerate(compared):
        log.progress(number, len(compared), name)
        first = NUMERIC[0] if name in numeric else "linf"
        # The bins of a number hold even shares, so that their largest change says little.
        others = [s for s in BINNED if s != "linf"]
        whole = {s: compare(here[name], there[name], s, level).record() for s in (first, *others)}
        sliced = {
            by: [
                found.record()
                for found in compare_slices(
                    here[name], there[name], (here[by], there[by]), first, level
                )
            ]
            for by in slicers
            if by != name
        }
        yield {
            "column": name, "kind": "numbers" if name in numeric else "names", "first": first,
            "statistics": whole, "slices": sliced,
            "sizes": [len(held(side[name])) for side in (here, there)],
        }  # fmt: skip


def _types(tonight: pl.DataFrame, reference: pl.DataFrame) -> list[str]:
    """Columns whose type changed, in words."""
    changed = []
    for name in sorted(set(tonight.columns) & set(reference.columns)):
        kinds = [frame.schema[name] for frame in (reference, tonight)]
        if kinds[0] != kinds[1] and pl.Null not in kinds:
            changed.append(f"{name!r} was {kinds[0]} and is {kinds[1]}")
    return changed


def _words(texts: pl.Series, row_ids: pl.Series, found: Snapshot) -> list[dict[str, Any]]:
    moved = comparable_words(texts, row_ids, found).head(_WORDS)
    return [
        {k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()}
        for row in moved.to_dicts()
    ]


def _summary(facts: dict[str, Any]) -> str:
    """For the terminal, such as `33 columns, words moved most (ks 0.21)`."""
    spoken = [c for c in facts["columns"] if c["statistics"][c["first"]]["silent"] is None]
    if not spoken:
        return f"{len(facts['columns'])} columns, too few rows to compare"
    most = max(spoken, key=lambda c: c["statistics"][c["first"]]["value"])
    value = most["statistics"][most["first"]]["value"]
    return f"{len(facts['columns'])} columns, {most['column']} moved most ({most['first']} {value:.2f})"


def _metrics(facts: dict[str, Any]) -> dict[str, float]:
    """Every column's first statistic, and how many moved more than chance explains."""
    metrics: dict[str, float] = {"rows": float(facts["rows"][TONIGHT])}
    moved = 0
    for column in facts["columns"]:
        found = column["statistics"][column["first"]]
        if found["silent"] is None:
            metrics[f"{column['first']}_{column['column']}"] = float(found["value"])
            moved += found["p"] <= found["level"]
    metrics["columns_moved"] = float(moved)
    metrics["columns_changed"] = float(len(facts["changes"]))
    return metrics
