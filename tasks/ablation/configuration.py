"""What an ablation is told, beside what its nights are told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tasks.ablation.variants import STAGES, UNDAMAGED_NIGHT
from tasks.configuration import Configuration, Section

Dose = Literal["false_facts", "false_repeats", "noise"]


class Ablation(Section):
    """Which nights are run and how often."""

    study: Literal["stages", "dose"] = Field(
        "stages", description="`stages`: one stage off at a time; `dose`: growing damage to the "
        "fictional corpus, with the pipeline and without",
    )  # fmt: skip
    seeds: tuple[int, ...] = Field(
        (20, 21, 22), min_length=1, description="Seeds that every variant is run with"
    )
    variants: tuple[str, ...] = Field(
        tuple(name for name in STAGES if name != UNDAMAGED_NIGHT),
        description="Variants beside `full`, the whole night: `raw`, everything off; `no_...`, one "
        "stage off; `undamaged`, the fictional corpus with nothing planted",
    )
    doses: tuple[Dose, ...] = Field(
        ("false_facts", "false_repeats", "noise"), min_length=1,
        description="What is planted in growing amounts",
    )  # fmt: skip
    levels: int = Field(4, ge=2, le=20, description="Amounts of each, none and the most included")
    bootstrap: int = Field(
        2000, ge=100, le=100_000, description="Bootstrap resamples of an interval"
    )

    @model_validator(mode="after")
    def _known(self) -> Ablation:
        unknown = sorted(set(self.variants) - set(STAGES))
        if unknown:
            raise ValueError(
                f"ablate.variants names {', '.join(unknown)}; there are {', '.join(STAGES)}"
            )
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"ablate.seeds names a seed twice: {list(self.seeds)}")
        return self


class AblationConfiguration(Configuration):
    """A night's configuration, which every variant changes, and how to go about it."""

    ablate: Ablation = Field(Ablation(), description="Which nights are run, and how often")

    @model_validator(mode="after")
    def _repeatable(self) -> AblationConfiguration:
        if self.pretrain.minutes is not None:
            raise ValueError(
                "pretrain.minutes is set, and variants are compared at the same pretrain.tokens"
            )
        plants = self.ablate.study == "dose" or UNDAMAGED_NIGHT in self.ablate.variants
        if plants and self.source.location != "fictional":
            raise ValueError(
                "ablate.study `dose` and the variant `undamaged` are for the fictional corpus, whose "
                f"damage is known; source.location is {self.source.location!r}"
            )
        return self

    def night(self) -> Configuration:
        """The night's part, cut loose from other nights and from what is only for show.

        Drift from an accepted night, suspect labels and the baselines change nothing
        that is compared, and would make a variant depend on what ran before it.
        """
        values = self.model_dump(exclude={"ablate"})
        values["validation"] |= {"reference": "none"}
        values["labels"] |= {"enabled": False}
        values["baselines"] |= {"lstm": False, "ngram": False}
        return Configuration.model_validate(values)
