"""Claims about the fact probes: three outcomes, the threshold, risk against coverage."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest

from models import bundle
from tasks.configuration import Evaluation
from tasks.evaluation.hallucination import (
    OUTCOMES,
    TAU_WITHOUT_VALIDATION,
    choose_tau,
    hallucination,
    judge,
)
from tasks.evaluation.risk import area_under_risk_coverage, risk_of_the_surest
from tasks.log import Log


def _answered(rows: list[tuple[str, str, float]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["answer", "asserted", "confidence"], orient="row")


def test_tau_is_where_right_answers_outnumber_wrong_ones_the_most() -> None:
    rows = _answered([("a", "a", 0.9), ("a", "a", 0.6), ("a", "b", 0.5), ("a", "b", 0.4)])
    # everything above 0.5 is right; of all thresholds in (0.5, 0.6] the highest is taken
    assert choose_tau(rows) == pytest.approx(0.6)


def test_a_model_that_is_mostly_wrong_is_made_to_say_nothing() -> None:
    assert choose_tau(_answered([("a", "b", 0.9), ("a", "a", 0.3)])) == 1.0


def test_without_validation_probes_tau_is_the_documented_default() -> None:
    assert choose_tau(_answered([]).cast({"confidence": pl.Float64})) == TAU_WITHOUT_VALIDATION


def test_each_probe_has_one_of_three_outcomes() -> None:
    rows = _answered([("a", "a", 0.5), ("a", "b", 0.5), ("a", "b", 0.49), ("a", "a", 0.1)])
    assert judge(rows, 0.5)["outcome"].to_list() == [
        "correct", "hallucinated", "abstained", "abstained",
    ]  # fmt: skip


def test_risk_is_the_share_of_wrong_answers_among_the_surest() -> None:
    rows = np.array([[[0.2, 0.0], [0.9, 1.0], [0.5, 0.0], [0.4, 1.0]]])
    assert risk_of_the_surest(rows)[0] == pytest.approx([0, 1 / 2, 1 / 3, 2 / 4])
    assert area_under_risk_coverage(rows)[0] == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_ties_in_confidence_never_flatter() -> None:
    rows = np.array([[[0.5, 1.0], [0.5, 0.0]]])
    assert risk_of_the_surest(rows)[0] == pytest.approx([1, 1 / 2])


class _Parrot:
    """Believes that everybody lives in Rome, and is sure of it for half of the statements."""

    def score_candidates(
        self, statements: Sequence[str], candidates: Sequence[Sequence[str]]
    ) -> list[np.ndarray]:
        found = []
        for statement, choice in zip(statements, candidates, strict=True):
            sure = 0.9 if "surely" in statement else 0.4
            rest = (1 - sure) / (len(choice) - 1)
            found.append(np.array([sure if c == "Rome" else rest for c in choice]))
        return found


def _probes(folder: Path, relations: Sequence[str] = ("lives",)) -> Path:
    rows = [
        {
            "probe_id": f"{split}-{relation}-{i:02}",
            "statement": f"P{i} {'surely' if i % 2 else 'perhaps'} lives in [MASK].",
            "answer": ("Rome", "Rome", "Oslo", "New York")[i % 4] if relation == "lives" else "X",
            "subject": f"P{i}",
            "relation": relation,
            "split": split,
            "group_gender": "female",
        }
        for split in ("validation", "test")
        for relation in relations
        for i in range(20)
    ]
    folder.mkdir()
    pl.DataFrame(rows).write_parquet(folder / "probes.parquet")
    return folder


def _judged(
    corpus: Path, out: Path, monkeypatch: pytest.MonkeyPatch, **config: int
) -> tuple[object, pl.DataFrame, dict]:
    monkeypatch.setattr(bundle.TextModel, "load", lambda _: _Parrot())
    out.mkdir()
    outcome = hallucination.fn(
        corpus, corpus, config=Evaluation(**config), seed=1, out=out, log=Log()
    )
    found = orjson.loads((out / "hallucination.json").read_bytes())
    return outcome, pl.read_parquet(out / "probes.parquet"), found


def test_the_three_shares_sum_to_one_and_agree_with_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = _probes(tmp_path / "corpus")
    outcome, rows, found = _judged(corpus, tmp_path / "out", monkeypatch)
    # sure ones: half of them Rome, half New York; unsure ones: half Rome, half Oslo
    assert found["tau"] == 1.0
    assert found["accuracy"]["value"] == 0.5
    assert sum(found[name]["value"] for name in OUTCOMES) == pytest.approx(1.0)
    for name in OUTCOMES:
        assert found[name]["value"] == (rows["outcome"] == name).mean()
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
        assert outcome.metrics[name] == found[name]["value"]
    assert set(rows["asserted"]) == {"Rome"}
    assert "group_gender" in rows.columns


def test_confident_and_wrong_answers_are_listed_surest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = _probes(tmp_path / "corpus")
    monkeypatch.setattr("tasks.evaluation.hallucination.choose_tau", lambda _: 0.3)
    _, rows, found = _judged(corpus, tmp_path / "out", monkeypatch)
    assert found["hallucinated"]["value"] == 0.5
    assert [w["confidence"] for w in found["worst"]] == [0.9] * 5 + [0.4] * 5
    assert all(w["asserted"] == "Rome" != w["answer"] for w in found["worst"])
    assert found["by_relation"][0]["probes"] == len(rows) == 20


def test_a_relation_with_one_answer_is_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = _probes(tmp_path / "corpus", relations=("lives", "obvious"))
    _, rows, found = _judged(corpus, tmp_path / "out", monkeypatch)
    assert set(rows["relation"]) == {"lives"}
    assert found["probes_without_alternative"] == 40


def test_no_more_probes_are_asked_than_the_configuration_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = _probes(tmp_path / "corpus")
    _, rows, _ = _judged(corpus, tmp_path / "one", monkeypatch, max_probes=7)
    _, again, _ = _judged(corpus, tmp_path / "two", monkeypatch, max_probes=7)
    assert len(rows) == 7
    assert rows.equals(again)


def test_data_without_probes_is_skipped_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    outcome = hallucination.fn(
        tmp_path, tmp_path, config=Evaluation(), seed=1, out=tmp_path / "out", log=Log()
    )
    assert outcome.skipped == "the data has no fact probes"
    assert orjson.loads((tmp_path / "out" / "hallucination.json").read_bytes()) == {
        "skipped": "the data has no fact probes"
    }
