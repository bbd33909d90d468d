"""Quality on held-out rows: how often the class is right, and how well the text is foreseen.

Classes: accuracy, and macro-F1 over the classes that the test rows have. A test row whose label
the model was never taught counts as wrong.

Text: words of the test rows are hidden, 15 % of them, and the model guesses them. Words, not
subwords, are drawn, by a seed and the text alone, so models with unlike tokenizers guess the
same words. The loss per subword is comparable between models of one tokenizer only; a tokenizer
with short subwords has easier ones. Comparable between all is

    bits per character = sum of -log2 p over the hidden subwords / characters of the hidden words

where the subwords of one word are guessed without knowing each other.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from tasks.configuration import Evaluation
from tasks.evaluation.bootstrap import interval, ratio, share
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage

if TYPE_CHECKING:
    from models.bundle import TextModel

MASK_SHARE = 0.15
# Of a long row only the beginning is guessed: it bounds the time, and does so alike for every
# tokenizer.
_CHARACTERS = 1000
_AT_ONCE = 500
_WORD = re.compile(r"\w+|[^\w\s]")
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@stage
def quality(
    model: Path, corpus: Path, *, config: Evaluation, seed: int, out: Path, log: Log
) -> Outcome:
    """Judge a model on the test split.

    Args:
        model: A model bundle.
        corpus: The cleaned folder; its test rows are judged, at most `config.max_rows` of them.
        config: Number of rows and of resamples.
        seed: Seed of the choice of rows, of the hidden words and of the resamples.
        out: Gets `predictions.parquet`, if the model has classes and test rows have labels,
            the same of validation rows as `validation.parquet`, `mlm.parquet` (a row per test
            row) and `quality.json`.
        log: Progress.

    Returns:
        Accuracy, macro-F1 and held-out loss, as far as there are any.
    """
    from models.bundle import TextModel

    text_model = TextModel.load(model)
    rows = _rows_of("test", corpus, config.max_rows, seed)
    found: dict[str, Any] = {"rows": len(rows), "vocabulary": text_model.reader.vocabulary}
    if rows.is_empty():
        found["skipped"] = "the data has no test rows"
        (out / "quality.json").write_bytes(orjson.dumps(found, option=_JSON))
        return Outcome(summary=found["skipped"], skipped=found["skipped"])
    guessed = _guess_words(text_model, rows, seed, log)
    guessed.write_parquet(out / "mlm.parquet")
    found |= _judge_text(guessed, config.bootstrap, seed)
    labelled = rows.filter(pl.col("label").is_not_null())
    if text_model.has_head and len(labelled):
        predictions = _predict(text_model, labelled, log)
        predictions.write_parquet(out / "predictions.parquet")
        tuning = _rows_of("validation", corpus, config.max_rows, seed)
        tuning = tuning.filter(pl.col("label").is_not_null())
        if len(tuning):
            _predict(text_model, tuning, log).write_parquet(out / "validation.parquet")
        found |= _judge_classes(predictions, text_model.classes, config.bootstrap, seed)
    (out / "quality.json").write_bytes(orjson.dumps(found, option=_JSON))
    return _outcome(found)


def macro_f1(classes: int) -> Any:
    """Macro-F1 as a statistic of resamples, over the true classes that each resample has.

        F1_c = 2 TP_c / (2 TP_c + FP_c + FN_c)

    Args:
        classes: Number of class codes.

    Returns:
        From `(resamples, n, 2)`, the codes of truth and prediction, to `(resamples,)`.
    """

    def counted(codes: NDArray[Any], chosen: NDArray[Any]) -> NDArray[Any]:
        place = codes + classes * np.arange(len(codes))[:, None]
        counts = np.bincount(place[chosen], minlength=len(codes) * classes)
        return counts.reshape(len(codes), classes)  # (r, classes)

    def statistic(rows: NDArray[Any]) -> NDArray[Any]:
        truth, guess = rows[..., 0].astype(np.int64), rows[..., 1].astype(np.int64)
        every = np.ones(truth.shape, bool)
        true, guessed = counted(truth, every), counted(guess, every)
        f1 = 2 * counted(truth, truth == guess) / np.maximum(true + guessed, 1)
        present = true > 0
        return np.asarray((f1 * present).sum(axis=1) / present.sum(axis=1))

    return statistic


def hidden_words(text: str, row_id: str, seed: int) -> list[tuple[int, int]]:
    """Which words of a text are to be guessed: their spans, at least one if there is any word.

    Depends on the text, the row and the seed, and on no tokenizer.
    """
    spans = [match.span() for match in _WORD.finditer(text)]
    if not spans:
        return []
    # the row's own stream: another row more or less leaves every other row's words as they are
    generator = np.random.default_rng([seed, *row_id.encode()])
    count = max(1, round(MASK_SHARE * len(spans)))
    chosen = np.sort(generator.choice(len(spans), size=count, replace=False))
    return [spans[i] for i in chosen]


def _rows_of(split: str, corpus: Path, most: int, seed: int) -> pl.DataFrame:
    rows = pl.read_parquet(corpus / "corpus.parquet").filter(pl.col("split") == split)
    rows = rows.sort("row_id")
    if len(rows) <= most:
        return rows
    drawn = np.random.default_rng(seed).choice(len(rows), size=most, replace=False)
    return rows.filter(pl.Series(np.isin(np.arange(len(rows)), drawn)))


def _predict(model: TextModel, rows: pl.DataFrame, log: Log) -> pl.DataFrame:
    parts = []
    for start in range(0, len(rows), _AT_ONCE):
        parts.append(model.predict_proba(rows["text"][start : start + _AT_ONCE].to_list()))
        log.progress(min(start + _AT_ONCE, len(rows)), len(rows), "rows classified")
    shares = np.concatenate(parts)
    predicted = [model.classes[i] for i in shares.argmax(axis=1)]
    return rows.select("row_id", "label").with_columns(
        pl.Series("predicted", predicted),
        (pl.col("label") == pl.Series(predicted)).alias("correct"),
        pl.Series("confidence", shares.max(axis=1)),
        *[pl.Series(f"p_{name}", shares[:, i]) for i, name in enumerate(model.classes)],
    )


def _judge_classes(
    predictions: pl.DataFrame, known: list[str], resamples: int, seed: int
) -> dict[str, Any]:
    from sklearn.metrics import classification_report, confusion_matrix

    truth, predicted = predictions["label"].to_list(), predictions["predicted"].to_list()
    names = [*known, *sorted(set(truth) - set(known))]
    code = {name: i for i, name in enumerate(names)}
    codes = np.array([[code[t], code[p]] for t, p in zip(truth, predicted, strict=True)])
    report = classification_report(
        truth, predicted, labels=names, output_dict=True, zero_division=0.0
    )
    largest = max(truth.count(name) for name in names)
    return {
        "classes": names,
        "classes_unknown": names[len(known) :],
        "rows_labelled": len(predictions),
        "majority_share": largest / len(predictions),
        "accuracy": share(predictions["correct"].to_numpy(), resamples=resamples, seed=seed),
        "macro_f1": interval(codes, resamples=resamples, seed=seed, statistic=macro_f1(len(names))),
        "report": [
            {
                "class": name,
                "precision": float(report[name]["precision"]),
                "recall": float(report[name]["recall"]),
                "f1": float(report[name]["f1-score"]),
                "support": int(report[name]["support"]),
            }
            for name in names
        ],
        "confusion": confusion_matrix(truth, predicted, labels=names).tolist(),
    }


def _guess_words(model: TextModel, rows: pl.DataFrame, seed: int, log: Log) -> pl.DataFrame:
    """Hide words of each row and sum up how they are guessed; a row per row, in their order."""
    totals = np.zeros((len(rows), 4))
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        texts = [text[:_CHARACTERS] for text in part["text"]]
        spans = [
            hidden_words(text, row_id, seed)
            for text, row_id in zip(texts, part["row_id"], strict=True)
        ]
        owners, windows, hidden = model.reader.windows(texts, spans)
        sums = model.masked_loss(windows, hidden)
        for column in range(3):
            totals[start : start + len(part), column] = np.bincount(
                owners, weights=sums[:, column], minlength=len(part)
            )
        totals[start : start + len(part), 3] = [sum(b - a for a, b in s) for s in spans]
        log.progress(start + len(part), len(rows), "rows guessed at")
    return pl.DataFrame(
        {
            "sequence": np.arange(len(rows)),
            "row_id": rows["row_id"],
            "loss_sum": totals[:, 0],
            "tokens": totals[:, 1].astype(np.int64),
            "correct": totals[:, 2].astype(np.int64),
            "characters": totals[:, 3].astype(np.int64),
        }
    )


def _judge_text(guessed: pl.DataFrame, resamples: int, seed: int) -> dict[str, Any]:
    rows = guessed.filter(pl.col("tokens") > 0)
    if rows.is_empty():
        return {}

    def per(top: pl.Expr, bottom: str) -> dict[str, float]:
        values = rows.select(top.cast(pl.Float64), pl.col(bottom).cast(pl.Float64).alias("per"))
        return interval(values.to_numpy(), resamples=resamples, seed=seed, statistic=ratio)

    bits = pl.col("loss_sum") / float(np.log(2))
    return {
        "mlm_loss": per(pl.col("loss_sum"), "tokens"),
        "mlm_accuracy": per(pl.col("correct"), "tokens"),
        "mlm_bits_per_character": per(bits, "characters"),
    }


def _outcome(found: dict[str, Any]) -> Outcome:
    names = ("accuracy", "macro_f1", "mlm_loss", "mlm_accuracy", "mlm_bits_per_character")
    metrics = {name: found[name]["value"] for name in names if name in found}
    parts = []
    if "accuracy" in found:
        metrics["majority_share"] = found["majority_share"]
        parts.append(f"accuracy {metrics['accuracy']:.3f}")
    if "mlm_loss" in found:
        parts.append(f"masked loss {metrics['mlm_loss']:.3f} nats")
    summary = f"{', '.join(parts) or 'nothing to judge'} on {found['rows']:,} rows"
    return Outcome(summary=summary, metrics=metrics, artifacts=("quality.json",))
