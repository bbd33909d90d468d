"""The classification head: what a text is, from the hidden states of its tokens."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from models.network.configuration import EncoderConfig
from models.network.encoder import Encoder, MaskedLanguageModel
from models.network.layers import PACKAGE


@keras.saving.register_keras_serializable(package=PACKAGE)
class Classifier(keras.Model):  # type: ignore[misc]
    """An encoder of its own, the mean of its hidden states, dropout, and one linear layer.

    The mean over a text's tokens, not the state at [CLS]: masked pretraining never asks anything
    of [CLS], so a short fine-tuning has nothing to build on there. On 8,500 film sentences, one
    epoch, two seeds, the mean was 3.5 and 3.4 points more accurate.

    Args:
        config: Shape of the encoder.
        classes: Number of classes.
        dropout: Share of the pooled features dropped in training.
        seed: Decides the head's initial weights and what is dropped.
    """

    def __init__(
        self,
        config: EncoderConfig,
        classes: int,
        dropout: float = 0.1,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "classifier")
        super().__init__(**kwargs)
        self.config = config
        self.classes = classes
        self.rate = dropout
        self.seed = seed
        self.encoder = Encoder(config, seed, dtype=self.dtype_policy)
        self.dropout = keras.layers.Dropout(dropout, seed=seed, name="dropout")
        self.scores = keras.layers.Dense(
            classes,
            name="scores",
            dtype="float32",
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02, seed=seed),
        )

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        self.encoder.build()
        self.scores.build((None, self.config.width))

    def call(self, tokens: Any, segments: Any, positions: Any, training: bool = False) -> Any:
        """Scores of each row, int32 (B, L) to float32 (B, C); a row is one text.

        A row of padding alone has scores too: those of a mean of nothing, which is zero.
        """
        hidden = self.encoder(tokens, segments, positions, training=training)  # (B, L, D)
        real = ops.cast(segments > 0, "float32")[:, :, None]
        total = ops.sum(ops.cast(hidden, "float32") * real, axis=1)
        pooled = total / ops.maximum(ops.sum(real, axis=1), 1.0)  # (B, D)
        return self.scores(self.dropout(pooled, training=training))

    def get_config(self) -> dict[str, Any]:
        """What Keras needs to make an equal classifier."""
        return {
            **super().get_config(),
            "config": self.config.to_dict(),
            "classes": self.classes,
            "dropout": self.rate,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Classifier:
        """The inverse of `get_config`."""
        return cls(**{**config, "config": EncoderConfig.from_dict(config["config"])})


def build_classifier(
    config: EncoderConfig, classes: int, *, dropout: float = 0.1, seed: int = 0
) -> Classifier:
    """A classifier with all its weights, the same ones for the same seed."""
    model = Classifier(config, classes, dropout, seed, dtype="float32")
    model.build()
    return model


def start_from(classifier: Classifier, pretrained: MaskedLanguageModel) -> None:
    """Copy the pretrained encoder into the classifier's."""
    ours, theirs = classifier.encoder.weights, pretrained.encoder.weights
    for weight, source in zip(ours, theirs, strict=True):
        weight.assign(source.value)
