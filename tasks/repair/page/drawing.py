"""What both pages share: the house's style and macros, and the header that show the night's own."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

ACCEPT = "<!--ACCEPT-->"


def render(template: str, found: dict[str, Any]) -> str:
    """A page of this folder, in the style of the run page; what comes from data is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from tasks.promotion import page

    here, house = Path(__file__).parent, Path(page.__file__).parent
    engine = Environment(
        loader=FileSystemLoader([here, house]), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    style = Markup((house / "style.css").read_text(encoding="utf-8"))  # noqa: S704  (our own file)
    return engine.get_template(template).render(style=style, **found)


def counted(number: int, one: str, more: str = "") -> str:
    """`1 row`, `2 rows`, `3 copies`."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def note(html: str, *lines: tuple[str, str]) -> str:
    """The page with lines of (words, command) in the place for them; both are escaped."""
    told = "".join(
        f'<p class="note">{escape(words)}{f"<br><code>{escape(command)}</code>" if command else ""}</p>'
        for words, command in lines
    )
    return html.replace(ACCEPT, told, 1)
