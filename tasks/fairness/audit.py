"""Audit of the data: who is in it, and whether groups carry other labels than the rest.

A model trained on texts in which one group mostly carries one label learns the group as if it
were evidence. So the audit asks, per group and split, for the share of rows and for the rate of
each label, with intervals, and for the widest gap between groups of the training rows
(demographic parity of the labels themselves). What a small group shows is mostly noise: groups
below `min_group` rows are listed and not judged.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from tasks.configuration import Fairness
from tasks.fairness import rates
from tasks.fairness.lexicons import NOT_GROUPS, short, with_groups
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage

SPLITS = ("train", "validation", "test", "serving")
SCHEMA = {
    "group": pl.String, "value": pl.String, "split": pl.String, "rows": pl.Int64,
    "share": pl.Float64, "share_low": pl.Float64, "share_high": pl.Float64, "judged": pl.Boolean,
    "label": pl.String, "labelled": pl.Int64, "label_rate": pl.Float64, "low": pl.Float64,
    "high": pl.Float64,
}  # fmt: skip


@stage
def audit(corpus: Path, *, config: Fairness, seed: int, out: Path, log: Log) -> Outcome:
    """Representation and label rates by group.

    Args:
        corpus: The cleaned folder.
        config: The `fairness` section.
        seed: Seed of the bootstrap.
        out: Receives `groups.parquet` (one row per group value, split and label) and `audit.json`.
        log: Told of each group column.

    Returns:
        Metrics `label_rate_gap_<group>` (training rows), `groups` (values found) and
        `smallest_group` (rows). Skipped where there are no groups; without labels, only the
        representation is told.
    """
    frame, columns = with_groups(pl.read_parquet(corpus / "corpus.parquet"), lexicon=config.lexicon)
    tables, summaries = [], []
    for done, column in enumerate(columns):
        log.progress(done, len(columns), short(column))
        for split in SPLITS:
            rows = frame.filter(pl.col("split") == split)
            if rows.height:
                table, summary = _of_split(rows, column, split, config, seed)
                tables.append(table)
                if split == "train":
                    summaries.append(summary)
    pl.DataFrame([row for table in tables for row in table], schema=SCHEMA).write_parquet(
        out / "groups.parquet"
    )
    report: dict[str, Any] = {
        "split": "train",
        "min_group": config.min_group,
        "resamples": config.bootstrap,
        "groups": summaries,
    }
    outcome = _outcome(summaries)
    if outcome.skipped:
        report["skipped"] = outcome.skipped
    (out / "audit.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    return outcome


def _outcome(summaries: list[dict[str, Any]]) -> Outcome:
    if not summaries:
        why = "no group columns and no mentions of groups"
        return Outcome(summary=why, skipped=why, artifacts=("audit.json",))
    gaps = {s["group"]: s["label_rate_gap"] for s in summaries if s["label_rate_gap"]}
    sizes = [v["rows"] for s in summaries for v in s["values"] if v["value"] not in NOT_GROUPS]
    metrics = {f"label_rate_gap_{short(name)}": gap["value"] for name, gap in gaps.items()}
    metrics["groups"] = float(len(sizes))
    if sizes:
        metrics["smallest_group"] = float(min(sizes))
    summary = f"{len(sizes)} groups in {len(summaries)} columns"
    if gaps:
        name, gap = max(gaps.items(), key=lambda item: float(item[1]["value"]))
        summary += f", label gap by {short(name)} {gap['value']:.3f}"
    return Outcome(summary=summary, metrics=metrics, artifacts=("audit.json",))


def _of_split(
    rows: pl.DataFrame, column: str, split: str, config: Fairness, seed: int
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of `groups.parquet` and the summary of one group column in one split."""
    sizes = dict(rows.group_by(column).len().sort(column).iter_rows())
    measured = [v for v, n in sizes.items() if n >= config.min_group]
    draw = rates.entropy(seed, column, split)
    shares = _shares(rows[column], measured, config, draw)
    labels = _Labels(rows.filter(pl.col("label").is_not_null()), column, measured, config, draw)
    table = []
    for value, size in sizes.items():
        at = measured.index(value) if value in measured else None
        low, high = (None, None) if at is None else shares.interval(0, at)
        row = {
            "group": column, "value": value, "split": split, "rows": size,
            "share": size / rows.height, "share_low": low, "share_high": high,
            "judged": at is not None and value not in NOT_GROUPS,
        }  # fmt: skip
        table += [row | of_label for of_label in labels.of_group(value)]
    judged = [v for v in measured if v not in NOT_GROUPS]
    summary = {
        "group": column,
        "rows": rows.height,
        "labelled": labels.rows,
        "classes": labels.classes,
        "values": [{"value": v, "rows": n, "judged": v in judged} for v, n in sizes.items()],
        "too_small": [v for v in sizes if v not in measured and v not in NOT_GROUPS],
        "label_rate_gap": labels.gap(),
    }
    return table, summary


