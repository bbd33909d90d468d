"""Claims about what is compared, slice by slice, what is named, and how often it is a false alarm."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest

from expectations.changes import category_changes, column_changes
from expectations.comparing import compare, compare_slices, expand
from expectations.runner import Judged, load_suite, run_suite
from expectations.suite_files import SuiteError, suite_path

SIDES = {"sides": "night", "judged": "tonight", "reference": "reference"}
LEVEL = {"$PARAMETER": "level"}


def names(*groups: tuple[str, int]) -> Any:
    return np.array([name for name, rows in groups for _ in range(rows)], dtype=object)


def nights(tonight: pl.DataFrame, reference: pl.DataFrame) -> pl.DataFrame:
    sides = (("tonight", tonight), ("reference", reference))
    return pl.concat(
        [
            frame.with_columns(night=pl.lit(name), split=pl.lit("train"))
            .with_row_index("row_id").cast({"row_id": pl.String})
            for name, frame in sides
        ],
        how="diagonal_relaxed",
    )  # fmt: skip


def judge(folder: Path, frame: pl.DataFrame, kind: str, **kwargs: Any) -> Judged:
    item = {"type": kind, "severity": "warning", "kwargs": {**SIDES, **kwargs}}
    content = {"name": "mine", "meta": {}, "expectations": [item]}
    (folder / "mine.json").write_bytes(orjson.dumps(content))
    return run_suite(frame, load_suite(folder / "mine.json"))


DISTANCE = "expect_column_distribution_distance_to_be_less_than"


# --- comparing ---


@pytest.mark.parametrize("statistic", ["ks", "js", "psi", "chi2", "linf"])
def test_fewer_rows_with_a_value_than_fifty_say_nothing_on_either_side(statistic: str) -> None:
    thin = np.array([1.0] * 49 + [np.nan] * 100)
    full = np.arange(200.0)
    assert compare(thin, full, statistic, 0.05).silent == (
        "fewer than 50 of the judged rows have a value"
    )
    assert compare(full, thin, statistic, 0.05).silent == (
        "fewer than 50 of the reference rows have a value"
    )


def test_missing_values_are_left_out_of_both_sides() -> None:
    numbers = np.arange(100.0)
    holed = np.concatenate([numbers, [np.nan] * 50])
    assert (
        compare(holed, numbers, "ks", 0.05).distance
        == compare(numbers, numbers, "ks", 0.05).distance
    )


def test_names_cannot_be_compared_as_numbers_and_that_is_said() -> None:
    found = compare(names(("a", 60)), names(("a", 60)), "ks", 0.05)
    assert found.silent == "ks compares numbers only"


def test_the_name_that_moved_most_is_said_with_its_shares() -> None:
    found = compare(names(("en", 60), ("de", 40)), names(("en", 91), ("de", 9)), "linf", 0.05)
    assert found.distance is not None
    assert found.distance.value == pytest.approx(0.31)
    assert found.moved == "'de' 9 % to 40 %"
    assert found.breaks(0.1)
    assert not found.breaks(0.4)


def test_a_large_effect_of_few_rows_and_a_small_effect_of_many_do_not_break() -> None:
    rng = np.random.default_rng(0)
    few = compare(rng.normal(0.3, 1, 50), rng.normal(0, 1, 50), "ks", 1e-4)
    many = compare(rng.normal(0.05, 1, 60_000), rng.normal(0, 1, 60_000), "ks", 1e-4)
    assert few.distance is not None
    assert many.distance is not None
    assert few.distance.value > 0.1
    assert many.distance.p < 1e-4
    assert not few.breaks(0.1)
    assert not many.breaks(0.1)


def test_a_change_in_one_slice_is_found_where_the_whole_hides_it() -> None:
    rng = np.random.default_rng(1)
    where = names(("a", 1000), ("b", 100), ("c", 10))
    before, after = rng.normal(0, 1, 1110), rng.normal(0, 1, 1110)
    after[1000:1100] += 2
    whole = compare(after, before, "ks", 0.01)
    slices = compare_slices(after, before, (where, where), "ks", 0.01)
    assert not whole.breaks(0.2)
    assert [one.slice for one in slices if one.breaks(0.2)] == ["b"]
    assert [one.slice for one in slices if one.silent] == ["c"]
    assert {one.level for one in slices if not one.silent} == {0.005}  # two of the three speak


def test_slices_that_only_one_side_has_are_not_compared() -> None:
    values = np.arange(60.0)
    assert not compare_slices(values, values, (names(("a", 60)), names(("b", 60))), "ks", 0.05)


def test_a_star_means_every_column_that_the_statistic_can_compare() -> None:
    frame = pl.DataFrame(
        {"row_id": ["a"], "night": ["tonight"], "words": [1], "ratio": [0.5], "near_cluster": [3],
         "label": ["x"], "flag": [True], "text": ["t"]}
    )  # fmt: skip
    meant = {
        s: [k["column"] for k in expand({**SIDES, "column": "*", "statistic": s}, frame)]
        for s in ("ks", "linf")
    }
    assert meant == {"ks": ["words", "ratio"], "linf": ["label", "flag"]}
    by = {**SIDES, "column": "label", "statistic": "linf", "by": "label"}
    assert not list(expand(by, frame))


# --- names ---


def test_new_vanished_and_renamed_categories_are_named() -> None:
    before = names(("chat", 300), ("news", 500), ("forum", 200))
    after = names(("Chat ", 310), ("news", 400), ("blog", 290))
    found = category_changes(after, before, min_share=0.01, level=0.05)
    assert found.renamed == (("chat", "Chat "),)
    assert found.names() == [
        "'chat' is perhaps 'Chat ' now",
        "new 'blog' (29 % of its rows)",
        "vanished 'forum' (20 % of its rows)",
    ]


def test_a_category_of_another_name_and_the_same_share_is_perhaps_renamed() -> None:
    found = category_changes(
        names(("1", 295), ("b", 705)), names(("positive", 300), ("b", 700)),
        min_share=0.01, level=0.05,
    )  # fmt: skip
    assert found.renamed == (("positive", "1"),)


def test_a_rare_category_may_come_and_go_by_chance() -> None:
    found = category_changes(
        names(("a", 500), ("odd", 3)), names(("a", 500)), min_share=0, level=0.05
    )
    assert not found
    many = category_changes(
        names(("a", 500), ("odd", 30)), names(("a", 500)), min_share=0, level=0.05
    )
    assert list(many.new) == ["odd"]


def test_new_vanished_and_renamed_columns_are_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    before = pl.DataFrame(
        {"words": rng.normal(50, 9, 200), "group_region": ["n", "s"] * 100,
         "tone": rng.normal(0, 1, 200), "gone": [1] * 200}
    )  # fmt: skip
    after = pl.DataFrame(
        {"words": rng.normal(50, 9, 200), "group_regions": ["s", "n"] * 100,
         "mood": before["tone"], "fresh": ["x"] * 200}
    )  # fmt: skip
    record = judge(tmp_path, nights(after, before), "expect_table_columns_to_be_known").records[0]
    assert not record["success"]
    assert record["observed"] == [
        "'group_region' is perhaps 'group_regions' now", "'tone' is perhaps 'mood' now",
        "new 'fresh'", "vanished 'gone'",
    ]  # fmt: skip
    assert "the columns with values must be those of the reference rows" in record["sentence"]


def test_a_column_whose_values_are_all_missing_counts_as_gone() -> None:
    found = column_changes(
        {"a": np.ones(60), "b": np.full(60, np.nan)}, {"a": np.ones(60), "b": np.zeros(60)}
    )
    assert found.names() == ["vanished 'b'"]


def test_an_empty_side_makes_no_names() -> None:
    empty = np.array([], dtype=object)
    assert not category_changes(empty, names(("a", 60)), min_share=0, level=0.05)
    assert not column_changes({"a": empty}, {"a": np.ones(3)})


# --- in Great Expectations ---


def test_every_signal_is_judged_and_the_moved_one_is_named_with_its_slice(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)

    def night(shift: float) -> pl.DataFrame:
        source = np.repeat(["web", "books"], [300, 300])
        mine = rng.normal(0, 1, 600) + shift * (source == "web")
        return pl.DataFrame({"words": rng.normal(50, 9, 600), "mine": mine, "source": source})

    frame = nights(night(1.0), night(0.0))
    asked = {"column": "*", "statistic": "ks", "threshold": 0.2, "level": LEVEL, "by": "source"}
    words, mine = judge(tmp_path, frame, DISTANCE, **asked).records
    assert (words["column"], words["success"]) == ("words", True)
    assert (mine["column"], mine["success"]) == ("mine", False)
    assert mine["kwargs"]["level"] == pytest.approx(0.025)
    assert mine["sentence"].startswith(
        "mine must differ from the reference rows by 0.2 (Kolmogorov-Smirnov) at most within every "
        "source: found 0."
    )
    assert "within web (median" in mine["sentence"]
    assert orjson.loads(orjson.dumps(mine))


def test_a_new_category_is_named_by_the_suite(tmp_path: Path) -> None:
    frame = nights(
        pl.DataFrame({"label": ["a"] * 150 + ["b"] * 50}), pl.DataFrame({"label": ["a"] * 200})
    )
    asked = {"column": "*", "min_share": 0.01, "level": LEVEL}
    record = judge(tmp_path, frame, "expect_column_categories_to_be_known", **asked).records[0]
    assert record["sentence"] == (
        "label must have the values of the reference rows, none new, none gone: "
        "new 'b' (25 % of its rows)."
    )


def test_a_comparison_that_is_asked_for_wrongly_is_refused_by_name(tmp_path: Path) -> None:
    frame = nights(pl.DataFrame({"words": [1] * 60}), pl.DataFrame({"words": [1] * 60}))
    asked = {"column": "words", "threshold": 0.1, "level": LEVEL}
    with pytest.raises(SuiteError, match="statistic"):
        judge(tmp_path, frame, DISTANCE, statistic="kl", **asked)
    with pytest.raises(SuiteError, match="'wrods', which is not there; did you mean 'words'"):
        judge(tmp_path, frame, DISTANCE, statistic="ks", **{**asked, "column": "wrods"})


def test_the_drift_suite_stays_silent_over_resamples_of_one_corpus() -> None:
    rng, alarms, draws = np.random.default_rng(4), 0, 12
    corpus = pl.DataFrame(
        {
            "words": rng.lognormal(4, 0.6, 2000).round(), "stopword_ratio": rng.beta(4, 6, 2000),
            "markup_count": rng.poisson(0.05, 2000), "familiar_share": rng.beta(20, 2, 2000),
            "label": rng.choice(["a", "b", "c"], 2000, p=[0.6, 0.3, 0.1]),
            "topic": rng.choice([f"t{i}" for i in range(12)], 2000),
            "source": rng.choice(["x", "y", "z"], 2000, p=[0.8, 0.15, 0.05]),
            "language": rng.choice(["en", "zh"], 2000, p=[0.97, 0.03]),
            "group_g": rng.choice(["f", "m", None], 2000, p=[0.3, 0.3, 0.4]),
        }
    )  # fmt: skip
    suite = load_suite(suite_path("drift"))
    for draw in range(draws):
        half = [corpus.sample(300, with_replacement=True, seed=2 * draw + i) for i in (0, 1)]
        records = run_suite(nights(*half), suite).records
        alarms += any(not record["success"] for record in records)
    # Of 12 resamples more than three would be 99.8 % unlikely at one in twenty.
    assert alarms <= 3
    moved = nights(half[0].with_columns(pl.col("words") * 2), half[1])
    broken = {r["column"] for r in run_suite(moved, suite).records if not r["success"]}
    assert broken == {"words"}
