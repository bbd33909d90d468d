"""Claims about the search for label errors: planted ones are found, and nothing crashes it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from pydantic import ValidationError

from tasks.configuration import Configuration, Defects, Labels
from tasks.corpus.labels import models as label_models
from tasks.corpus.labels.balance import balance
from tasks.corpus.labels.check_labels import check_labels
from tasks.corpus.labels.conflicts import conflicts
from tasks.corpus.labels.models import combined, folds
from tasks.corpus.sources.fictional import generate
from tasks.log import Log
from tasks.manifest import Manifest
from tasks.promotion.page.read import Shelf
from tasks.promotion.page.sections import build
from tasks.promotion.report import render
from tasks.records import Outcome, Record
from tasks.tracking import registry

WORDS = {
    "good": "brilliant warm generous lucid splendid honest graceful vivid".split(),
    "bad": "dull careless clumsy hollow tedious sloppy bitter stale".split(),
}
FILLER = "the report on harbour work says that this year was seen as mostly by many people".split()


def written(rows: int, seed: int, words: dict[str, list[str]] = WORDS, space: str = " ") -> Any:
    """Texts whose words tell their class, and the classes."""
    rng = np.random.default_rng(seed)
    names = sorted(words)
    labels = [names[i] for i in rng.integers(len(names), size=rows)]
    texts = [
        space.join(rng.permutation([*rng.choice(FILLER, 8), *rng.choice(words[label], 2)]))
        for label in labels
    ]
    return texts, labels


def run(
    folder: Path, texts: Sequence[str], labels: Sequence[str | None], *, splits: Any = None,
    champion: Path | None = None, taught: Path | None = None, signals: Any = None, seed: int = 3,
    **settings: Any,
) -> tuple[Outcome, pl.DataFrame, dict[str, Any], pl.DataFrame]:  # fmt: skip
    """Outcome, labels.parquet, labels.json and label_review.csv."""
    height = len(texts)
    rows = pl.DataFrame(
        {
            "row_id": [f"{i:016x}-0" for i in range(height)], "text": texts, "label": labels,
            "split": splits or ["train"] * height,
        },
        schema_overrides=dict.fromkeys(("row_id", "text", "label", "split"), pl.String),
    )  # fmt: skip
    places = list(range(height))
    clusters = {"exact_cluster": places, "near_cluster": places} | (signals or {})
    out = folder / "out"
    out.mkdir(parents=True)
    rows.write_parquet(folder / "corpus.parquet")
    rows.select("row_id", "label").with_columns(**{
        name: pl.Series(values) for name, values in clusters.items()
    }).write_parquet(folder / "signals.parquet")  # fmt: skip
    outcome = check_labels.fn(
        folder, folder, champion, taught, config=Labels(**settings), seed=seed, out=out, log=Log()
    )
    return (
        outcome,
        pl.read_parquet(out / "labels.parquet"),
        orjson.loads((out / "labels.json").read_bytes()),
        pl.read_csv(out / "label_review.csv"),
    )


def flipped(labels: list[str], share: float, seed: int) -> tuple[list[str], set[int]]:
    rng = np.random.default_rng(seed)
    wrong = set(rng.choice(len(labels), round(share * len(labels)), replace=False).tolist())
    other = {"good": "bad", "bad": "good"}
    return [other[x] if i in wrong else x for i, x in enumerate(labels)], wrong


def test_planted_flips_are_found_in_every_split_with_few_innocent_rows(tmp_path: Path) -> None:
    texts, truth = written(600, seed=0)
    labels, wrong = flipped(truth, 0.1, seed=1)
    splits = ["train" if i % 5 else "test" for i in range(600)]
    outcome, found, report, listed = run(tmp_path, texts, labels, splits=splits)
    suspects = set(found.with_row_index("i").filter("is_suspect")["i"])
    assert len(suspects & wrong) / len(wrong) >= 0.9
    assert len(suspects & wrong) / len(suspects) >= 0.9
    assert any(splits[i] == "test" for i in suspects)
    first = set(found.with_row_index("i").sort("rank").head(len(wrong))["i"])
    assert len(first & wrong) / len(wrong) >= 0.9
    assert [found["suggested"][i] for i in suspects & wrong] == [truth[i] for i in suspects & wrong]
    part = report["parts"]["train"]
    assert part["share"]["low"] < part["share"]["value"] < part["share"]["high"]
    assert outcome.metrics["suspect_share_train"] == part["share"]["value"]
    assert listed.height == len(suspects) == report["reviewed"]
    assert listed["rank"].is_sorted()
    assert f"{labels[min(wrong)]} is given" in " ".join(listed["why"])


def test_the_same_rows_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    texts, truth = written(200, seed=2)
    for name in ("one", "two"):
        run(tmp_path / name, texts, truth)
    for file in ("labels.parquet", "labels.json", "label_review.csv"):
        one, two = ((tmp_path / name / "out" / file).read_bytes() for name in ("one", "two"))
        assert one == two


def test_chinese_text_without_spaces_is_judged(tmp_path: Path) -> None:
    words = {"good": ["精彩", "优秀", "出色", "感人"], "bad": ["糟糕", "无聊", "失望", "乏味"]}
    rng = np.random.default_rng(0)
    truth = [("bad", "good")[i] for i in rng.integers(2, size=300)]
    texts = [
        "这部电影"
        + "".join(rng.choice(list("的了在是我有他这中大来上国"), 6))
        + "".join(rng.choice(words[x], 2))
        for x in truth
    ]
    labels, wrong = flipped(truth, 0.1, seed=1)
    _, found, _, _ = run(tmp_path, texts, labels)
    suspects = set(found.with_row_index("i").filter("is_suspect")["i"])
    assert len(suspects & wrong) / len(wrong) >= 0.75
    assert len(suspects & wrong) / len(suspects) >= 0.9
    first = set(found.with_row_index("i").sort("rank").head(len(wrong))["i"])
    assert len(first & wrong) / len(wrong) >= 0.9


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ([None] * 30, "no row has a label"),
        (["only"] * 30, "same label"),
        (["a", "b", "a"], "fewer than two of 2 classes have the 10 training rows"),
        ([str(i) for i in range(30)], "fewer than two of 30 classes"),
    ],
)
def test_what_cannot_be_judged_is_said_and_every_file_is_there(
    tmp_path: Path, labels: list[str | None], why: str
) -> None:
    outcome, found, report, listed = run(
        tmp_path, [f"text {i}" for i in range(len(labels))], labels
    )
    assert why in (outcome.skipped or "")
    assert report["skipped"] == outcome.skipped
    assert found.height == sum(label is not None for label in labels)
    assert not found["is_suspect"].any()
    assert listed.height == 0


def test_labels_of_held_out_rows_alone_cannot_be_judged(tmp_path: Path) -> None:
    outcome, *_ = run(tmp_path, ["x y", "z"], ["a", "b"], splits=["test", "test"])
    assert "fewer than two of 0 classes" in (outcome.skipped or "")


def test_an_empty_corpus_is_a_clear_outcome(tmp_path: Path) -> None:
    outcome, found, _, _ = run(tmp_path, [], [])
    assert (outcome.skipped, found.height) == ("no row has a label", 0)


def test_more_than_a_hundred_classes_are_judged_and_more_than_five_hundred_refused(
    tmp_path: Path,
) -> None:
    names = [f"class{i % 120}" for i in range(1200)]
    outcome, found, report, _ = run(tmp_path / "120", [f"about {n} here" for n in names], names)
    assert outcome.skipped is None
    assert report["classes_judged"] == 120
    assert found["score"].null_count() == 0
    names = [f"class{i % 501}" for i in range(1002)]
    outcome, *_ = run(tmp_path / "501", names, names, min_class=2, folds=2)
    assert "501 classes are more than" in (outcome.skipped or "")


def test_classes_too_small_are_named_and_their_rows_not_judged(tmp_path: Path) -> None:
    texts, labels = written(80, seed=4)
    _, found, report, _ = run(tmp_path, [*texts, "odd one", "odd two"], [*labels, "rare", "rare"])
    assert report["balance"]["too_few"] == [{"class": "rare", "rows": 2}]
    assert report["not_judged"] == 2
    assert found.filter(pl.col("label") == "rare")["score"].null_count() == 2
    assert found.filter(pl.col("label") != "rare")["score"].null_count() == 0


def test_of_many_rows_a_part_is_learnt_from_and_all_are_judged(tmp_path: Path) -> None:
    texts, truth = written(500, seed=5)
    labels, wrong = flipped(truth, 0.1, seed=6)
    _, found, report, _ = run(tmp_path, texts, labels, rows=200)
    assert (report["learnt"], report["judged"]) == (200, 500)
    suspects = set(found.with_row_index("i").filter("is_suspect")["i"])
    assert len(suspects & wrong) / len(wrong) >= 0.8


def test_texts_with_nothing_in_common_are_judged_by_the_classes_alone(tmp_path: Path) -> None:
    texts = [chr(0x4E00 + 50 * i) for i in range(24)]
    outcome, found, _, _ = run(tmp_path, texts, ["a", "b"] * 12)
    assert outcome.skipped is None
    assert found["probability"].is_between(0.3, 0.7).all()


def test_contradictions_are_found_before_cleaning_and_listed_first(tmp_path: Path) -> None:
    texts, labels = written(60, seed=7)
    texts[1] = texts[0]
    labels[0], labels[1], labels[2], labels[3], labels[4] = "good", "bad", "bad", "bad", "good"
    near = list(range(60))
    near[3] = near[4] = 2
    exact = list(range(60))
    exact[1] = 0
    clusters = {"exact_cluster": exact, "near_cluster": near}
    outcome, found, report, listed = run(tmp_path, texts, labels, signals=clusters)
    assert np.flatnonzero(found["conflicting"].to_numpy()).tolist() == [0, 1, 2, 3, 4]
    assert outcome.metrics["conflicting_texts"] == 2
    assert listed["conflicting"][:5].all()
    told = dict(zip(listed["row_id"], listed["why"], strict=True))
    assert told[found["row_id"][0]].startswith("identical texts have the labels bad 1, good 1")
    assert told[found["row_id"][4]].startswith(
        "nearly identical texts have the labels bad 2, good 1"
    )
    assert report["conflicts"]["kept"]["value"] == pytest.approx(5 / 60)


def test_a_pair_identical_and_nearly_identical_is_told_once_and_nulls_contradict_nobody() -> None:
    signals = pl.DataFrame({
        "row_id": list("abcd"), "label": ["x", "y", None, "z"],
        "exact_cluster": [0, 0, 0, 3], "near_cluster": [0, 0, 0, 3],
    })  # fmt: skip
    found = conflicts(signals)
    assert found.select("row_id", "how", "labels").rows() == [
        ("a", "identical", "x 1, y 1"), ("b", "identical", "x 1, y 1"),
    ]  # fmt: skip


def test_imbalance_has_an_interval_that_narrows_with_rows() -> None:
    few, many = (balance(pl.Series(["a"] * 9 * n + ["b"] * n), 5) for n in (2, 2000))
    for found in (few, many):
        ratio = found["imbalance"]
        assert ratio["value"] == pytest.approx(9)
        assert ratio["low"] < 9 < ratio["high"]
    assert few["imbalance"]["high"] > 20 > 10 > many["imbalance"]["high"]
    assert (few["largest"], few["smallest"]) == ("a", "b")
    assert few["too_few"] == [{"class": "b", "rows": 2}]
    assert balance(pl.Series(["a"] * 3), 2)["imbalance"] is None


def test_folds_share_out_every_class() -> None:
    labels = np.array([0] * 23 + [1] * 10 + [2] * 5)
    part = folds(labels, 5, seed=0)
    table = np.zeros((3, 5), int)
    np.add.at(table, (labels, part), 1)
    assert (table.max(axis=1) - table.min(axis=1) <= 1).all()
    assert table.sum(axis=0).max() - table.sum(axis=0).min() <= 1
    assert not (part == folds(labels, 5, seed=1)).all()


class Knowing:
    """A champion that knows the truth, or the opposite of it."""

    classes = ["bad", "good", "other"]

    def __init__(self, right: bool) -> None:
        self.right = right

    def predict_proba(self, texts: Sequence[str]) -> Any:
        good = np.array([any(w in text.split() for w in WORDS["good"]) for text in texts])
        sure = np.where(good == self.right, 0.9, 0.05)
        return np.stack([0.95 - sure, sure, np.full(len(texts), 0.05)], axis=1)


@pytest.mark.parametrize("right", [True, False])
def test_a_champion_counts_only_on_rows_new_to_it_and_only_if_it_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, right: bool
) -> None:
    loaded = SimpleNamespace(TextModel=SimpleNamespace(load=lambda folder: Knowing(right)))
    monkeypatch.setitem(sys.modules, "models.bundle", loaded)
    texts, labels = written(300, seed=8)
    labels, _ = flipped(labels, 0.05, seed=9)
    taught = tmp_path / "taught"
    taught.mkdir()
    # Known by their text, by their id, and one that was only tested on, which is new.
    pl.DataFrame({
        "row_id": ["z-0"] * 100 + [f"{i:016x}-0~s1" for i in range(100, 150)] + ["z-0"],
        "text": texts[:100] + ["other"] * 50 + [texts[200]],
        "split": ["train"] * 149 + ["validation", "test"],
    }).write_parquet(taught / "corpus.parquet")  # fmt: skip
    _, alone, _, _ = run(tmp_path / "alone", texts, labels)
    _, found, report, _ = run(tmp_path / "asked", texts, labels, champion=tmp_path, taught=taught)
    said = report["champion"]
    assert (said["used"], said["rows"]) == (right, 150)
    changed = np.flatnonzero((alone["probability"] != found["probability"]).to_numpy())
    if right:
        assert said["gain"]["high"] < 0
        assert changed.tolist() == list(range(150, 300))
    else:
        assert said["why"] == "it does not lower the loss"
        assert not len(changed)


def test_a_champion_whose_training_rows_are_unknown_is_left_out(tmp_path: Path) -> None:
    texts, labels = written(60, seed=8)
    _, _, report, _ = run(tmp_path, texts, labels, champion=tmp_path)
    assert not report["champion"]["used"]
    assert "training rows are known" in report["champion"]["why"]


def test_two_opinions_are_combined_as_the_mean_of_their_logarithms() -> None:
    ours, theirs = np.array([[0.5, 0.5], [0.8, 0.2]]), np.array([[0.9, 0.1], [0.2, 0.8]])
    both, _ = combined(ours, theirs, np.array([0, 0]), seed=0, resamples=50)
    assert both == pytest.approx(np.array([[0.75, 0.25], [0.5, 0.5]]))


def test_folds_that_could_lack_a_class_are_refused() -> None:
    with pytest.raises(
        ValidationError, match=r"labels\.min_class \(4\) is less than labels\.folds"
    ):
        Labels(min_class=4, folds=5)


def test_the_page_shows_the_first_ten_suspects_and_no_markup_of_theirs(tmp_path: Path) -> None:
    texts, truth = written(300, seed=10)
    labels, _ = flipped(truth, 0.1, seed=11)
    texts = [f"<b>{text}</b>" for text in texts]
    run(tmp_path, texts, labels, signals={"exact_cluster": [0, 0, *range(2, 300)]})
    page = render(build(Shelf({"check_labels": tmp_path / "out"}), None))
    section = page[page.index('<section id="labels">') :].split("</section>")[0]
    found = pl.read_parquet(tmp_path / "out" / "labels.parquet").sort("rank")
    for row_id in found["row_id"][:10]:
        assert row_id in section
    assert found["row_id"][10] not in section.split("One text, several labels")[0]
    assert "&lt;b&gt;" in section
    assert "<b>" not in section
    assert "there is no champion whose training rows are known" in section


@pytest.mark.parametrize(("labels", "why"), [(["one"] * 12, "same label"), ([None], "no row has")])
def test_the_page_says_why_nothing_was_judged(
    tmp_path: Path, labels: list[str | None], why: str
) -> None:
    outcome, *_ = run(tmp_path, ["text"] * len(labels), labels)
    record = Record(stage="s", key="k", uri="u", digest="d", seconds=1, outcome=outcome)
    manifest = Manifest(record=record, files={}).model_dump_json()
    (tmp_path / "out" / "manifest.json").write_text(manifest)
    page = render(build(Shelf({"check_labels": tmp_path / "out"}), None))
    section = page[page.index('<section id="labels">') :].split("</section>")[0]
    assert why in section
    assert "This stage did not run." in render(build(Shelf({}), None))


def version(**tags: str) -> SimpleNamespace:
    return SimpleNamespace(tags={f"plumbline.{name}": value for name, value in tags.items()})


@pytest.mark.parametrize(
    ("champion", "asked"),
    [
        (None, None),
        (version(digest="d1", corpus="yesterday", opponent=""), ("d1", "yesterday")),
        (version(digest="d1", corpus="", opponent=""), None),
        # Tonight is a repetition: the one who was asked then is asked again, or nobody.
        (version(digest="d1", corpus="tonight", opponent="d0"), ("d0", "earlier")),
        (version(digest="d1", corpus="tonight", opponent=""), None),
    ],
)
def test_a_repeated_night_asks_whom_it_asked(
    monkeypatch: pytest.MonkeyPatch, champion: Any, asked: tuple[str, str] | None
) -> None:
    earlier = version(digest="d0", corpus="earlier")
    monkeypatch.setattr(registry, "current", lambda: champion)
    monkeypatch.setattr(registry, "version_of", lambda digest: earlier if digest == "d0" else None)
    tonight = Record(stage="augment", key="k", uri="u", digest="tonight", seconds=1,
                     outcome=Outcome(summary=""))  # fmt: skip
    found = registry.to_ask(tonight)
    assert (found and (found.digest, found.corpus)) == asked


def test_the_flips_planted_in_the_fictional_corpus_are_found(tmp_path: Path) -> None:
    made = generate(500, Defects(), seed=5)
    kinds = dict(made.planted.select("row_id", "kind").iter_rows())
    copies = ("exact_duplicate", "near_duplicate", "leak", "gibberish")
    rows = made.corpus.filter(
        (pl.col("split") == "train")
        & ~pl.col("row_id").is_in([row for row, kind in kinds.items() if kind in copies])
    )
    wrong = {i for i, row in enumerate(rows["row_id"]) if kinds.get(row) == "flipped_label"}
    _, found, _, _ = run(tmp_path, rows["text"].to_list(), rows["label"].to_list())
    suspects = set(found.with_row_index("i").filter("is_suspect")["i"])
    assert len(wrong) > 80
    assert len(suspects & wrong) / len(wrong) >= 0.9
    assert len(suspects & wrong) / len(suspects) >= 0.85


def test_models_fit_as_freely_as_agreement_bears_out(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[float] = []
    # Of 100 rows, so many are agreed with; a step of one row is within a standard error.
    right = {1.0: 60, 3.0: 80, 10.0: 81, 30.0: 99}

    class Model:
        def __init__(self, freedom: float) -> None:
            self.freedom = freedom

        def predict_proba(self, features: Any) -> Any:
            good = features[:, 0] < right[self.freedom]
            return np.where(good[:, None], [[0.9, 0.1]], [[0.1, 0.9]])

    def fitted(features: Any, labels: Any, freedom: float) -> Model:
        tried.append(freedom)
        return Model(freedom)

    monkeypatch.setattr(label_models, "_fitted", fitted)
    labels = np.array([0] * 99 + [1])
    features = np.arange(100)[:, None]
    part = np.arange(100) % 2
    found, freedom = label_models._cross_validated(features, labels, part, lambda done, what: None)
    assert freedom == 3.0
    assert tried == [1.0, 1.0, 3.0, 3.0, 10.0, 10.0]
    assert (found[:, 0] > 0.5).sum() == 80


@pytest.mark.parametrize("known", [True, False])
def test_the_flow_asks_a_champion_only_if_it_knows_what_that_was_taught(
    monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    from flows import prepare

    def record(name: str) -> Record:
        return Record(stage=name, key=name, uri="u", digest=name, seconds=1,
                      outcome=Outcome(summary=""))  # fmt: skip

    given: list[Any] = []
    asked = registry.Asked(digest="champion", corpus="yesterday")
    monkeypatch.setattr(prepare.registry, "to_ask", lambda corpus: asked)
    monkeypatch.setattr(
        prepare.history,
        "left",
        lambda title, digest: record(f"{title} {digest}") if known else None,
    )
    monkeypatch.setattr(prepare.registry, "champion", lambda *, digest, title: record(digest))
    monkeypatch.setattr(prepare, "check_labels", lambda *args, **_: given.extend(args) or args[0])
    names = ("clean", "profile", "augment")
    found = prepare._labels(Configuration(), *map(record, names))
    assert list(found) == ["check_labels"]
    told = [one and one.key for one in given]
    assert told == [
        "clean",
        "profile",
        *(("champion", "augment yesterday") if known else (None, None)),
    ]
    off = Configuration(labels=Labels(enabled=False))
    assert prepare._labels(off, *map(record, names)) == {}
