"""What the stages that train a head share: the recipe, the curve, the start, and what is kept."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import polars as pl

from tasks.configuration import Headed
from tasks.log import Log
from tasks.records import Point

if TYPE_CHECKING:
    from models.network.encoder import MaskedLanguageModel
    from models.network.heads import Head
    from models.training.examples import LabelledRows
    from models.training.finetuner import Recipe, Score, Trained

JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


class Curve:
    """Collects what the training reports and passes it on.

    Args:
        log: Told each point.
    """

    def __init__(self, log: Log) -> None:
        self.total = 0
        self._log = log
        self._points: list[Point] = []

    def __call__(self, step: int, metrics: dict[str, float]) -> None:
        """Take the metrics of a step."""
        self._points.append(Point(step=step, metrics=metrics))
        note = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in metrics.items())
        self._log.progress(step, self.total, note)
        self._log.curve(self._points[-1:])

    def write(self, path: Path) -> None:
        """One point a line."""
        path.write_text("".join(point.model_dump_json() + "\n" for point in self._points))


def recipe(config: Headed) -> Recipe:
    """How a section says that its head is trained."""
    from models.training.finetuner import Recipe

    return Recipe(
        learning_rate=config.learning_rate,
        longest=config.max_tokens,
        layer_decay=config.layer_decay,
        balanced=config.class_weights == "balanced",
        frozen=config.frozen,
    )


def fit(
    head: Head,
    training: LabelledRows,
    validation: LabelledRows,
    config: Headed,
    *,
    seed: int,
    curve: Curve,
    score: Score | None = None,
) -> Trained:
    """Plan and train as a section says.

    Args:
        head: Trained in place; its encoder already holds what it starts from.
        training: What it learns from.
        validation: Decides which epoch is kept; may be empty.
        config: The section.
        seed: Seed of the order of the rows.
        curve: Told the losses.
        score: Decides in the place of the validation loss.
    """
    from models.training.finetuner import plan, train

    epochs = plan(
        [len(row) for row in training.rows],
        batch=config.batch,
        epochs=config.epochs,
        longest=config.max_tokens,
        budget=config.tokens,
        seed=seed,
    )
    curve.total = sum(len(epoch) for epoch in epochs)
    return train(head, training, validation, epochs, recipe(config), report=curve, score=score)


def trained_numbers(trained: Trained) -> dict[str, float]:
    """What a training came to, without what is not known."""
    found = {
        "steps": trained.steps, "tokens": trained.tokens, "epoch_kept": trained.epoch,
        "validation_loss": trained.loss, "validation_accuracy": trained.accuracy,
        "validation_score": trained.score,
    }  # fmt: skip
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def load_pretrained(folder: Path) -> MaskedLanguageModel:
    """The pretrained model of a folder that `pretrain` wrote as `model/`."""
    from models import devices
    from models.network import hugging_face

    devices.prepare()
    return hugging_face.load_masked(folder)


def save_head(
    folder: Path, head: Head, tokenizer: Path, labels: list[str], max_tokens: int
) -> None:
    """Write a trained head with its encoder in Hugging Face's format.

    Args:
        folder: Made.
        head: Trained.
        tokenizer: Copied as it is.
        labels: Names of the scores, in their order.
        max_tokens: Longer texts are cut.
    """
    from models.network import hugging_face

    hugging_face.save(head, tokenizer, folder, max_tokens=max_tokens, labels=labels)


def labelled_rows(corpus: Path, corrected: Path | None) -> pl.DataFrame:
    """Labelled training and validation rows with their weights, in the corpus's order.

    Args:
        corpus: Folder with `corpus.parquet`; where it names no `parent`, every row has none.
        corrected: Folder with `weights.parquet`, if rows weigh unlike; what it lacks weighs 1.
    """
    rows = pl.read_parquet(corpus / "corpus.parquet").filter(
        pl.col("label").is_not_null() & pl.col("split").is_in(["train", "validation"])
    )
    if "parent" not in rows.columns:
        rows = rows.with_columns(parent=pl.lit(None, dtype=pl.String))
    path = corrected / "weights.parquet" if corrected else None
    if path is None or not path.exists():
        return rows.with_columns(weight=pl.lit(1.0))
    rows = rows.join(pl.read_parquet(path), on="row_id", how="left", maintain_order="left")
    return rows.with_columns(pl.col("weight").fill_null(1.0))
