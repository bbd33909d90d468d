"""What a search is told, beside what its trials are told.

A night is not told of a search, so its configuration has no such section: a search has a
configuration of its own, which is a night's and one section more.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from tasks.configuration import Configuration, Section

Value = bool | int | float | str
Objective = Literal["pretrain", "finetune"]


class Dimension(Section):
    """What one setting may be: a range, or a list of choices."""

    low: float | None = Field(None, description="Least value, in the setting's own unit")
    high: float | None = Field(None, description="Greatest value")
    log: bool = Field(False, description="Draw the logarithm evenly rather than the value")
    step: float | None = Field(None, gt=0, description="Distance of the values that are tried")
    choices: tuple[Value, ...] = Field((), description="The values that are tried, instead")

    @model_validator(mode="after")
    def _no_conflicts(self) -> Dimension:
        if self.choices:
            if (self.low, self.high, self.step, self.log) != (None, None, None, False):
                raise ValueError("give either choices or low and high, not both")
            if len(set(map(repr, self.choices))) != len(self.choices) or len(self.choices) < 2:
                raise ValueError("choices must be at least two different values")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give low and high, or choices")
        if self.low >= self.high:
            raise ValueError(f"low ({self.low:g}) must be below high ({self.high:g})")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a logarithmic range begins above 0 and has no step")
        return self


class Search(Section):
    """How settings are searched."""

    objective: Objective = Field(
        "pretrain", description="Whose held-out loss is to be low: pretraining or fine-tuning"
    )
    trials: int = Field(20, ge=1, le=100_000, description="Trials in all, earlier runs' included")
    minutes: float | None = Field(
        None, gt=0, description="No trial is begun after this time (min); none means no limit"
    )
    parallel: int = Field(
        1, ge=1, le=256, description="Trials at once; from 2 on, a repetition differs"
    )
    study: str | None = Field(
        None, pattern=r"^[\w.-]{1,100}$",
        description="Name to go on under; none names it by what is searched, so that the same "
        "search goes on and another begins anew",
    )  # fmt: skip
    startup: int = Field(6, ge=1, description="Trials drawn at random before the sampler learns")
    prune: bool = Field(True, description="End trials early whose loss is above the median")
    prune_from_trial: int = Field(4, ge=1, description="Finished trials before any is pruned")
    prune_from_share: float = Field(
        0.3, ge=0.1, le=0.9, description="Share of a trial that is always run"
    )
    space: dict[str, Dimension] = Field(
        {}, description="Settings by dotted name, such as `pretrain.learning_rate`; empty means a "
        "space round the given settings",
    )  # fmt: skip

    @field_validator("space", mode="before")
    @classmethod
    def _flat(cls, given: Any) -> Any:
        """Let `space: {pretrain: {learning_rate: {...}}}` be written too, as overrides write it."""
        return dict(_flatten(given, "")) if isinstance(given, dict) else given


def _flatten(given: dict[str, Any], prefix: str) -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for name, value in given.items():
        leaf = not isinstance(value, dict) or value.keys() & Dimension.model_fields.keys()
        flat += [(prefix + name, value)] if leaf else _flatten(value, f"{prefix}{name}.")
    return flat


class SearchConfiguration(Configuration):
    """A night's configuration, from which every trial starts, and how to search round it."""

    search: Search = Field(Search(), description="How settings are searched")

    def night(self) -> Configuration:
        """The night's part alone."""
        return Configuration.model_validate(self.model_dump(exclude={"search"}))
