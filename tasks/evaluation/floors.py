"""The floors under the accuracy: what the classes are worth to simpler models.

All of them are taught on the training rows of the classifier with the same weights, and judged on
the test rows that `quality` judged:

- `majority`: the commonest class of the training rows, whatever the text says;
- `logistic`: logistic regression on the words and pairs of words of a text (tf-idf, L2), which on
  little text is hard to beat (Wang and Manning 2012, https://aclanthology.org/P12-2018/);

- `lstm`: the LSTM baseline, fine-tuned by the encoder's own loop, if it was trained.

A model that is not above these has learnt nothing from pretraining that its task needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from tasks.configuration import Baselines, Evaluation, Finetuning
from tasks.evaluation.bootstrap import interval, paired_difference, share
from tasks.evaluation.floor_lstm import lstm_guesses
from tasks.evaluation.quality import macro_f1
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage
from tasks.training.heads import labelled_rows

_MOST_FEATURES = 200_000  # the commonest words and pairs
_ROUNDS = 300  # of the optimiser
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@stage
def floors(
    judged: Path,
    training: Path,
    corrected: Path | None,
    corpus: Path,
    compared: Path,
    tokenized: Path,
    *,
    config: Evaluation,
    baselines: Baselines,
    finetune: Finetuning,
    seed: int,
    out: Path,
    log: Log,
) -> Outcome:
    """Teach the floors and judge them on the rows that the model was judged on.

    Args:
        judged: What `quality` wrote of the model: `predictions.parquet`, if it has classes.
        training: The folder the classifier was fine-tuned from.
        corrected: `weights.parquet`, if rows weigh unlike.
        corpus: The cleaned folder, whose test rows were judged.
        compared: What `baselines` wrote; `lstm/`, if there is one.
        tokenized: Holds the vocabulary.
        config: Number of resamples.
        baselines: How the LSTM is fine-tuned.
        finetune: How the model was.
        seed: Seed of the resamples and of the LSTM's fine-tuning.
        out: Gets `floors.json` and `predictions.parquet` (a column per floor).
        log: Progress.

    Returns:
        Each floor's accuracy, and how far the model is above it.
    """
    path = judged / "predictions.parquet"
    labelled = labelled_rows(training, corrected)
    taught = labelled.filter(pl.col("split") == "train")
    if not path.exists() or taught["label"].n_unique() < 2:
        why = "there are no classes to predict"
        (out / "floors.json").write_bytes(orjson.dumps({"skipped": why}, option=_JSON))
        return Outcome(summary=why, skipped=why)
    rows = pl.read_parquet(path, columns=["row_id", "label", "predicted"])
    texts = pl.read_parquet(corpus / "corpus.parquet", columns=["row_id", "text"])
    rows = rows.join(texts, on="row_id", how="left", maintain_order="left")
    guesses, features = _logistic(taught, rows["text"].fill_null(""))
    found = rows.select("row_id", "label", "predicted").with_columns(
        majority=pl.lit(_majority(taught)), logistic=pl.Series(guesses, dtype=pl.String)
    )
    kinds: list[tuple[str, str, int | None]] = [
        ("model", "predicted", None), ("logistic", "logistic", features), ("majority", "majority", 0),
    ]  # fmt: skip
    if (compared / "lstm").exists():
        by_lstm, size = lstm_guesses(
            compared / "lstm", tokenized / "tokenizer.json", labelled, rows["text"].fill_null(""),
            config=baselines, finetune=finetune, seed=seed, log=log,
        )  # fmt: skip
        found = found.with_columns(lstm=pl.Series(by_lstm, dtype=pl.String))
        kinds.insert(1, ("lstm", "lstm", size))
    found.write_parquet(out / "predictions.parquet")
    entries = [
        _entry(name, found, column, taught, size, config.bootstrap, seed)
        for name, column, size in kinds
    ]
    (out / "floors.json").write_bytes(
        orjson.dumps({"rows": len(found), "models": entries}, option=_JSON)
    )
    return _outcome(entries)


def _majority(taught: pl.DataFrame) -> str:
    sizes = taught.group_by("label").agg(pl.col("weight").sum())
    return str(sizes.sort(["weight", "label"], descending=[True, False])["label"][0])


def _logistic(taught: pl.DataFrame, texts: pl.Series) -> tuple[list[str], int]:
    """Predicted classes, and the number of weights."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    # every run of letters or digits is a word, so that no text with one is without features
    words = TfidfVectorizer(
        ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", max_features=_MOST_FEATURES,
        sublinear_tf=True,
    )  # fmt: skip
    features = words.fit_transform(taught["text"].fill_null("").to_list())
    model = LogisticRegression(max_iter=_ROUNDS)
    with threadpool_limits(1, "blas"):  # its products are too short to be shared out
        model.fit(features, taught["label"].to_list(), sample_weight=taught["weight"].to_numpy())
    guesses = model.predict(words.transform(texts.to_list()))
    return [str(guess) for guess in guesses], int(model.coef_.size + model.intercept_.size)


def _entry(
    name: str,
    found: pl.DataFrame,
    column: str,
    taught: pl.DataFrame,
    parameters: int | None,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    names = sorted({*found["label"], *found["predicted"], *taught["label"]})
    code = {label: i for i, label in enumerate(names)}
    codes: NDArray[Any] = np.array(
        [[code[t], code[p]] for t, p in found.select("label", column).iter_rows()]
    )
    right = (found[column] == found["label"]).to_numpy()
    model = (found["predicted"] == found["label"]).to_numpy()
    entry = {
        "name": name,
        "accuracy": share(right, resamples=resamples, seed=seed),
        "macro_f1": interval(codes, resamples=resamples, seed=seed, statistic=macro_f1(len(names))),
        "model_above": paired_difference(model, right, resamples=resamples, seed=seed),
    }
    return entry if parameters is None else {**entry, "parameters": parameters}


def _outcome(entries: list[dict[str, Any]]) -> Outcome:
    metrics = {f"{e['name']}_accuracy": e["accuracy"]["value"] for e in entries}
    metrics |= {
        f"above_{e['name']}": e["model_above"]["value"] for e in entries if e["name"] != "model"
    }
    told = ", ".join(f"{e['name']} {e['accuracy']['value']:.3f}" for e in entries)
    return Outcome(summary=f"accuracy: {told}", metrics=metrics, artifacts=("floors.json",))
