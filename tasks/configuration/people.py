"""Sections of the stages that correct and enlarge a clean corpus."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.configuration.section import ASIDE, Section


class Fairness(Section):
    """How groups are found and what is done about them."""

    lexicon: bool = Field(True, description="Find groups by mentions where no column names them")
    bootstrap: int = Field(500, ge=50, le=10_000, description="Bootstrap resamples of an interval")
    min_group: int = Field(20, ge=2, description="Smallest group that is judged (rows)")
    correction: Literal["reweighting", "none"] = Field(
        "reweighting", description="What corrects the label rates"
    )


class Augmentation(Section):
    """Rows made up from training rows."""

    synonym_share: float = Field(
        0.1, ge=0, le=1, description="Share of training rows given a synonym copy"
    )
    synonym_words: float = Field(0.15, gt=0, le=0.5, description="Share of a row's words exchanged")
    counterfactual_share: float = Field(
        0.5, ge=0, le=1, description="Share of gendered training rows given a swapped copy"
    )
    typo_share: float = Field(
        0.0, ge=0, le=1, description="Share of training rows given a copy with typing errors"
    )
    typo_words: float = Field(0.15, gt=0, le=0.5, description="Share of a row's words mistyped")
    back_translation: str | None = Field(
        None, min_length=1,
        description="Translators there and back: `apertium:en-eo,eo-en`, or two Marian models "
        "(folders or hub names) with a comma between them; without any no row is translated",
        json_schema_extra=ASIDE,
    )  # fmt: skip
    back_translation_share: float = Field(
        0.2, ge=0, le=1, description="Share of training rows given a back-translated copy"
    )
    wordnet: str | None = Field(
        None, description="Folder or parquet of WordNet, for more synonyms", json_schema_extra=ASIDE
    )
