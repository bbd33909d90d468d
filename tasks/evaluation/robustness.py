"""Robustness: how many right answers turn wrong when a few characters are edited.

The attack is DeepWordBug; how it goes about it is told in `attack`. Where a text reads the same to
a person, a flip is an error. That character edits keep the meaning is an assumption: nobody reads
the results but the reader of the page, who is shown the worst. Attacks by synonyms, insertions or
whole sentences are not covered, nor is an attacker who may ask more often than the budget.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from tasks.configuration import Evaluation
from tasks.evaluation.attack import ATTACK, attack
from tasks.evaluation.bootstrap import share
from tasks.evaluation.classifier import first_words
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage

_WORST = 5
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@stage
def robustness(
    model: Path, corpus: Path, *, config: Evaluation, seed: int, out: Path, log: Log
) -> Outcome:
    """Attack a sample of the test split and count what flips.

    Args:
        model: A finetuned model bundle.
        corpus: The cleaned folder.
        config: Rows, words and queries of the attack, and the number of resamples.
        seed: Seed of the sample, of each row's edits and of the resamples.
        out: Gets `attacks.parquet` and `robustness.json`.
        log: Shown each attacked row.

    Returns:
        Attack success and accuracy under attack, or why nothing was attacked.
    """
    if config.attack_rows == 0:
        return _skip(out, "attacks are turned off")
    rows = _attackable(corpus, config.attack_words)
    if rows.is_empty():
        return _skip(out, "the test split has no labelled text to attack")
    from models.bundle import TextModel

    victim = TextModel.load(model)
    rows = rows.filter(pl.col("label").is_in(victim.classes))
    if rows.is_empty():
        return _skip(out, "the model has none of the test split's classes")
    sample = draw(rows, config.attack_rows, seed)
    attacked = attack(victim, sample, config=config, seed=seed, log=log)
    table = pl.DataFrame([asdict(row) for row in attacked]).sort("row_id")
    table.write_parquet(out / "attacks.parquet")
    found = report(table, config, seed)
    found["rows_left_out"] = len(sample) - len(table)
    (out / "robustness.json").write_bytes(orjson.dumps(found, option=_JSON))
    return _outcome(found)


def draw(rows: pl.DataFrame, most: int, seed: int) -> pl.DataFrame:
    """A random sample that holds, as does each beginning of it, every label in proportion.

    The k-th row of a label with n rows is placed at (k + 1/2) / n, and the first `most` are taken,
    so a budget that ends early leaves a sample that is stratified still.

    Args:
        rows: `row_id`, `label` and whatever else; their order does not matter.
        most: Size of the sample.
        seed: Seed of the draw.
    """
    rows = rows.sort("row_id")
    shuffled = rows[np.random.default_rng(seed).permutation(len(rows))]
    place = (pl.int_range(pl.len()) + 0.5) / pl.len()
    placed = shuffled.with_columns(place.over("label").alias("_place"))
    return placed.sort(["_place", "label"], maintain_order=True).head(most).drop("_place")


def report(table: pl.DataFrame, config: Evaluation, seed: int) -> dict[str, Any]:
    """The figures of `robustness.json`.

    Args:
        table: The rows of `attacks.parquet`, at least one.
        config: Number of resamples, and the budget to state.
        seed: Seed of the resamples.

    Returns:
        `attack_success`, the flipped share of the texts that the model had right (None if it had
        none right); `accuracy_under_attack` and `clean_accuracy`, both over all rows;
        `queries_mean`, of the rows attacked; and the worst `examples`.
    """
    outcome = table["outcome"]
    fought = table.filter(outcome != "skipped")
    doubt = {"resamples": config.bootstrap, "seed": seed}
    success = (fought["outcome"] == "success").to_numpy()
    return {
        "attack": ATTACK,
        "rows": len(table),
        "outcomes": {
            name: int((outcome == name).sum()) for name in ("success", "failed", "skipped")
        },
        "attack_success": share(success, **doubt) if len(fought) else None,
        "accuracy_under_attack": share((outcome == "failed").to_numpy(), **doubt),
        "clean_accuracy": share((outcome != "skipped").to_numpy(), **doubt),
        "queries_mean": float(fought["queries"].to_numpy().mean()) if len(fought) else 0.0,
        "queries": int(table["queries"].sum()),
        "budget": {
            "queries_per_row": config.attack_queries,
            "queries_total": config.attack_total_queries,
            "words": config.attack_words,
        },
        "note": f"texts are attacked in their first {config.attack_words} words",
        "examples": _worst(table),
    }


def edits(original: str, perturbed: str) -> list[list[str]]:
    """The words that differ, as pairs of before and after, in reading order."""
    pairs = zip(original.split(), perturbed.split(), strict=False)
    return [[before, after] for before, after in pairs if before != after]


def _attackable(corpus: Path, words: int) -> pl.DataFrame:
    """Labelled test rows that hold a word; there is nothing to edit in the others."""
    rows = (
        pl.scan_parquet(corpus / "corpus.parquet")
        .filter((pl.col("split") == "test") & pl.col("label").is_not_null())
        .filter(pl.col("text").str.contains(r"\w"))
        .select("row_id", "label", "text")
        .collect()
    )
    cut = [first_words(text, words) for text in rows["text"]]
    return rows.with_columns(text=pl.Series(cut, dtype=pl.String)).filter(
        pl.col("text").str.contains(r"\w")
    )


def _worst(table: pl.DataFrame) -> list[dict[str, Any]]:
    """The flips that took the fewest edited words, the surest predictions first among equals."""
    flipped = [
        {**row, "edits": edits(row["original"], row["perturbed"])}
        for row in table.filter(pl.col("outcome") == "success").iter_rows(named=True)
    ]
    flipped.sort(key=lambda r: (len(r["edits"]), -r["confidence_before"], r["row_id"]))
    return flipped[:_WORST]


def _skip(out: Path, why: str) -> Outcome:
    (out / "robustness.json").write_bytes(orjson.dumps({"skipped": why}, option=_JSON))
    return Outcome(summary=why, skipped=why)


def _outcome(found: dict[str, Any]) -> Outcome:
    under, clean = found["accuracy_under_attack"]["value"], found["clean_accuracy"]["value"]
    metrics = {
        "accuracy_under_attack": under,
        "clean_accuracy": clean,
        "queries_mean": found["queries_mean"],
    }
    if found["attack_success"] is not None:
        metrics["attack_success"] = found["attack_success"]["value"]
    flipped = found["outcomes"]["success"]
    return Outcome(
        summary=f"{flipped} of {found['rows']} texts flipped: accuracy {clean:.2f} to {under:.2f}",
        metrics=metrics,
        artifacts=("robustness.json",),
    )
