"""The model as MLflow serves it: text in, label and probabilities out.

MLflow stores this file as source and runs it to load the model, so nothing is unpickled. It must
therefore stand alone: it imports the `models` package that is stored beside it, and nothing else
of ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd


class ServedModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Answers a table with one text column; rows keep their order."""

    def load_context(self, context: Any) -> None:
        """Load the bundle; MLflow passes `context` by keyword."""
        from models.bundle import TextModel

        self._model = TextModel.load(Path(context.artifacts["bundle"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Label, confidence and probabilities (N rows) of N texts."""
        texts = [str(text) for text in pd.DataFrame(model_input).iloc[:, 0]]
        probabilities = self._model.predict_proba(texts)  # (N, C)
        classes = self._model.classes
        return pd.DataFrame(
            {
                "label": [classes[i] for i in probabilities.argmax(axis=1)],
                "confidence": probabilities.max(axis=1),
                "probabilities": [
                    dict(zip(classes, row, strict=True)) for row in probabilities.tolist()
                ],
            }
        )


mlflow.models.set_model(ServedModel())
