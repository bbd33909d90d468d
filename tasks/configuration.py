"""The configuration of one run: typed, frozen, bounded, and refused before any work if wrong.

The same object is loaded from YAML, changed from the command line, saved with the run, and
rendered as the form in the Prefect UI. Each stage is given its own section only, so a change to
one section recomputes only the stages that read it.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from expectations.rules import SuiteError, chosen_rules

Share = Field(ge=0.0, le=1.0)
# Marks a field that no stage's result depends on: it says when checkpoints are written, or where
# a file lies whose contents are digested besides.
ASIDE: dict[str, JsonValue] = {"in_key": False}


def aside(section: type[BaseModel]) -> set[str]:
    """The fields of a section that are left out of the keys of stages."""
    return {
        name
        for name, field in section.model_fields.items()
        if isinstance(field.json_schema_extra, dict)
        and field.json_schema_extra.get("in_key") is False
    }


class Section(BaseModel):
    """Base of all sections: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
        ("noise",), min_length=1,
        description="Suites whose row rules quarantine rows: noise, and gopher, c4, fineweb for web "
        "pages (Gopher's least length of 50 words would drop every single sentence)",
    )  # fmt: skip
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

    patterns: str | None = Field(
        None, min_length=1,
        description="File of patterns that statements are recognised by; without one the fictional "
        "corpus brings its own, and in other corpora none are looked for",
    )  # fmt: skip
    ratio: float = Field(
        1.5, ge=1, le=1000,
        description="A minority goes to quarantine if the majority has so many times its texts",
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
    wordnet: str | None = Field(
        None, description="Folder or parquet of WordNet, for more synonyms", json_schema_extra=ASIDE
    )


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
    tokens: int = Field(4_000_000, ge=1000, description="Training budget (token presentations)")
    minutes: float | None = Field(
        None, gt=0, le=60 * 24 * 14,
        description="Time after which training ends, decayed, if `tokens` are not spent by then "
        "(min); such a run is not repeatable to the bit",
    )  # fmt: skip
    batch_tokens: int = Field(1024, ge=64, description="Tokens per optimizer step")
    accumulate: int = Field(
        1, ge=1, le=1024, description="Micro-batches that a step's tokens are computed in"
    )
    ramp: float = Field(
        0.0, ge=0, le=1, description="Share of the budget during which these grow from one to all"
    )
    learning_rate: float = Field(4e-3, gt=0, le=1, description="Peak of the schedule")
    warmup: float = Field(0.05, ge=0, le=0.5, description="Share of the budget that warms up")
    decay: float = Field(0.3, ge=0, le=1, description="Share of the budget that decays to zero")
    optimizer: Literal["adamw", "stable_adamw"] = Field(
        "adamw", description="`stable_adamw` limits each matrix's update"
    )
    weight_decay: float = Field(0.01, ge=0, le=1, description="AdamW's decoupled decay")
    clip: float = Field(1.0, ge=0, description="Largest norm of the gradient; 0 for no limit")
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


class Evaluation(Section):
    """How the model is judged."""

    max_rows: int = Field(2000, ge=10, description="Most test rows judged")
    bootstrap: int = Field(
        1000, ge=50, le=100_000, description="Bootstrap resamples of an interval"
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


class Explanation(Section):
    """Which predictions are explained, and how finely."""

    examples: int = Field(6, ge=0, le=100, description="Predictions explained, wrong ones first")
    shap_evaluations: int = Field(
        500, ge=20, le=10_000, description="Model rows per SHAP explanation"
    )
    lime_samples: int = Field(
        300, ge=50, le=10_000, description="Perturbed texts per LIME explanation"
    )


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


class Configuration(Section):
    """Everything one nightly run is told."""

    seed: int = Field(20, ge=0, lt=2**31, description="Seed of every random choice")
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
