"""The heads that were trained for other tasks: a tagger of words, a classifier of pairs."""

from __future__ import annotations

from typing import Any

from tasks.promotion.page import numbers
from tasks.promotion.page.read import Shelf, figure

_TITLES = {"tag": "Tagger of words", "pairs": "Classifier of pairs"}
_MOST_CLASSES = 20  # by support; a table of more is no longer read
_AVERAGES = ("micro avg", "macro avg", "weighted avg")


def heads(shelf: Shelf) -> list[dict[str, Any]]:
    """One block for each that the night trained; none is missed where none was asked for."""
    return [_block(shelf, stage) for stage in _TITLES if stage in shelf]


def _block(shelf: Shelf, stage: str) -> dict[str, Any]:
    outcome, found = shelf.outcome(stage), shelf.facts(stage, "report.json")
    return {
        "title": _TITLES[stage],
        "why": shelf.why_not(stage),
        "summary": outcome.summary if outcome else "",
        "figures": _figures(found),
        "tables": [
            {"head": head, "rows": _rows(found[name])}
            for name, head in (("entities", "Entity"), ("tags", "Tag"), ("classes", "Class"))
            if found.get(name)
        ],
    }


def _figures(found: dict[str, Any]) -> list[dict[str, str]]:
    """Entity F1 or accuracy, with its interval and what it was judged on."""
    named = (("entity_f1", "Entity F1"), ("accuracy", "Accuracy"))
    judged = f"on the {found.get('judged_on', '')} file"
    return [
        {
            "name": title,
            "value": numbers.of_unit(measured["value"], "share"),
            "span": numbers.span(measured),
            "unit": judged,
        }
        for name, title in named
        if (measured := figure(found.get(name)))
    ]


def _rows(classes: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Precision, recall, F1 and support; the averages last."""
    last = [name for name in ("all", *_AVERAGES) if name in classes]
    others = sorted(classes.keys() - set(last), key=lambda name: (-_support(classes[name]), name))
    return [
        {
            "name": name,
            "average": name in last,
            "columns": [
                *(numbers.percent(classes[name].get(key)) for key in ("precision", "recall")),
                numbers.percent(classes[name].get("f1-score", classes[name].get("f1"))),
                numbers.count(_support(classes[name])),
            ],
        }
        for name in [*others[:_MOST_CLASSES], *last]
    ]


def _support(scores: dict[str, float]) -> float:
    return scores.get("support", 0.0)
