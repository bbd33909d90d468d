"""What cleaning did, in numbers and a few examples, for the run page."""

from __future__ import annotations

from os.path import commonprefix
from typing import Any

import polars as pl

from tasks.corpus.quarantine.spared import first_reasons
from tasks.corpus.signals.personal import redacted

_EXAMPLES = 3
_EXCERPT = 160
_LEAD = 40


def report(
    rows: pl.DataFrame,
    repaired: pl.DataFrame,
    quarantine: pl.DataFrame,
    repairs: pl.DataFrame,
    released: pl.DataFrame,
) -> dict[str, Any]:
    """Counts per reason and per repair, each with its first examples.

    Args:
        rows: The rows as they arrived.
        repaired: The same rows with repaired text.
        quarantine: The rows taken out.
        repairs: `row` (place), `row_id`, `rule`, `count`.
        released: `row_id`, `reason` of the rows that a person released, and that were kept.
    """
    returned = first_reasons(released).join(rows.select("row_id", "text"), on="row_id")
    return {
        "rows": {
            "entered": rows.height,
            "kept": rows.height - quarantine.height,
            "quarantined": quarantine.height,
            "repaired": repairs["row"].n_unique(),
        },
        "reasons": {
            reason: {
                "rows": part.height,
                "examples": [
                    {"row_id": row_id, "text": excerpt(masked(text), 0), "detail": masked(detail)}
                    for row_id, text, detail in part.select("row_id", "text", "detail")
                    .head(_EXAMPLES)
                    .iter_rows()
                ],
            }
            for (reason,), part in sorted(quarantine.group_by("reason", maintain_order=True))
        },
        "released": {
            reason: {
                "rows": part.height,
                "examples": [
                    {"row_id": row_id, "text": excerpt(masked(text), 0)}
                    for row_id, text in part.sort("row_id")
                    .select("row_id", "text")
                    .head(_EXAMPLES)
                    .iter_rows()
                ],
            }
            for (reason,), part in sorted(returned.group_by("reason"))
        },
        "repairs": {
            rule: {
                "rows": part.height,
                "places": int(part["count"].sum()),
                "examples": [
                    _pair(rows["row_id"][row], masked(rows["text"][row]), repaired["text"][row])
                    for row in part["row"].head(_EXAMPLES)
                ],
            }
            for (rule,), part in sorted(repairs.group_by("rule", maintain_order=True))
        },
    }


def masked(text: str | None) -> str:
    """A text as a report may show it: the address or key that was masked is not to be read there."""
    return str(redacted(pl.Series([text or ""]))[0])


def excerpt(text: str, start: int) -> str:
    """A piece of a text from a place on, with marks where it was cut."""
    piece = text[start : start + _EXCERPT]
    return ("… " if start else "") + piece + (" …" if start + _EXCERPT < len(text) else "")


def _pair(row_id: str, before: str, after: str) -> dict[str, str]:
    """A text before and after, from shortly before the first difference on."""
    start = max(0, len(commonprefix([before, after])) - _LEAD)
    return {"row_id": row_id, "before": excerpt(before, start), "after": excerpt(after, start)}
