"""Everything one run is told: the sections, and what they must not say together."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tasks.configuration.corpus import (
    Cleaning,
    Contradictions,
    Labels,
    Profiling,
    Source,
    Validation,
)
from tasks.configuration.heads import Finetuning, Pairs, Tagging
from tasks.configuration.judging import Decision, Evaluation, Explanation, Tracing
from tasks.configuration.people import Augmentation, Fairness
from tasks.configuration.section import ASIDE, Section
from tasks.configuration.training import Baselines, Pretraining, Tokenization

# The stages of a night by their titles, in the order in which they run.
StageTitle = Literal[
    "ingest", "profile", "snapshot", "drift", "validate", "clean",
    "profile_clean", "snapshot_clean", "drift_clean", "validate_clean",
    "audit", "augment", "correct", "check_labels",
    "replay", "tokenize", "pack", "pretrain", "baselines", "finetune", "tag", "pairs",
    "quality", "calibration", "hallucination", "group_metrics", "robustness", "floors",
    "encode_rows", "trace", "explain", "decide", "report",
]  # fmt: skip


class Configuration(Section):
    """Everything one nightly run is told."""

    seed: int = Field(20, ge=0, lt=2**31, description="Seed of every random choice")
    start_from: StageTitle | None = Field(
        None, json_schema_extra=ASIDE,
        description="Compute again from this stage on; without one, whatever is unchanged is reused",
    )  # fmt: skip
    source: Source = Field(Source(), description="Where the text comes from")
    profile: Profiling = Field(Profiling(), description="Duplicates, leaks, groups")
    validation: Validation = Field(Validation(), description="Which suites judge the data")
    clean: Cleaning = Field(Cleaning(), description="Repairs")
    contradictions: Contradictions = Field(Contradictions(), description="Statements that disagree")
    labels: Labels = Field(Labels(), description="Label errors")
    fairness: Fairness = Field(Fairness(), description="Groups and their correction")
    augment: Augmentation = Field(Augmentation(), description="Rows made up")
    tokenize: Tokenization = Field(Tokenization(), description="Vocabulary and sequences")
    pretrain: Pretraining = Field(Pretraining(), description="Encoder and its training")
    baselines: Baselines = Field(Baselines(), description="What the encoder is compared with")
    finetune: Finetuning = Field(Finetuning(), description="Classification head")
    tag: Tagging = Field(Tagging(), description="Named entities or other tags of words")
    pairs: Pairs = Field(Pairs(), description="Classes of sentence pairs")
    evaluate: Evaluation = Field(Evaluation(), description="How the model is judged")
    explain: Explanation = Field(Explanation(), description="Which predictions are explained")
    trace: Tracing = Field(Tracing(), description="From wrong answers to training rows")
    decide: Decision = Field(Decision(), description="What a candidate must meet")

    @model_validator(mode="after")
    def _no_conflicts(self) -> Configuration:
        length, parts = self.tokenize.sequence_length, self.pretrain.accumulate
        if self.pretrain.batch_tokens % (length * parts):
            raise ValueError(
                f"pretrain.batch_tokens ({self.pretrain.batch_tokens}) must be a multiple of "
                f"tokenize.sequence_length ({length})"
                + (f" times pretrain.accumulate ({parts})" if parts > 1 else "")
            )
        if self.pretrain.next_sentence and not self.tokenize.next_sentence:
            raise ValueError("pretrain.next_sentence needs the pairs of tokenize.next_sentence")
        if self.pretrain.tokens < self.pretrain.batch_tokens:
            raise ValueError("pretrain.tokens is less than one step of pretrain.batch_tokens")
        for name in ("finetune", "tag", "pairs"):
            longest = getattr(self, name).max_tokens
            if longest > self.tokenize.sequence_length * 8:
                raise ValueError(
                    f"{name}.max_tokens ({longest}) is over eight times tokenize.sequence_length "
                    f"({self.tokenize.sequence_length}), beyond what is pretrained"
                )
        return self
