"""From training corpus to candidate model: tokenize, pack, pretrain, finetune."""

from __future__ import annotations

from prefect import flow

from flows.prepare import prepare
from tasks.configuration import Configuration
from tasks.console import heading
from tasks.records import Night, Record
from tasks.tracking import history, runs
from tasks.training.baselines import baselines
from tasks.training.finetune import finetune
from tasks.training.pack import pack
from tasks.training.pretrain import pretrain
from tasks.training.replay import replay
from tasks.training.tokenize import tokenize


@flow(name="train", flow_run_name="train", persist_result=False)
def train(
    configuration: Configuration = Configuration(),
    night: Night | None = None,
    prepared: dict[str, Record] | None = None,
) -> dict[str, Record]:
    """Pretrain the encoder adversarially and fine-tune the classifier.

    Args:
        configuration: Everything the run is told.
        night: The parent night; leave empty to start one of its own.
        prepared: What `prepare` returned; leave empty to run or reuse it.
    """
    c = configuration
    with runs.subflow("train", configuration, night) as night:
        prepared = prepared or prepare(configuration, night)
        size = f"{c.pretrain.layers} layers x {c.pretrain.width}"
        heading("train", f"{size}, {c.pretrain.tokens:,} tokens")
        replayed = _replayed(c, prepared)
        tokenized = tokenize(prepared["augment"], replayed, config=c.tokenize, seed=c.seed)
        packed = pack(tokenized, prepared["correct"], config=c.tokenize, seed=c.seed)
        pretrained = pretrain(packed, tokenized, config=c.pretrain, seed=c.seed)
        compared = baselines(
            packed, tokenized, pretrained, config=c.baselines, pretrain=c.pretrain, seed=c.seed
        )
        finetuned = finetune(
            pretrained, prepared["augment"], prepared["correct"], config=c.finetune, seed=c.seed
        )
    return {
        "tokenize": tokenized, "pack": packed, "pretrain": pretrained, "baselines": compared,
        "finetune": finetuned,
    }  # fmt: skip


def _replayed(c: Configuration, prepared: dict[str, Record]) -> Record | None:
    """Rows of earlier nights, if they are asked for and there are any."""
    if not c.tokenize.replay_share:
        return None
    earlier = history.earlier("augment", c.tokenize.replay_nights, prepared["augment"])
    if not earlier:
        return None
    return replay(
        prepared["augment"], prepared["profile"],
        earlier={f"night-{number:02}": record for number, record in enumerate(earlier, 1)},
        withheld={name: prepared[name] for name in ("ingest", "clean")},
    )  # fmt: skip
