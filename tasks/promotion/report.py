"""The run page: one file that tells the night's story, verdict first, to whoever opens it.

It needs no server, no script and nothing from elsewhere, so it reads the same from MLflow, from a
mail and in ten years. The stage writes what depends on the night's results alone; the night's
name, links and times are filled in by `fill_header`, so a repeated night reuses the page.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import orjson

from tasks.configuration import Configuration
from tasks.log import Log
from tasks.promotion.page.numbers import seconds
from tasks.promotion.page.read import Shelf
from tasks.promotion.page.sections import build
from tasks.promotion.page.speed import speed_cards
from tasks.promotion.page.verdict import headline
from tasks.records import Frozen, Outcome
from tasks.stage import stage

NIGHT, REGISTERED, TIMINGS = "<!--NIGHT-->", "<!--REGISTERED-->", "<!--TIMINGS-->"
SPEED = "<!--SPEED-->"
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


class NightHeader(Frozen):
    """What is the night's own and not a result.

    Attributes:
        name: The night's readable name.
        started: ISO time.
        registered: What was done in the registry, as one sentence.
        mlflow_url: The night in the MLflow UI.
        prefect_url: The Prefect UI.
        timings: Title, seconds, and whether the result was reused, of each stage in order.
        speed: How fast the pretraining was when it was computed: `tokens_per_second`, `gflops`,
            `utilisation` (0..1), `peak_gflops`; what is not known is left out.
    """

    name: str
    started: str
    registered: str = ""
    mlflow_url: str | None = None
    prefect_url: str | None = None
    timings: tuple[tuple[str, float, bool], ...] = ()
    speed: dict[str, float] = {}


@stage
def report(
    stages: dict[str, Path], *, configuration: Configuration | None, out: Path, log: Log
) -> Outcome:
    """Write the run page and the figures that compare across nights.

    Args:
        stages: Every stage's folder by its title, the champion's as `champion_<evaluation>`. Any
            may be missing or skipped; the page then says so.
        configuration: Printed on the page.
        out: Gets `page.html`, `headline.json` (flat, metric to value) and `verdict.json`
            (`verdict`, `sentence`).
        log: Unused; the stage takes seconds.

    Returns:
        The verdict's sentence, and the headline figures as metrics.
    """
    shelf = Shelf(stages)
    found = build(shelf, configuration)
    figures = headline(shelf)
    told = {key: found["verdict"][key] for key in ("verdict", "sentence")}
    (out / "page.html").write_text(render(found), encoding="utf-8")
    (out / "headline.json").write_bytes(orjson.dumps(figures, option=_JSON))
    (out / "verdict.json").write_bytes(orjson.dumps(told, option=_JSON))
    return Outcome(summary=found["verdict"]["word"].lower(), metrics=figures)


def render(found: dict[str, Any]) -> str:
    """The page as HTML; all that comes from data is escaped by the template engine."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    folder = Path(__file__).parent / "page"
    engine = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = Markup((folder / "style.css").read_text(encoding="utf-8"))  # noqa: S704  (our own file)
    return engine.get_template("template.html").render(style=style, **found)


def fill_header(page: str, header: NightHeader) -> str:
    """Put the night's name, links and times into a page that `report` wrote."""
    links = [
        f'<a href="{escape(url)}">{name}</a>'
        for name, url in (("MLflow", header.mlflow_url), ("Prefect", header.prefect_url))
        if url
    ]
    parts = [
        f"<span>Night <b>{escape(header.name)}</b></span>",
        f"<span>started {escape(header.started.replace('T', ' '))}</span>",
        *(f"<span>{link}</span>" for link in links),
    ]
    registered = f'<p class="note">{escape(header.registered)}.</p>' if header.registered else ""
    page = page.replace(NIGHT, f'<div class="night">{"".join(parts)}</div>', 1)
    page = page.replace(REGISTERED, registered, 1)
    page = page.replace(SPEED, speed_cards(header.speed), 1)
    return page.replace(TIMINGS, _times(header.timings), 1)


def _times(timings: tuple[tuple[str, float, bool], ...]) -> str:
    """A table of what each stage took, with bars."""
    if not timings:
        return ""
    longest = max(s for _, s, _ in timings) or 1.0
    rows = "".join(
        f"<tr><th>{escape(title)}</th><td class='n'>{seconds(took)}</td>"
        f"<td class='middle'><div class='meter'><i style='width:{100 * took / longest:.1f}%'></i>"
        f"</div></td><td class='note'>{'reused' if reused else ''}</td></tr>"
        for title, took, reused in timings
    )
    total = seconds(sum(s for _, s, _ in timings))
    return (
        f"<p>All stages together took {total}.</p><div class='wide'><table><thead><tr>"
        "<th>Stage</th><th class='n'>Time</th><th></th><th></th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )
