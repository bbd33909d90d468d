"""KerasHub's masked-LM task, `BertMaskedLM`, on TensorFlow.

Two ways to run it, of which the faster one counts against us: `fit`, as users call it, and `bare`,
its own compiled training function through `train_on_batch` with batches made beforehand. (`fit` was
seen to wait for doubling times on a machine whose custom loops did not.)

Two layouts: `padded`, raw strings through its own preprocessor, which knows no packing, and
`grouped`, full rows of concatenated documents, masked by its `MaskedLMMaskGenerator`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import corpora
import keras
import keras_hub
import numpy as np
import prepared
import tensorflow as tf
from gate import Clock, Gate

_PREPARED = 64  # batches made beforehand for `bare`


def throughput(
    answers: TextIO, *, shape: dict[str, int], length: int, batch: int, layout: str, way: str,
    policy: str, documents: int,
) -> None:  # fmt: skip
    """Train on made-up documents for as long as the parent asks; units are real tokens.

    Args:
        answers: To the parent.
        shape: `layers`, `width`, `heads`.
        length: Positions of a row.
        batch: Rows.
        layout: `padded` or `grouped`.
        way: `fit`, `bare`, or `bare_no_xla` where Keras would choose XLA.
        policy: Keras dtype policy.
        documents: How many.
    """
    made = corpora.made_up(documents, seed=0)
    rows = (corpora.padded if layout == "padded" else corpora.grouped)(made, length)
    gate = Gate(answers, batch * length * corpora.fill(rows))
    model = _model(shape, length, policy, xla="auto" if way != "bare_no_xla" else False)
    if way == "fit":
        if layout == "padded":
            strings = [" ".join(f"w{t}" for t in document) for document in made.each()]
            model.preprocessor = _preprocessor(length)
            data = tf.data.Dataset.from_tensor_slices(strings).shuffle(len(strings)).repeat()
            data = data.batch(batch)
            data = data.map(model.preprocessor, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
            model.preprocessor = None
        else:
            data = _masked(rows, batch, length, seed=0).repeat()
        between = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs=None: gate.passed()
        )
        model.fit(data, epochs=1, steps_per_epoch=10**7, verbose=0, callbacks=[between])
        return
    batches = list(_masked(rows, batch, length, seed=0).repeat().take(_PREPARED))
    while True:
        for one in batches:
            model.train_on_batch(*one)
            gate.passed()


def budget(
    answers: TextIO, *, folder: str, shape: dict[str, int], length: int, batch: int, policy: str,
    seconds: float, learning_rate: float, mask_rate: float, seed: int, tune: dict[str, Any] | None,
) -> dict[str, Any]:  # fmt: skip
    """Pretrain for so long on grouped texts, judge, and fine-tune if asked to.

    Driven by `train_on_batch`, which loses no time between steps as `fit` may.
    """
    data = prepared.Prepared.open(Path(folder))
    rows = corpora.grouped(data.training, length)
    keras.utils.set_random_seed(seed)
    model = _model(shape, length, policy, xla="auto" if policy == "float32" else False)
    clock, steps = Clock(seconds), 0
    for one in _masked(rows, batch, length, seed=seed, rate=mask_rate).repeat():
        clock.start()
        model.optimizer.learning_rate = learning_rate * clock.factor()
        model.train_on_batch(*one)
        steps += 1
        if clock.spent >= 1:
            break
    nats = {name: _nats(model, *data.held_out(name)) for name in prepared.LAYOUTS}
    found = {"nats": min(nats.values()), "layouts": nats, "steps": steps}
    if tune:
        weights = model.backbone.get_weights()
        accuracies = []
        for rate in tune["rates"]:
            backbone = _backbone(shape, length, "float32")
            backbone.set_weights(weights)
            keras.utils.set_random_seed(seed)
            accuracies.append(_finetune(backbone, data, rate=rate, seed=seed, **tune))
        found |= prepared.choose(tune["rates"], accuracies)
    return found


def _backbone(shape: dict[str, int], length: int, policy: str) -> Any:
    return keras_hub.models.BertBackbone(
        vocabulary_size=corpora.VOCABULARY, num_layers=shape["layers"], num_heads=shape["heads"],
        hidden_dim=shape["width"], intermediate_dim=4 * shape["width"], dropout=0.0,
        max_sequence_length=length, dtype=policy,
    )  # fmt: skip


def _model(shape: dict[str, int], length: int, policy: str, xla: str | bool) -> Any:
    model = keras_hub.models.BertMaskedLM(_backbone(shape, length, policy))
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=keras.optimizers.AdamW(1e-4, weight_decay=0.01, global_clipnorm=1.0),
        weighted_metrics=[], jit_compile=xla,
    )  # fmt: skip
    return model


def _slots(length: int, rate: float = corpora.MASK_RATE) -> int:
    return max(1, round(rate * length))


def _preprocessor(length: int) -> Any:
    """Its own, from strings; the made-up words are one token each."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += [f"w{number}" for number in range(corpora.FIRST, corpora.VOCABULARY)]
    return keras_hub.models.BertMaskedLMPreprocessor(
        keras_hub.tokenizers.BertTokenizer(words, lowercase=True), sequence_length=length,
        mask_selection_rate=corpora.MASK_RATE, mask_selection_length=_slots(length),
    )  # fmt: skip


