"""The model beside its baselines: masked tokens in the training block, classes in the quality one."""

from __future__ import annotations

from typing import Any

from tasks.promotion.page import numbers
from tasks.promotion.page.gauges import interval_gauge
from tasks.promotion.page.read import Shelf, figure

_NAMES = {
    "encoder": "this night's encoder",
    "lstm": "bidirectional LSTM",
    "ngram": "n-gram floor",
    "model": "this night's model",
    "logistic": "logistic regression on words and word pairs",
    "majority": "commonest class of training",
}


def masked(shelf: Shelf) -> dict[str, Any]:
    """Encoder, LSTM and n-gram model on the same hidden tokens."""
    found = shelf.facts("baselines", "baselines.json")
    entries = [entry for entry in found.get("models", ()) if figure(entry.get("loss"))]
    return {
        "why": _why(shelf, "baselines", entries),
        "hidden": numbers.count(found.get("tokens_hidden")),
        "rows": numbers.count(found.get("rows")),
        "lines": [
            {
                "name": _named(entry),
                "columns": [
                    _with_span(entry, "loss", "nats"),
                    _difference(entry, "behind_encoder", "nats") if place else ("", ""),
                    _with_span(entry, "bits_per_character", "bits"),
                    _with_span(entry, "accuracy", "share"),
                    (numbers.count(entry.get("parameters")), ""),
                    (numbers.count(entry.get("tokens")), ""),
                ],
                "gauge": interval_gauge(figure(entry["loss"]) or {}, _reach(entries, "loss")),
            }
            for place, entry in enumerate(entries)
        ],
    }


def classes(shelf: Shelf) -> dict[str, Any]:
    """The classifier and the floors on the same test rows."""
    found = shelf.facts("floors", "floors.json")
    entries = [entry for entry in found.get("models", ()) if figure(entry.get("accuracy"))]
    return {
        "why": _why(shelf, "floors", entries),
        "rows": numbers.count(found.get("rows")),
        "lines": [
            {
                "name": _named(entry),
                "columns": [
                    _with_span(entry, "accuracy", "share"),
                    _difference(entry, "model_above", "points") if place else ("", ""),
                    _with_span(entry, "macro_f1", "share"),
                    (numbers.count(entry.get("parameters")), ""),
                ],
                "gauge": interval_gauge(figure(entry["accuracy"]) or {}, (0.0, 1.0)),
            }
            for place, entry in enumerate(entries)
        ],
    }


def _why(shelf: Shelf, title: str, entries: list[dict[str, Any]]) -> str:
    return shelf.why_not(title) or ("" if entries else "No result was written.")


def _named(entry: dict[str, Any]) -> str:
    return _NAMES.get(str(entry["name"]), str(entry["name"]))


def _reach(entries: list[dict[str, Any]], name: str) -> tuple[float, float]:
    """The column's common axis, from 0."""
    return 0.0, max(entry[name]["high"] for entry in entries) * 1.05


def _with_span(entry: dict[str, Any], name: str, unit: str) -> tuple[str, str]:
    found = figure(entry.get(name))
    return (
        (numbers.of_unit(found["value"], unit), numbers.span(found, unit))
        if found
        else (numbers.DASH, "")
    )


def _difference(entry: dict[str, Any], name: str, unit: str) -> tuple[str, str]:
    found = figure(entry.get(name))
    if not found:
        return numbers.DASH, ""
    return numbers.points(found["value"], unit), numbers.points_span(found, unit)
