"""The served model: what it says, what it refuses, and that it reads no file that was not registered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from numpy.typing import NDArray

from models import bundle
from models.attribution import occlusion
from tasks.tracking.served import ServedModel


class Counting:
    """Probability of `good` rises with every "good" in the text."""

    classes = ("bad", "good")
    has_head = True

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        good = np.array([min(0.5 + 0.2 * text.count("good"), 0.9) for text in texts])
        return np.stack([1 - good, good], axis=1)


def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **terms: Any) -> ServedModel:
    (tmp_path / "weights").write_bytes(b"weights")
    files = {"weights": hashlib.sha256(b"weights").hexdigest()}
    known = {"temperature": 1.0, "threshold": 0.8, "files": files, "rows": 3, "characters": 50}
    (tmp_path / "served.json").write_text(json.dumps(known | terms))
    monkeypatch.setattr(bundle.TextModel, "load", lambda folder: Counting())
    model = ServedModel()
    artifacts = {"bundle": str(tmp_path), "terms": str(tmp_path / "served.json")}
    model.load_context(SimpleNamespace(artifacts=artifacts))
    return model


def test_it_says_label_confidence_and_whether_it_should_be_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = served(tmp_path, monkeypatch)
    told = model.predict(None, pd.DataFrame({"text": ["good good", "good", "so"]}))
    assert told["label"].tolist() == ["good", "good", "bad"]
    assert told["confidence"].round(6).tolist() == [0.9, 0.7, 0.5]
    assert told["abstained"].tolist() == [False, True, True]
    assert told["probabilities"][1] == pytest.approx({"bad": 0.3, "good": 0.7})


def test_confidence_is_brought_to_scale_and_without_a_threshold_it_always_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = served(tmp_path, monkeypatch, temperature=2.0, threshold=None)
    told = model.predict(None, pd.DataFrame({"text": ["good good"]}))
    assert told["confidence"][0] == pytest.approx(0.9**0.5 / (0.9**0.5 + 0.1**0.5))
    assert told["abstained"].tolist() == [False]


def test_attributions_are_what_the_class_loses_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = served(tmp_path, monkeypatch)
    told = model.predict(None, pd.DataFrame({"text": ["a good day"]}), {"attributions": True})
    values = {one["word"]: one["value"] for one in told["attributions"][0]}
    assert values == pytest.approx({"a": 0.0, "good": 0.2, "day": 0.0})
    assert occlusion(Counting().predict_proba, "") == []


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["a"] * 4, "4 rows are more than the 3"),
        (["a", "b" * 51], "row 1 has 51 characters; 50 are allowed"),
        (["a", None], "row 1 is no text but NoneType"),
        ([3], "row 0 is no text but int"),
    ],
)
def test_what_is_no_request_is_refused_by_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[Any], said: str
) -> None:
    with pytest.raises(MlflowException, match=said) as error:
        served(tmp_path, monkeypatch).predict(None, pd.DataFrame({"text": rows}, dtype=object))
    assert error.value.get_http_status_code() == 400


def test_the_server_may_set_its_own_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_SERVED_ROWS", "4")
    model = served(tmp_path, monkeypatch)
    assert len(model.predict(None, pd.DataFrame({"text": ["a"] * 4}))) == 4


def test_a_file_that_was_changed_after_registration_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MlflowException, match="weights is not the one that was registered"):
        served(tmp_path, monkeypatch, files={"weights": "0" * 64})
