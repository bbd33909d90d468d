"""Sections of the data stages: where rows come from, what is measured, judged and cleaned."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, field_validator, model_validator

from expectations.rules import chosen_rules
from expectations.suite_files import SuiteError
from tasks.configuration.section import ASIDE, Section


class Defects(Section):
    """What the fictional corpus plants, as shares of its clean rows unless stated."""

    mojibake: float = Field(0.02, ge=0, le=0.5, description="Text decoded with the wrong codec")
    markup: float = Field(0.02, ge=0, le=0.5, description="HTML left in the text")
    boilerplate: float = Field(0.02, ge=0, le=0.5, description="Cookie and navigation lines")
    gibberish: float = Field(0.01, ge=0, le=0.5, description="Text that is no language")
    exact_duplicates: float = Field(0.04, ge=0, le=2, description="Copies of rows")
    near_duplicates: float = Field(0.03, ge=0, le=2, description="Copies with a small edit")
    email: float = Field(0.02, ge=0, le=0.5, description="Rows with an e-mail address")
    leaks: float = Field(0.01, ge=0, le=0.5, description="Test rows copied into training")
    flipped_labels: float = Field(0.03, ge=0, le=0.5, description="Training labels turned round")
    contradicted_facts: float = Field(
        0.1, ge=0, le=1, description="Share of facts with a false version"
    )
    false_repeats: int = Field(2, ge=1, le=20, description="Rows that state each false version")
    false_phrasings: int = Field(
        2, ge=1, le=8, description="Phrasings that the rows of a false version are spread over"
    )
    group_bias: float = Field(
        0.2, ge=0, le=1, description="How far one group's label rate is pushed"
    )
    serving_skew: float = Field(0.3, ge=0, le=1, description="How far the serving split differs")


class Source(Section):
    """Where the text comes from and what its columns are called."""

    location: str = Field(
        "fictional", min_length=1,
        description="`fictional`, a hub dataset (`owner/name` or `owner/name:configuration`), or a "
        "path, folder, glob or URL of text files",
    )  # fmt: skip
    snapshot: str | None = Field(
        None, min_length=1, json_schema_extra=ASIDE,
        description="A night's name or MLflow run id, or `last`: take the rows that it read, rather than "
        "read the source again",
    )  # fmt: skip
    format: Literal["auto", "parquet", "csv", "jsonl", "json", "txt", "hub"] = Field(
        "auto", description="File format; `auto` goes by the file ending"
    )
    text: str = Field("text", min_length=1, description="Column of the text")
    label: str | None = Field(None, description="Column of the class label, if there is one")
    groups: tuple[str, ...] = Field((), description="Columns that name groups of people")
    timestamp: str | None = Field(None, description="Column of the time, if there is one")
    split: str | None = Field(None, description="Column of an existing split, if there is one")
    origin: str | None = Field(
        None, description="Column that names where a row comes from, for tokenize.mixture; "
        "without one a row's file does",
    )  # fmt: skip
    probes: str | None = Field(None, description="JSONL file of fact probes, if there is one")
    revision: str | None = Field(None, description="Revision of a hub dataset")
    validation_share: float = Field(
        0.1, gt=0, lt=0.5, description="Share of rows held out to tune on"
    )
    test_share: float = Field(0.1, gt=0, lt=0.5, description="Share of rows held out to judge by")
    max_characters: int = Field(
        1_000_000, ge=100, le=100_000_000, description="Longer rows go to quarantine (characters)"
    )
    people: int = Field(
        120, ge=20, le=1_000_000, description="Size of the fictional corpus (people)"
    )
    defects: Defects = Field(Defects(), description="What the fictional corpus plants")

    @model_validator(mode="after")
    def _no_conflicts(self) -> Source:
        if self.location == "fictional" and (
            self.label or self.groups or self.probes or self.split or self.origin
        ):
            raise ValueError(
                "source.location is 'fictional', which brings its own label, groups, split, origin "
                "and probes; leave source.label, source.groups, source.split, source.origin and "
                "source.probes empty"
            )
        single = (self.text, self.label, self.timestamp, self.split, self.origin)
        named = [c for c in (*single, *self.groups) if c]
        if len(set(named)) != len(named):
            raise ValueError(f"one source column is given two roles: {named}")
        if self.validation_share + self.test_share > 0.8:
            raise ValueError("source.validation_share and source.test_share leave no training rows")
        return self


class Profiling(Section):
    """How duplicates, leaks and groups are found, and what is measured beside our signals."""

    signals: tuple[str, ...] = Field(
        (), description="Modules of signals of your own: names to import, or paths of .py files"
    )
    near_duplicate_similarity: float = Field(
        0.7,
        gt=0.3,
        le=1,
        description="Jaccard similarity of word 3-grams from which rows are near duplicates"
    )  # fmt: skip
    permutations: int = Field(128, ge=32, le=512, description="MinHash permutations")
    leak_ngram: int = Field(
        8, ge=3, le=50, description="Words per n-gram when looking for test text"
    )
    leak_share: float = Field(
        0.5, gt=0, le=1, description="Share of a row's n-grams found in the test split that makes a leak"
    )  # fmt: skip
    probe_leaks: Literal["report", "quarantine"] = Field(
        "quarantine", description="What becomes of training rows that state a fact probe word for word"
    )  # fmt: skip
    span_words: int = Field(
        30, ge=10, le=1000, description="Least length of a passage that makes boilerplate (words)"
    )
    span_documents: int = Field(
        3, ge=2, le=255, description="Different documents that have such a passage (documents)"
    )
    earlier: str = Field(
        "none", min_length=1,
        description="Earlier night that rows are looked up in: `none`, `last`, `champion` (the last "
        "that was accepted), or a folder with an earlier night's clean corpus",
    )  # fmt: skip
    seen_before: Literal["report", "quarantine_exact", "quarantine"] = Field(
        "report", description="What becomes of training rows that the earlier night had: nothing, "
        "those with the same text go to quarantine, or those nearly the same too",
    )  # fmt: skip
    oldest_time: date | None = Field(
        None, description="First day that a row's time may have; empty for no limit"
    )
    newest_time: date | None = Field(
        None, description="Last day that a row's time may have; empty for no limit"
    )
    runner: Literal["in_process", "dask"] = Field(
        "in_process", json_schema_extra=ASIDE,
        description="Who measures the rows, shard by shard: this process, or workers of Dask; the "
        "results are the same",
    )  # fmt: skip
    workers: int = Field(
        2, ge=1, le=256, json_schema_extra=ASIDE,
        description="Worker processes that Dask starts on this machine, unless PLUMBLINE_DASK names "
        "a cluster (processes)",
    )  # fmt: skip

    @model_validator(mode="after")
    def _no_conflicts(self) -> Profiling:
        if self.earlier == "none" and self.seen_before != "report":
            raise ValueError(
                f"profile.seen_before is {self.seen_before!r}, and profile.earlier names no night "
                "that rows could have been seen in"
            )
        if self.oldest_time and self.newest_time and self.newest_time < self.oldest_time:
            raise ValueError(
                f"profile.newest_time ({self.newest_time}) is before profile.oldest_time "
                f"({self.oldest_time})"
            )
        return self


class Validation(Section):
    """Which suites judge the data."""

    suites: tuple[str, ...] = Field(
        ("schema", "noise", "labels", "skew", "drift"),
        description="Names under expectations/suites/, or paths of suite files",
    )
    enforce: bool = Field(True, description="Whether a failed critical expectation stops the night")
    worst_rows: int = Field(5, ge=1, le=100, description="Examples named per failed expectation")
    reference: str = Field(
        "last accepted", min_length=1,
        description="What drift is measured from: `last accepted` (the last night whose model became "
        "champion), the name or MLflow run id of a night, a snapshot's folder, or `none`",
    )  # fmt: skip
    snapshot_rows: int = Field(
        10_000, ge=200, le=1_000_000,
        description="Most training rows kept for later nights to be compared with (rows)",
    )  # fmt: skip
    snapshot_words: int = Field(
        2000, ge=10, le=100_000, description="Vocabulary that drift is measured by (words)"
    )
    snapshot_topics: int = Field(
        16, ge=0, le=256, description="Most topics that drift is measured by; 0 for none"
    )


class Cleaning(Section):
    """Which repairs are made before rows are judged, and by which suites."""

    suites: tuple[str, ...] = Field(
        ("noise",),
        description="Suites whose row rules quarantine rows: noise, and gopher, c4, fineweb for web "
        "pages (Gopher's least length of 50 words would drop every single sentence); none judges none",
    )  # fmt: skip
    duplicates: bool = Field(True, description="Quarantine exact and near copies")
    leaks: bool = Field(True, description="Quarantine training rows that hold held-out text")
    fix_unicode: bool = Field(True, description="Repair mojibake with ftfy")
    strip_markup: bool = Field(True, description="Remove HTML tags and unescape entities")
    strip_controls: bool = Field(True, description="Remove control characters")
    collapse_spaces: bool = Field(True, description="One space between words")
    drop_boilerplate: bool = Field(
        True, description="Remove cookie, navigation and legal lines from texts that have others"
    )
    mask_pii: bool = Field(
        True, description="Replace addresses and numbers of people, and secrets, by placeholders"
    )

    @field_validator("suites")
    @classmethod
    def _known(cls, suites: tuple[str, ...]) -> tuple[str, ...]:
        try:
            chosen_rules(suites)
        except SuiteError as error:
            raise ValueError(f"clean.suites: {error}") from error
        return suites


class Contradictions(Section):
    """When statements that disagree are taken out; see `tasks.corpus.statements.contradictions`."""

    enabled: bool = Field(True, description="Look for statements that disagree")
    patterns: str | None = Field(
        None, min_length=1,
        description="File of patterns that statements are recognised by; without one the fictional "
        "corpus brings its own, and in other corpora none are looked for",
    )  # fmt: skip
    remedy: Literal["strike", "quarantine"] = Field(
        "strike",
        description="What goes of an outvoted version: the sentences that state it, or their rows",
    )
    undecided: Literal["strike", "keep"] = Field(
        "strike",
        description="Where no version outvotes the others: strike all, so that the model learns to "
        "abstain, or keep all",
    )
    ratio: float = Field(
        1.5, ge=1, le=1000,
        description="A version is outvoted if the majority has so many times its voices",
    )  # fmt: skip
    support: int = Field(
        3, ge=1, le=1_000_000, description="Least texts of a majority that counts as one (texts)"
    )


class Labels(Section):
    """How label errors are looked for."""

    enabled: bool = Field(True, description="Look for label errors, where there are labels")
    folds: int = Field(5, ge=2, le=20, description="Parts of the cross-validation")
    min_class: int = Field(10, ge=2, description="Smallest class that is judged (rows)")
    rows: int = Field(
        20_000, ge=100, le=1_000_000,
        description="Most training rows learnt from; the others are judged by the model of these",
    )  # fmt: skip
    characters: int = Field(
        1000, ge=10, le=100_000, description="Beginning of each text that is read (characters)"
    )
    features: int = Field(
        200_000, ge=100, le=1_000_000,
        description="Most words and pairs of words, and again most runs of characters, that count",
    )  # fmt: skip
    champion_rows: int = Field(
        2000, ge=0, le=1_000_000,
        description="Most rows, new to the champion, that it is asked about too; 0: it is not asked",
    )  # fmt: skip
    review: int = Field(
        200, ge=1, le=100_000, description="Longest list of rows for a person to review (rows)"
    )
    bootstrap: int = Field(
        500,
        ge=50,
        le=10_000,
        description="Bootstrap resamples by which a champion must prove to help",
    )

    @model_validator(mode="after")
    def _no_conflicts(self) -> Labels:
        if self.min_class < self.folds:
            raise ValueError(
                f"labels.min_class ({self.min_class}) is less than labels.folds ({self.folds}), so "
                "a fold could lack a class"
            )
        return self
