"""What the answers to fact probes tell beyond right and wrong."""

from __future__ import annotations

from typing import Any

from tasks.promotion.page import numbers
from tasks.promotion.page.figures import figures
from tasks.promotion.page.plots import Line, line_chart
from tasks.promotion.page.read import Shelf, figure

_PHRASINGS = {
    "main": "as counted above", "paraphrase": "otherwise", "seen": "as training rows phrase it",
}  # fmt: skip
_MOST_GROUPS = 12


def facts(shelf: Shelf) -> dict[str, Any]:
    """Consistency, calibration, and accuracy by exposure, phrasing, dispute and group."""
    found = shelf.facts("hallucination", "hallucination.json")
    consistency = found.get("consistency") or {}
    return {
        "figures": figures(consistency, ("alike", "alike_and_right"), "share")
        + figures(found, ("ece", "ece_tempered"), "share")
        + figures(found, ("brier", "brier_tempered"), "0 to 2"),
        "temperature": numbers.plain(found.get("temperature"), 2),
        "pairs": numbers.count(consistency.get("pairs")) if consistency else "",
        "curve": _curve(found.get("by_exposures") or []),
        "tables": [table for table in _tables(found) if table["lines"]],
        "generated": numbers.count(found["generated"]) if found.get("generated") else "",
        "unknown": numbers.count(found["answers_with_unknown_subwords"])
        if found.get("answers_with_unknown_subwords")
        else "",
    }


def _curve(bins: list[dict[str, Any]]) -> Any:
    """Accuracy and hallucinated share against the number of training rows that state a fact."""
    if len(bins) < 2:
        return ""
    lines = [
        Line(name, [(float(one["from"]), one[key]["value"]) for one in bins], style)
        for name, key, style in (
            ("right if made to answer", "accuracy", "c1"), ("hallucinated", "hallucinated", "c2"),
        )
    ]  # fmt: skip
    return line_chart(lines, "training rows that state the fact", "share of probes", zero=True)


def _tables(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"title": "By how a fact is asked",
         "lines": [_line(_PHRASINGS.get(one["phrasing"], one["phrasing"]), one)
                   for one in found.get("by_phrasing") or []]},
        {"title": "By dispute",
         "lines": [_line("stated in several versions" if one["value"] else "undisputed", one)
                   for one in found.get("by_dispute") or []]},
        {"title": "By group of the subject",
         "lines": [_line(f"{numbers.words(one['group'])}: {one['value']}", one)
                   for one in (found.get("by_group") or [])[:_MOST_GROUPS]]},
    ]  # fmt: skip


def _line(name: str, one: dict[str, Any]) -> dict[str, str]:
    accuracy, wrong = figure(one.get("accuracy")), figure(one.get("hallucinated"))
    return {
        "name": name,
        "probes": numbers.count(one.get("probes")),
        "accuracy": numbers.percent(accuracy["value"]) if accuracy else numbers.DASH,
        "accuracy_span": numbers.span(accuracy) if accuracy else "",
        "hallucinated": numbers.percent(wrong["value"]) if wrong else numbers.DASH,
        "hallucinated_span": numbers.span(wrong) if wrong else "",
    }
