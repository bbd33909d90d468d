"""Sections of what is trained on the pretrained encoder: classes, tags, pairs."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from tasks.configuration.section import ASIDE, Section


class Headed(Section):
    """How a head is trained on the pretrained encoder; base of the three sections that do."""

    epochs: int = Field(6, ge=1, le=100, description="Passes over the labelled rows")
    batch: int = Field(16, ge=1, le=4096, description="Rows per step")
    learning_rate: float = Field(5e-4, gt=0, le=1, description="Peak of the schedule")
    max_tokens: int = Field(128, ge=8, le=8192, description="Longer texts are cut (tokens)")
    tokens: int = Field(
        1_500_000, ge=1000, description="Ends the last epoch early (token presentations)"
    )
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="Learning rate of a layer, as a share of that of the one above"
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="`balanced` gives every class the same say in the loss"
    )
    frozen: bool = Field(False, description="Train the head alone and leave the encoder as it is")


class Finetuning(Headed):
    """The classification head."""


class Labelled(Headed):
    """A task with labelled files of its own; not run while `train` is empty."""

    train: str | None = Field(
        None, min_length=1, description="File to learn from", json_schema_extra=ASIDE
    )
    validation: str | None = Field(
        None, min_length=1, description="File that decides which epoch is kept",
        json_schema_extra=ASIDE,
    )  # fmt: skip
    test: str | None = Field(
        None, min_length=1, description="File to judge by", json_schema_extra=ASIDE
    )
    from_scratch: bool = Field(
        False, description="Begin with random weights, to see what pretraining buys"
    )
    bootstrap: int = Field(
        1000, ge=50, le=100_000, description="Bootstrap resamples of an interval"
    )

    section: ClassVar[str] = ""

    @model_validator(mode="after")
    def _no_conflicts(self) -> Labelled:
        if not self.train and (self.validation or self.test):
            raise ValueError(
                f"{self.section}.validation or {self.section}.test is given, but not "
                f"{self.section}.train, without which nothing is trained"
            )
        return self


class Tagging(Labelled):
    """Named entities, or another tag for each word: CoNLL columns or parquet of tokens and tags."""

    section: ClassVar[str] = "tag"
    epochs: int = Field(10, ge=1, le=100, description="Passes over the labelled rows")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="Peak of the schedule")
    entities: bool = Field(
        True, description="Tags mark spans (IO, IOB1, IOB2, BIOES); false for tags of single words"
    )


class Pairs(Labelled):
    """Classes of sentence pairs, such as paraphrase or entailment: parquet, CSV or JSONL."""

    section: ClassVar[str] = "pairs"
    first: str = Field("first", min_length=1, description="Column of the first sentence")
    second: str = Field("second", min_length=1, description="Column of the second sentence")
    label: str = Field("label", min_length=1, description="Column of the class")
