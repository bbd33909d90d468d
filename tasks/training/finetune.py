"""Fine-tuning: a classification head on the pretrained encoder, and the model bundle.

Trained on the labelled training rows, made-up ones included, each as heavy as the correction
stage says, and 1 where it says nothing. The validation split decides which epoch
is kept. Without labels, or with one class only, the bundle has no head, and every later stage
that needs one says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import polars as pl

from tasks.configuration import Finetuning
from tasks.errors import UserError
from tasks.log import CURVE, Log
from tasks.records import Outcome
from tasks.stage import stage
from tasks.training.heads import JSON, Curve, fit, labelled_rows, load_pretrained

if TYPE_CHECKING:
    from models.network.encoder import MaskedLanguageModel
    from models.network.heads import Classifier
    from models.text.reader import Reader
    from models.training.finetuner import LabelledRows, Trained

MOST_CLASSES = 200
_MOST_VALIDATION_ROWS = 2000


@stage
def finetune(
    pretrained: Path,
    corpus: Path,
    corrected: Path | None,
    *,
    config: Finetuning,
    seed: int,
    out: Path,
    log: Log,
) -> Outcome:
    """Train the classifier and write the model bundle.

    Args:
        pretrained: The encoder bundle, under `model/`.
        corpus: `corpus.parquet` with labels; made-up rows name their `parent`.
        corrected: `weights.parquet`, if rows weigh unlike.
        config: Epochs, batch, learning rate, text length and budget.
        seed: Seed of the head, the dropout and the order of the rows.
        out: Gets the bundle's files (see `models.bundle`), `curve.jsonl` and `training.json`.
        log: Progress and curve.

    Returns:
        Validation loss and accuracy of the epoch kept, or why there is no head.

    Raises:
        UserError: The label column cannot be a class: too many distinct values.
    """
    from models.bundle import save_bundle

    rows = labelled_rows(corpus, corrected)
    classes = _classes(rows)
    masked = load_pretrained(pretrained / "model")
    tokenizer = pretrained / "model" / "tokenizer.json"
    if len(classes) < 2:
        why = f"all labelled rows say {classes[0]!r}" if classes else "the data has no labels"
        save_bundle(out, masked, None, tokenizer, [], config.max_tokens)
        (out / CURVE).write_bytes(b"")
        (out / "training.json").write_bytes(orjson.dumps({"skipped": why}, option=JSON))
        return Outcome(summary=f"no head: {why}", skipped=why)
    curve = Curve(log)
    classifier, trained = _train(masked, tokenizer, rows, classes, config, seed, curve)
    save_bundle(out, masked, classifier, tokenizer, classes, config.max_tokens)
    curve.write(out / CURVE)
    found = _training(trained, rows, classes)
    (out / "training.json").write_bytes(orjson.dumps(found, option=JSON))
    return _outcome(trained, rows, classes)


def _classes(rows: pl.DataFrame) -> list[str]:
    """The distinct training labels, numbers in numerical order."""
    given = rows.filter((pl.col("split") == "train") & pl.col("parent").is_null())["label"]
    classes = given.unique().to_list()
    if len(classes) > MOST_CLASSES or 2 < len(classes) == len(given):
        raise UserError(
            f"the label column has {len(classes):,} distinct values in {len(given):,} training "
            f"rows, such as {', '.join(map(repr, sorted(classes)[:3]))}",
            f"Name a column of at most {MOST_CLASSES} classes as source.label, or none.",
        )
    try:
        return sorted(classes, key=float)
    except ValueError:
        return sorted(classes)


def _train(
    masked: MaskedLanguageModel,
    tokenizer: Path,
    rows: pl.DataFrame,
    classes: list[str],
    config: Finetuning,
    seed: int,
    curve: Curve,
) -> tuple[Classifier, Trained]:
    from models import devices
    from models.network.heads import build_classifier, start_from
    from models.text.reader import Reader

    reader = Reader.load(tokenizer, config.max_tokens)
    training = _rows(reader, rows.filter(pl.col("split") == "train"), classes)
    held = rows.filter((pl.col("split") == "validation") & pl.col("label").is_in(classes))
    if len(held) > _MOST_VALIDATION_ROWS:
        drawn = np.random.default_rng(seed).permutation(len(held))[:_MOST_VALIDATION_ROWS]
        held = held.filter(pl.Series(np.isin(np.arange(len(held)), drawn)))
    policy = devices.dtype_policy("auto", masked.config.width)
    classifier = build_classifier(masked.config, len(classes), seed=seed, precision=policy)
    start_from(classifier, masked)
    trained = fit(
        classifier, training, _rows(reader, held, classes), config, seed=seed, curve=curve
    )
    return classifier, trained


def _rows(reader: Reader, rows: pl.DataFrame, classes: list[str]) -> LabelledRows:
    """Tokenise the rows; their weights are brought to mean 1."""
    from models.training.finetuner import LabelledRows

    index = {name: i for i, name in enumerate(classes)}
    weights = rows["weight"].to_numpy()
    return LabelledRows(
        reader.encode(rows["text"].to_list()),
        np.array([index[label] for label in rows["label"]], np.int32),
        (weights / weights.mean()).astype(np.float32) if len(weights) else np.zeros(0, np.float32),
    )


def _training(trained: Trained, rows: pl.DataFrame, classes: list[str]) -> dict[str, Any]:
    train = rows.filter(pl.col("split") == "train")
    counts = train.group_by("label").len().sort("label")
    judged = np.isfinite(trained.loss)
    return {
        "classes": classes,
        "rows_per_class": dict(counts.rows()),
        "rows_made_up": int(train["parent"].is_not_null().sum()),
        "rows_validation": len(rows) - len(train),
        "steps": trained.steps,
        "tokens": trained.tokens,
        "epoch_kept": trained.epoch,
        "validation_loss": trained.loss if judged else None,
        "validation_accuracy": trained.accuracy if judged else None,
    }


def _outcome(trained: Trained, rows: pl.DataFrame, classes: list[str]) -> Outcome:
    metrics = {"steps": float(trained.steps), "tokens": float(trained.tokens)}
    metrics["epoch_kept"] = float(trained.epoch)
    summary = f"{len(classes)} classes, {trained.steps:,} steps"
    if np.isfinite(trained.loss):
        metrics["validation_loss"] = trained.loss
        metrics["validation_accuracy"] = trained.accuracy
        summary += f", validation accuracy {trained.accuracy:.3f}"
    return Outcome(summary=summary, metrics=metrics, artifacts=("training.json", CURVE))
