"""Claims about confident learning and the features it is given."""

import numpy as np
import polars as pl
import pytest

from tasks.corpus.labels import confident
from tasks.corpus.labels.text_features import TextFeatures

# Ten rows, three classes. Thresholds by hand: a (.9 + .8 + .4 + .1) / 4 = .55,
# b (.7 + .9 + .2) / 3 = .6, c (.8 + .6 + .1) / 3 = .5.
GIVEN = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
PROBABILITIES = np.array(
    [
        [0.90, 0.05, 0.05],  # a, confidently a
        [0.80, 0.10, 0.10],  # a, confidently a
        [0.40, 0.30, 0.30],  # a, confidently nothing
        [0.10, 0.85, 0.05],  # a, confidently b
        [0.20, 0.70, 0.10],  # b, confidently b
        [0.05, 0.90, 0.05],  # b, confidently b
        [0.70, 0.20, 0.10],  # b, confidently a
        [0.10, 0.10, 0.80],  # c, confidently c
        [0.30, 0.10, 0.60],  # c, confidently c
        [0.10, 0.80, 0.10],  # c, confidently b
    ]
)


def judged(given: np.ndarray, probabilities: np.ndarray) -> confident.Judged:
    limits = confident.thresholds(given, probabilities)
    return confident.judge(given, probabilities, limits, np.bincount(given) / len(given))


def test_thresholds_and_confident_joint_are_those_worked_out_by_hand() -> None:
    limits = confident.thresholds(GIVEN, PROBABILITIES)
    assert limits == pytest.approx([0.55, 0.6, 0.5])
    joint = confident.confident_joint(GIVEN, PROBABILITIES, limits)
    assert joint.tolist() == [[2, 1, 0], [1, 2, 0], [0, 1, 2]]
    # The four rows given a were counted three times, so each counts for 4/3.
    expected = confident.calibrated(joint, np.bincount(GIVEN))
    assert expected == pytest.approx(np.array([[8 / 3, 4 / 3, 0], [1, 2, 0], [0, 1, 2]]))
    assert expected.sum(axis=1).tolist() == [4, 3, 3]


def test_the_rows_that_contradict_their_label_are_suspects_and_are_ranked_first() -> None:
    found = judged(GIVEN, PROBABILITIES)
    assert np.flatnonzero(found.suspect).tolist() == [3, 6, 9]
    assert set(np.argsort(-found.score)[:3]) == {3, 6, 9}
    assert found.rival[[3, 6, 9]].tolist() == [1, 0, 1]
    assert found.doubted.sum() == 3


def test_a_row_above_two_thresholds_belongs_to_the_likelier_class() -> None:
    joint = confident.confident_joint(np.array([0]), np.array([[0.45, 0.55]]), np.array([0.4, 0.5]))
    assert joint.tolist() == [[0, 1], [0, 0]]


def test_no_more_rows_are_pruned_than_the_joint_expects() -> None:
    # Three rows given a are doubted, but only one reaches the threshold of b: of the four rows
    # counted one, so of the six given a one and a half, or two.
    given = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    second = np.array([0.1, 0.1, 0.1, 0.75, 0.8, 0.99, 0.95, 0.95])
    found = judged(given, np.stack([1 - second, second], axis=1))
    assert found.expected[0].tolist() == [4.5, 1.5]
    assert np.flatnonzero(found.doubted).tolist() == [3, 4, 5]
    assert np.flatnonzero(found.suspect).tolist() == [4, 5]


def test_a_row_of_a_rare_class_is_doubted_later_than_one_of_a_common_class() -> None:
    # Four times as many rows are given a, so b's probability counts twice against a's.
    given = np.array([0] * 8 + [1] * 2)
    rare = np.array([0.1] * 7 + [0.4, 0.35, 0.02])
    found = judged(given, np.stack([1 - rare, rare], axis=1))
    assert found.doubted[7]  # 0.6 against 2 * 0.4
    assert not found.doubted[8]  # 0.65 against 2 * 0.35
    assert found.score[7] == pytest.approx(0.8 / 1.4)
    assert np.argsort(-found.score)[:2].tolist() == [9, 7]


def test_a_class_without_a_confident_row_is_taken_to_be_right() -> None:
    expected = confident.calibrated(np.array([[0, 0], [1, 3]]), np.array([5, 8]))
    assert expected.tolist() == [[5, 0], [2, 6]]


def test_features_need_no_spaces_and_have_length_one_per_block() -> None:
    texts = pl.Series(["今天天气很好", "今天天气不好", "明天天气很好", "ดีมาก", "ดีมากๆ", "", None])
    found = TextFeatures(texts, beginning=100, most=1000).of(texts)
    similar = (found @ found.T).toarray()
    assert np.diag(similar) == pytest.approx([2, 2, 2, 2, 2, 0, 0])
    assert similar[0, 1] > 0.8
    assert similar[0, 3] == 0
    assert similar[3, 4] > 0.8


def test_features_are_the_same_in_one_batch_and_in_many(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pl.Series(
        [f"the {w} tower of the {w} town" for w in "old new red old tall new".split()]
    )
    whole = TextFeatures(texts, beginning=100, most=50).of(texts)
    monkeypatch.setattr("tasks.corpus.labels.text_features._AT_ONCE", 40)
    parted = TextFeatures(texts, beginning=100, most=50).of(texts)
    assert whole.shape == parted.shape
    assert (whole != parted).nnz == 0 < whole.nnz


def test_a_column_of_one_text_alone_is_left_out_and_texts_are_cut() -> None:
    texts = pl.Series(["same start aaaa", "same start bbbb"])
    found = TextFeatures(texts, beginning=10, most=1000).of(texts)
    assert (found[[0]] != found[[1]]).nnz == 0
    assert TextFeatures(pl.Series(["abc", "xyz"]), beginning=10, most=10).columns == 0
