"""How tonight's rows differ from an earlier night's: a block of the run page, and a page of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup

from tasks.promotion.page import numbers
from tasks.promotion.page.paired import side_by_side
from tasks.promotion.page.plots import Line, histogram, legend
from tasks.promotion.page.read import Shelf

TITLES = (("drift", "As it arrived"), ("drift_clean", "Cleaned"))
_DRAWN = 8
_SLICES = 12
_WORDS = 12
_SIDES = "the reference and tonight"
_NAMES = {
    "ks": "Kolmogorov-Smirnov distance", "linf": "largest change of a share",
    "js": "Jensen-Shannon (bits)", "psi": "stability index", "chi2": "Cramer's V",
}  # fmt: skip


def drift(shelf: Shelf) -> dict[str, Any]:
    """The block of the run page: one part for the rows as they arrived, one for the cleaned."""
    parts = [
        {
            "title": name,
            **part(shelf.facts(title, "drift.json"), shelf.frame(title, "rows.parquet")),
        }
        for title, name in TITLES
        if title in shelf
    ]
    return {"parts": parts, "why": "" if parts else "This stage did not run."}


def part(facts: Mapping[str, Any], both: pl.DataFrame) -> dict[str, Any]:
    """One comparison: its table, its pictures, its names.

    Args:
        facts: What `drift.json` says.
        both: `rows.parquet`, empty if there is none.
    """
    why = str(facts.get("why", "Nothing was compared."))
    if why or not both.height:
        return {"why": f"Not compared: {why}." if why else "Nothing was compared."}
    ranked = sorted(facts["columns"], key=_rank)
    moved = [c for c in ranked if _significant(c)]
    rows, of = facts["rows"], facts["of"]
    return {
        "why": "",
        "sizes": f"{rows['tonight']:,} of tonight's {of['tonight']:,} training rows against "
        f"{rows['reference']:,} of the reference's {of['reference']:,}",
        "moved": len(moved),
        "columns": [_row(column) for column in ranked],
        "changes": list(facts["changes"]),
        "slices": _slices(ranked),
        "words": [_word(word) for word in facts["words"][:_WORDS] if word["change"] > 0],
        "plots": [picture for c in ranked[:_DRAWN] if (picture := _picture(c, both))],
        "legend": legend([Line("reference", (), "c0"), Line("tonight", (), "c1")]),
    }


def standalone(facts: Mapping[str, Any], both: pl.DataFrame) -> str:
    """The same as a page of its own, for MLflow."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parent
    engine = Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    style = Markup((folder / "style.css").read_text(encoding="utf-8"))  # noqa: S704  (our own file)
    found = {"parts": [{"title": "", **part(facts, both)}], "why": ""}
    return engine.get_template("drift_page.html").render(style=style, drift=found)


def _first(column: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = column["statistics"][column["first"]]
    return found


def _rank(column: Mapping[str, Any]) -> tuple[Any, ...]:
    """Most moved first: by how far the value is over what chance reaches."""
    found = _first(column)
    if found["silent"] is not None:
        return (1, 0.0, column["column"])
    critical = found["critical"]
    return (0, -found["value"] / critical if critical else 0.0, column["column"])


def _significant(column: Mapping[str, Any]) -> bool:
    found = _first(column)
    return found["silent"] is None and found["p"] <= found["level"]


def _row(column: Mapping[str, Any]) -> dict[str, Any]:
    found = _first(column)
    silent = found["silent"]
    others = {s: f for s, f in column["statistics"].items() if s != column["first"]}
    return {
        "column": column["column"],
        "style": "none" if silent else "bad" if _significant(column) else "good",
        "word": "not compared" if silent else
        "moved" if _significant(column) else "as chance has it",
        "why": silent or "",
        "value": "" if silent else numbers.plain(found["value"]),
        "name": _NAMES[column["first"]],
        "chance": "" if silent or found["critical"] is None else numbers.plain(found["critical"]),
        "moved": found["moved"],
        "rows": f"{column['sizes'][0]:,} / {column['sizes'][1]:,}",
        "others": ", ".join(
            f"{_NAMES[s]} {numbers.plain(f['value'])}"
            for s, f in others.items()
            if f["silent"] is None
        ),
    }  # fmt: skip


def _slices(ranked: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The slices whose columns moved farthest beyond chance."""
    found = []
    for column in ranked:
        for by, slices in column["slices"].items():
            for one in slices:
                if one["silent"] is None and one["critical"] and one["p"] <= one["level"]:
                    over = one["value"] / one["critical"]
                    found.append((-over, column["column"], by, one))
    found.sort(key=lambda item: item[:3] + (item[3]["slice"],))
    return [
        {
            "column": name, "slice": f"{by} {one['slice']}", "value": numbers.plain(one["value"]),
            "chance": numbers.plain(one["critical"]), "moved": one["moved"],
            "rows": f"{one['rows']:,} / {one['reference_rows']:,}",
        }
        for _, name, by, one in found[:_SLICES]
    ]  # fmt: skip


def _word(word: Mapping[str, Any]) -> dict[str, str]:
    shares = {k: numbers.percent(word[k], 1) for k in ("reference", "tonight")}
    return {"word": str(word["word"]), **shares}


def _picture(column: Mapping[str, Any], both: pl.DataFrame) -> Markup | None:
    """Both nights of one column over each other."""
    name = column["column"]
    sides = [both.filter(pl.col("night") == n)[name].drop_nulls() for n in ("reference", "tonight")]
    if _first(column)["silent"] is not None or not all(map(len, sides)):
        return None
    if column["kind"] == "numbers":
        values = [s.cast(pl.Float64).drop_nans().to_list() for s in sides]
        finite = [[v for v in side if abs(v) != float("inf")] for side in values]
        return histogram(finite[0], finite[1], name, _SIDES)
    counts = [dict(s.cast(pl.String).value_counts().iter_rows()) for s in sides]
    return side_by_side(counts[0], counts[1], name, _SIDES)
