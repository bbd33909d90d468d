"""From raw text to a training corpus: ingest, profile, validate, clean, audit, augment, correct."""

from __future__ import annotations

from prefect import flow

from tasks import mapping
from tasks.augmentation.augment import augment
from tasks.augmentation.translators import translators_digest
from tasks.augmentation.wordnet import wordnet_digest
from tasks.configuration import Configuration
from tasks.console import heading
from tasks.corpus.clean import clean
from tasks.corpus.drift.drift import drift
from tasks.corpus.drift.reference import reference, snapshot_digest
from tasks.corpus.drift.snapshot import snapshot
from tasks.corpus.duplicates.earlier import earlier_night, folder_digest
from tasks.corpus.ingest import ingest
from tasks.corpus.labels.check_labels import check_labels
from tasks.corpus.profile import profile
from tasks.corpus.quarantine import releases, withdrawals
from tasks.corpus.quarantine.withdrawn import Withdrawn
from tasks.corpus.reuse_rows import reuse_rows
from tasks.corpus.signals.registry import signals_digest
from tasks.corpus.sources.readers import source_digest
from tasks.corpus.statements.fact_patterns import patterns_text
from tasks.corpus.validate import suites_content, validate
from tasks.errors import UserError
from tasks.fairness.audit import audit
from tasks.fairness.correct import correct
from tasks.records import Night, Record
from tasks.tracking import history, references, registry, runs


@flow(name="prepare", flow_run_name="prepare", persist_result=False, validate_parameters=True)
def prepare(
    configuration: Configuration = Configuration(),
    night: Night | None = None,
    withdrawn: Withdrawn | None = None,
) -> dict[str, Record]:
    """Validate, clean, audit and augment the corpus.

    Args:
        configuration: Everything the run is told.
        night: The parent night; leave empty to start one of its own.
        withdrawn: Texts that are not trained on; leave empty for those that people have withdrawn.
    """
    c = configuration
    heading("prepare", c.source.snapshot or c.source.location)
    who = mapping.working_with(c.profile.runner, c.profile.workers)
    with who, runs.subflow("prepare", configuration, night):
        # What lies outside the configuration is given by its contents: unchanged, it reuses a stage.
        suites, released = suites_content(c.validation), releases.now()
        patterns = patterns_text(c.contradictions.patterns, c.source.location)
        raw = _rows(c)
        before, own = _earlier(c, raw), signals_digest(c.profile.signals)
        signals = profile(raw, before, config=c.profile, own_signals=own)
        drifted = _drift(c, raw, signals)
        checked = validate(
            raw, signals, drifted["drift"], config=c.validation, strict=False, content=suites
        )
        cleaned = clean(
            raw, signals, before, config=c.clean, contradictions=c.contradictions,
            patterns=patterns, own_signals=own, released=released,
            withdrawn=withdrawals.now() if withdrawn is None else withdrawn,
        )  # fmt: skip
        clean_signals = profile(
            cleaned, before, config=c.profile, own_signals=own, title="profile_clean"
        )
        drifted |= _drift(c, cleaned, clean_signals, suffix="_clean")
        verified = validate(
            cleaned, clean_signals, drifted["drift_clean"],
            config=c.validation, strict=True, content=suites, title="validate_clean",
        )  # fmt: skip
        audited = audit(cleaned, config=c.fairness, seed=c.seed)
        augmented = augment(
            cleaned, config=c.augment, seed=c.seed, wordnet=wordnet_digest(c.augment.wordnet),
            translators=translators_digest(c.augment.back_translation),
        )  # fmt: skip
        # After augmentation, since a counterfactual row belongs to the other group.
        corrected = correct(augmented, audited, config=c.fairness)
        labels = _labels(c, cleaned, signals, augmented)
    return {
        "ingest": raw, "profile": signals, "validate": checked, "clean": cleaned,
        "profile_clean": clean_signals, "validate_clean": verified, "audit": audited,
        "correct": corrected, "augment": augmented, **drifted, **labels,
    }  # fmt: skip


def _rows(c: Configuration) -> Record:
    """The source's rows as they are now, or as a night read them."""
    if c.source.snapshot is None:
        return ingest(config=c.source, seed=c.seed, content=source_digest(c.source))
    try:
        _, left = history.night(c.source.snapshot, ("ingest",))
    except UserError as error:
        raise UserError(
            f"source.snapshot is {c.source.snapshot!r}: {error.problem}", error.remedy
        ) from error
    return reuse_rows(left["ingest"], title="ingest")


def _earlier(c: Configuration, raw: Record) -> Record | None:
    """The earlier night's clean corpus that rows are looked up in, if one is asked for and there."""
    place = c.profile.earlier
    if place == "none":
        return None
    if place in ("last", "champion"):
        found = history.earlier("clean", 1, raw, like="ingest", accepted=place == "champion")
        return found[0] if found else None
    return earlier_night(location=place, content=folder_digest(place))


def _drift(
    c: Configuration, corpus: Record, signals: Record, suffix: str = ""
) -> dict[str, Record]:
    """What later nights are compared with, and what tonight is: another night's, or a folder."""
    cleaned, title = bool(suffix), f"snapshot{suffix}"
    taken = snapshot(
        corpus, signals, config=c.validation, cleaned=cleaned, seed=c.seed, title=title
    )
    wanted = c.validation.reference
    if (folder := references.folder_of(wanted)) is not None:
        content = snapshot_digest(folder)
        against = reference(location=wanted, content=content, title=f"reference{suffix}")
    elif wanted == references.NONE:
        against = None
    else:
        against = references.of_night(wanted, title, taken)
    compared = drift(
        corpus, signals, against, config=c.validation, cleaned=cleaned, title=f"drift{suffix}"
    )
    return {title: taken, f"drift{suffix}": compared}


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
