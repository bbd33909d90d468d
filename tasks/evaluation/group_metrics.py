"""Group metrics of the predictions: does the model err more, or otherwise, about one group?

Three gaps between groups, each the largest less the smallest rate, 0 where all are alike and 1 at
worst (definitions: Hardt, Price & Srebro 2016; Agarwal et al. 2018; fairlearn's guide):

- `accuracy_gap`: of the share of right predictions.
- `selection_rate_gap` (demographic parity difference): of the share of rows given a class.
- `equalized_odds_gap`: of the rate at which a class is found where it is, or where it is not,
  whichever is wider.

With more than two classes the last two are the widest over the classes, each against the rest.
Rates by group come from `fairlearn.metrics.MetricFrame`, intervals from `tasks.fairness.rates`,
where also stands why a gap alone, without what chance gives (`by_chance`), says little.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from tasks.configuration import Evaluation, Fairness
from tasks.fairness import rates
from tasks.fairness.audit import group_codes
from tasks.fairness.lexicons import NOT_GROUPS, short, with_groups
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage

GAPS = ("accuracy_gap", "selection_rate_gap", "equalized_odds_gap")
_RATES = ("accuracy", "selection_rate", "false_positive_rate", "false_negative_rate")


@stage
def group_metrics(
    quality: Path,
    corpus: Path,
    *,
    config: Evaluation,
    fairness: Fairness,
    seed: int,
    out: Path,
    log: Log,
) -> Outcome:
    """Errors by group.

    Args:
        quality: Folder of the quality evaluation, whose predictions are judged.
        corpus: Folder of the corpus that the predicted rows come from.
        config: The `evaluate` section (bootstrap).
        fairness: The `fairness` section (lexicon, smallest group).
        seed: Seed of the bootstrap.
        out: Receives `groups.parquet` (one row per group value), `classes.parquet` (one per group
            value and class, where there are more than two), `predictions.parquet` (row_id, correct,
            group columns) and `group_metrics.json`.
        log: Told of each group column.

    Returns:
        Metrics `accuracy_gap`, `selection_rate_gap` and `equalized_odds_gap`, each of the group
        column where it is widest. Skipped without predictions or groups to compare.
    """
    if not (quality / "predictions.parquet").exists():
        return _nothing(out, "no predictions to judge")
    predicted = pl.read_parquet(quality / "predictions.parquet").drop_nulls(["label", "predicted"])
    texts = pl.read_parquet(corpus / "corpus.parquet").drop("label")
    rows = predicted.select("row_id", "label", "predicted", "correct").join(
        texts, on="row_id", how="inner", maintain_order="left"
    )
    rows, columns = with_groups(rows, lexicon=fairness.lexicon)
    if not columns:
        return _nothing(out, "no group columns and no mentions of groups")
    judgements = []
    for done, column in enumerate(columns):
        log.progress(done, len(columns), short(column))
        judgements.append(_judge(rows, column, config.bootstrap, fairness.min_group, seed))
    predictions = rows.select("row_id", "correct", *columns).sort("row_id")
    predictions.write_parquet(out / "predictions.parquet")
    widest = {name: _widest(judgements, name) for name in GAPS}
    why = None if widest["accuracy_gap"] else "no two groups are large enough to compare"
    report: dict[str, Any] = {"rows": rows.height, "min_group": fairness.min_group}
    report |= {"skipped": why} if why else {}
    report |= {name: gap for name, gap in widest.items() if gap}
    _write(out, report, judgements)
    return _outcome(widest, why)


def _write(out: Path, report: dict[str, Any], judgements: list[_Judgement]) -> None:
    by_group = [entry for j in judgements for entry in j.by_group]
    by_class = [entry for j in judgements for entry in j.by_class]
    for name, table in (("groups", by_group), ("classes", by_class)):
        if table:
            frame = pl.DataFrame(table, infer_schema_length=None)
            frame = frame.with_columns(pl.col(pl.Null).cast(pl.Float64))  # all groups too small
            frame.write_parquet(out / f"{name}.parquet")
    report = report | {
        "gaps": {j.column: j.gaps for j in judgements if j.gaps},
        "judged": {j.column: j.judged for j in judgements},
        "too_small": [small for j in judgements for small in j.too_small],
        "by_group": by_group,
    }
    (out / "group_metrics.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))


@dataclass(frozen=True)
class _Judgement:
    """What was found about one group column."""

    column: str
    judged: list[str]
    too_small: list[dict[str, Any]]
    gaps: dict[str, dict[str, Any]]
    by_group: list[dict[str, Any]]
    by_class: list[dict[str, Any]]


def _judge(
    rows: pl.DataFrame, column: str, resamples: int, min_group: int, seed: int
) -> _Judgement:
    classes = sorted({*rows["label"].unique(), *rows["predicted"].unique()})
    # Of two classes the one that says yes tells all; the other's rates are its complements.
    asked = classes[-1:] if len(classes) == 2 else classes
    sizes = dict(rows.group_by(column).len().sort(column).iter_rows())
    measured = [v for v, n in sizes.items() if n >= min_group]
    judged = [v for v in measured if v not in NOT_GROUPS]
    outcome = group_codes(rows["label"], classes) * len(classes)
    outcome = outcome + group_codes(rows["predicted"], classes)
    groups = group_codes(rows[column], measured)
    draw = rates.entropy(seed, column, "predictions")
    found: dict[str, rates.Rates] = {}
    gaps: dict[str, dict[str, Any]] = {}
    for name, (hits, counted) in _tables(classes, asked).items():
        cells = rates.Cells(groups, outcome, hits, counted, len(measured))
        found[name] = rates.group_rates(cells, resamples=resamples, seed=draw)
        compared = [measured.index(v) for v in judged]
        gap = rates.gap(found[name], cells, compared, resamples=resamples, seed=draw)
        if gap is not None and f"{name}_gap" in GAPS:
            gaps[f"{name}_gap"] = _named(gap, name, column, asked, measured)
    values = _values(rows, column, classes, asked)
    by_group, by_class = [], []
    for value, size in sizes.items():
        at = measured.index(value) if value in measured else None
        named = {"group": column, "value": value, "rows": size, "judged": value in judged}
        entries = []
        for place, label in enumerate(asked):
            of_label = {name: values[f"{name} {label}"][value] for name in _RATES[1:]}
            entries.append({"label": label} | _rates(at, place, of_label, found))
        overall = {_RATES[0]: values[f"{_RATES[0]} {asked[0]}"][value]}
        by_group.append(
            named | _rates(at, 0, overall, found) | (entries[0] if len(asked) == 1 else {})
        )
        by_class += [named | entry for entry in entries] if len(asked) > 1 else []
    left = [v for v in sizes if v not in measured and v not in NOT_GROUPS]
    small = [{"group": column, "value": v, "rows": sizes[v]} for v in left]
    return _Judgement(column, judged, small, gaps, by_group, by_class)


def _tables(classes: list[str], asked: list[str]) -> dict[str, tuple[rates.Numbers, rates.Numbers]]:
    """For each kind of rate, which (label, predicted) outcomes are hits and which count.

    Both tables are `(outcomes, rates)`: one rate for accuracy, one per asked class for the others,
    and twice as many, true and then false positives, for the equalized odds.
    """
    label, predicted = np.divmod(np.arange(len(classes) ** 2), len(classes))
    places = np.array([classes.index(name) for name in asked])
    chosen = (predicted[:, None] == places).astype(np.float64)
    present = (label[:, None] == places).astype(np.float64)
    right = (label == predicted).astype(np.float64)[:, None]
    absent, everyone = 1 - present, np.ones_like(present)
    return {
        "accuracy": (right, np.ones_like(right)),
        "selection_rate": (chosen, everyone),
        "false_positive_rate": (chosen * absent, absent),
        "false_negative_rate": ((1 - chosen) * present, present),
        "equalized_odds": (
            np.hstack([chosen * present, chosen * absent]),
            np.hstack([present, absent]),
        ),
    }


def _named(
    gap: dict[str, Any], name: str, column: str, asked: list[str], measured: list[str]
) -> dict[str, Any]:
    """A gap with names in the place of indices."""
    rate = gap.pop("rate")
    highest, lowest = measured[gap.pop("highest")], measured[gap.pop("lowest")]
    named = gap | {"group": column, "highest": highest, "lowest": lowest}
    if name == "accuracy":
        return named
    if name == "equalized_odds":
        named["rate"] = "true positive" if rate < len(asked) else "false positive"
    return named | {"label": asked[rate % len(asked)]}


def _rates(
    at: int | None, place: int, values: dict[str, float], found: dict[str, rates.Rates]
) -> dict[str, float | None]:
    """One group's rates with intervals; empty where it is too small or no row counts."""
    entry: dict[str, float | None] = {}
    for name, value in values.items():
        low, high = (f"{name}_low", f"{name}_high") if name != "accuracy" else ("low", "high")
        entry |= dict.fromkeys((name, low, high))
        if at is not None and found[name].counted[at, place]:
            entry[name] = float(value)
            entry[low], entry[high] = found[name].interval(at, place)
    return entry


