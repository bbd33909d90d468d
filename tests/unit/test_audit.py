"""Claims about the mention lexicon, rates by group and the audit of the data."""

from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest

from tasks.configuration import Fairness
from tasks.fairness.audit import audit
from tasks.fairness.lexicons import mention_counts, mentions, terms, with_groups
from tasks.fairness.rates import Cells, entropy, gap, group_rates
from tasks.log import Log


def corpus(folder: Path, **columns: list[str | None]) -> Path:
    height = len(next(iter(columns.values())))
    defaults = {
        "row_id": [f"r{i}" for i in range(height)],
        "text": ["x"] * height,
        "label": [None] * height,
        "split": ["train"] * height,
    }
    frame = pl.DataFrame(defaults | columns, schema_overrides={"label": pl.String})
    folder.mkdir()
    frame.write_parquet(folder / "corpus.parquet")
    return folder


def run(
    tmp_path: Path, seed: int = 1, **columns: list[str | None]
) -> tuple[object, dict, pl.DataFrame]:
    out = tmp_path / "out"
    out.mkdir()
    outcome = audit.fn(
        corpus(tmp_path / "in", **columns), config=Fairness(), seed=seed, out=out, log=Log()
    )
    return (
        outcome,
        orjson.loads((out / "audit.json").read_bytes()),
        pl.read_parquet(out / "groups.parquet"),
    )


@pytest.mark.parametrize(
    ("text", "axis", "value"),
    [
        ("She thanked the crew.", "gender", "female"),
        ("HE'S late", "gender", "male"),
        ("her father", "gender", "both"),
        ("the theme there is human", "gender", "none"),
        ("I miss Rome", "gender", "none"),
        ("Miss Marple", "gender", "female"),
        ("the Polish team", "nationality", "european"),
        ("polish the table", "nationality", "none"),
        ("an African-American author", "nationality", "north_american"),
        ("Cuban and Kenyan music", "nationality", "several"),
        ("an old house", "age", "none"),
        ("an old  woman", "age", "old"),
        ("a Muslim family", "religion", "muslim"),
        ("a black car", "ethnicity", "none"),
        ("black people", "ethnicity", "black"),
        ("gays and lesbians", "sexuality", "gay_lesbian_bisexual"),
    ],
)
def test_mentions_are_found_where_they_are_and_only_there(text: str, axis: str, value: str) -> None:
    assert mentions(pl.Series([text]), axis).to_list() == [value]


def test_mentions_are_counted_per_text_and_null_is_an_empty_text() -> None:
    counts = mention_counts(pl.Series(["she and her son", None, "", "Mr. Fox"]), "gender")
    assert counts.to_dict(as_series=False) == {"female": [2, 0, 0, 0], "male": [1, 0, 0, 1]}


def test_every_term_of_the_lexicon_finds_itself() -> None:
    for axis, lexicon in terms().items():
        found = mentions(pl.Series([f"so {term}, yes" for term in lexicon]), axis).to_list()
        assert found == list(lexicon.values())


def test_columns_that_name_groups_go_before_mentions() -> None:
    frame = pl.DataFrame({"text": ["she", "he"], "group_b": ["x", None], "group_a": [None, None]})
    filled, columns = with_groups(frame, lexicon=True)
    assert columns == ["group_b"]
    assert filled["group_b"].to_list() == ["x", "unknown"]
    assert with_groups(frame.select("text"), lexicon=True)[1] == ["mention_gender"]
    assert with_groups(frame.select("text"), lexicon=False)[1] == []


def test_intervals_agree_with_those_of_fairlearn() -> None:
    from fairlearn.metrics import MetricFrame, selection_rate

    generator = np.random.default_rng(0)
    groups = generator.integers(0, 3, size=300)
    labels = (generator.random(300) < np.array([0.3, 0.5, 0.7])[groups]).astype(int)
    resamples = 250
    theirs = MetricFrame(
        metrics=selection_rate,
        y_true=labels,
        y_pred=labels,
        sensitive_features=groups,
        n_boot=resamples,
        ci_quantiles=[0.025, 0.975],
        random_state=1,
    )
    cells = Cells(groups, labels, np.array([[0.0], [1.0]]), np.ones((2, 1)), 3)
    ours = group_rates(cells, resamples=resamples, seed=[1])
    assert ours.values[:, 0] == pytest.approx(theirs.by_group.to_numpy())
    for bound, place in ((0, 0), (1, 1)):
        found = [ours.interval(group, 0)[place] for group in range(3)]
        assert found == pytest.approx(theirs.by_group_ci[bound].to_numpy(), abs=0.03)
    widest = gap(ours, cells, [0, 1, 2], resamples=resamples, seed=[1])
    assert widest is not None
    assert widest["value"] == pytest.approx(theirs.difference())
    assert [widest["low"], widest["high"]] == pytest.approx(theirs.difference_ci(), abs=0.04)
    assert (widest["lowest"], widest["highest"]) == (0, 2)


