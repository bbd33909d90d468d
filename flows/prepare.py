"""From raw text to a training corpus: ingest, profile, validate, clean, audit, augment, correct."""

from __future__ import annotations

from prefect import flow

from tasks.augmentation.augment import augment
from tasks.augmentation.wordnet import wordnet_digest
from tasks.configuration import Configuration
from tasks.console import heading
from tasks.corpus.check_labels import check_labels
from tasks.corpus.clean import clean
from tasks.corpus.ingest import ingest
from tasks.corpus.profile import profile
from tasks.corpus.readers import source_digest
from tasks.corpus.validate import validate
from tasks.fairness.audit import audit
from tasks.fairness.correct import correct
from tasks.records import Night, Record
from tasks.tracking import history, registry, runs


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
        content = source_digest(c.source)
        raw = ingest(config=c.source, seed=c.seed, content=content)
        signals = profile(raw, config=c.profile)
        checked = validate(raw, signals, config=c.validation, strict=False)
        cleaned = clean(raw, signals, config=c.clean)
        clean_signals = profile(cleaned, config=c.profile, title="profile_clean")
        verified = validate(
            cleaned, clean_signals, config=c.validation, strict=True, title="validate_clean"
        )
        audited = audit(cleaned, config=c.fairness, seed=c.seed)
        augmented = augment(
            cleaned, config=c.augment, seed=c.seed, wordnet=wordnet_digest(c.augment.wordnet)
        )
        # After augmentation, since a counterfactual row belongs to the other group.
        corrected = correct(augmented, audited, config=c.fairness)
        labels = _labels(c, cleaned, signals, augmented)
    return {
        "ingest": raw, "profile": signals, "validate": checked, "clean": cleaned,
        "profile_clean": clean_signals, "validate_clean": verified, "audit": audited,
        "correct": corrected, "augment": augmented, **labels,
    }  # fmt: skip


def _labels(
    c: Configuration, cleaned: Record, signals: Record, augmented: Record
) -> dict[str, Record]:
    """Suspect labels, with the champion as a second opinion on rows that it was not taught on."""
    if not c.labels.enabled:
        return {}
    champion = taught = None
    # The corpus that training gets is what tells a repeated night from a new one.
    asked = registry.to_ask(augmented) if c.labels.champion_rows else None
    if asked is not None and (taught := history.left("augment", asked.corpus)) is not None:
        champion = registry.champion(digest=asked.digest, title="second_opinion")
    checked = check_labels(cleaned, signals, champion, taught, config=c.labels, seed=c.seed)
    return {"check_labels": checked}
