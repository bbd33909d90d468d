"""The search space: which settings, between which values, checked before anything runs.

Only settings that are read after the text is tokenised and packed can be searched, since all
trials share that work and are compared by a loss per token of one vocabulary.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from tasks.configuration import Configuration, Section
from tasks.errors import UserError
from tasks.search.configuration import Dimension, Objective, SearchConfiguration, Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Space = Mapping[str, Dimension]

# What each objective depends on and no shared stage does.
SECTIONS: dict[Objective, tuple[str, ...]] = {
    "pretrain": ("pretrain",),
    "finetune": ("pretrain", "finetune"),
}


_MOST_EPOCHS = 100
_SHARED = ("pretrain.start", "pretrain.revision")  # they decide the vocabulary too


def space_of(configuration: SearchConfiguration) -> dict[str, Dimension]:
    """The space that a configuration asks for, or one round its settings, checked.

    Raises:
        UserError: A setting cannot be searched so; every problem is named at once.
    """
    objective, base = configuration.search.objective, configuration.night()
    space = configuration.search.space or _around(objective, base)
    problems = [p for name, d in space.items() for p in _problems(name, d, objective, base)]
    if problems:
        told = "\n".join(f"  {problem}" for problem in problems)
        raise UserError(
            f"the search space cannot be used:\n{told}",
            "Correct search.space, or leave it out for a space round the given settings.",
        )
    return dict(space)


def apply(base: Configuration, values: Mapping[str, Any]) -> Configuration:
    """The configuration with settings replaced, by dotted name.

    Raises:
        ValidationError: The settings exclude each other or are out of bounds.
    """
    dumped = base.model_dump()
    for name, value in values.items():
        section, field = name.split(".")
        dumped[section][field] = value
    return Configuration.model_validate(dumped)


def value_of(configuration: Configuration, name: str) -> Any:
    """A setting by its dotted name."""
    section, field = name.split(".")
    return getattr(getattr(configuration, section), field)


def distributions(space: Space, base: Configuration) -> dict[str, BaseDistribution]:
    """Optuna's form of the space."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    made: dict[str, BaseDistribution] = {}
    for name, d in space.items():
        if d.choices:
            # As the configuration reads them, so that `1e-3` and 0.001 are one value.
            read = [value_of(apply(base, {name: value}), name) for value in d.choices]
            made[name] = CategoricalDistribution(read)
        elif _number(name) is int:
            low, high = int(d.low or 0), int(d.high or 0)
            made[name] = IntDistribution(low, high, log=d.log, step=int(d.step or 1))
        else:
            made[name] = FloatDistribution(d.low, d.high, log=d.log, step=d.step)
    return made


def _problems(
    name: str, dimension: Dimension, objective: Objective, base: Configuration
) -> list[str]:
    section, _, field = name.partition(".")
    kind = Configuration.model_fields.get(section)
    known = kind is not None and isinstance(kind.annotation, type)
    if not known or not issubclass(kind.annotation, Section):  # type: ignore[union-attr,arg-type]
        return [f"{name}: there is no such setting"]
    if field not in kind.annotation.model_fields:  # type: ignore[union-attr]
        return [f"{name}: there is no such setting"]
    if section not in SECTIONS[objective]:
        allowed = " or ".join(f"{s}.*" for s in SECTIONS[objective])
        return [f"{name}: a search for {objective} varies {allowed}; all trials share the rest"]
    if name in _SHARED:
        return [f"{name}: all trials start from the same model"]
    if dimension.choices:
        tried: list[Value] = list(dimension.choices)
    elif _number(name) is None:
        return [f"{name}: is no number; give choices"]
    else:
        low, high, step = dimension.low or 0.0, dimension.high or 0.0, dimension.step
        tried = [low, high, *([low + step] if step else [])]
        if _number(name) is int and step and not step.is_integer():
            return [f"{name}: the step of a whole number must be one (got {step:g})"]
    return [problem for value in tried for problem in _refusal(name, value, base)]


def _refusal(name: str, value: Value, base: Configuration) -> list[str]:
    try:
        apply(base, {name: value})
    except ValidationError as error:
        return [
            f"{name} = {value}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()
        ]
    return []


def _number(name: str) -> type[int] | type[float] | None:
    """Whether a setting is a whole number, a number, or neither."""
    section, field = name.split(".")
    annotation = Configuration.model_fields[section].annotation
    asked = annotation.model_fields[field].annotation  # type: ignore[union-attr]
    kinds = set(get_args(asked)) if isinstance(asked, types.UnionType) else {asked}
    kinds.discard(type(None))
    if kinds == {int}:
        return int
    return float if kinds and kinds <= {int, float} else None


def _around(objective: Objective, base: Configuration) -> dict[str, Dimension]:
    """A space round the given settings: what moves a loss most, within a sensible factor."""
    if objective == "finetune":
        given = base.finetune
        return {
            "finetune.learning_rate": _factor(given.learning_rate, 8, 4),
            "finetune.epochs": Dimension(
                low=max(1, given.epochs // 3), high=min(_MOST_EPOCHS, given.epochs * 2)
            ),
            "finetune.batch": Dimension(choices=(8, 16, 32, 64)),
        }
    p = base.pretrain
    row = base.tokenize.sequence_length * p.accumulate
    sizes = [int(p.batch_tokens * factor) for factor in (0.5, 1, 2, 4)]
    fitting = tuple(s for s in sizes if s % row == 0 and row <= s <= p.tokens)
    space = {
        "pretrain.learning_rate": _factor(p.learning_rate, 8, 4),
        "pretrain.weight_decay": Dimension(low=1e-3, high=0.3, log=True),
        "pretrain.mask_rate": Dimension(low=0.1, high=0.5),
    }
    if len(fitting) > 1:
        space["pretrain.batch_tokens"] = Dimension(choices=fitting)
    if p.adversarial != "none":
        space["pretrain.adversarial_share"] = Dimension(low=0.05, high=0.5, log=True)
    return space


def _factor(value: float, down: float, up: float) -> Dimension:
    return Dimension(low=value / down, high=min(1.0, value * up), log=True)
