"""Claims about the weights that make groups and labels independent."""

from pathlib import Path

import orjson
import polars as pl
import pytest

from tasks.configuration import Fairness
from tasks.fairness.audit import audit
from tasks.fairness.correct import HEAVIEST, LIGHTEST, correct
from tasks.log import Log
from tasks.records import Outcome


def run(
    tmp_path: Path, frame: pl.DataFrame, **config: object
) -> tuple[Outcome, pl.DataFrame, dict]:
    settings = Fairness(**config)
    folders = [tmp_path / name for name in ("corpus", "audited", "out")]
    for folder in folders:
        folder.mkdir()
    rows = frame.with_row_index("row_id").with_columns(
        pl.format("r{}", "row_id").alias("row_id"), text=pl.lit("x")
    )
    if "split" not in rows.columns:
        rows = rows.with_columns(split=pl.lit("train"))
    rows.write_parquet(folders[0] / "corpus.parquet")
    audit.fn(folders[0], config=settings, seed=1, out=folders[1], log=Log())
    outcome = correct.fn(folders[0], folders[1], config=settings, out=folders[2], log=Log())
    weights = pl.read_parquet(folders[2] / "weights.parquet")
    report = orjson.loads((folders[2] / "correct.json").read_bytes())
    return outcome, rows.join(weights, on="row_id"), report


def people(**sizes: int) -> pl.DataFrame:
    """`female_north_1=30` is thirty rows of women of the north with the label 1."""
    rows = [tuple(name.split("_")) for name, size in sizes.items() for _ in range(size)]
    return pl.DataFrame(rows, schema=["group_gender", "group_region", "label"], orient="row")


SKEWED = people(
    female_north_1=60, female_north_0=20, female_south_1=30, female_south_0=30,
    male_north_1=30, male_north_0=60, male_south_1=20, male_south_0=50,
)  # fmt: skip


def test_weighted_label_rates_are_equal_in_every_group_and_intersection(tmp_path: Path) -> None:
    outcome, rows, report = run(tmp_path, SKEWED)
    overall = (SKEWED["label"] == "1").mean()
    for by in (["group_gender"], ["group_region"], ["group_gender", "group_region"]):
        rates = rows.group_by(by).agg(
            pl.col("weight").filter(pl.col("label") == "1").sum() / pl.col("weight").sum()
        )
        assert rates["weight"].to_list() == pytest.approx([overall] * rates.height)
    assert rows["weight"].mean() == pytest.approx(1)
    assert outcome.metrics["gap_before_gender"] == pytest.approx(90 / 140 - 50 / 160)
    assert outcome.metrics["gap_after_gender"] == pytest.approx(0, abs=1e-6)
    women = [
        r for r in report["groups"][0]["label_rates"] if (r["value"], r["label"]) == ("female", "1")
    ]
    assert women[0]["before"] == pytest.approx(90 / 140)
    assert women[0]["after"] == pytest.approx(overall)


def test_a_row_of_a_rare_pairing_counts_for_more(tmp_path: Path) -> None:
    _, rows, _ = run(tmp_path, people(a_x_1=60, a_x_0=20, b_x_1=40, b_x_0=80))
    weight = dict(
        rows.group_by(pl.col("group_gender") + pl.col("label"))
        .agg(pl.col("weight").first())
        .iter_rows()
    )
    assert weight["a0"] == pytest.approx((80 / 200) * (100 / 200) / (20 / 200))
    assert weight["a0"] > 1 > weight["a1"]


def test_a_handful_of_rows_cannot_steer_the_model(tmp_path: Path) -> None:
    _, rows, _ = run(tmp_path, people(a_x_1=500, a_x_0=1, b_x_1=1, b_x_0=500, a_y_1=3, b_y_0=2))
    assert rows["weight"].max() / rows["weight"].min() <= HEAVIEST / LIGHTEST + 1e-6
    assert rows["weight"].mean() == pytest.approx(1)
    tiny = rows.filter(pl.col("group_region") == "y")
    pooled = tiny.group_by("label").agg(pl.col("weight").n_unique())
    assert pooled["weight"].to_list() == [1, 1]


def test_only_labelled_training_rows_are_weighted(tmp_path: Path) -> None:
    frame = SKEWED.with_columns(
        split=pl.when(pl.int_range(pl.len()) < 5).then(pl.lit("test")).otherwise(pl.lit("train")),
        label=pl.when(pl.int_range(pl.len()) == 7).then(None).otherwise("label"),
    )
    _, rows, _ = run(tmp_path, frame)
    assert rows.height == SKEWED.height - 6
    assert set(rows["split"]) == {"train"}


def test_turned_off_every_weight_is_one(tmp_path: Path) -> None:
    outcome, rows, _ = run(tmp_path, SKEWED, correction="none")
    assert outcome.skipped
    assert set(rows["weight"]) == {1.0}
    assert outcome.metrics["gap_after"] == outcome.metrics["gap_before"] > 0.3


def test_without_labels_there_is_nothing_to_correct(tmp_path: Path) -> None:
    outcome, rows, _ = run(tmp_path, SKEWED.with_columns(label=pl.lit(None, dtype=pl.String)))
    assert outcome.skipped
    assert rows.height == 0
