"""Which labels are probably wrong, which contradict each other, and how evenly they are spread.

Nothing is changed and no row is taken out: a suspect is a row for a person to look at, in a list
ranked so that the likeliest errors come first. The rows judged are those of the cleaned corpus.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from tasks.configuration import Labels
from tasks.corpus.labels import confident
from tasks.corpus.labels.balance import balance, share_of
from tasks.corpus.labels.confident import Numbers
from tasks.corpus.labels.conflicts import KINDS, conflicts
from tasks.corpus.labels.models import Opinion, ask_champion, out_of_sample
from tasks.corpus.labels.review import REVIEW, conflict_facts, review, shown
from tasks.corpus.labels.sample import Sample, draw_sample
from tasks.corpus.profile import CORPUS, SIGNALS
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage

LABELS, REPORT = "labels.parquet", "labels.json"
MOST_CLASSES = 500  # as the labels suite has it: more are no class label
_DIGITS = 9  # of what is written, so that the order of a sum cannot show
_FOUND: dict[str, Any] = {
    "suggested": pl.String, "probability": pl.Float64, "suggested_probability": pl.Float64,
    "score": pl.Float64, "rank": pl.Int64, "is_suspect": pl.Boolean,
}  # fmt: skip


@stage
def check_labels(
    corpus: Path,
    profiled: Path,
    champion: Path | None,
    taught: Path | None,
    *,
    config: Labels,
    seed: int,
    out: Path,
    log: Log,
) -> Outcome:
    """Rank labelled rows by how little their label is believed.

    Args:
        corpus: The cleaned folder.
        profiled: Signals of the rows before cleaning, which know the duplicates' labels.
        champion: A model bundle for a second opinion, if there is one.
        taught: Folder of the corpus that the champion was fine-tuned on, if that is known.
        config: The `labels` section.
        seed: Seed of the folds, of the choice of rows and of the resamples.
        out: Receives `labels.parquet` (a row per labelled row), `label_review.csv`, `labels.json`.
        log: Progress.

    Returns:
        Skipped where nothing can be judged; conflicts and balance are told all the same.
    """
    corpus_rows = pl.read_parquet(corpus / CORPUS, columns=["row_id", "text", "label", "split"])
    rows = corpus_rows.filter(pl.col("label").is_not_null())
    contradicted = conflicts(_clusters(profiled / SIGNALS))
    training = rows.filter(pl.col("split") == "train")
    report: dict[str, Any] = {
        "rows": rows.height,
        "unlabelled": corpus_rows.height - rows.height,
        "balance": balance(training["label"], config.min_class),
    }
    why = _why_not(corpus_rows, training, config)
    if why:
        found, judged = _unjudged(rows), {"judged": 0, "skipped": why}
    else:
        found, judged = _judged(rows, champion, taught, config, seed, log)
    found = found.with_columns(
        pl.col("row_id").is_in(contradicted["row_id"].implode()).alias("conflicting")
    )
    list_of = review(found, rows, contradicted, config.review)
    report |= judged | {
        "conflicts": conflict_facts(contradicted, rows),
        "shown": shown(found, rows),
        "reviewed": list_of.height,
    }
    found.write_parquet(out / LABELS)
    list_of.write_csv(out / REVIEW)
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    (out / REPORT).write_bytes(orjson.dumps(report, option=options))
    return _outcome(report)


def _clusters(path: Path) -> pl.DataFrame:
    """The signals that say which texts are alike."""
    wanted = ("row_id", "label", *(column for column, _ in KINDS))
    return pl.read_parquet(path, columns=[c for c in wanted if c in pl.read_parquet_schema(path)])


def _why_not(corpus_rows: pl.DataFrame, training: pl.DataFrame, config: Labels) -> str:
    """Why labels cannot be judged, empty if they can."""
    if corpus_rows["label"].null_count() == corpus_rows.height:
        return "no row has a label"
    sizes = training.group_by("label").len()
    judged = sizes.filter(pl.col("len") >= config.min_class).height
    if sizes.height == 1:
        return "all training rows have the same label, so none can be told to be wrong"
    if judged < 2:
        return (
            f"fewer than two of {sizes.height} classes have the {config.min_class} training rows "
            "that labels.min_class asks for"
        )
    if judged > MOST_CLASSES:
        return f"{judged} classes are more than the {MOST_CLASSES} that a class label may have"
    if judged * config.min_class > config.rows:
        return (
            f"labels.rows ({config.rows:,}) is too few to learn {judged} classes from "
            f"{config.min_class} rows each"
        )
    return ""


def _unjudged(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of `labels.parquet` as if nothing were known of them."""
    empty = {n: False if kind == pl.Boolean else None for n, kind in _FOUND.items()}
    return rows.select("row_id", "split", "label").with_columns(
        pl.lit(value, kind).alias(name)
        for (name, value), kind in zip(empty.items(), _FOUND.values(), strict=True)
    )


