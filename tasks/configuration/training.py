"""Sections of the training stages: vocabulary, pretraining, baselines."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tasks.configuration.section import ASIDE, Section


class Tokenization(Section):
    """The subword vocabulary and the packed sequences."""

    vocabulary: int = Field(4000, ge=200, le=100_000, description="Most subwords (tokens)")
    lowercase: bool = Field(False, description="Fold case before splitting")
    sequence_length: int = Field(
        128, ge=16, le=8192, description="Positions of a packed sequence (tokens)"
    )
    vocabulary_sample: int = Field(
        50_000_000, ge=10_000, le=2_000_000_000,
        description="Of more training text, about so much is learnt from (characters)",
    )  # fmt: skip
    made_up: bool = Field(
        True,
        description="Pretrain on augmented rows too, not only fine-tune: other words for the same facts, "
        "each seen less often within one budget",
    )
    row_weights: bool = Field(
        False,
        description="Weigh pretraining rows as `correct` weighs them, not only fine-tuning rows: the "
        "weights make labels independent of groups, which pretraining does not see",
    )
    next_sentence: bool = Field(
        False,
        description="Pack sentence pairs, half of them exchanged, for next-sentence prediction",
    )
    mixture: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(
        {}, description="Source (file name without ending) to its share of the presentations; "
        "sources not named keep their natural shares of the rest",
    )  # fmt: skip
    replay_share: float = Field(
        0.0,
        ge=0,
        le=0.9,
        description="Share of the presentations from earlier nights' training rows",
    )
    replay_nights: int = Field(3, ge=1, le=100, description="Earlier nights to replay (nights)")

    @model_validator(mode="after")
    def _no_conflicts(self) -> Tokenization:
        taken = sum(self.mixture.values()) + self.replay_share
        if taken > 1 + 1e-9:
            raise ValueError(
                f"tokenize.mixture and tokenize.replay_share together ask for {taken:.3f} of the "
                "presentations, more than all of them"
            )
        return self


class Pretraining(Section):
    """The encoder and its masked-language-model training."""

    start: str = Field(
        "scratch", min_length=1,
        description="`scratch`, `champion`, a folder in Hugging Face's format, or the name of a hub "
        "model; its shape and vocabulary are then taken over",
        json_schema_extra=ASIDE,
    )  # fmt: skip
    revision: str | None = Field(
        None, description="Revision of a hub model to start from", json_schema_extra=ASIDE
    )
    preset: Literal["custom", "minute", "tiny", "mini", "small", "base", "large"] = Field(
        "custom", description="A named shape; `custom` goes by `layers`, `width` and `heads`"
    )
    layers: int = Field(2, ge=1, le=48, description="Transformer layers")
    width: int = Field(128, ge=16, le=4096, description="Hidden size; a multiple of `heads`")
    heads: int = Field(4, ge=1, le=64, description="Attention heads")
    tied: bool = Field(True, description="Whether the decoder shares the embedding's matrix")
    tokens: int = Field(8_000_000, ge=1000, description="Training budget (token presentations)")
    minutes: float | None = Field(
        None, gt=0, le=60 * 24 * 14,
        description="Time after which training ends, decayed, if `tokens` are not spent by then "
        "(min); such a run is not repeatable to the bit",
    )  # fmt: skip
    batch_tokens: int = Field(512, ge=64, description="Tokens per optimizer step")
    accumulate: int = Field(
        1, ge=1, le=1024, description="Micro-batches that a step's tokens are computed in"
    )
    ramp: float = Field(
        0.0, ge=0, le=1, description="Share of the budget during which these grow from one to all"
    )
    learning_rate: float = Field(2e-3, gt=0, le=1, description="Peak of the schedule")
    warmup: float = Field(0.05, ge=0, le=0.5, description="Share of the budget that warms up")
    decay: float = Field(0.3, ge=0, le=1, description="Share of the budget that decays to zero")
    optimizer: Literal["adamw", "stable_adamw"] = Field(
        "adamw", description="`stable_adamw` limits each matrix's update"
    )
    weight_decay: float = Field(0.01, ge=0, le=1, description="AdamW's decoupled decay")
    clip: float = Field(0.25, ge=0, description="Largest norm of the gradient; 0 for no limit")
    average: float = Field(
        0.0, ge=0, lt=1, description="Decay of the weights' moving average; 0 keeps the last ones"
    )
    mask_rate: float = Field(0.3, gt=0, lt=1, description="Share of the tokens to predict")
    mask_rate_end: float | None = Field(
        None, gt=0, lt=1, description="What the mask rate moves to, linearly, if it is to"
    )
    masking: Literal["token", "word", "span"] = Field(
        "token", description="What is hidden together"
    )
    span: float = Field(3.0, ge=1, le=50, description="Mean length of a span (tokens)")
    next_sentence: float = Field(
        0.0, ge=0, le=1000,
        description="Hidden tokens that a sentence pair counts for; needs tokenize.next_sentence",
    )  # fmt: skip
    adversarial: Literal["none", "fgm"] = Field("fgm", description="Perturbation of the embeddings")
    adversarial_share: float = Field(
        0.125, gt=0, le=1, description="Share of the rows perturbed in each step"
    )
    adversarial_epsilon: float = Field(
        0.02, gt=0, description="L2 norm of the perturbation, relative to the embedding's"
    )
    spike: float = Field(
        2.0, ge=0,
        description="Rise of the loss above its running mean that counts as divergence (nats); 0: "
        "only infinite or undefined losses do",
    )  # fmt: skip
    rollbacks: int = Field(
        3, ge=0, le=100,
        description="Times that a diverged run goes back and passes over the rows that led there",
    )  # fmt: skip
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="`auto` goes by the hardware and the width, never by a timing"
    )
    checkpoint_seconds: float = Field(
        20.0, gt=0, description="Time between checkpoints (s)", json_schema_extra=ASIDE
    )

    @model_validator(mode="after")
    def _no_conflicts(self) -> Pretraining:
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ValueError(
                f"pretrain.width ({self.width}) must be an even multiple of pretrain.heads ({self.heads})"
            )
        if self.warmup + self.decay > 1:
            raise ValueError("pretrain.warmup and pretrain.decay together exceed the whole run")
        return self


class Baselines(Section):
    """What every report compares the encoder with."""

    lstm: bool = Field(True, description="Train a bidirectional LSTM by the same loop")
    layers: int = Field(3, ge=1, le=16, description="LSTM layers")
    width: int = Field(256, ge=16, le=4096, multiple_of=2, description="LSTM's hidden size")
    tokens: int = Field(150_000, ge=1000, description="LSTM's budget (token presentations)")
    learning_rate: float = Field(2e-3, gt=0, le=1, description="Peak of the LSTM's schedule")
    epochs: int = Field(2, ge=1, le=100, description="LSTM's passes over the labelled rows")
    ngram: bool = Field(True, description="Count an interpolated trigram model")
    bootstrap: int = Field(
        1000, ge=50, le=100_000, description="Bootstrap resamples of an interval"
    )
