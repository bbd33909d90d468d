"""Sections of the stages that judge a candidate."""

from __future__ import annotations

from pydantic import Field

from tasks.configuration.section import Section


class Evaluation(Section):
    """How the model is judged."""

    max_rows: int = Field(2000, ge=10, description="Most test rows judged")
    bootstrap: int = Field(
        1000, ge=50, le=100_000, description="Bootstrap resamples of an interval"
    )
    answer_risk: float = Field(
        0.1, gt=0, lt=1, description="Wrong answers that the served model may give (share)"
    )
    answer_level: float = Field(
        0.9, gt=0.5, lt=1, description="Level at which that is to be shown on validation rows"
    )
    attack_rows: int = Field(
        60, ge=0, le=10_000, description="Test rows attacked; 0 turns attacks off"
    )
    attack_queries: int = Field(150, ge=1, description="Model queries allowed per attacked row")
    attack_total_queries: int = Field(
        6000, ge=1, description="Model queries allowed for all attacked rows together"
    )
    attack_words: int = Field(
        120, ge=5, le=10_000, description="Longer texts are attacked in their first words"
    )
    max_probes: int = Field(1500, ge=1, description="Most fact probes asked")
    generated_probes: int = Field(
        300, ge=0, le=100_000,
        description="Probes made of held-out text where the data brings none; 0 makes none",
    )  # fmt: skip
    always_generate: bool = Field(False, description="Make them also where the data brings some")


class Explanation(Section):
    """Which predictions are explained, and how finely."""

    examples: int = Field(6, ge=0, le=100, description="Predictions explained, wrong ones first")
    shap_evaluations: int = Field(
        500, ge=20, le=10_000, description="Model rows per SHAP explanation"
    )
    lime_samples: int = Field(
        300, ge=50, le=10_000, description="Perturbed texts per LIME explanation"
    )


class Tracing(Section):
    """How wrong answers are traced to training rows."""

    enabled: bool = Field(True, description="Whether to trace at all")
    answers: int = Field(20, ge=1, le=10_000, description="Wrong answers traced, the surest first")
    rows: int = Field(10, ge=1, le=1000, description="Rows named for each")
    gradients: bool = Field(
        True, description="Find rows by their gradients too, at about the cost of an epoch"
    )
    dimensions: int = Field(
        8192, ge=16, le=1 << 18, description="Most numbers of a row's projected gradient"
    )
    copies: int = Field(
        2, ge=1, le=20,
        description="Copies in which a row is read, each with other words hidden",
    )  # fmt: skip
    hidden_share: float = Field(
        0.25, gt=0, le=1, description="Share of a row's words hidden in one of them, rarest first"
    )
    task_share: float = Field(
        0.9, ge=0, le=1,
        description="How much of what probes have in common is taken back, against what rows have",
    )  # fmt: skip
    prior: float = Field(
        50.0, gt=0, le=1e9,
        description="How many texts say beforehand that gradients have nothing in common (texts)",
    )  # fmt: skip


class Decision(Section):
    """What a candidate must meet: floors for the first, margins against the champion for the rest."""

    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of the paired bootstrap")
    bootstrap: int = Field(2000, ge=100, le=100_000, description="Bootstrap resamples")
    min_gain_over_majority: float = Field(
        0.05, ge=0, le=1, description="Floor: accuracy above the largest class's share"
    )
    max_hallucinated: float = Field(
        0.5, description="Floor: largest hallucinated share of the probes", ge=0, le=1
    )
    max_group_gap: float = Field(
        0.25, description="Floor: largest accuracy gap between groups", ge=0, le=1
    )
    margin_accuracy: float = Field(0.02, ge=0, le=1, description="Accuracy may be this much lower")
    margin_hallucinated: float = Field(
        0.03, ge=0, le=1, description="Hallucinated share may be this much higher"
    )
    margin_group_gap: float = Field(
        0.05, ge=0, le=1, description="Group gap may be this much wider"
    )
    margin_robust_accuracy: float = Field(
        0.1, ge=0, le=1, description="Accuracy under attack may be this much lower"
    )
    margin_mlm_loss: float = Field(
        0.1, ge=0, description="Held-out masked-token loss may be this much higher (nats)"
    )
