"""The model as MLflow serves it: text in; label, probabilities and whether to believe it out.

MLflow stores this file as source and runs it to load the model, so nothing is unpickled. It must
therefore stand alone: it imports the `models` package that is stored beside it, and nothing else
of ours. What else it has to know lies beside the bundle in `served.json`: the temperature and the
threshold that validation rows asked for, the digest of every file, and the limits of a request.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException


class ServedModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Answers a table with one text column; rows keep their order."""

    def load_context(self, context: Any) -> None:
        """Load the bundle, once its files are what was registered; MLflow passes `context` by keyword.

        Raises:
            MlflowException: A file is missing, or is another one than was registered.
        """
        from models.bundle import TextModel

        bundle, terms = Path(context.artifacts["bundle"]), Path(context.artifacts["terms"])
        self._terms = json.loads(terms.read_text("utf-8"))
        for name, digest in self._terms["files"].items():
            path = bundle / name
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                raise MlflowException(f"the model's file {name} is not the one that was registered")
        self._model = TextModel.load(bundle)

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Answer N texts.

        Args:
            context: Unused.
            model_input: N rows, the text in the first column.
            params: `attributions`: whether to say what each word did, at a question to the model
                for each word.

        Returns:
            N rows: `label`; its `confidence`, at the temperature that makes it a probability;
            `probabilities` by class; `abstained`, whether the confidence is below what was shown to
            keep wrong answers rare; and `attributions`, if asked for.

        Raises:
            MlflowException: Too many rows, a row without text, a text that is too long, or a model
                without classes; the server answers 400.
        """
        if not self._model.has_head:
            raise _refused("this model has no classes: it was trained on text without labels")
        texts = self._texts(pd.DataFrame(model_input).iloc[:, 0].tolist())
        probabilities = self._probabilities(texts)  # (N, C)
        classes, confidence = self._model.classes, probabilities.max(axis=1)
        threshold = self._terms["threshold"]
        answer = {
            "label": [classes[i] for i in probabilities.argmax(axis=1)],
            "confidence": confidence,
            "probabilities": [
                dict(zip(classes, row, strict=True)) for row in probabilities.tolist()
            ],
            "abstained": confidence < (threshold if threshold is not None else 0.0),
        }
        if (params or {}).get("attributions"):
            answer["attributions"] = [self._attributions(text) for text in texts]
        return pd.DataFrame(answer)

    def _texts(self, rows: list[Any]) -> list[str]:
        """The rows, each of them a text that is not too long."""
        most = self._limit("rows")
        if len(rows) > most:
            raise _refused(f"{len(rows):,} rows are more than the {most:,} of one request")
        longest = self._limit("characters")
        for number, row in enumerate(rows):
            if not isinstance(row, str):
                raise _refused(f"row {number} is no text but {type(row).__name__}")
            if len(row) > longest:
                raise _refused(f"row {number} has {len(row):,} characters; {longest:,} are allowed")
        return rows

    def _limit(self, name: str) -> int:
        """What the environment of the server says, else what was registered."""
        return int(os.environ.get(f"PLUMBLINE_SERVED_{name.upper()}", self._terms[name]))

    def _probabilities(self, texts: Sequence[str]) -> Any:
        import numpy as np

        logs = np.log(np.maximum(self._model.predict_proba(texts), 1e-12))
        shares = np.exp(logs / self._terms["temperature"])
        return shares / shares.sum(axis=1, keepdims=True)

    def _attributions(self, text: str) -> list[dict[str, Any]]:
        from models.attribution import occlusion

        found = occlusion(self._probabilities, text)
        return [{"word": word, "start": start, "value": value} for word, start, value in found]


def _refused(why: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(why)


mlflow.models.set_model(ServedModel())
