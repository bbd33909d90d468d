"""What a repair is told. The night that is repaired brings the configuration of everything else.

Two steps: with `accept: none` a repair only proposes; a person reads the proposal and runs it again
with what they accept. A rule in a person's place is named, and stands beside their name in the
withdrawal list.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tasks.configuration import Section
from tasks.configuration.section import ASIDE

Accept = Literal["none", "all", "rows", "rule"]
Rule = Literal["stated_by_minority", "contradicted", "score"]
Start = Literal["night", "scratch", "champion"]


class Repair(Section):
    """Which rows are proposed, which of them go, and how the model is trained without them."""

    worst: int = Field(
        20, ge=1, le=10_000, description="Surest wrong answers that rows are looked for (answers)"
    )
    ranks: int = Field(
        10, ge=1, le=10_000, description="Beginning of each answer's trace that is looked at (rows)"
    )
    score: float | None = Field(
        None, description="Trace score from which a row is proposed although it does not state the "
        "wrong answer; empty: only rows that state it",
    )  # fmt: skip
    right: int = Field(
        0, ge=0, description="Most right answers that a proposed row may put at stake (answers)"
    )
    support: int = Field(
        2, ge=0, description="Training rows that must still state a right answer, or it is at stake "
        "(rows); a large number holds back every row that states a right answer",
    )  # fmt: skip
    accept: Accept = Field(
        "none", description="What goes to quarantine: `none` (only show the proposal), `all` that is "
        "proposed, the `rows` named below, or what the `rule` below chooses",
        json_schema_extra=ASIDE,
    )  # fmt: skip
    rows: tuple[str, ...] = Field(
        (), description="Ids of accepted rows; rows that were held back may be among them",
        json_schema_extra=ASIDE,
    )  # fmt: skip
    rule: Rule | None = Field(
        None, description="Which proposed rows go: `stated_by_minority` (fewer training rows state "
        "the wrong answer than the right one), `contradicted` (some training row states the right "
        "one), `score` (the trace score reaches repair.score)",
        json_schema_extra=ASIDE,
    )  # fmt: skip
    by: str | None = Field(
        None, description="Who answers for what is accepted", json_schema_extra=ASIDE
    )
    why: str | None = Field(
        None, description="Why, which the withdrawal list keeps", json_schema_extra=ASIDE
    )
    start: Start = Field(
        "night", description="What training starts from: the `night`'s own starting point, `scratch`, "
        "or the `champion` (where the night's model is champion, the one before it)",
        json_schema_extra=ASIDE,
    )  # fmt: skip
    tokens_share: float = Field(
        1.0, gt=0, le=1, json_schema_extra=ASIDE,
        description="Share of the night's token presentations, when training goes on from a model",
    )  # fmt: skip
    control: bool = Field(
        False, description="Also train without as many random rows, to show that it is these rows; "
        "costs a second training",
        json_schema_extra=ASIDE,
    )  # fmt: skip

    @model_validator(mode="after")
    def _no_conflicts(self) -> Repair:
        if self.rows and self.accept != "rows":
            raise ValueError(f"repair.rows names rows, and repair.accept is {self.accept!r}")
        if self.accept == "rows" and not self.rows:
            raise ValueError("repair.accept is 'rows', and repair.rows names none")
        if self.rule and self.accept != "rule":
            raise ValueError(f"repair.rule is set, and repair.accept is {self.accept!r}")
        if self.accept == "rule" and self.rule is None:
            raise ValueError("repair.accept is 'rule', and repair.rule names none")
        if self.rule == "score" and self.score is None:
            raise ValueError("repair.rule is 'score', and repair.score says from which one on")
        if self.accept != "none":
            for name in ("by", "why"):
                if not (getattr(self, name) or "").strip():
                    raise ValueError(
                        f"rows are accepted, and repair.{name} is empty; the withdrawal list keeps "
                        "who took rows out of training and why"
                    )
        if self.start == "scratch" and self.tokens_share < 1:
            raise ValueError(
                "repair.tokens_share is less than 1, and repair.start is 'scratch': a model of fewer "
                "tokens would not compare with the night's"
            )
        return self


class RepairConfiguration(Section):
    """The night to repair, and how."""

    night: str = Field(
        "last", min_length=1,
        description="The night's name, six or more characters of its MLflow run id, or `last`",
    )  # fmt: skip
    repair: Repair = Field(Repair(), description="What is proposed, accepted, and trained again")
