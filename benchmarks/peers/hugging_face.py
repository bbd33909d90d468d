"""Hugging Face's `Trainer` with `BertForMaskedLM`, on torch.

Model: BERT with a feed-forward layer of four times the width, dropout 0 in pretraining as in ours.
Data: `DataCollatorForLanguageModeling`, its own 80/10/10. Layouts:

- `max_length`: a document a row, padded to the row's length (`run_mlm.py --line_by_line
  --pad_to_max_length`);
- `longest`: the same, padded by the collator to the longest row of its batch, its own default;
- `grouped`: documents concatenated and cut into full rows (`run_mlm.py`'s `group_texts`).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import corpora
import numpy as np
import prepared
import torch
from gate import Clock, Gate
from tokenizers import Tokenizer, models

os.environ["USE_TF"] = "0"
from transformers import (  # noqa: E402
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    DataCollatorForLanguageModeling,
    DataCollatorWithPadding,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

_FOREVER = 10**7  # steps that no budget reaches


def throughput(
    answers: TextIO, *, shape: dict[str, int], length: int, batch: int, layout: str, bf16: bool,
    documents: int,
) -> None:  # fmt: skip
    """Train on made-up documents for as long as the parent asks; units are real tokens."""
    rows = _rows(corpora.made_up(documents, seed=0), length, layout)
    tokens = sum(len(row) for row in rows) - sum(row.count(corpora.PAD) for row in rows)
    gate = Gate(answers, batch * tokens / len(rows))
    trainer = _trainer(
        _model(shape), rows, batch=batch, bf16=bf16, learning_rate=1e-4, seed=0,
        callback=_Between(gate.passed),
    )  # fmt: skip
    trainer.train()


def budget(
    answers: TextIO, *, folder: str, shape: dict[str, int], length: int, batch: int, bf16: bool,
    seconds: float, learning_rate: float, mask_rate: float, seed: int, tune: dict[str, Any] | None,
) -> dict[str, Any]:  # fmt: skip
    """Pretrain for so long on grouped texts, judge, and fine-tune if asked to.

    Returns:
        `nats`, of the hidden held-out tokens in the better of both layouts, `steps`, and what
        fine-tuning came to.
    """
    data = prepared.Prepared.open(Path(folder))
    rows = _rows(data.training, length, "grouped")
    model = _model(shape, seed)
    clock = Clock(seconds)
    trainer = _trainer(
        model, rows, batch=batch, bf16=bf16, learning_rate=learning_rate, seed=seed,
        callback=_Until(clock), schedule=clock.factor, mask_rate=mask_rate,
    )  # fmt: skip
    done = trainer.train()
    nats = {name: _nats(model, *data.held_out(name)) for name in prepared.LAYOUTS}
    found = {"nats": min(nats.values()), "layouts": nats, "steps": done.global_step}
    if tune:
        accuracy = [_finetune(model, data, seed=seed, rate=rate, **tune) for rate in tune["rates"]]
        found |= prepared.choose(tune["rates"], accuracy)
    return found


class _Between(TrainerCallback):  # type: ignore[misc]
    """Calls something after every step."""

    def __init__(self, passed: Callable[[], None]) -> None:
        self._passed = passed

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._passed()


class _Until(TrainerCallback):  # type: ignore[misc]
    """Ends the training when its time is spent."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._clock.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_training_stop = self._clock.spent >= 1


class _Rows(torch.utils.data.Dataset):  # type: ignore[misc]
    """Token ids as the collators take them."""

    def __init__(self, rows: list[list[int]], labels: list[int] | None = None) -> None:
        self._rows = rows
        self._labels = labels

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self._rows[index]
        values = {"input_ids": row, "attention_mask": [int(token != corpora.PAD) for token in row]}
        if self._labels is not None:
            return {**values, "labels": self._labels[index]}
        special = [int(token < corpora.FIRST and token != corpora.UNKNOWN) for token in row]
        return {**values, "special_tokens_mask": special}


