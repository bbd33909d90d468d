"""Correction of the data: weights under which groups and labels are independent.

Reweighing (Kamiran & Calders 2012, "Data preprocessing techniques for classification without
discrimination") leaves every text as it is and says how much each row counts in the loss:

    w(g, l) = P(g) P(l) / P(g, l)

so a row of a rare pairing of group and label counts for more. Over the intersection of all group
columns the weighted rate of each label is then the same in every intersection, hence in every
group of every column. Two guards keep a handful of rows from steering the model: intersections of
fewer than `min_group` rows are weighted as one, and weights are kept within 0.2..5. Where a guard
bites, or a group lacks a label altogether, equality is only approached; `correct.json` shows the
rates before and after, so nobody need believe it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import polars as pl

from tasks.configuration import Fairness
from tasks.fairness.lexicons import NOT_GROUPS, short, with_groups
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage

LIGHTEST, HEAVIEST = 0.2, 5.0
_POOLED = "\0intersections too small to stand alone"
_DIGITS = 9  # of what is written, so that the order of a sum cannot show


@stage
def correct(corpus: Path, audited: Path, *, config: Fairness, out: Path, log: Log) -> Outcome:
    """Give every labelled training row a weight.

    Args:
        corpus: The cleaned folder.
        audited: The audit of that folder, which says which group columns can be judged.
        config: The `fairness` section.
        out: Receives `weights.parquet` (row_id, weight; mean 1) and `correct.json`.
        log: Unused; the work takes no time.

    Returns:
        Metrics `gap_before` and `gap_after` (widest weighted label-rate gap), the lightest and
        heaviest weight, and `effective_rows`, Kish's share `(Σw)² / (n Σw²)` that is left of the
        sample's weight of evidence. Skipped, with weights of 1, where there is nothing to correct.
    """
    summaries = orjson.loads((audited / "audit.json").read_bytes())["groups"]
    columns = [s["group"] for s in summaries if s["label_rate_gap"]]
    frame, _ = with_groups(pl.read_parquet(corpus / "corpus.parquet"), lexicon=config.lexicon)
    rows = frame.filter((pl.col("split") == "train") & pl.col("label").is_not_null())
    why = None
    if config.correction == "none":
        why = "correction is turned off"
    elif not columns:
        why = "no two groups are large enough to compare, or nothing is labelled"
    judged = [s for s in summaries if s["group"] in columns]
    weighted, tables = _weighed(rows, judged, None if why else columns, config.min_group)
    changed = _metrics(weighted["weight"], tables)
    if not why and changed["gap_after"] > changed["gap_before"]:
        # Many small crossed groups are pooled, and the pool's weights may suit none of them.
        why = f"reweighting would widen the label gap to {changed['gap_after']:.3f}, so it is not used"
        weighted, tables = _weighed(rows, judged, None, config.min_group)
    weighted.select("row_id", "weight").sort("row_id").write_parquet(out / "weights.parquet")
    report: dict[str, Any] = {"correction": config.correction, "groups": tables}
    metrics = _metrics(weighted["weight"], tables)
    report |= metrics | ({"skipped": why} if why else {})
    (out / "correct.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    if why:
        return Outcome(summary=why, metrics=metrics, skipped=why, artifacts=("correct.json",))
    summary = f"label gap {metrics['gap_before']:.3f} -> {metrics['gap_after']:.3f} by reweighting"
    return Outcome(summary=summary, metrics=metrics, artifacts=("correct.json",))


def _weighed(
    rows: pl.DataFrame, judged: list[dict[str, Any]], columns: list[str] | None, min_group: int
) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """The rows with their weights (1 without columns), and every judged column's rates by them."""
    weight = pl.lit(1.0) if columns is None else _weights(columns, min_group)
    weighted = rows.with_columns(weight=weight)
    return weighted, [_before_and_after(weighted, summary, min_group) for summary in judged]


def _weights(columns: list[str], min_group: int) -> pl.Expr:
    """P(g) P(l) / P(g, l), clipped, then scaled to a mean of 1."""
    named = pl.concat_str(
        [pl.col(c).str.replace_all("|", "||", literal=True) for c in columns], separator=" | "
    )
    cell = pl.when(pl.len().over(named) >= min_group).then(named).otherwise(pl.lit(_POOLED))
    expected = pl.len().over(cell) * pl.len().over("label") / pl.len()
    weight = (expected / pl.len().over(cell, pl.col("label"))).clip(LIGHTEST, HEAVIEST)
    return (weight / weight.mean()).round(_DIGITS)


def _before_and_after(
    rows: pl.DataFrame, summary: dict[str, Any], min_group: int
) -> dict[str, Any]:
    """Label rates of one group column before and after, and the gaps of the judged groups."""
    column = summary["group"]
    values = (
        rows.group_by(value=column).agg(rows=pl.len(), weight=pl.col("weight").sum()).sort("value")
    )
    table = []
    for label in summary["classes"]:
        hit = pl.col("label") == label
        rates = rows.group_by(value=column).agg(
            before=hit.mean(), after=pl.col("weight").filter(hit).sum() / pl.col("weight").sum()
        )
        table.append(values.join(rates, on="value").with_columns(label=pl.lit(label)))
    rates = pl.concat(table).sort("value", "label")
    judged = rates.filter(~pl.col("value").is_in(list(NOT_GROUPS)) & (pl.col("rows") >= min_group))
    spread = judged.group_by("label").agg(
        pl.col("before", "after").max() - pl.col("before", "after").min()
    )
    return {
        "group": column,
        "gap_before": round(max(spread["before"].to_list(), default=0.0), _DIGITS),
        "gap_after": round(max(spread["after"].to_list(), default=0.0), _DIGITS),
        "label_rates": rates.select(
            "value", "label", "rows", pl.col("before", "after").round(_DIGITS)
        ).to_dicts(),
    }


def _metrics(weight: pl.Series, tables: list[dict[str, Any]]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for table in tables:
        metrics[f"gap_before_{short(table['group'])}"] = table["gap_before"]
        metrics[f"gap_after_{short(table['group'])}"] = table["gap_after"]
    if tables:
        metrics["gap_before"] = max(t["gap_before"] for t in tables)
        metrics["gap_after"] = max(t["gap_after"] for t in tables)
    if len(weight):
        values = weight.to_numpy()
        metrics["weight_min"], metrics["weight_max"] = float(values.min()), float(values.max())
        metrics["effective_rows"] = float(values.sum() ** 2 / (len(values) * (values**2).sum()))
    return metrics
