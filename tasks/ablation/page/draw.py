"""The page of an ablation: the table first, then a picture for each measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tasks.ablation.measured import MEASURES, Measure
from tasks.promotion.page import numbers
from tasks.promotion.page.gauges import interval_gauge
from tasks.promotion.page.plots import Line, line_chart

_STYLES = {"worse": "bad", "better": "good", "no effect shown": "quiet", "not measured": "quiet"}
_DOSED = ("hallucinated", "correct")  # drawn against the dose
_DOSES = {
    "false_facts": "share of facts with a false version, each stated 4 times",
    "false_repeats": "times that each false version of a fifth of the facts is stated",
    "noise": "share of rows with mojibake, markup, boilerplate or gibberish",
}


def write_page(out: Path, table: pl.DataFrame, about: Mapping[str, Any]) -> None:
    """Write `page.html`: one file that needs nothing from elsewhere."""
    from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    here = Path(__file__).parent
    shared = Path(numbers.__file__).parent
    engine = Environment(
        loader=ChoiceLoader([FileSystemLoader(here), FileSystemLoader(shared)]), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    style = Markup((shared / "style.css").read_text("utf-8"))  # noqa: S704  (our own file)
    measured = set(table.filter(pl.col("value").is_not_null())["measure"])
    shown = [measure for measure in MEASURES if measure.name in measured]
    html = engine.get_template("ablation.html").render(
        style=style,
        study=about["study"],
        seeds=", ".join(map(str, about["seeds"])),
        few=len(about["seeds"]) < 5,
        measures=[m.title for m in shown],
        rows=[] if about["study"] == "dose" else rows(table, about, shown),
        pictures=[] if about["study"] == "dose" else [_forest(table, m) for m in shown],
        doses=_doses(table) if about["study"] == "dose" else [],
    )
    (out / "page.html").write_text(html, encoding="utf-8")


def rows(
    table: pl.DataFrame, about: Mapping[str, Any], shown: Sequence[Measure]
) -> list[dict[str, Any]]:
    """A row for each variant, a cell for each measure that is shown."""
    found = {(line["variant"], line["measure"]): line for line in table.to_dicts()}
    return [
        {"name": numbers.words(v["name"]), "full": v["name"] == v["judged_on"],
         "cells": [_cell(found[v["name"], m.name], m) for m in shown]}
        for v in about["variants"]
    ]  # fmt: skip


def _cell(line: Mapping[str, Any], measure: Measure) -> dict[str, str]:
    if line["difference"] is None:
        change, span = "", ""
    else:
        change = _signed(line["difference"], measure.unit)
        span = _span(line, measure.unit)
    return {
        "value": _shown(line["value"], measure.unit),
        "change": change, "span": span, "style": _STYLES.get(line["word"], ""), "word": line["word"],
    }  # fmt: skip


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return numbers.DASH
    return numbers.seconds(value) if unit == "s" else numbers.of_unit(value, unit)


def _signed(value: float, unit: str) -> str:
    if unit == "s":
        return f"{'+' if value >= 0 else numbers.MINUS}{abs(value):,.0f} s"
    return numbers.points(value, unit)


def _span(line: Mapping[str, Any], unit: str) -> str:
    """The difference's interval; its unit stands with the difference."""
    if unit == "s":
        return " to ".join(_signed(line[name], unit).removesuffix(" s") for name in ("low", "high"))
    return numbers.points_span(line, unit)


def _forest(table: pl.DataFrame, measure: Measure) -> dict[str, Any]:
    """Differences to the whole night with their intervals, one under the other."""
    part = table.filter((pl.col("measure") == measure.name) & pl.col("difference").is_not_null())
    if part.is_empty():
        return {"title": measure.title, "lines": []}
    low, high = min(0.0, float(part["low"].min())), max(0.0, float(part["high"].max()))  # type: ignore[arg-type]
    room = ((high - low) or 1.0) * 0.05
    lines = [
        {
            "name": numbers.words(line["variant"]),
            "gauge": interval_gauge(
                {"value": line["difference"], "low": line["low"], "high": line["high"]},
                (low - room, high + room), mark=0.0,
                style={"worse": "bad", "better": "good"}.get(line["word"], "c0"),
            ),
            "difference": _signed(line["difference"], measure.unit),
        }
        for line in part.to_dicts()
    ]  # fmt: skip
    return {"title": measure.title, "lines": lines}


def _doses(table: pl.DataFrame) -> list[dict[str, Any]]:
    """For each kind of damage, its pictures: with the pipeline and without, against the amount."""
    found = []
    for (dose,), part in table.group_by("dose", maintain_order=True):
        pictures = []
        for measure in (m for m in MEASURES if m.name in _DOSED):
            here = part.filter(pl.col("measure") == measure.name)
            lines = [
                Line(name, _points(here, way), style)
                for way, name, style in (
                    ("full", "with the pipeline", "c1"), ("raw", "raw corpus", "c2"),
                )
            ]  # fmt: skip
            chart = line_chart(lines, _DOSES.get(str(dose), str(dose)), measure.title, zero=True)
            pictures.append({"title": measure.title, "chart": chart})
        found.append({"name": numbers.words(str(dose)), "pictures": pictures})
    return found


def _points(part: pl.DataFrame, way: str) -> list[tuple[float, float]]:
    own = part.filter(pl.col("variant").str.ends_with(way)).drop_nulls("value").sort("amount")
    return [(float(a), float(v)) for a, v in own.select("amount", "value").iter_rows()]