def _judged(
    rows: pl.DataFrame,
    champion: Path | None,
    taught: Path | None,
    config: Labels,
    seed: int,
    log: Log,
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The rows of `labels.parquet`, and what is told of them."""
    sample = draw_sample(rows, config, seed)
    chosen = rows[sample.judged]
    probabilities = out_of_sample(
        chosen["text"], sample.given, sample.learnt, config, seed=seed,
        tell=lambda done, what: log.progress(done, 1.0, what),
    )  # fmt: skip
    probabilities, opinion = ask_champion(
        chosen, sample.classes, probabilities, champion, taught, config, seed
    )
    columns, parts = _verdicts(chosen, sample, probabilities)
    rival, place = columns["rival"].astype(np.int64), np.arange(chosen.height)
    doubted = pl.Series(columns["doubted"] > 0)
    believed = pl.Series(probabilities[place, rival].round(_DIGITS))
    table = chosen.select("row_id", "split", "label").with_columns(
        suggested=pl.Series(sample.classes)[rival].set(~doubted, None),
        probability=pl.Series(probabilities[place, sample.given].round(_DIGITS)),
        suggested_probability=believed.set(~doubted, None),
        score=pl.Series(columns["score"].round(_DIGITS)),
        is_suspect=pl.Series(columns["suspect"] > 0),
    )
    ordered = table.with_row_index("place").sort(["score", "place"], descending=[True, False])
    ranked = ordered.with_columns(rank=pl.int_range(1, pl.len() + 1)).drop("place")
    log.progress(1.0, 1.0)
    return _with_unjudged(rows, ranked), _told(rows, sample, parts, opinion)


def _verdicts(
    chosen: pl.DataFrame, sample: Sample, probabilities: Numbers
) -> tuple[dict[str, Numbers], dict[str, Any]]:
    """Confident learning's verdict on each row, and what is told of each part.

    Training rows and the others are pruned apart, for they may be labelled unlike; both by what
    was learnt of the classes from the rows that models were taught on.
    """
    taught_by = sample.given[sample.learnt]
    limits = confident.thresholds(taught_by, probabilities[sample.learnt])
    shares = np.bincount(taught_by) / len(taught_by)
    training = (chosen["split"] == "train").to_numpy()
    columns = {name: np.zeros(len(training)) for name in ("rival", "score", "doubted", "suspect")}
    parts: dict[str, Any] = {}
    for name, part in (("train", training), ("held_out", ~training)):
        if part.any():
            verdict = confident.judge(sample.given[part], probabilities[part], limits, shares)
            for column, values in columns.items():
                values[part] = getattr(verdict, column)
            parts[name] = _part(verdict)
    return columns, parts


def _part(verdict: confident.Judged) -> dict[str, Any]:
    """What is told of the training rows, or of the others."""
    rows, suspects = len(verdict.suspect), int(verdict.suspect.sum())
    return {
        "rows": rows,
        "suspects": suspects,
        "share": share_of(suspects, rows),
        "agreement": share_of(rows - int(verdict.doubted.sum()), rows),
    }


def _with_unjudged(rows: pl.DataFrame, ranked: pl.DataFrame) -> pl.DataFrame:
    """All labelled rows in the corpus's order, those that were not judged among them."""
    names = rows.select("row_id", "split", "label")
    joined = names.join(
        ranked.drop("split", "label"), on="row_id", how="left", maintain_order="left"
    )
    return joined.with_columns(pl.col("is_suspect").fill_null(False)).select(
        "row_id", "split", "label", *[pl.col(n).cast(kind) for n, kind in _FOUND.items()]
    )


def _told(
    rows: pl.DataFrame, sample: Sample, parts: dict[str, Any], opinion: Opinion
) -> dict[str, Any]:
    return {
        "judged": len(sample.judged),
        "not_judged": rows.height - len(sample.judged),
        "learnt": int(sample.learnt.sum()),
        "classes_judged": len(sample.classes),
        "parts": parts,
        "champion": asdict(opinion),
    }


def _outcome(report: dict[str, Any]) -> Outcome:
    clash, spread = report["conflicts"], report["balance"]["imbalance"]
    metrics = {
        "labelled_rows": float(report["rows"]),
        "rows_judged": float(report["judged"]),
        "conflicting_texts": float(clash["texts"]),
        "conflicting_rows": float(clash["rows"]),
    }
    if spread:
        metrics |= {"imbalance": spread["value"], "imbalance_low": spread["low"],
                    "imbalance_high": spread["high"]}  # fmt: skip
    for name, part in report.get("parts", {}).items():
        metrics[f"suspects_{name}"] = float(part["suspects"])
        for key, value in part["share"].items():
            metrics[f"suspect_share_{name}" + ("" if key == "value" else f"_{key}")] = value
    told = f"{clash['texts']:,} texts under several labels" if clash["texts"] else ""
    artifacts = (REPORT, REVIEW)
    if "skipped" in report:
        summary = "; ".join(filter(None, [report["skipped"], told]))
        return Outcome(
            summary=summary, metrics=metrics, skipped=report["skipped"], artifacts=artifacts
        )
    suspects = sum(part["suspects"] for part in report["parts"].values())
    summary = f"{suspects:,} of {report['judged']:,} labels are suspect"
    summary += f", {told}" if told else ""
    return Outcome(summary=summary, metrics=metrics, artifacts=artifacts)
