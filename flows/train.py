"""From training corpus to candidate model: tokenize, pack, pretrain, finetune, and other heads."""

from __future__ import annotations

from prefect import flow

from flows.prepare import prepare
from tasks.configuration import Configuration
from tasks.console import heading
from tasks.corpus.quarantine import withdrawals
from tasks.records import Night, Record
from tasks.tracking import history, registry, runs
from tasks.training.baselines import baselines
from tasks.training.finetune import finetune
from tasks.training.labelled_files import content_digest
from tasks.training.pack import pack
from tasks.training.pairs import pairs
from tasks.training.pretrain import pretrain
from tasks.training.replay import replay
from tasks.training.start import start, start_digest
from tasks.training.tagging import tag
from tasks.training.tokenize import tokenize


@flow(name="train", flow_run_name="train", persist_result=False)
def train(
    configuration: Configuration = Configuration(),
    night: Night | None = None,
    prepared: dict[str, Record] | None = None,
) -> dict[str, Record]:
    """Pretrain the encoder adversarially and fine-tune the classifier.

    A tagger of words and a classifier of pairs are trained too, where files for them are named.

    Args:
        configuration: Everything the run is told.
        night: The parent night; leave empty to start one of its own.
        prepared: What `prepare` returned; leave empty to run or reuse it.
    """
    c = configuration
    with runs.subflow("train", configuration, night) as night:
        prepared = prepared or prepare(configuration, night)
        heading("train", _what(c))
        trained = material(c, prepared)
        packed, tokenized = trained["pack"], trained["tokenize"]
        pretrained = pretrain(
            packed, tokenized, trained.get("start"), config=c.pretrain, seed=c.seed
        )
        compared = baselines(
            packed, tokenized, pretrained, config=c.baselines, pretrain=c.pretrain, seed=c.seed
        )
        finetuned = finetune(
            pretrained, prepared["augment"], prepared["correct"], config=c.finetune, seed=c.seed
        )
        trained |= {"pretrain": pretrained, "baselines": compared, "finetune": finetuned}
        if c.tag.train:
            content = content_digest(c.tag)
            trained["tag"] = tag(pretrained, config=c.tag, seed=c.seed, content=content)
        if c.pairs.train:
            content = content_digest(c.pairs)
            trained["pairs"] = pairs(pretrained, config=c.pairs, seed=c.seed, content=content)
    return trained


def _what(c: Configuration) -> str:
    """What is trained, and for how long, in a few words."""
    p = c.pretrain
    if p.start != "scratch":
        shape = f"from {p.start}"
    elif p.preset != "custom":
        shape = f"preset {p.preset}"
    else:
        shape = f"{p.layers} layers x {p.width}"
    return shape + (f", {p.minutes:g} minutes" if p.minutes else f", {p.tokens:,} tokens")


def material(c: Configuration, prepared: dict[str, Record]) -> dict[str, Record]:
    """What pretraining works on: the packed rows, their vocabulary, and a model to start from.

    Args:
        c: Everything the run is told.
        prepared: What `prepare` returned.

    Returns:
        `tokenize`, `pack`, and `start` unless training begins from scratch.
    """
    return material_from(c, prepared, _start(c, prepared))


def material_from(
    c: Configuration,
    prepared: dict[str, Record],
    begun: Record | None,
    tonight: Record | None = None,
) -> dict[str, Record]:
    """The same with a given model to start from.

    Args:
        c: Everything the run is told.
        prepared: What `prepare` returned.
        begun: The model; None to begin from scratch.
        tonight: The augmented corpus of the night that this repeats with other rows, so that it
            replays what that night replayed.
    """
    replayed = _replayed(c, prepared, tonight or prepared["augment"])
    tokenized = tokenize(prepared["augment"], replayed, begun, config=c.tokenize, seed=c.seed)
    weights = prepared["correct"] if c.tokenize.row_weights else None
    packed = pack(tokenized, weights, config=c.tokenize, seed=c.seed)
    found = {"tokenize": tokenized, "pack": packed}
    return found | ({"start": begun} if begun else {})


def _start(c: Configuration, prepared: dict[str, Record]) -> Record | None:
    """The model to go on from, if not from scratch."""
    place, revision = c.pretrain.start, c.pretrain.revision
    if place == "scratch":
        return None
    if place == "champion":
        digest = registry.to_start_from(prepared["augment"])
        return registry.champion(digest=digest, title="start") if digest else None
    return start(location=place, revision=revision, content=start_digest(place, revision))


def _replayed(c: Configuration, prepared: dict[str, Record], tonight: Record) -> Record | None:
    """Rows of earlier nights, if they are asked for and there are any."""
    if not c.tokenize.replay_share:
        return None
    earlier = history.earlier("augment", c.tokenize.replay_nights, tonight)
    if not earlier:
        return None
    return replay(
        prepared["augment"], prepared["profile"],
        earlier={f"night-{number:02}": record for number, record in enumerate(earlier, 1)},
        withheld={name: prepared[name] for name in ("ingest", "clean")},
        withdrawn=withdrawals.now(),
    )  # fmt: skip
