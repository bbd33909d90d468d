"""Two distributions of names drawn over each other, as `plots.histogram` draws numbers."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from markupsafe import Markup

from tasks.promotion.page.numbers import cut
from tasks.promotion.page.plots import svg

_MOST = 10
_WIDTH, _LEFT, _ROW, _TOP = 320, 120, 26, 20


def side_by_side(
    before: Mapping[str, int], after: Mapping[str, int], label: str, sides: str
) -> Markup:
    """Bars of names, those whose share changed most first; the first outlined, the second filled.

    Args:
        before: Rows of each name on the first side.
        after: Rows of each name on the second.
        label: The column's name.
        sides: What the two are, to those who hear the page.
    """
    shares = [
        {name: 100 * rows / max(sum(side.values()), 1) for name, rows in side.items()}
        for side in (before, after)
    ]
    names = sorted(
        set(before) | set(after),
        key=lambda n: (-abs(shares[0].get(n, 0.0) - shares[1].get(n, 0.0)), n),
    )[:_MOST]
    most = max([s.get(n, 0.0) for s in shares for n in names], default=0.0) or 1.0
    reach = _WIDTH - _LEFT - 44
    body = [f'<text class="label" x="{_LEFT}" y="13">{escape(label)} (% of the rows)</text>']
    for place, name in enumerate(names):
        y = _TOP + place * _ROW
        old, new = (side.get(name, 0.0) for side in shares)
        body.append(
            f'<text x="{_LEFT - 6}" y="{y + 15}" text-anchor="end">{escape(cut(name, 16))}</text>'
            f'<rect class="c1 fill" x="{_LEFT}" y="{y + 3}" width="{reach * new / most:.1f}" '
            f'height="16"/><path class="c0 line" d="M{_LEFT} {y + 1}h{reach * old / most:.1f}v20'
            f'H{_LEFT}"/><text x="{_LEFT + reach * max(old, new) / most + 6:.1f}" y="{y + 15}">'
            f"{new:.3g}</text>"
        )
    return svg(_WIDTH, _TOP + len(names) * _ROW + 8, body, f"Shares of {label}, {sides}")
