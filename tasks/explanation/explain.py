"""Explanations of single predictions, by two methods that owe each other nothing.

Mistakes come first, for they are what a reviewer wants explained. Where SHAP and LIME name the
same words, what they say can be believed the more; where they do not, neither should be.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from tasks.configuration import Explanation
from tasks.evaluation.classifier import Classifier, first_words
from tasks.explanation.lime_weights import lime_weights
from tasks.explanation.render import bar_chart, page, text_page
from tasks.explanation.shap_values import shap_values
from tasks.explanation.words import agreement, pieces, sum_by_word, word_of
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage

_WORDS = 120
_DIGITS = 6  # decimals kept; what is beyond differs between machines
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@stage
def explain(
    model: Path,
    corpus: Path,
    quality: Path,
    *,
    config: Explanation,
    seed: int,
    out: Path,
    log: Log,
) -> Outcome:
    """Explain some test predictions with SHAP and LIME.

    Args:
        model: A finetuned model bundle.
        corpus: The cleaned folder, for the texts.
        quality: The quality stage's folder, for the predictions.
        config: How many examples, and how many model rows for each.
        seed: Seed of both methods.
        out: Gets `explanations.json`, `index.html` and, for each example, `shap_<i>` and
            `lime_<i>`, each as `.html` and `.png`.
        log: Shown each example.

    Returns:
        How many were explained and how far the two methods agree.
    """
    path = quality / "predictions.parquet"
    if config.examples == 0 or not path.exists():
        return _skip(out, "no examples are asked for" if path.exists() else "no predictions")
    from models.bundle import TextModel

    classifier = TextModel.load(model)
    texts = pl.read_parquet(corpus / "corpus.parquet", columns=["row_id", "text"])
    predictions = pl.read_parquet(path).filter(pl.col("predicted").is_in(classifier.classes))
    chosen = choose(predictions.join(texts, on="row_id"), config.examples)
    if chosen.is_empty():
        return _skip(out, "no predictions to explain")
    found = []
    for number, row in enumerate(chosen.iter_rows(named=True)):
        found.append(explain_row(classifier, row, config=config, seed=seed))
        _draw(found[-1], number, out)
        log.progress(number + 1, len(chosen), "predictions explained")
    (out / "explanations.json").write_bytes(orjson.dumps(found, option=_JSON))
    (out / "index.html").write_text(_index(found), encoding="utf-8")
    return _outcome(found)


def choose(predictions: pl.DataFrame, most: int) -> pl.DataFrame:
    """Wrong predictions, the surest first, then right ones.

    Of the right ones, the surest of each class comes first, to show the class at its clearest,
    then the least sure. While there are right ones a third of the places is theirs.

    Args:
        predictions: `row_id`, `predicted`, `correct`, `confidence` and whatever else.
        most: Number of predictions chosen.
    """
    surest = predictions.sort(["confidence", "row_id"], descending=[True, False])
    wrong, right = surest.filter(~pl.col("correct")), surest.filter(pl.col("correct"))
    clearest = right.unique("predicted", keep="first", maintain_order=True)
    unsure = right.join(clearest, on="row_id", how="anti", maintain_order="left").reverse()
    right = pl.concat([clearest, unsure])
    kept = min(len(wrong), max(most - len(right), most - most // 3))
    return pl.concat([wrong.head(kept), right.head(most - kept)])


def explain_row(
    model: Classifier, row: dict[str, Any], *, config: Explanation, seed: int
) -> dict[str, Any]:
    """One prediction explained both ways: an entry of `explanations.json`.

    Args:
        model: The classifier.
        row: `row_id`, `text`, `label`, `predicted`, `confidence`, `correct`.
        config: Model rows for each method.
        seed: Seed of both methods.
    """
    whole = " ".join(row["text"].split())
    text = first_words(whole, _WORDS)
    target = list(model.classes).index(row["predicted"])
    by_shap = shap_values(model, text, target, evaluations=config.shap_evaluations, seed=seed)
    by_lime = lime_weights(model, text, target, samples=config.lime_samples, seed=seed)
    return {
        **{name: row[name] for name in ("row_id", "label", "predicted", "correct")},
        "confidence": _rounded(row["confidence"]),
        "text": text,
        "cut": text != whole,
        "shap": [{"token": token, "value": _rounded(value)} for token, value in by_shap.tokens],
        "lime": [{"token": word, "weight": _rounded(weight)} for word, weight in by_lime],
        "base_value": _rounded(by_shap.base_value),
        "explained": _rounded(by_shap.base_value + sum(value for _, value in by_shap.tokens)),
        "additivity_error": _rounded(by_shap.additivity_error),
        "agreement": agreement(sum_by_word(by_shap.tokens), dict(by_lime)),
    }


def _draw(found: dict[str, Any], number: int, out: Path) -> None:
    """Write the two pages and two pictures of one example."""
    target, said = found["predicted"], _what_was_said(found)
    weights = {entry["token"]: entry["weight"] for entry in found["lime"]}
    values = [(entry["token"], entry["value"]) for entry in found["shap"]]
    total = (
        f"The probability with all words left out, {found['base_value']:.3f}, and the values of "
        f"the words add up to the probability, {found['explained']:.3f}."
    )
    drawn = {
        "SHAP": (values, sum_by_word(values), total),
        "LIME": (
            [(piece, weights.get(word_of(piece), 0.0)) for piece in pieces(found["text"])],
            weights,
            "Weights of a linear model fitted around this text; a word has one weight everywhere.",
        ),
    }
    for method, (tokens, bars, how) in drawn.items():
        name = f"{method.lower()}_{number}"
        shown = text_page(f"{method}: why {target}", [said, how], tokens, target=target)
        (out / f"{name}.html").write_text(shown, encoding="utf-8")
        bar_chart(
            f"{method}: words for and against {target}",
            "change of the class's probability",
            list(bars.items()),
            out / f"{name}.png",
        )


def _what_was_said(found: dict[str, Any]) -> str:
    truth = "which is right" if found["correct"] else f"the label is {found['label']}"
    cut = f". Explained are the first {_WORDS} words" if found["cut"] else ""
    return (
        f"Row {found['row_id']}: predicted {found['predicted']} with confidence "
        f"{found['confidence']:.2f}, {truth}{cut}."
    )


def _index(found: list[dict[str, Any]]) -> str:
    rows = []
    for number, entry in enumerate(found):
        links = ", ".join(
            f'<a href="{m}_{number}.html">{m.upper()}</a> (<a href="{m}_{number}.png">bars</a>)'
            for m in ("shap", "lime")
        )
        overlap = entry["agreement"]["top_overlap"]
        shared = "none" if overlap is None else f"{overlap:.0%}"
        rows.append(
            f"<tr><td>{html.escape(first_words(entry['text'], 25))}</td>"
            f"<td>{html.escape(str(entry['label']))}</td>"
            f"<td>{html.escape(entry['predicted'])} {entry['confidence']:.2f}</td>"
            f"<td>{shared}</td><td>{links}</td></tr>\n"
        )
    titles = ("Text", "Label", "Predicted", "Top words shared", "Why")
    head = f"<tr>{''.join(f'<th>{title}</th>' for title in titles)}</tr>"
    return page("Explained predictions", f"<table>\n{head}\n{''.join(rows)}</table>\n")


def _rounded(value: float) -> float:
    return round(float(value), _DIGITS) + 0.0  # no minus zero


def _skip(out: Path, why: str) -> Outcome:
    (out / "explanations.json").write_bytes(orjson.dumps({"skipped": why}, option=_JSON))
    return Outcome(summary=why, skipped=why)


def _outcome(found: list[dict[str, Any]]) -> Outcome:
    wrong = sum(not entry["correct"] for entry in found)
    errors = [entry["additivity_error"] for entry in found]
    overlaps = [e["agreement"]["top_overlap"] for e in found]
    known = [overlap for overlap in overlaps if overlap is not None]
    metrics = {"examples": float(len(found)), "largest_additivity_error": max(errors)}
    if known:
        metrics["top_overlap"] = float(np.mean(known))
    shared = f", top words {np.mean(known):.0%} shared" if known else ""
    pages = [
        f"{m}_{i}.{end}"
        for i in range(len(found))
        for m in ("shap", "lime")
        for end in ("html", "png")
    ]
    return Outcome(
        summary=f"{len(found)} predictions explained, {wrong} of them wrong{shared}",
        metrics=metrics,
        artifacts=("explanations.json", "index.html", *pages),
    )
