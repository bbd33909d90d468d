"""Classification of sentence pairs, such as paraphrase, entailment or question and answer.

A pair is read in one row, `[CLS] first [SEP] second [SEP]`, so that every word of one part can
attend to those of the other (Devlin et al. 2018, https://arxiv.org/abs/1810.04805).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tasks.configuration import Pairs
from tasks.errors import UserError
from tasks.log import CURVE, Log
from tasks.records import Outcome
from tasks.stage import stage
from tasks.training import class_report
from tasks.training.heads import Curve, fit, load_pretrained, save_head, trained_numbers
from tasks.training.labelled_files import read_pairs

if TYPE_CHECKING:
    from models.network.heads import Classifier
    from models.text.reader import Reader
    from models.training.examples import LabelledRows
    from models.training.finetuner import Trained

_MOST_CLASSES = 200


@stage
def pairs(
    pretrained: Path, *, config: Pairs, seed: int, content: str, out: Path, log: Log
) -> Outcome:
    """Train a classifier of pairs and judge it by its test file, or its validation file.

    Args:
        pretrained: The encoder bundle, under `model/`.
        config: Files, columns, epochs, batch, learning rate and budget; it names a training file.
        seed: Seed of the head, the dropout, the order of the rows and the resamples.
        content: Digest of the files, so that changed ones are read again.
        out: Gets `model/`, `report.json`, `report.txt`, `training.json` and `curve.jsonl`.
        log: Progress and curve.

    Raises:
        UserError: A file cannot be read, or there is nothing to tell apart.
    """
    files = {
        name: read_pairs(location, config)
        for name in ("train", "validation", "test")
        if (location := getattr(config, name))
    }
    classes = _classes(files["train"])
    curve = Curve(log)
    tokenizer = pretrained / "model" / "tokenizer.json"
    reader = _reader(tokenizer, config)
    head, trained = _train(pretrained / "model", reader, files, classes, config, seed, curve)
    save_head(out / "model", head, tokenizer, classes, config.max_tokens)
    curve.write(out / CURVE)
    numbers = trained_numbers(trained)
    about = {"classes": classes, "rows": {name: len(frame) for name, frame in files.items()}}
    (out / "training.json").write_bytes(class_report.as_json({**numbers, **about}))
    told = f"{len(classes)} classes, {trained.steps:,} steps"
    judged_on = next((name for name in ("test", "validation") if name in files), None)
    if judged_on is None:
        summary, kept = f"{told}, no file to judge by", ("training.json", CURVE)
        return Outcome(summary=summary, metrics=numbers, artifacts=kept)
    found = _judge(head, reader, files[judged_on], classes, config, seed)
    (out / "report.json").write_bytes(class_report.as_json({**found, "judged_on": judged_on}))
    (out / "report.txt").write_text(_text(found))
    numbers["accuracy"] = found["accuracy"]["value"]
    numbers["f1_macro"] = found["classes"]["macro avg"]["f1-score"]
    return Outcome(
        summary=f"{told}, accuracy {numbers['accuracy']:.3f} on {judged_on}",
        metrics=numbers,
        artifacts=("report.json", "report.txt", "training.json", CURVE),
    )


def _reader(tokenizer: Path, config: Pairs) -> Reader:
    from models.text.reader import Reader

    return Reader.load(tokenizer, config.max_tokens)


def _train(
    pretrained: Path,
    reader: Reader,
    files: dict[str, pl.DataFrame],
    classes: list[str],
    config: Pairs,
    seed: int,
    curve: Curve,
) -> tuple[Classifier, Trained]:
    from models import devices
    from models.network.heads import build_classifier, start_from

    masked = load_pretrained(pretrained)
    policy = devices.dtype_policy("auto", masked.config.width)
    head = build_classifier(masked.config, len(classes), seed=seed, precision=policy)
    if not config.from_scratch:
        start_from(head, masked)
    known = files.get("validation", files["train"].clear()).filter(pl.col("label").is_in(classes))
    training, held = (_rows(reader, frame, classes) for frame in (files["train"], known))
    return head, fit(head, training, held, config, seed=seed, curve=curve)


def _classes(frame: pl.DataFrame) -> list[str]:
    classes = sorted(frame["label"].unique().to_list())
    if not 2 <= len(classes) <= _MOST_CLASSES:
        raise UserError(
            f"the training pairs have {len(classes):,} different labels",
            f"Name a column of 2 to {_MOST_CLASSES} classes as pairs.label.",
        )
    return classes


def _rows(reader: Reader, frame: pl.DataFrame, classes: list[str]) -> LabelledRows:
    """Tokenise pairs; a label that training does not have is never right."""
    from models.training.examples import IGNORED, LabelledRows

    index = {name: number for number, name in enumerate(classes)}
    return LabelledRows(
        reader.encode_pairs(frame["first"].to_list(), frame["second"].to_list()),
        np.array([index.get(label, IGNORED) for label in frame["label"]], np.int32),
        np.ones(len(frame), np.float32),
    )


def _judge(
    head: Classifier,
    reader: Reader,
    frame: pl.DataFrame,
    classes: list[str],
    config: Pairs,
    seed: int,
) -> dict[str, Any]:
    from models.training.finetuner import predict

    scores = predict(head, _rows(reader, frame, classes).rows, config.max_tokens)
    guessed = [classes[int(row.argmax())] for row in scores]
    truth = frame["label"].to_list()
    names = sorted({*truth, *guessed})
    return {
        "rows": len(truth),
        "classes": class_report.per_class(truth, guessed, names),
        "accuracy": class_report.accuracy(truth, guessed, resamples=config.bootstrap, seed=seed),
    }


def _text(found: dict[str, Any]) -> str:
    share = found["accuracy"]
    return (
        f"{class_report.table(found['classes'])}\naccuracy {share['value']:.3f} "
        f"({share['low']:.3f} to {share['high']:.3f}, 95 % of resampled rows, {found['rows']:,} rows)\n"
    )
