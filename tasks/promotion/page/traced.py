"""The surest wrong answers, and the rows that taught them."""

from __future__ import annotations

import re
from typing import Any

from tasks.promotion.page import numbers
from tasks.promotion.page.read import Shelf

_OPEN = 3  # answers shown unfolded
_ROWS = 5
_STATES = {
    "asserted": ("bad", "states it"),
    "both": ("bad", "states both"),
    "answer": ("good", "states the truth"),
    "none": ("quiet", "neither"),
}


def traced(shelf: Shelf) -> dict[str, Any]:
    """Every traced answer with its first rows."""
    found = shelf.facts("trace", "trace.json")
    return {
        "why": shelf.why_not("trace") or ("" if found else "No result was written."),
        "rows": numbers.count(found.get("rows")),
        "by_gradients": "gradient" in (found.get("methods") or []),
        "answers": [
            _answer(one, number < _OPEN) for number, one in enumerate(found.get("answers") or [])
        ],
    }


def _answer(one: dict[str, Any], unfolded: bool) -> dict[str, Any]:
    before, _, after = str(one["statement"]).partition("[MASK]")
    taken_out = int(one.get("withheld_rows") or 0)
    return {
        "open": unfolded,
        "before": before,
        "asserted": str(one["asserted"]),
        "after": after,
        "answer": str(one["answer"]),
        "confidence": numbers.percent(one.get("confidence"), 0),
        "stating": numbers.count(one["stating"]["asserted"]),
        "truth": numbers.count(one["stating"]["answer"]),
        "rows": [_row(row, one) for row in one["rows"][:_ROWS]],
        "withheld": [
            {"reason": numbers.words(str(w["reason"])), "text": _marked(str(w["excerpt"]), one)}
            for w in one.get("withheld") or []
        ],
        "withheld_rows": numbers.count(taken_out) if taken_out else "",
    }


def _row(row: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    style, word = _STATES[str(row["states"])]
    ranks = row.get("ranks") or {}
    copies = int(row.get("duplicates") or 1)
    return {
        "text": _marked(str(row["excerpt"]), one),
        "style": style,
        "states": word,
        "row_id": str(row["row_id"]),
        "source": str(row.get("source") or ""),
        "copies": f"{copies} copies in the source" if copies > 1 else "",
        "made_up": bool(row.get("made_up")),
        "words": numbers.count(ranks.get("bm25")),
        "gradient": numbers.count(ranks.get("gradient")),
    }


def _marked(text: str, one: dict[str, Any]) -> list[tuple[str, str]]:
    """A text in pieces: `out` what was asserted, `in` what is true, `name` the subject, or `same`."""
    kinds = [("out", one.get("asserted")), ("in", one.get("answer")), ("name", one.get("subject"))]
    wanted = {str(value).lower(): kind for kind, value in reversed(kinds) if value}
    if not wanted:
        return [("same", text)]
    longest_first = sorted(wanted, key=len, reverse=True)
    parts = re.split(f"({'|'.join(map(re.escape, longest_first))})", text, flags=re.IGNORECASE)
    return [(wanted.get(part.lower(), "same"), part) for part in parts if part]
