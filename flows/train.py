"""From training corpus to candidate model: tokenize, pack, pretrain, finetune."""

from __future__ import annotations

from prefect import flow

from flows.prepare import prepare
from tasks.configuration import Configuration
from tasks.console import heading
from tasks.records import Night, Record
from tasks.tracking import runs
from tasks.training.baselines import baselines
from tasks.training.finetune import finetune
from tasks.training.pack import pack
from tasks.training.pretrain import pretrain
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
        tokenized = tokenize(prepared["augment"], config=c.tokenize)
        packed = pack(tokenized, config=c.tokenize)
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
