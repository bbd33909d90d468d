"""Figures out of a stage's JSON, as cards: a name, a value, an interval and a unit."""

from __future__ import annotations

from typing import Any

from tasks.promotion.page import numbers
from tasks.promotion.page.read import figure

_NAMES = {
    "macro_f1": "Macro F1",
    "mlm_loss": "Masked-token loss",
    "mlm_accuracy": "Masked words guessed",
    "mlm_bits_per_character": "Masked-text surprise",
    "majority_share": "Largest class",
    "ece": "Calibration error (ECE)",
    "brier": "Brier score",
    "if_made_to_answer": "Right if made to answer",
    "alike": "Paraphrases answered alike",
    "alike_and_right": "Alike and right",
    "ece_tempered": "ECE at the temperature",
    "brier_tempered": "Brier at the temperature",
    "aurc": "Area under risk-coverage",
    "clean_accuracy": "Accuracy before the attack",
    "attack_success": "Right answers turned",
}


def figures(found: dict[str, Any], names: tuple[str, ...], unit: str) -> list[dict[str, str]]:
    """A card for each name that the stage reports, with its interval where it has one."""
    made = []
    for name in names:
        value = found.get(name)
        known = figure(value)
        if known:
            shown = (numbers.of_unit(known["value"], unit), numbers.span(known, unit))
        elif isinstance(value, int | float):
            shown = (numbers.of_unit(value, unit), "")
        else:
            continue
        label = _NAMES.get(name, numbers.words(name).capitalize())
        unit_shown = "" if unit in ("share", "points") else unit
        made.append({"name": label, "value": shown[0], "span": shown[1], "unit": unit_shown})
    return made