def _masked(
    rows: corpora.Int32, batch: int, length: int, seed: int, rate: float = corpora.MASK_RATE
) -> tf.data.Dataset:
    """Shuffled batches, masked anew in every epoch by KerasHub's own layer."""
    masker = keras_hub.layers.MaskedLMMaskGenerator(
        vocabulary_size=corpora.VOCABULARY, mask_selection_rate=rate,
        mask_token_id=corpora.MASK, mask_selection_length=_slots(length, rate),
        unselectable_token_ids=[corpora.PAD, corpora.BEGIN, corpora.END, corpora.MASK],
    )  # fmt: skip

    def fill_in(tokens: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        found = masker(tokens)
        inputs = {
            "token_ids": tf.ensure_shape(found["token_ids"], (batch, length)),
            "padding_mask": tokens != corpora.PAD,
            "segment_ids": tf.zeros_like(tokens),
            "mask_positions": found["mask_positions"],
        }
        return inputs, found["mask_ids"], found["mask_weights"]

    data = tf.data.Dataset.from_tensor_slices(rows).shuffle(len(rows), seed=seed)
    data = data.batch(batch, drop_remainder=True)
    return data.map(fill_in, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _inputs(rows: corpora.Int32) -> dict[str, Any]:
    return {
        "token_ids": rows,
        "padding_mask": rows != corpora.PAD,
        "segment_ids": np.zeros_like(rows),
    }


def _nats(model: Any, rows: corpora.Int32, targets: corpora.Int32) -> float:
    """Summed loss of the hidden tokens."""
    slots = int((targets >= 0).sum(1).max())
    positions = np.argsort(targets < 0, axis=1, kind="stable")[:, :slots]  # the asked for first
    wanted = np.take_along_axis(targets, positions, axis=1)
    score = tf.function(lambda inputs: tf.nn.log_softmax(tf.cast(model(inputs), tf.float32)))
    total = 0.0
    for part in _parts(len(rows), 64):
        found = score({**_inputs(rows[part]), "mask_positions": positions[part]}).numpy()
        chosen = np.take_along_axis(found, np.maximum(wanted[part], 0)[..., None], -1)[..., 0]
        total -= float(chosen[wanted[part] >= 0].sum())
    return total


def _parts(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


def _finetune(
    backbone: Any, data: prepared.Prepared, *, seed: int, rate: float, epochs: int, batch: int,
    length: int, rates: list[float],
) -> tuple[float, float]:  # fmt: skip
    """Validation and test accuracy of the epoch with the lowest validation loss."""
    documents, labels = data.labelled("train")
    rows = corpora.padded(documents, length)
    steps = epochs * (len(rows) // batch)
    classifier = keras_hub.models.BertTextClassifier(backbone, num_classes=2)
    schedule = keras.optimizers.schedules.PolynomialDecay(rate, steps, 0.0)
    classifier.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=keras.optimizers.AdamW(_warmed(schedule, steps), weight_decay=0.01),
        jit_compile=False,
    )
    judge = tf.function(lambda inputs: classifier(inputs, training=False))
    rng = np.random.default_rng(seed)
    best = (float("inf"), 0.0, 0.0)
    for _ in range(epochs):
        order = rng.permutation(len(rows))
        for part in _parts(len(rows) // batch * batch, batch):
            classifier.train_on_batch(_inputs(rows[order[part]]), labels[order[part]])
        loss, accuracy = _judged(judge, *data.labelled("validation"), length)
        if loss < best[0]:
            best = (loss, accuracy, _judged(judge, *data.labelled("test"), length)[1])
    return best[1], best[2]


def _warmed(schedule: Any, steps: int) -> Any:
    class Warmed(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        def __call__(self, step: Any) -> Any:
            rising = (keras.ops.cast(step, "float32") + 1.0) / max(1.0, 0.1 * steps)
            return schedule(step) * keras.ops.minimum(1.0, rising)

    return Warmed()


def _judged(
    judge: Callable[[Any], Any], documents: corpora.Documents, labels: corpora.Int32, length: int
) -> tuple[float, float]:
    rows = corpora.padded(documents, length)
    logits = np.concatenate([judge(_inputs(rows[part])).numpy() for part in _parts(len(rows), 64)])
    shares = tf.nn.log_softmax(logits).numpy()
    loss = -float(shares[np.arange(len(labels)), labels].mean())
    return loss, float((logits.argmax(-1) == labels).mean())
