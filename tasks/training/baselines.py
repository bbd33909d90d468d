"""The baselines: what an LSTM and what mere counting make of the same text.

Encoder, LSTM and n-gram model guess the same hidden tokens of the same held-out rows, hidden as in
pretraining. The LSTM is trained by the encoder's own loop, on the same rows with the same masks,
without adversary; it is as good as its budget, so the tokens that each model saw stand beside its
figures.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from tokenizers import Tokenizer

from tasks.configuration import Baselines, Pretraining
from tasks.errors import UserError
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage
from tasks.training.baseline_figures import Judged, write
from tasks.training.pretraining import make_plan

if TYPE_CHECKING:
    from models.network.lstm import LstmMaskedModel
    from models.text.masking import Alphabet
    from models.text.order import Order
    from models.text.rows import Rows
    from models.training.judging import Hidden
    from models.training.schedule import Plan

_MOST_JUDGED = 65_536  # positions of held-out rows
_MOST_COUNTED = 20_000_000  # positions of training rows read by the n-gram model
_HELD_BACK = 10  # one training row in so many tunes the n-gram model's weights
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@stage
def baselines(
    packed: Path,
    tokenized: Path,
    pretrained: Path,
    *,
    config: Baselines,
    pretrain: Pretraining,
    seed: int,
    out: Path,
    scratch: Path,
    log: Log,
) -> Outcome:
    """Train and count the baselines, and judge them and the encoder on the same hidden tokens.

    Args:
        packed: Packed rows; `train` is learnt, `validation` judged.
        tokenized: Holds the vocabulary.
        pretrained: The encoder, under `model/`, and `training.json`.
        config: Which baselines, and their size.
        pretrain: The encoder's training, whose batches and masks are taken over.
        seed: That of the encoder's training.
        out: Gets `baselines.json`, `held_out.parquet` (a row per model and packed row) and
            `lstm/`, the same bytes for the same inputs.
        scratch: Gets the LSTM's checkpoints.
        log: Progress.

    Returns:
        Each model's loss and accuracy.

    Raises:
        UserError: The LSTM's loss diverged.
    """
    from models import devices
    from models.text.masking import Alphabet
    from models.text.rows import Rows, open_order
    from models.training.judging import hide

    devices.prepare()

    training, held_out = Rows.open(packed, "train"), Rows.open(packed, "validation")
    tokenizer = Tokenizer.from_file(str(tokenized / "tokenizer.json"))
    if not len(held_out):
        why = "there is no held-out text"
        (out / "baselines.json").write_bytes(orjson.dumps({"skipped": why}, option=_JSON))
        return Outcome(summary=why, skipped=why)
    alphabet, plan = Alphabet.of(tokenizer), _plan(config, pretrain, training.length, seed)
    held_out = held_out.sample(max(1, _MOST_JUDGED // training.length))
    hidden = hide(held_out, alphabet, seed)
    judged = [_encoder(pretrained, hidden, plan.rows)]
    if config.lstm:
        model, tokens = _train_lstm(
            training,
            open_order(packed, "train", seed),
            plan,
            alphabet,
            config,
            pretrain.checkpoint_seconds,
            scratch,
            log,
        )
        _save_lstm(model, out / "lstm")
        judged.append(_neural("lstm", model, tokens, hidden, plan.rows))
    if config.ngram:
        judged.append(_ngram(training, hidden, plan, alphabet))
    return write(out, judged, hidden, tokenizer, config.bootstrap, seed)


def _plan(config: Baselines, pretrain: Pretraining, length: int, seed: int) -> Plan:
    """The encoder's plan, with the LSTM's budget and rate, and no loss but the masked one."""
    theirs = make_plan(pretrain, length, seed)
    step = theirs.rows * theirs.accumulate
    return replace(
        theirs, presentations=step * max(1, round(config.tokens / length / step)), seconds=None,
        learning_rate=config.learning_rate, adversarial_share=0.0, next_sentence=0.0,
    )  # fmt: skip


def _encoder(pretrained: Path, hidden: Hidden, batch: int) -> Judged:
    from models import devices
    from models.network import hugging_face

    devices.prepare()
    model = hugging_face.load_masked(pretrained / "model")
    seen = orjson.loads((pretrained / "training.json").read_bytes())["tokens"]
    return _neural("encoder", model, seen, hidden, batch)


def _neural(name: str, model: Any, tokens: int, hidden: Hidden, batch: int) -> Judged:
    from models.training.judging import Judge

    losses, right = Judge(model, hidden, batch)()
    parameters = int(sum(np.prod(weight.shape) for weight in model.weights))
    return Judged(name, losses, right, parameters, tokens)


def _train_lstm(
    training: Rows,
    order: Order,
    plan: Plan,
    alphabet: Alphabet,
    config: Baselines,
    checkpoint_seconds: float,
    scratch: Path,
    log: Log,
) -> tuple[LstmMaskedModel, int]:
    """The trained LSTM and how many positions it was shown."""
    from models import devices
    from models.network.lstm import LstmConfig, build_lstm
    from models.training.loop import train
    from models.training.progress import Diverged, Now
    from models.training.trainer import Trainer

    shape = LstmConfig(len(alphabet.ordinary), config.layers, config.width)
    model = build_lstm(shape, plan.seed)

    def report(now: Now) -> None:
        log.progress(now.share, 1.0, f"LSTM loss {now.loss:.2f}")

    try:
        progress = train(
            Trainer(model, plan, training.length, alphabet, lanes=devices.lanes()),
            training,
            training.sample(0),  # judged at the end, beside the others
            scratch=scratch,
            checkpoint_seconds=checkpoint_seconds,
            report=report,
            order=order,
        )
    except Diverged as error:
        raise UserError(
            f"the LSTM baseline diverged: {error}",
            f"Lower baselines.learning_rate (now {config.learning_rate}).",
        ) from error
    return model, progress.micro_batches * plan.rows * training.length


def _save_lstm(model: LstmMaskedModel, folder: Path) -> None:
    from models.network import weights

    folder.mkdir()
    (folder / "config.json").write_bytes(orjson.dumps(model.config.to_dict(), option=_JSON))
    weights.save(model, folder / "lstm.safetensors")


def _ngram(training: Rows, hidden: Hidden, plan: Plan, alphabet: Alphabet) -> Judged:
    """Count nine tenths of the rows, weigh on the rest, and count all of them."""
    from models.text.ngram import NgramModel, visible
    from models.training.judging import hide

    seen = training.sample(max(1, _MOST_COUNTED // training.length))
    back = np.arange(len(seen)) % _HELD_BACK == _HELD_BACK - 1
    model = NgramModel(seen.tokens, alphabet)
    if back.any():
        first = None if seen.first is None else seen.first[back]
        part = replace(seen, tokens=seen.tokens[back], segments=seen.segments[back], first=first)
        asked = hide(part, alphabet, plan.seed)
        tuned = NgramModel(seen.tokens[~back], alphabet)
        tuned.fit(visible(asked.rows.tokens, *asked.which.T), asked.targets)
        model.weights = tuned.weights
    slots = visible(hidden.rows.tokens, *hidden.which.T)
    return Judged(
        "ngram",
        model.losses(slots, hidden.targets),
        model.guesses(slots) == hidden.targets,
        model.parameters,
        int((seen.segments > 0).sum()),
    )
