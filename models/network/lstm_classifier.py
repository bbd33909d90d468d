"""The baseline's classifier: the LSTM, fine-tuned as the encoder is."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from models.network.layers import PACKAGE, normal
from models.network.lstm import LstmConfig, LstmEncoder, LstmMaskedModel


@keras.saving.register_keras_serializable(package=PACKAGE)
class LstmClassifier(keras.Model):  # type: ignore[misc]
    """Scores of a text from the mean of its hidden states, as `heads.Classifier` has them.

    Args:
        config: Shape of the LSTM.
        classes: Number of classes.
        dropout: Share of the pooled features dropped in training.
        seed: Decides the initial weights and what is dropped.
    """

    def __init__(
        self, config: LstmConfig, classes: int, dropout: float = 0.1, seed: int = 0, **kwargs: Any
    ) -> None:
        kwargs.setdefault("name", "lstm_classifier")
        super().__init__(**kwargs)
        self.config = config
        self.classes = self.outputs = classes
        self.rate = dropout
        self.seed = seed
        self.encoder = LstmEncoder(config, seed, dtype=self.dtype_policy)
        self.dropout = keras.layers.Dropout(dropout, seed=seed, name="dropout")
        self.scores = keras.layers.Dense(
            classes, name="scores", dtype="float32", kernel_initializer=normal(seed, 1, 0.02)
        )

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        self.encoder.build()
        self.scores.build((None, self.config.width))

    def call(self, tokens: Any, segments: Any, positions: Any, training: bool = False) -> Any:
        """Scores of each row, int32 (B, L) to float32 (B, C); a row is one text."""
        hidden = self.encoder(tokens, segments, positions, training=training)  # (B, L, D)
        real = ops.cast(segments > 0, "float32")[:, :, None]
        total = ops.sum(ops.cast(hidden, "float32") * real, axis=1)
        pooled = total / ops.maximum(ops.sum(real, axis=1), 1.0)  # (B, D)
        return self.scores(self.dropout(pooled, training=training))

    def get_config(self) -> dict[str, Any]:
        """What Keras needs to make an equal classifier."""
        return {
            **super().get_config(), "config": self.config.to_dict(), "classes": self.classes,
            "dropout": self.rate, "seed": self.seed,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> LstmClassifier:
        """The inverse of `get_config`."""
        return cls(**{**config, "config": LstmConfig.from_dict(config["config"])})


def lstm_classifier(pretrained: LstmMaskedModel, classes: int, seed: int = 0) -> LstmClassifier:
    """A float32 classifier that begins with the pretrained LSTM's weights."""
    model = LstmClassifier(pretrained.config, classes, seed=seed, dtype="float32")
    model.build()
    pairs = zip(model.encoder.weights, pretrained.encoder.weights, strict=True)
    for weight, source in pairs:
        weight.assign(source.value)
    return model
