"""From the configuration to a trainer: the model to start from, its shape, plan and devices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Tokenizer

from tasks.configuration import Pretraining
from tasks.errors import UserError
from tasks.training.starting_point import encoder_folder

if TYPE_CHECKING:
    import tensorflow as tf

    from models.network.configuration import EncoderConfig
    from models.network.encoder import MaskedLanguageModel
    from models.training.schedule import Plan
    from models.training.trainer import Trainer


def make_trainer(
    config: Pretraining,
    tokenizer: Tokenizer,
    start: Path | None,
    length: int,
    seed: int,
    strategy: tf.distribute.Strategy | None = None,
) -> Trainer:
    """A model and its training, on the devices and in the precision that suit this machine.

    Args:
        config: Shape and plan.
        tokenizer: Of the packed rows.
        start: Folder of the model to go on from; None for a fresh one.
        length: Positions of a packed row.
        seed: Of initial weights, masks and order.
        strategy: Which devices take part; by default all that this process can see.

    Raises:
        UserError: The model to start from cannot be used, or the rows of a batch cannot be shared
            out among the devices.
    """
    from models import devices
    from models.text.masking import Alphabet
    from models.training import distribution
    from models.training.trainer import Trainer

    devices.prepare()  # before anything that makes TensorFlow choose its threads
    try:
        strategy = strategy or distribution.strategy()
    except ValueError as error:
        raise UserError(str(error), "Unset TF_CONFIG to train on this machine alone.") from error
    plan = make_plan(config, length, seed)
    if plan.rows % strategy.num_replicas_in_sync:
        raise UserError(
            f"the {plan.rows} rows of a micro-batch cannot be shared out among "
            f"{strategy.num_replicas_in_sync} devices",
            "Change pretrain.batch_tokens, pretrain.accumulate or the number of devices.",
        )
    with strategy.scope():
        model = _model(config, tokenizer, start, seed)
        return Trainer(model, plan, length, Alphabet.of(tokenizer), lanes=devices.lanes())


def make_plan(config: Pretraining, length: int, seed: int) -> Plan:
    """The plan of a run over packed rows of `length` positions."""
    from models.training.schedule import Plan

    steps = max(1, round(config.tokens / config.batch_tokens))
    rows = config.batch_tokens // config.accumulate // length
    named = {
        name: getattr(config, name)
        for name in (
            "accumulate", "ramp", "learning_rate", "warmup", "decay", "optimizer", "weight_decay",
            "clip", "average", "mask_rate", "mask_rate_end", "masking", "span", "next_sentence",
            "adversarial_epsilon", "spike", "rollbacks",
        )
    }  # fmt: skip
    return Plan(
        presentations=steps * rows * config.accumulate,
        rows=rows,
        adversarial_share=config.adversarial_share if config.adversarial == "fgm" else 0.0,
        seconds=None if config.minutes is None else 60.0 * config.minutes,
        seed=seed,
        **named,
    )


def _model(
    config: Pretraining, tokenizer: Tokenizer, start: Path | None, seed: int
) -> MaskedLanguageModel:
    from models import devices
    from models.network import hugging_face
    from models.network.encoder import build

    if start is None:
        vocabulary = max(tokenizer.get_vocab().values()) + 1
        shape = make_shape(config, vocabulary)
        return build(shape, seed, devices.dtype_policy(config.precision, shape.width))
    folder = encoder_folder(start)
    try:
        width = hugging_face.describe(folder).config.width
        policy = devices.dtype_policy(config.precision, width)
        return hugging_face.load_masked(folder, precision=policy)
    except ValueError as error:
        raise UserError(
            f"the model to start from cannot be used: {error}",
            "Name another one as pretrain.start, or `scratch`.",
        ) from error


def make_shape(config: Pretraining, vocabulary: int) -> EncoderConfig:
    """The shape of a fresh encoder."""
    from models.network.configuration import EncoderConfig
    from models.network.presets import preset

    if config.preset != "custom":
        return replace(preset(config.preset, vocabulary), tied=config.tied)
    return EncoderConfig(
        vocabulary=vocabulary, layers=config.layers, width=config.width, heads=config.heads,
        tied=config.tied,
    )  # fmt: skip
