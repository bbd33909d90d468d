"""Single predictions explained: the text coloured by SHAP, and again by LIME."""

from __future__ import annotations

import re
from typing import Any

from tasks.promotion.page import numbers
from tasks.promotion.page.read import Shelf

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_MOST = 12
_FAINT = 0.04  # of the largest value; below, a colour would say nothing


def explanations(shelf: Shelf) -> dict[str, Any]:
    """The examples of `explanations.json`, each text cut into coloured pieces."""
    found = shelf.json("explain", "explanations.json")
    entries = found if isinstance(found, list) else []
    return {
        "why": shelf.why_not("explain") or ("" if entries else "No prediction was explained."),
        "examples": [_example(entry) for entry in entries[:_MOST]],
    }


def _example(entry: dict[str, Any]) -> dict[str, Any]:
    shap = [(str(t["token"]), float(t["value"])) for t in entry.get("shap") or []]
    weights = {str(t["token"]): float(t["weight"]) for t in entry.get("lime") or []}
    shared = (entry.get("agreement") or {}).get("top_overlap")
    rank = (entry.get("agreement") or {}).get("rank_correlation")
    return {
        "row_id": str(entry.get("row_id", "")),
        "label": str(entry.get("label", "")),
        "predicted": str(entry.get("predicted", "")),
        "correct": bool(entry.get("correct")),
        "confidence": numbers.percent(entry.get("confidence"), 0),
        "cut": bool(entry.get("cut")),
        "shap": shaded(shap),
        "lime": shaded(weigh(str(entry.get("text", "")), weights)),
        "shared": "" if shared is None else numbers.percent(shared, 0),
        "rank": "" if rank is None else numbers.plain(rank, 2),
    }


def weigh(text: str, weights: dict[str, float]) -> list[tuple[str, float]]:
    """The text in pieces, each word with its weight and all between with none."""
    pieces: list[tuple[str, float]] = []
    end = 0
    for match in _WORD.finditer(text):
        pieces += [(text[end : match.start()], 0.0)] if match.start() > end else []
        pieces.append((match.group(), weights.get(match.group(), 0.0)))
        end = match.end()
    return [*pieces, (text[end:], 0.0)] if end < len(text) else pieces


def shaded(pieces: list[tuple[str, float]]) -> list[dict[str, Any]]:
    """Colour of each piece: `for` or `against`, and how strong, relative to the largest."""
    largest = max((abs(v) for _, v in pieces), default=0.0) or 1.0
    return [
        {
            "text": text,
            "style": "" if abs(v) < _FAINT * largest else "for" if v > 0 else "against",
            "strength": round(15 + 70 * abs(v) / largest),
            "value": f"{v:+.3f}",
        }
        for text, v in pieces
    ]
