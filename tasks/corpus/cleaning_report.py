"""What cleaning did, in numbers and a few examples, for the run page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from os.path import commonprefix
from typing import Any

import polars as pl

from tasks.corpus.quarantine.spared import first_reasons
from tasks.corpus.signals.personal import redacted

_EXAMPLES = 3
_EXCERPT = 160
_LEAD = 40


Texts = Callable[[Iterable[int]], Mapping[int, str]]


def report(
    rows: pl.DataFrame,
    quarantine: pl.DataFrame,
    repairs: pl.DataFrame,
    released: pl.DataFrame,
    read: Texts,
    repaired: Texts,
) -> dict[str, Any]:
    """Counts per reason and per repair, each with its first examples.

    Args:
        rows: `row_id` of the rows as they arrived.
        quarantine: `row` (place), `row_id`, `reason`, `detail` of the rows taken out.
        repairs: `row` (place), `row_id`, `rule`, `count`.
        released: `row_id`, `reason` of the rows that a person released, and that were kept.
        read: From places to the texts as they arrived.
        repaired: From places to the repaired texts.
    """
    reasons = sorted(quarantine.group_by("reason", maintain_order=True))
    places = rows.select("row_id").with_row_index("row")
    returned = first_reasons(released).join(places, on="row_id")
    given_back = [(reason, part.sort("row_id")) for reason, part in returned.group_by("reason")]
    made = sorted(repairs.group_by("rule", maintain_order=True))
    mended = _first(made)
    before, after = read({*_first(reasons), *_first(given_back), *mended}), repaired(mended)
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
                    {
                        "row_id": row_id,
                        "text": excerpt(masked(before[row]), 0),
                        "detail": masked(detail),
                    }
                    for row, row_id, detail in part.select("row", "row_id", "detail")
                    .head(_EXAMPLES)
                    .iter_rows()
                ],
            }
            for (reason,), part in reasons
        },
        "released": {
            reason: {
                "rows": part.height,
                "examples": [
                    {"row_id": row_id, "text": excerpt(masked(before[row]), 0)}
                    for row, row_id in part.select("row", "row_id").head(_EXAMPLES).iter_rows()
                ],
            }
            for (reason,), part in sorted(given_back)
        },
        "repairs": {
            rule: {
                "rows": part.height,
                "places": int(part["count"].sum()),
                "examples": [
                    _pair(row_id, masked(before[row]), after[row])
                    for row, row_id in part.select("row", "row_id").head(_EXAMPLES).iter_rows()
                ],
            }
            for (rule,), part in made
        },
    }


def _first(groups: Iterable[tuple[Any, pl.DataFrame]]) -> list[int]:
    """Places of the examples."""
    return [row for _, part in groups for row in part["row"].head(_EXAMPLES)]


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