def _shares(
    values: pl.Series, measured: list[str], config: Fairness, draw: list[int]
) -> rates.Rates:
    """Each measured group's share of all rows; the groups are outcomes of one group of all."""
    codes = group_codes(values, measured)
    table = np.eye(len(measured) + 1)
    cells = rates.Cells(np.zeros_like(codes), codes, table, np.ones_like(table), 1)
    return rates.group_rates(cells, resamples=config.bootstrap, seed=draw)


class _Labels:
    """Label rates of the measured groups of one column, over the labelled rows of one split."""

    def __init__(
        self,
        rows: pl.DataFrame,
        column: str,
        measured: list[str],
        config: Fairness,
        draw: list[int],
    ) -> None:
        self.rows = rows.height
        self.classes = sorted(rows["label"].unique())
        self.measured = measured
        self._sizes = dict(rows.group_by(column).len().iter_rows())
        self._config, self._draw = config, draw
        if not self.classes:
            return
        table = np.eye(len(self.classes))
        labels = group_codes(rows["label"], self.classes)
        groups = group_codes(rows[column], measured)
        self._cells = rates.Cells(groups, labels, table, np.ones_like(table), len(measured))
        self._rates = rates.group_rates(self._cells, resamples=config.bootstrap, seed=draw)
        self._values = _label_rates(rows, column, self.classes)

    def of_group(self, value: str) -> list[dict[str, Any]]:
        """One entry per class; a single empty one where nothing is labelled."""
        labelled = self._sizes.get(value, 0)
        if not self.classes:
            return [{"label": None, "labelled": 0, "label_rate": None, "low": None, "high": None}]
        entries = []
        for at, name in enumerate(self.classes):
            rate = low = high = None
            if value in self.measured and labelled:
                rate = self._values[name][value]
                low, high = self._rates.interval(self.measured.index(value), at)
            entries.append(
                {"label": name, "labelled": labelled, "label_rate": rate, "low": low, "high": high}
            )
        return entries

    def gap(self) -> dict[str, Any] | None:
        """The widest label-rate gap between groups with enough labelled rows."""
        judged = [
            i
            for i, v in enumerate(self.measured)
            if v not in NOT_GROUPS and self._sizes.get(v, 0) >= self._config.min_group
        ]
        if not self.classes:
            return None
        found = rates.gap(
            self._rates, self._cells, judged, resamples=self._config.bootstrap, seed=self._draw
        )
        if found is None:
            return None
        # With two classes their gaps are one number; name the class that says yes.
        label = self.classes[-1] if len(self.classes) == 2 else self.classes[found.pop("rate")]
        high, low = (self.measured[found.pop(k)] for k in ("highest", "lowest"))
        found.pop("rate", None)
        if self._values[label][high] < self._values[label][low]:
            high, low = low, high
        return found | {"label": label, "highest": high, "lowest": low}


def group_codes(values: pl.Series, known: list[str]) -> rates.Codes:
    """Index of each value in `known`; `len(known)` for the rest."""
    places = {value: place for place, value in enumerate(known)}
    return (
        values.replace_strict(places, default=len(known), return_dtype=pl.Int64)
        .to_numpy()
        .astype(np.int64)
    )


def _label_rates(
    rows: pl.DataFrame, column: str, classes: list[str]
) -> dict[str, dict[str, float]]:
    """Label -> group value -> rate, by fairlearn, for which a label rate is a selection rate."""
    from fairlearn.metrics import MetricFrame, selection_rate

    labels = rows["label"].to_numpy()
    frame = MetricFrame(
        metrics={name: partial(selection_rate, pos_label=name) for name in classes},
        y_true=labels,
        y_pred=labels,
        sensitive_features={column: rows[column].to_numpy()},
    )
    return {name: {g: float(v) for g, v in frame.by_group[name].items()} for name in classes}
