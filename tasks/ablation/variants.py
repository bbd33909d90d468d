"""The nights that are compared: what each changes in the configuration, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tasks.configuration import Configuration
from tasks.records import Frozen

FULL, RAW = "full", "raw"
Changes = Mapping[str, Any]

_REPAIRS = (
    "fix_unicode", "strip_markup", "strip_controls", "collapse_spaces", "drop_boilerplate", "mask_pii",
)  # fmt: skip
_SINGLE: dict[str, Changes] = {
    "repairs": {f"clean.{name}": False for name in _REPAIRS},
    "row_rules": {"clean.suites": ()},
    "deduplication": {"clean.duplicates": False},
    "leak_removal": {"clean.leaks": False},
    "contradictions": {"contradictions.enabled": False},
    "reweighting": {"fairness.correction": "none"},
    "augmentation": {
        "augment.synonym_share": 0.0, "augment.counterfactual_share": 0.0, "augment.typo_share": 0.0,
        "augment.back_translation": None,
    },
    "adversary": {"pretrain.adversarial": "none"},
}  # fmt: skip
# Variant -> the settings that switch its stage off. What is not enforced may fail expectations.
STAGES: dict[str, Changes] = {
    RAW: {name: value for changes in _SINGLE.values() for name, value in changes.items()},
    **{f"no_{name}": changes for name, changes in _SINGLE.items()},
}
# The fictional corpus without what it plants: what the whole night could reach at best.
UNDAMAGED_NIGHT = "undamaged"
_UNENFORCED = {"validation.enforce": False}
_NOISE = ("mojibake", "markup", "boilerplate", "gibberish")
_DEFECTS = (
    *_NOISE, "exact_duplicates", "near_duplicates", "email", "leaks", "flipped_labels",
    "contradicted_facts",
)  # fmt: skip
# Nothing planted in any row; its bias and skew stay, so that it holds out the same rows.
UNDAMAGED: Changes = {f"source.defects.{name}": 0.0 for name in _DEFECTS}
STAGES[UNDAMAGED_NIGHT] = UNDAMAGED
_MOST = {"false_facts": 0.4, "false_repeats": 6.0, "noise": 0.32}
_FACTS_OF_REPEATS = 0.2  # share of facts contradicted while their repeats grow


class Variant(Frozen):
    """One night of a comparison.

    Attributes:
        name: Shown and tracked.
        changes: Settings by dotted name, in the place of those of the base.
        judged_on: The variant whose held-out rows and probes it is judged on.
        dose: What is planted, in a dose response.
        amount: How much of it.
    """

    name: str
    changes: dict[str, Any]
    judged_on: str = FULL
    dose: str = ""
    amount: float = 0.0

    def applied(self, base: Configuration, seed: int) -> Configuration:
        """The base with the changes, under a seed."""
        values = base.model_dump()
        for name, value in {**_UNENFORCED, **self.changes, "seed": seed}.items():
            *sections, field = name.split(".")
            inner = values
            for section in sections:
                inner = inner[section]
            inner[field] = value
        return Configuration.model_validate(values)


def of_stages(names: Sequence[str]) -> list[Variant]:
    """The whole night, then the chosen ones with a stage off."""
    return [Variant(name=FULL, changes={})] + [
        Variant(name=name, changes=dict(STAGES[name])) for name in names
    ]


def of_doses(doses: Sequence[str], levels: int) -> list[Variant]:
    """The whole night and the raw corpus, at growing amounts of each kind of damage and no other."""
    return [
        variant
        for dose in doses
        for level in range(levels)
        for variant in _at(dose, _MOST[dose] * level / (levels - 1))
    ]


def _at(dose: str, amount: float) -> Iterator[Variant]:
    planted = {**UNDAMAGED, **_planted(dose, amount)}
    name = f"{dose} {amount:.2g}"
    for way, off in ((FULL, {}), (RAW, STAGES[RAW])):
        yield Variant(
            name=f"{name} {way}", changes={**planted, **off}, judged_on=f"{name} {FULL}",
            dose=dose, amount=amount,
        )  # fmt: skip


def _planted(dose: str, amount: float) -> Changes:
    if dose == "noise":
        return {f"source.defects.{kind}": amount / len(_NOISE) for kind in _NOISE}
    if dose == "false_repeats":
        facts = _FACTS_OF_REPEATS if round(amount) else 0.0
        return {"source.defects.contradicted_facts": facts,
                "source.defects.false_repeats": max(1, round(amount))}  # fmt: skip
    return {"source.defects.contradicted_facts": amount, "source.defects.false_repeats": 4}
