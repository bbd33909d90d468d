"""The frozen records that travel from stage to stage: references, counts and scores.

A record never holds a frame, a tensor, a model or a secret; those stay in the store, and the
record says where.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, model_validator


class Frozen(BaseModel):
    """Base of all records: immutable, and a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Rows(Frozen):
    """The conservation law of one data stage: `entered = kept + quarantined`.

    Rows that a stage makes up (`added`) are marked in the data and never counted as kept.
    """

    entered: int
    kept: int
    quarantined: int = 0
    added: int = 0

    @model_validator(mode="after")
    def _conserved(self) -> Rows:
        if self.entered != self.kept + self.quarantined:
            raise ValueError(
                f"rows were lost: {self.entered} entered, {self.kept} kept, "
                f"{self.quarantined} quarantined"
            )
        return self


class Point(Frozen):
    """One step of a training curve."""

    step: int
    metrics: dict[str, float]


class Outcome(Frozen):
    """What a stage function returns: everything said about its folder, nothing of its contents.

    Attributes:
        summary: One line for the terminal and the run page, in plain words.
        rows: The conservation law, for stages that pass rows on.
        metrics: Scalars for MLflow by bare name; the mechanism puts the stage's title before it.
        artifacts: Files or folders, relative to the stage's folder, that MLflow keeps for people.
        dataset: A parquet file, relative to the stage's folder, to register as an MLflow input.
        skipped: Why the stage had nothing to do, if so.
        refusal: Why the run must stop here, if so; the folder is kept for the person who looks.
    """

    summary: str
    rows: Rows | None = None
    metrics: dict[str, float] = {}
    artifacts: tuple[str, ...] = ()
    dataset: str | None = None
    skipped: str | None = None
    refusal: str | None = None


class Record(Frozen):
    """A finished stage: where its folder is, and what the stage said of it.

    Attributes:
        stage: The stage's name.
        key: Digest of code, configuration, inputs and seed; names the folder in the store.
        uri: The folder's address.
        digest: Digest of the folder's contents, which is what later keys are made of.
        seconds: What computing it took, the first time.
        outcome: What the stage function returned.
    """

    stage: str
    key: str
    uri: str
    digest: str
    seconds: float
    outcome: Outcome


class Night(Frozen):
    """The identity of one nightly run, given by the parent flow to its subflows.

    Attributes:
        name: A readable name, also the MLflow run's.
        run_id: The MLflow run that the subflows nest under.
        started: ISO time, UTC.
    """

    name: str
    run_id: str
    started: str
