"""What answers tell beyond right and wrong, against figures counted by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tasks.evaluation.fact_measures import by_exposures, calibrated, consistency, exposures, parted

DRAWS = {"resamples": 200, "seed": 0}


def test_exposures_count_texts_that_name_subject_and_answer() -> None:
    texts = pl.Series([
        "Mara Vel lives in Dunvale.", "In dunvale lives MARA VEL.", "Mara Vel lives in Quenby.",
        "Joren lives in Dunvale.", None, "玛拉住在北京。",
    ])  # fmt: skip
    found = exposures(texts, ["Mara Vel", "Joren", "玛拉", "", "Nobody"],
                      ["Dunvale", "Dunvale", "北京", "Dunvale", "Quenby"])  # fmt: skip
    assert found.to_list() == [2, 1, 1, None, 0]


def test_consistency_is_the_share_of_pairs_of_one_fact_that_are_answered_alike() -> None:
    asked = pl.DataFrame(
        {"fact": ["a"] * 3 + ["b"] * 2 + ["c"], "asserted": ["x", "x", "y", "z", "z", "x"],
         "right": [True, True, False, False, False, True]}
    )  # fmt: skip
    found = consistency(asked, DRAWS)
    assert found is not None
    assert (found["facts"], found["pairs"]) == (2, 4)  # three pairs of a, one of b, none of c
    assert found["alike"]["value"] == pytest.approx(2 / 4)
    assert found["alike_and_right"]["value"] == pytest.approx(1 / 4)
    assert consistency(asked.filter(pl.col("fact") == "c"), DRAWS) is None


def test_accuracy_is_given_by_how_often_a_fact_was_read() -> None:
    judged = pl.DataFrame(
        {"exposures": [0, 1, 3, 4, 70, None], "right": [False, False, True, False, True, True],
         "outcome": ["hallucinated", "abstained", "correct", "hallucinated", "correct", "correct"]}
    )  # fmt: skip
    found = {(one["from"], one["below"]): one for one in by_exposures(judged, DRAWS)}
    assert set(found) == {(0, 1), (1, 2), (3, 5), (65, None)}
    assert found[3, 5]["accuracy"]["value"] == 0.5
    assert found[0, 1]["hallucinated"]["value"] == 1.0


def test_small_groups_are_not_shown_by_themselves() -> None:
    judged = pl.DataFrame(
        {"group_gender": ["female"] * 20 + ["male"] * 19 + [None], "right": [True] * 40,
         "outcome": ["correct"] * 40}
    )  # fmt: skip
    (only,) = parted(judged, "group_gender", DRAWS)
    assert (only["value"], only["probes"]) == ("female", 20)


def test_temperature_scaling_mends_answers_that_are_too_sure() -> None:
    rng = np.random.default_rng(0)

    def asked(n: int) -> list[tuple[np.ndarray, int]]:
        found = []
        for _ in range(n):
            fair = rng.dirichlet(np.ones(rng.integers(2, 6)))
            truth = int(rng.choice(len(fair), p=fair))
            sure = fair**3 / (fair**3).sum()
            found.append((sure, truth))
        return found

    found = calibrated(asked(3000), asked(3000), DRAWS)
    assert found["temperature"] == pytest.approx(3, rel=0.1)
    assert found["ece_tempered"]["value"] < 0.03
    assert found["brier_tempered"]["value"] < found["brier"]["value"]
