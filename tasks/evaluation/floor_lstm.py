"""The LSTM baseline fine-tuned on the classes, by the loop that fine-tunes the encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from tasks.configuration import Baselines, Finetuning
from tasks.log import Log

if TYPE_CHECKING:
    from models.network.lstm import LstmMaskedModel
    from models.network.lstm_classifier import LstmClassifier
    from models.text.reader import Reader
    from models.training.finetuner import LabelledRows


def lstm_guesses(
    folder: Path,
    tokenizer: Path,
    rows: pl.DataFrame,
    texts: pl.Series,
    *,
    config: Baselines,
    finetune: Finetuning,
    seed: int,
    log: Log,
) -> tuple[list[str], int]:
    """Classes of texts by the fine-tuned LSTM, and the number of its weights.

    Args:
        folder: The `lstm/` that `baselines` wrote.
        tokenizer: The tokenizer's file.
        rows: Labelled rows of the training and the validation split, with `weight`.
        texts: What to classify.
        config: Epochs and learning rate.
        finetune: Batch, text length and budget, as the encoder's.
        seed: Seed of the head, the dropout and the order of the rows.
        log: Progress.
    """
    from models import devices
    from models.network.lstm_classifier import lstm_classifier
    from models.text.reader import Reader

    devices.prepare()
    reader = Reader.load(tokenizer, finetune.max_tokens)
    classes = sorted(rows.filter(pl.col("split") == "train")["label"].unique().to_list())
    model = lstm_classifier(_load(folder), len(classes), seed)
    known = rows.filter(pl.col("label").is_in(classes))
    training, validation = (
        _rows(reader, known.filter(pl.col("split") == split), classes)
        for split in ("train", "validation")
    )
    _train(model, training, validation, config, finetune, seed, log)
    guessed = _scores(model, reader.encode(texts.to_list()), finetune.max_tokens).argmax(axis=1)
    parameters = int(sum(np.prod(weight.shape) for weight in model.weights))
    return [classes[i] for i in guessed], parameters


def _load(folder: Path) -> LstmMaskedModel:
    from models.network import weights
    from models.network.lstm import LstmConfig, build_lstm

    shape = LstmConfig.from_dict(orjson.loads((folder / "config.json").read_bytes()))
    model = build_lstm(shape)
    weights.load(model, folder / "lstm.safetensors")
    return model


def _rows(reader: Reader, rows: pl.DataFrame, classes: list[str]) -> LabelledRows:
    from models.training.finetuner import LabelledRows

    index = {name: i for i, name in enumerate(classes)}
    weights = rows["weight"].to_numpy()
    return LabelledRows(
        reader.encode(rows["text"].fill_null("").to_list()),
        np.array([index[label] for label in rows["label"]], np.int32),
        (weights / weights.mean()).astype(np.float32) if len(weights) else np.zeros(0, np.float32),
    )


def _train(
    model: LstmClassifier,
    training: LabelledRows,
    validation: LabelledRows,
    config: Baselines,
    finetune: Finetuning,
    seed: int,
    log: Log,
) -> None:
    from models.training.finetuner import Recipe, plan, train

    epochs = plan(
        [len(row) for row in training.rows],
        batch=finetune.batch,
        epochs=config.epochs,
        longest=finetune.max_tokens,
        budget=finetune.tokens,
        seed=seed,
    )
    total = sum(len(epoch) for epoch in epochs)
    train(
        model, training, validation, epochs, Recipe(config.learning_rate, finetune.max_tokens),
        report=lambda step, _: log.progress(step, total, "LSTM"),
    )  # fmt: skip


def _scores(model: LstmClassifier, rows: list[list[int]], longest: int) -> NDArray[np.float64]:
    from models.training.finetuner import predict

    return np.asarray(predict(model, rows, longest), np.float64).reshape(-1, model.classes)