def _values(rows: pl.DataFrame, column: str, classes: list[str], asked: list[str]) -> Any:
    """Rates by group value, as fairlearn finds them; the columns are `rate class`."""
    from fairlearn.metrics import (
        MetricFrame,
        false_negative_rate,
        false_positive_rate,
        selection_rate,
    )

    def accuracy(label: Any, predicted: Any) -> float:
        return float((label == predicted).mean())

    # Each class against the rest, as true and false, since these rates know two classes.
    def against_rest(rate: Any, place: int, label: Any, predicted: Any) -> float:
        return float(rate(label == place, predicted == place, pos_label=True))

    kinds = (selection_rate, false_positive_rate, false_negative_rate)
    metrics: dict[str, Any] = {f"accuracy {label}": accuracy for label in asked}
    for label in asked:
        for name, kind in zip(_RATES[1:], kinds, strict=True):
            place = classes.index(label)
            metrics[f"{name} {label}"] = partial(against_rest, kind, place)
    return MetricFrame(
        metrics=metrics,
        y_true=group_codes(rows["label"], classes),
        y_pred=group_codes(rows["predicted"], classes),
        sensitive_features={column: rows[column].to_numpy()},
    ).by_group


def _widest(judgements: list[_Judgement], name: str) -> dict[str, Any] | None:
    gaps = [j.gaps[name] for j in judgements if name in j.gaps]
    return max(gaps, key=lambda gap: float(gap["value"])) if gaps else None


def _outcome(widest: dict[str, dict[str, Any] | None], why: str | None) -> Outcome:
    files = ("group_metrics.json",)
    metrics = {name: float(gap["value"]) for name, gap in widest.items() if gap}
    accuracy = widest["accuracy_gap"]
    if why or accuracy is None:
        return Outcome(summary=why or "", metrics=metrics, skipped=why, artifacts=files)
    where = f"{short(accuracy['group'])}: {accuracy['highest']} over {accuracy['lowest']}"
    summary = f"accuracy gap {accuracy['value']:.3f} ({where})"
    return Outcome(summary=summary, metrics=metrics, artifacts=files)


def _nothing(out: Path, why: str) -> Outcome:
    (out / "group_metrics.json").write_bytes(
        orjson.dumps({"skipped": why}, option=orjson.OPT_INDENT_2)
    )
    return Outcome(summary=why, skipped=why, artifacts=("group_metrics.json",))
