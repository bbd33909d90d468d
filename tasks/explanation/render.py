"""Attributions for people: coloured text as a page of its own, and bars as a picture.

The pages are whole in one file, without scripts or anything from elsewhere, so they open from a
mail, from MLflow and in ten years. Blue speaks for the predicted class, orange against it, which
the colour-blind can tell apart; the deeper the colour, the more.
"""

from __future__ import annotations

import html
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Weighted = Sequence[tuple[str, float]]

_FOR, _AGAINST = (33, 102, 172), (224, 112, 20)
_BARS = 10
_LONGEST = 24  # characters of a word beside its bar
_STYLE = """
:root { color-scheme: light }
body { font: 16px/1.9 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto;
  padding: 0 1rem; color: #1c1c1c; background: #fff }
h1 { font-size: 1.25rem; margin: 0 0 .25rem; line-height: 1.3 }
p.note { color: #595959; font-size: .875rem; line-height: 1.5 }
p.text { margin: 1.25rem 0; overflow-wrap: anywhere }
span.w { padding: .15em 0; border-radius: .2em }
.legend span { color: #1c1c1c; padding: .15em .5em; border-radius: .2em; margin-right: .75em }
table { border-collapse: collapse; width: 100%; line-height: 1.5; font-size: .9375rem }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #ddd;
  vertical-align: top }
th { font-weight: 600 }
"""


def text_page(title: str, notes: Sequence[str], tokens: Weighted, *, target: str) -> str:
    """A page with the text, each piece coloured by its value.

    Args:
        title: Heading.
        notes: Lines above the text.
        tokens: Pieces of the text and their values; joined, the pieces are the text.
        target: The class that the values speak of.
    """
    largest = max((abs(value) for _, value in tokens), default=0.0)
    lines = "".join(f'<p class="note">{html.escape(note)}</p>\n' for note in notes)
    return page(
        title,
        f"{lines}{_legend(target, largest)}"
        f'<p class="text">{"".join(_span(t, v, largest) for t, v in tokens)}</p>\n',
    )


def page(title: str, body: str) -> str:
    """A whole page around a body that is HTML already."""
    heading = html.escape(title)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{heading}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{heading}</h1>\n{body}</body>\n</html>\n"
    )


def bar_chart(title: str, axis: str, weights: Weighted, path: Path) -> None:
    """The largest weights as horizontal bars, the largest on top; the same bytes each time.

    Args:
        title: Above the bars.
        axis: What a bar's length is.
        weights: Words and their weights.
        path: The PNG to write.
    """
    from matplotlib import style

    weighty = [pair for pair in weights if pair[1]]
    largest = sorted(weighty, key=lambda pair: -abs(pair[1]))[:_BARS][::-1]
    with style.context("default"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure = _bars(title, axis, largest)
        figure.savefig(path, metadata={"Software": None})


def _bars(title: str, axis: str, weights: Weighted) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 1.3 + 0.3 * max(1, len(weights))), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colours = [_hex(_FOR if weight >= 0 else _AGAINST) for _, weight in weights]
    places = range(len(weights))
    axes.barh(places, [weight for _, weight in weights], color=colours, height=0.7)
    axes.set_yticks(places, labels=[_shortened(word) for word, _ in weights], fontsize=11)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)  # a word may hold dollar signs
    axes.axvline(0, color="#444444", linewidth=0.8)
    axes.set_xlabel(axis, fontsize=10)
    axes.set_title(title, fontsize=12, loc="left", parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=9)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.margins(x=0.08)
    return figure


def _span(token: str, value: float, largest: float) -> str:
    """One piece; its spacing stays outside the colour."""
    bare = token.rstrip()
    strength = abs(value) / largest if largest else 0.0
    shown = html.escape(bare)
    if strength >= 0.02:  # below, no eye can tell it from white
        red, green, blue = _FOR if value >= 0 else _AGAINST
        shown = (
            f'<span class="w" style="background:rgba({red},{green},{blue},{0.75 * strength:.2f})" '
            f'title="{html.escape(bare)}: {value:+.4f}">{shown}</span>'
        )
    return shown + html.escape(token[len(bare) :])


def _legend(target: str, largest: float) -> str:
    samples = "".join(
        f'<span style="background:rgba({r},{g},{b},0.6)">speaks {word} {html.escape(target)}</span>'
        for word, (r, g, b) in (("for", _FOR), ("against", _AGAINST))
    )
    return (
        f'<p class="legend note">{samples} deepest colour: {largest:.3f}; '
        "rest the pointer on a word to read its value</p>\n"
    )


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _shortened(word: str) -> str:
    return word if len(word) <= _LONGEST else word[: _LONGEST - 1] + "…"