def test_the_gap_that_chance_gives_is_exceeded_by_one_in_twenty() -> None:
    exceeded = 0
    for trial in range(200):
        generator = np.random.default_rng(trial)
        labels = (generator.random(200) < 0.4).astype(int)
        cells = Cells(np.arange(200) % 4, labels, np.eye(2)[:, 1:], np.ones((2, 1)), 4)
        found = gap(
            group_rates(cells, resamples=2, seed=[0]), cells, range(4), resamples=200, seed=[trial]
        )
        assert found is not None
        exceeded += found["value"] > found["by_chance"]
    assert 1 <= exceeded <= 22


def test_a_column_does_not_share_its_draws_with_another() -> None:
    assert entropy(3, "group_a", "train") != entropy(3, "group_b", "train")


def test_label_rates_and_their_gap_are_told_per_group(tmp_path: Path) -> None:
    outcome, report, table = run(
        tmp_path,
        group_gender=["female"] * 40 + ["male"] * 60,
        label=["1"] * 30 + ["0"] * 10 + ["1"] * 15 + ["0"] * 45,
    )
    found = report["groups"][0]["label_rate_gap"]
    assert found["value"] == pytest.approx(0.75 - 0.25)
    assert (found["highest"], found["lowest"], found["label"]) == ("female", "male", "1")
    assert 0.25 < found["low"] < 0.5 < found["high"] < 0.75
    assert found["by_chance"] < found["value"]
    assert outcome.metrics == {"label_rate_gap_gender": 0.5, "groups": 2.0, "smallest_group": 40.0}
    women = table.filter(value="female", label="1").row(0, named=True)
    assert (women["rows"], women["share"], women["label_rate"]) == (40, 0.4, 0.75)
    assert women["share_low"] < 0.4 < women["share_high"]
    assert women["low"] < 0.75 < women["high"]


def test_a_small_group_is_listed_and_not_judged(tmp_path: Path) -> None:
    outcome, report, table = run(
        tmp_path,
        group_region=["north"] * 30 + ["south"] * 30 + ["west"] * 19,
        label=["1", "0"] * 30 + ["1"] * 19,
    )
    assert report["groups"][0]["too_small"] == ["west"]
    assert report["groups"][0]["label_rate_gap"]["value"] == 0
    assert table.filter(value="west")["label_rate"].to_list() == [None, None]
    assert outcome.metrics["smallest_group"] == 19


def test_rows_of_unknown_group_are_shown_and_never_judged(tmp_path: Path) -> None:
    _, report, table = run(
        tmp_path, group_a=["x"] * 30 + [None] * 30, label=["1"] * 30 + ["0"] * 30
    )
    assert report["groups"][0]["label_rate_gap"] is None
    assert table.filter(value="unknown", label="0")["label_rate"].to_list() == [1.0]


def test_without_labels_the_representation_remains(tmp_path: Path) -> None:
    outcome, report, table = run(tmp_path, text=["he sang"] * 30 + ["she sang"] * 70)
    assert outcome.skipped is None
    assert "label_rate_gap_mention_gender" not in outcome.metrics
    assert dict(table.select("value", "share").iter_rows()) == {"female": 0.7, "male": 0.3}
    assert report["groups"][0]["labelled"] == 0


def test_without_groups_the_audit_says_that_it_had_nothing_to_do(tmp_path: Path) -> None:
    outcome, report, table = run(tmp_path, text=["rain"] * 5)
    assert outcome.skipped
    assert report["skipped"] == outcome.skipped
    assert table.height == 0


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    written = []
    for turn in ("a", "b"):
        (tmp_path / turn).mkdir()
        run(tmp_path / turn, group_a=["x", "y"] * 40, label=["1", "0", "0", "1", "1"] * 16)
        out = tmp_path / turn / "out"
        written.append([p.read_bytes() for p in sorted(out.iterdir())])
    assert written[0] == written[1]