def _rows(documents: corpora.Documents, length: int, layout: str) -> list[list[int]]:
    if layout == "grouped":
        return corpora.grouped(documents, length).tolist()
    rows = corpora.padded(documents, length).tolist()
    if layout == "max_length":
        return rows
    return [[token for token in row if token != corpora.PAD] for row in rows]


def _tokenizer() -> PreTrainedTokenizerFast:
    """Only what the collators need: the special tokens' ids and the number of words."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += [f"w{number}" for number in range(corpora.FIRST, corpora.VOCABULARY)]
    level = models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]")
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]"}
    names |= {"sep_token": "[SEP]", "mask_token": "[MASK]"}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(level), **names)


def _model(shape: dict[str, int], seed: int = 0) -> BertForMaskedLM:
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=corpora.VOCABULARY, num_hidden_layers=shape["layers"],
        hidden_size=shape["width"], num_attention_heads=shape["heads"],
        intermediate_size=4 * shape["width"], hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, pad_token_id=corpora.PAD,
    )  # fmt: skip
    return BertForMaskedLM(config)


def _trainer(
    model: BertForMaskedLM, rows: list[list[int]], *, batch: int, bf16: bool, learning_rate: float,
    seed: int, callback: TrainerCallback, schedule: Callable[[int], float] | None = None,
    mask_rate: float = corpora.MASK_RATE,
) -> Trainer:  # fmt: skip
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(), per_device_train_batch_size=batch, max_steps=_FOREVER,
        bf16=bf16, use_cpu=True, report_to=[], save_strategy="no", disable_tqdm=True, seed=seed,
        learning_rate=learning_rate, weight_decay=0.01, warmup_steps=0,
    )  # fmt: skip
    collator = DataCollatorForLanguageModeling(_tokenizer(), mlm_probability=mask_rate)
    trainer = Trainer(model, arguments, collator, train_dataset=_Rows(rows), callbacks=[callback])
    if schedule is not None:
        optimizer = trainer.create_optimizer()
        trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    return trainer


@torch.no_grad()
def _nats(model: BertForMaskedLM, rows: Any, targets: Any) -> float:
    """Summed loss of the hidden tokens; `targets` is -100 everywhere else."""
    model.eval()
    total = 0.0
    for start in range(0, len(rows), 64):
        tokens = torch.tensor(rows[start : start + 64]).long()
        logits = model(tokens, attention_mask=(tokens != corpora.PAD).long()).logits.float()
        wanted = torch.tensor(targets[start : start + 64]).long()
        total += float(torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), wanted.flatten(), ignore_index=-100, reduction="sum"
        ))  # fmt: skip
    return total


def _finetune(
    model: BertForMaskedLM, data: prepared.Prepared, *, seed: int, rate: float, epochs: int,
    batch: int, length: int, rates: list[float],
) -> tuple[float, float]:  # fmt: skip
    """Validation and test accuracy of the epoch with the lowest validation loss."""
    torch.manual_seed(seed)
    config = BertConfig(**{**model.config.to_dict(), "classifier_dropout": 0.1, "num_labels": 2})
    classifier = BertForSequenceClassification(config)
    classifier.bert.load_state_dict(model.bert.state_dict(), strict=False)
    sets = {}
    for split in prepared.SPLITS:
        documents, labels = data.labelled(split)
        sets[split] = _Rows(_rows(documents, length, "longest"), labels.tolist())
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, per_device_train_batch_size=batch, num_train_epochs=epochs,
            per_device_eval_batch_size=64, learning_rate=rate, warmup_ratio=0.1, weight_decay=0.01,
            eval_strategy="epoch", save_strategy="epoch", load_best_model_at_end=True,
            save_total_limit=1, use_cpu=True, report_to=[], disable_tqdm=True, seed=seed,
        )  # fmt: skip
        trainer = Trainer(
            classifier, arguments, DataCollatorWithPadding(_tokenizer()),
            train_dataset=sets["train"], eval_dataset=sets["validation"],
        )  # fmt: skip
        trainer.train()
        found = []
        for split in ("validation", "test"):
            said = trainer.predict(sets[split])
            found.append(float((np.argmax(said.predictions, -1) == said.label_ids).mean()))
    return found[0], found[1]
