"""How fast a training was, as cards: the night's own, so filled into the page after it is made."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.promotion.page.numbers import count, percent, seconds

SPEEDS = ("tokens_per_second", "gflops", "utilisation", "peak_gflops", "training_seconds")


def speed_cards(found: Mapping[str, float]) -> str:
    """Speed, achieved FLOP/s, utilisation and time as HTML; what is not known is left out.

    Args:
        found: Some of `SPEEDS`; `utilisation` in 0..1.
    """
    cards = []
    if "tokens_per_second" in found:
        cards.append(
            ("Speed", count(found["tokens_per_second"]), "tokens a second, padding included")
        )
    if "gflops" in found:
        value, unit = _flops(found["gflops"])
        cards.append(("Achieved", value, f"{unit} in the model's matrix products"))
    if "utilisation" in found and "peak_gflops" in found:
        of = f"of the {' '.join(_flops(found['peak_gflops']))} measured before the run"
        cards.append(("Utilisation", percent(found["utilisation"], 0), of))
    if "training_seconds" in found:
        cards.append(("Time", seconds(found["training_seconds"]), "of training steps and judging"))
    shown = "".join(
        f'<div class="card"><div class="name">{name}</div><div class="value">{value}</div>'
        f'<div class="meaning">{meaning}</div></div>'
        for name, value, meaning in cards
    )
    return f'<div class="cards">{shown}</div>' if shown else ""


def _flops(giga: float) -> tuple[str, str]:
    return (count(giga), "GFLOP/s") if giga < 10_000 else (f"{giga / 1000:,.1f}", "TFLOP/s")
