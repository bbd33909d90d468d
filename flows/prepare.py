"""From raw text to a training corpus: ingest, profile, validate, clean, audit, augment, correct."""

from __future__ import annotations

from prefect import flow

from tasks.augmentation.augment import augment
from tasks.augmentation.wordnet import wordnet_digest
from tasks.configuration import Configuration
from tasks.console import heading
from tasks.corpus import releases
from tasks.corpus.clean import clean
from tasks.corpus.ingest import ingest
from tasks.corpus.profile import profile
from tasks.corpus.readers import source_digest
from tasks.corpus.validate import suites_content, validate
from tasks.fairness.audit import audit
from tasks.fairness.correct import correct
from tasks.records import Night, Record
from tasks.tracking import runs


@flow(name="prepare", flow_run_name="prepare", persist_result=False, validate_parameters=True)
def prepare(
    configuration: Configuration = Configuration(), night: Night | None = None
) -> dict[str, Record]:
    """Validate, clean, audit and augment the corpus.

    Args:
        configuration: Everything the run is told.
        night: The parent night; leave empty to start one of its own.
    """
    c = configuration
    heading("prepare", c.source.location)
    with runs.subflow("prepare", configuration, night):
        # What lies outside the configuration is given by its contents: unchanged, it reuses a stage.
        suites, released = suites_content(c.validation), releases.now()
        content = source_digest(c.source)
        raw = ingest(config=c.source, seed=c.seed, content=content)
        signals = profile(raw, config=c.profile)
        checked = validate(raw, signals, config=c.validation, strict=False, content=suites)
        cleaned = clean(raw, signals, config=c.clean, released=released)
        clean_signals = profile(cleaned, config=c.profile, title="profile_clean")
        verified = validate(
            cleaned, clean_signals, config=c.validation, strict=True, content=suites,
            title="validate_clean",
        )  # fmt: skip
        audited = audit(cleaned, config=c.fairness, seed=c.seed)
        augmented = augment(
            cleaned, config=c.augment, seed=c.seed, wordnet=wordnet_digest(c.augment.wordnet)
        )
        # After augmentation, since a counterfactual row belongs to the other group.
        corrected = correct(augmented, audited, config=c.fairness)
    return {
        "ingest": raw, "profile": signals, "validate": checked, "clean": cleaned,
        "profile_clean": clean_signals, "validate_clean": verified, "audit": audited,
        "correct": corrected, "augment": augmented,
    }  # fmt: skip
