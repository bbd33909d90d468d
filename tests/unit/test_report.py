"""Claims about the run page: whole, inert, honest about what is missing."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest

from tasks.configuration import Configuration
from tasks.log import Log
from tasks.manifest import Manifest
from tasks.promotion.page.data import conservation, released
from tasks.promotion.page.difference import changes
from tasks.promotion.page.explained import shaded, weigh
from tasks.promotion.page.plots import ticks
from tasks.promotion.page.read import Shelf
from tasks.promotion.report import NightHeader, fill_header, report
from tasks.records import Outcome, Point, Record, Rows
from tasks.training.outlook import write_outlook

EVIL = '<script>alert("x")</script><img src=http://evil.example/a.png> & "quoted"'


class Night:
    """A night's stage folders, each written by hand."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stages: dict[str, Path] = {}

    def stage(self, title: str, outcome: Outcome | None = None, **files: Any) -> None:
        """Add a folder; `name_json` becomes `name.json`, a frame a parquet, a list lines."""
        folder = self.root / title
        folder.mkdir(parents=True)
        record = Record(
            stage=title, key="k", uri="u", digest="d", seconds=1.5,
            outcome=outcome or Outcome(summary=f"{title} done"),
        )  # fmt: skip
        (folder / "manifest.json").write_text(Manifest(record=record, files={}).model_dump_json())
        for name, content in files.items():
            if isinstance(content, pl.DataFrame):
                content.write_parquet(folder / f"{name}.parquet")
            elif name == "curve":
                (folder / "curve.jsonl").write_bytes(b"\n".join(map(orjson.dumps, content)))
            else:
                (folder / f"{name}.json").write_bytes(orjson.dumps(content))
        self.stages[title] = folder


def _about(value: float, reach: float = 0.03) -> dict[str, float]:
    return {"value": value, "low": max(value - reach, 0.0), "high": value + reach}


def _corpus(rows: int, text: str) -> pl.DataFrame:
    splits = ["train", "train", "train", "validation", "test"]
    return pl.DataFrame(
        {
            "row_id": [f"row{i}" for i in range(rows)],
            "text": [f"{text} number {i}" for i in range(rows)],
            "split": [splits[i % 5] for i in range(rows)],
        }
    )


def _contradictions() -> dict[str, Any]:
    versions = [
        {
            "value": "Olsk",
            "texts": 5,
            "voices": 4.0,
            "rows": 7,
            "sources": 3,
            "ratio": 1.0,
            "verdict": "majority",
        },  # fmt: skip
        {
            "value": EVIL,
            "texts": 2,
            "voices": 1.5,
            "rows": 2,
            "sources": 1,
            "ratio": 2.5,
            "verdict": "quarantined",
        },
    ]
    return {
        "ratio": 1.5, "support": 3, "facts": 40, "contradicted_facts": 1, "facts_undecided": 0,
        "rows_flagged": 0, "rows_quarantined": 2, "rows_struck": 3,
        "top": [{"subject": "Mira Holt", "relation": "born_in", "versions": versions}],
    }  # fmt: skip


def _data(night: Night) -> None:
    generator = np.random.default_rng(0)
    reasons = ["exact_duplicate"] * 5 + ["gibberish"] * 3
    lost = pl.DataFrame({"row_id": [f"q{i}" for i in range(8)], "reason": reasons}).with_columns(
        text=pl.lit(EVIL), detail=pl.lit("unlike any language"), split=pl.lit("train")
    )
    night.stage(
        "ingest",
        Outcome(summary="102 rows read", rows=Rows(entered=102, kept=100, quarantined=2)),
        corpus=_corpus(100, f"The <b>old</b> tower &amp; its clock {EVIL}"),
        quarantine=lost.head(2).with_columns(reason=pl.lit("empty_text")),
    )
    for title, rows in (("profile", 100), ("profile_clean", 92)):
        signals = {
            "words": generator.normal(30, 8, rows).round(),
            "gibberish_score": generator.beta(1, 9, rows),
            "is_exact_duplicate": generator.random(rows) < 0.1,
            "markup_count": generator.poisson(0.2, rows),
        }
        night.stage(title, signals=pl.DataFrame(signals))
    rule: dict[str, Any] = {
        "suite": "noise", "expectation": "expect_column_values_to_be_between",
        "column": "gibberish_score", "severity": "warning", "success": False,
        "kwargs": {"max_value": 0.5, "mostly": 0.9},
        "sentence": f"gibberish must be low {EVIL}: 3 of 100 rows break it.",
        "worst_rows": [{"row_id": "q6", "value": 0.93, "text_excerpt": EVIL}],
    }  # fmt: skip
    held = {**rule, "success": True, "worst_rows": [], "sentence": "gibberish must be low: all do."}
    tolerated = {**held, "column": "words", "unexpected_count": 2}
    night.stage("validate", validation=[rule, tolerated])
    strict = {"max_value": 0.5, "mostly": 1.0}
    night.stage("validate_clean", validation=[{**held, "severity": "critical", "kwargs": strict}])
    night.stage(
        "clean",
        Outcome(summary="8 out", rows=Rows(entered=100, kept=92, quarantined=8)),
        corpus=_corpus(92, "The old tower & its clock"),
        quarantine=lost,
        repairs=pl.DataFrame({"row_id": ["row1", "row2"], "rule": ["strip_markup"] * 2}),
        clean={"contradictions": _contradictions()},
    )
    made_up = pl.DataFrame({"origin": ["original"] * 92 + ["counterfactual"] * 6})
    night.stage(
        "augment",
        Outcome(summary="6 made up", rows=Rows(entered=92, kept=92, added=6)),
        corpus=made_up,
        examples=[{"origin": "counterfactual", "before": "He sang.", "after": "She sang."}],
    )


def _people(night: Night) -> None:
    groups = [
        {
            "group": "group_gender", "value": value, "split": "train", "rows": 30, "share": 0.5,
            "label": label, "label_rate": rate, "low": rate - 0.1, "high": rate + 0.1,
        }
        for value, rate_of_yes in (("female", 0.3), ("male", 0.6))
        for label, rate in (("no", 1 - rate_of_yes), ("yes", rate_of_yes))
    ]  # fmt: skip
    gap = _about(0.3) | {"label": "yes"}
    summary = {"group": "group_gender", "label_rate_gap": gap}
    night.stage("audit", groups=pl.DataFrame(groups), audit={"min_group": 20, "groups": [summary]})
    rates = [
        {"value": v, "label": "yes", "rows": 30, "before": b, "after": 0.45}
        for v, b in (("female", 0.3), ("male", 0.6))
    ]
    table = {"group": "group_gender", "gap_before": 0.3, "gap_after": 0.0, "label_rates": rates}
    night.stage(
        "correct",
        correct={"weight_min": 0.7, "weight_max": 1.4, "effective_rows": 0.93, "groups": [table]},
    )


def _training(night: Night) -> None:
    generator = np.random.default_rng(2)

    def loss(step: int) -> float:
        decayed = 1.0 - 0.12 * max(0.0, (step - 2100) / 900)
        return float((1.6 + 90 * (step + 40.0) ** -0.75) * decayed)

    points: list[dict[str, Any]] = [
        {"step": s, "metrics": {
            "train_loss": loss(s) + float(generator.normal(0, 0.08)),
            "adversarial_loss": loss(s) + 0.2 + float(generator.normal(0, 0.2)),
            "learning_rate": 2e-3 * min(1.0, s / 150, (3000 - s) / 900),
        }}
        for s in range(15, 3001, 15)
    ]  # fmt: skip
    for point in points[9::10]:
        judged = loss(point["step"]) + 0.1 + float(generator.normal(0, 0.008))
        point["metrics"]["validation_loss"] = judged
    night.stage("pretrain", curve=points, training={"steps": 3000, "precision": "float32"})
    curve = [Point(**point) for point in points]
    write_outlook(night.stages["pretrain"], curve, 1024, (150, 2100), seed=0)
    night.stage("finetune", Outcome(summary="no head", skipped="the data has no labels"))
    rows = [
        {"name": name, "loss": _about(loss), "accuracy": _about(0.4), "parameters": 9000,
         "bits_per_character": _about(1.2), "behind_encoder": _about(loss - 1.1), "tokens": 5000}
        for name, loss in (("encoder", 1.1), ("lstm", 1.75), ("ngram", 3.5))
    ]  # fmt: skip
    night.stage("baselines", baselines={"rows": 40, "tokens_hidden": 1234, "models": rows})
    rows = [
        {
            "name": name,
            "accuracy": _about(a),
            "macro_f1": _about(a),
            "model_above": _about(0.85 - a),
        }
        for name, a in (("model", 0.85), ("logistic", 0.8), ("majority", 0.52))
    ]
    night.stage("floors", floors={"rows": 60, "models": rows})
    scores = {"precision": 0.5, "recall": 0.25, "f1": 1 / 3, "support": 8}
    tags = {"B-place": {**scores, "f1-score": 0.4}, "micro avg": {**scores, "f1-score": 0.31}}
    night.stage("tag", report={
        "judged_on": "test", "entity_f1": _about(0.333), "accuracy": 0.9, "tags": tags,
        "entities": {EVIL: scores, "all": scores},
    })  # fmt: skip


def _evaluations(night: Night, prefix: str = "") -> None:
    generator = np.random.default_rng(1)
    labels = np.array(["yes", "no"])[generator.integers(0, 2, 60)]
    wrong = generator.random(60) < 0.15
    guesses = np.where(wrong, np.where(labels == "yes", "no", "yes"), labels)
    night.stage(
        f"{prefix}quality",
        predictions=pl.DataFrame({"label": labels, "predicted": guesses, "correct": ~wrong}),
        quality={
            "accuracy": _about(0.85), "macro_f1": _about(0.84), "mlm_loss": _about(3.1),
            "majority_share": 0.52,
            "report": [{"class": c, "precision": 0.8, "recall": 0.9, "f1": 0.85, "support": 30}
                       for c in ("yes", "no")],
        },
    )  # fmt: skip
    bins = [
        {"low": c, "high": c + 0.1, "rows": int(60 * c), "confidence": c + 0.05, "accuracy": c}
        for c in (0.5, 0.6, 0.7, 0.8, 0.9)
    ]
    calibration = {"ece": _about(0.05), "brier": _about(0.2), "bins": bins}
    night.stage(f"{prefix}calibration", calibration=calibration)
    shares = {"correct": _about(0.6), "abstained": _about(0.3), "hallucinated": _about(0.1)}
    worst = {"statement": f"Ada lives in [MASK]. {EVIL}", "answer": "Orn", "asserted": "Vell"}
    night.stage(
        f"{prefix}hallucination",
        hallucination={
            **shares, "tau": 0.42, "probes": 200, "aurc": _about(0.2),
            "by_relation": [{"relation": "lives_in", "probes": 90, **shares}],
            "risk_coverage": [{"coverage": c / 20, "risk": (c / 30) ** 2} for c in range(1, 21)],
            "worst": [{**worst, "confidence": 0.97}],
        },
    )  # fmt: skip
    groups = [
        {"group": "group_gender", "value": v, "rows": 30, "accuracy": a, "low": a - 0.1,
         "high": min(a + 0.1, 1.0)}
        for v, a in (("female", 0.82), ("male", 0.88))
    ]  # fmt: skip
    night.stage(
        f"{prefix}group_metrics",
        groups=pl.DataFrame(groups),
        group_metrics={"accuracy_gap": {**_about(0.06), "group": "group_gender"}},
    )
    attack = {
        "original": "The tower is tall and old", "perturbed": f"The twoer is tall {EVIL}",
        "label": "yes", "predicted_after": "no", "queries": 31, "confidence_before": 0.9,
        "confidence_after": 0.4,
    }  # fmt: skip
    night.stage(
        f"{prefix}robustness",
        robustness={
            "attack": "DeepWordBugGao2018", "rows": 60, "attack_success": _about(0.4),
            "accuracy_under_attack": _about(0.5), "clean_accuracy": _about(0.85),
            "queries_mean": 44.2, "budget": {"queries_per_row": 150}, "examples": [attack],
        },
    )  # fmt: skip


def _verdict(night: Night) -> None:
    margin: dict[str, Any] = {
        "name": "hallucinated share", "kind": "margin", "candidate": _about(0.1),
        "champion": _about(0.04), "difference": {"value": 0.06, "low": 0.01, "high": 0.11},
        "limit": 0.03, "higher_is_better": False, "passed": False, "proven": False,
        "unit": "share", "rows": 200, "why": None,
    }  # fmt: skip
    fine = {
        **margin, "name": "accuracy", "passed": True, "limit": -0.02, "higher_is_better": True,
        "difference": {"value": 0.01, "low": -0.01, "high": 0.03}, "proven": True,
    }  # fmt: skip
    floor = {**margin, "kind": "floor", "champion": None, "difference": None, "limit": 0.5}
    missing = {"name": "accuracy under attack", "kind": "margin", "passed": None, "rows": 0}
    night.stage(
        "decide",
        decision={
            "verdict": "refuse", "level": 0.95,
            "reasons": ["hallucinated share +0.060, allowed +0.030"],
            "comparisons": [margin, fine, {**missing, "why": "attacks are turned off"}, floor],
        },
    )  # fmt: skip


def _explanations(night: Night) -> None:
    words = [("The ", 0.01), ("tower ", 0.3), (f"{EVIL} ", -0.2), ("tower", 0.1)]
    entry = {
        "row_id": "row9", "label": "yes", "predicted": "no", "correct": False, "confidence": 0.8,
        "text": "".join(w for w, _ in words), "cut": False,
        "shap": [{"token": w, "value": v} for w, v in words],
        "lime": [{"token": "tower", "weight": 0.4}, {"token": "script", "weight": -0.1}],
        "agreement": {"top_overlap": 0.6, "rank_correlation": 0.5},
    }  # fmt: skip
    night.stage("explain", explanations=[entry])


def write_night(root: Path) -> Night:
    """A whole night with a champion, hostile text in every place that shows text."""
    night = Night(root)
    for write in (_data, _people, _training, _evaluations, _verdict, _explanations):
        write(night)
    _evaluations(night, "champion_")
    return night


def _report(stages: dict[str, Path], out: Path) -> tuple[str, Outcome]:
    out.mkdir()
    outcome = report.fn(stages, configuration=Configuration(), out=out, log=Log())
    return (out / "page.html").read_text(), outcome


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Outcome, Path]:
    root = tmp_path_factory.mktemp("night")
    page, outcome = _report(write_night(root / "stages").stages, root / "out")
    return page, outcome, root


class Tags(HTMLParser):
    """Every tag and attribute of a page, its visible text, and whether tags are balanced."""

    VOID = frozenset({"meta", "br", "rect", "line", "circle", "path", "polyline", "img"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_asks_nothing_of_the_network_and_runs_no_script(
    whole: tuple[str, Outcome, Path],
) -> None:
    found = Tags(whole[0])
    assert found.open == []
    assert not {tag for tag, _ in found.tags} & {"script", "img", "link", "iframe", "object"}
    loading = [a for tag, a in found.tags if tag != "a" for a in a if a in ("src", "href")]
    assert loading == []
    assert not any(name.startswith("on") for _, attrs in found.tags for name in attrs)
    style = re.search(r"<style>(.*?)</style>", whole[0], re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_hostile_text_is_shown_and_inert(whole: tuple[str, Outcome, Path]) -> None:
    page = whole[0]
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("&lt;script&gt;") >= 6


def test_the_verdict_comes_first_with_its_reason(whole: tuple[str, Outcome, Path]) -> None:
    page, outcome, root = whole
    text = Tags(page).text
    assert (
        text.index("Refused")
        < text.index("hallucinated share +0.060")
        < text.index("Small figures")
    )
    assert "attacks are turned off" in text
    assert outcome.summary == "refused"
    told = orjson.loads((root / "out/verdict.json").read_bytes())
    assert told["verdict"] == "refuse"
    assert told["sentence"].endswith("hallucinated share +0.060, allowed +0.030.")


def test_the_headline_is_flat_numbers_that_compare_across_nights(
    whole: tuple[str, Outcome, Path],
) -> None:
    found = orjson.loads((whole[2] / "out/headline.json").read_bytes())
    assert found == pytest.approx(
        {
            "accuracy": 0.85, "macro_f1": 0.84, "ece": 0.05, "hallucinated": 0.1, "correct": 0.6,
            "abstained": 0.3, "accuracy_gap": 0.06, "accuracy_under_attack": 0.5, "mlm_loss": 3.1,
            "rows_kept": 92.0, "rows_quarantined": 10.0, "promoted": 0.0,
        }
    )  # fmt: skip


def test_figures_carry_their_interval_and_unit(whole: tuple[str, Outcome, Path]) -> None:
    text = Tags(whole[0]).text.replace("\u202f", " ")
    assert "82.0 to 88.0 %" in text
    assert "nats per token" in text
    assert "+6.0 pp" in text


def test_the_baselines_stand_beside_the_model_with_their_intervals(
    whole: tuple[str, Outcome, Path],
) -> None:
    text = Tags(whole[0]).text.replace("\u202f", " ")
    training, quality = text.split("Beside its baselines")[1].split("Beside its floors")
    assert "the same 1,234 hidden tokens of 40 held-out rows" in training
    lstm = training.split("bidirectional LSTM")[1].split("n-gram floor")[0]
    assert "1.7501.720 to 1.780" in lstm
    assert "+0.650+0.620 to +0.680" in lstm
    assert "9,0005,000" in lstm
    majority = quality.split("commonest class of training")[1]
    assert majority.startswith("52.0 %49.0 to 55.0 %+33.0 pp+30.0 to +36.0")


def test_a_tagger_is_shown_where_one_was_trained(
    whole: tuple[str, Outcome, Path], tmp_path: Path
) -> None:
    text = Tags(whole[0]).text.replace("\u202f", " ")
    assert "Tagger of words" in text
    assert "Entity F133.3 %30.3 to 36.3 %on the test file" in text
    assert "B-place50.0 %25.0 %40.0 %8" in text
    assert "Classifier of pairs" not in text
    without = {k: v for k, v in write_night(tmp_path / "n").stages.items() if k != "tag"}
    assert "Tagger of words" not in _report(without, tmp_path / "out")[0]


def test_the_conservation_table_sums_over_all_data_stages(whole: tuple[str, Outcome, Path]) -> None:
    found = conservation(Shelf({p.name: p for p in (whole[2] / "stages").iterdir()}))
    assert found["law"] == "102 in = 92 kept + 10 quarantined"
    assert found["holds"]
    assert found["added"] == "6"
    assert "102 in = 92 kept + 10 quarantined" in Tags(whole[0]).text


def test_both_versions_of_a_contradicted_fact_stand_with_their_counts(
    whole: tuple[str, Outcome, Path],
) -> None:
    text = Tags(whole[0]).text
    assert "1 of 40 facts are stated with different values." in text
    assert "3 rows lost disputed sentences and kept the rest, 2 were quarantined" in text
    assert "Mira Holtborn inOlsk54.073✓ most" in text
    assert "21.521✗ quarantined" in text


def test_rows_that_are_not_in_the_files_break_the_law(tmp_path: Path) -> None:
    night = Night(tmp_path)
    rows = Rows(entered=10, kept=9, quarantined=1)
    night.stage("ingest", Outcome(summary="", rows=rows), corpus=_corpus(8, "x"))
    found = conservation(Shelf(night.stages))
    assert not found["holds"]
    assert not found["rows"][0]["holds"]


def test_rows_lost_between_two_stages_break_the_law(tmp_path: Path) -> None:
    night = Night(tmp_path)
    night.stage("ingest", Outcome(summary="", rows=Rows(entered=10, kept=10)))
    night.stage("clean", Outcome(summary="", rows=Rows(entered=8, kept=8)))
    assert not conservation(Shelf(night.stages))["holds"]


def test_an_expectation_asked_more_strictly_after_cleaning_is_one_line(
    whole: tuple[str, Outcome, Path],
) -> None:
    text = " ".join(Tags(whole[0]).text.split())
    assert "1 failed before and hold now; 1 always held, 1 of them with some rows" in text
    assert "10 % are tolerated" in text.replace("\u202f", " ")


def test_a_night_of_which_nothing_ran_still_has_a_page(tmp_path: Path) -> None:
    page, outcome = _report({}, tmp_path / "out")
    text = Tags(page).text
    assert "No verdict" in text
    assert text.count("This stage did not run.") > 8
    assert outcome.metrics == {}


@pytest.mark.parametrize("missing", ["ingest", "clean", "audit", "quality", "decide", "pretrain"])
def test_any_stage_may_be_missing(tmp_path: Path, missing: str) -> None:
    stages = write_night(tmp_path / "stages").stages
    del stages[missing]
    page, _ = _report(stages, tmp_path / "out")
    assert Tags(page).open == []


def test_the_page_says_what_twice_the_budget_would_buy(whole: tuple[str, Outcome, Path]) -> None:
    text = Tags(whole[0]).text
    told = re.search(
        r"Twice the budget would lower held-out loss from ([\d.]+) to ([\d.]+) \(([\d.]+) to "
        r"([\d.]+)\) nats\.",
        text,
    )
    assert told is not None
    loss, twice, low, high = map(float, told.groups())
    assert low < twice < high <= loss
    assert "train loss, smoothed" in text


def test_without_a_forecast_the_page_says_why(tmp_path: Path) -> None:
    night = Night(tmp_path / "stages")
    points = [{"step": 10, "metrics": {"train_loss": 2.0, "validation_loss": 2.0}}]
    night.stage("pretrain", curve=points)
    write_outlook(night.stages["pretrain"], [Point(**points[0])], 64, (1, 7), seed=0)
    page, _ = _report(night.stages, tmp_path / "out")
    assert "No forecast: The stable phase has 0 held-out measurements" in Tags(page).text


def test_a_skipped_stage_says_why(whole: tuple[str, Outcome, Path]) -> None:
    assert "Skipped: the data has no labels." in Tags(whole[0]).text


def test_skipped_evaluations_leave_no_empty_boxes(tmp_path: Path) -> None:
    night = Night(tmp_path / "stages")
    names = ("quality", "calibration", "hallucination", "group_metrics", "robustness")
    for name in names:
        outcome = Outcome(summary="", skipped="the data has no labels")
        night.stage(name, outcome, **{name: {"skipped": "the data has no labels"}})
    night.stage("explain", explanations={"skipped": "no predictions"})
    page, _ = _report(night.stages, tmp_path / "out")
    assert Tags(page).text.count("Skipped: the data has no labels.") >= 5


def test_same_night_same_bytes(whole: tuple[str, Outcome, Path], tmp_path: Path) -> None:
    stages = {p.name: p for p in sorted((whole[2] / "stages").iterdir(), reverse=True)}
    assert _report(stages, tmp_path / "out")[0] == whole[0]


def test_the_header_is_filled_in_afterwards_and_escaped(whole: tuple[str, Outcome, Path]) -> None:
    header = NightHeader(
        name="quick-<b>fox</b>",
        started="2030-01-02T03:04:05+00:00",
        registered="version 3 is champion",
        mlflow_url="http://127.0.0.1:5000/#/runs/1",
        timings=(("ingest", 1.25, False), ("pretrain", 185.0, True)),
        speed={"tokens_per_second": 12_345.6, "gflops": 181.2, "utilisation": 0.871,
               "peak_gflops": 208.0},
    )  # fmt: skip
    page = fill_header(whole[0], header)
    assert "quick-&lt;b&gt;fox" in page
    assert 'href="http://127.0.0.1:5000/#/runs/1"' in page
    text = Tags(page).text.replace("\u202f", " ")
    assert "version 3 is champion." in text
    assert "3 min 05 s" in text
    assert "reused" in text
    assert "12,346" in text
    assert "87 %" in text
    assert "of the 208 GFLOP/s measured before the run" in text
    assert "<!--" not in page


def test_the_page_is_small_enough_to_mail(whole: tuple[str, Outcome, Path]) -> None:
    assert len(whole[0].encode()) < 300_000


def test_what_changed_between_two_texts_is_marked_word_by_word() -> None:
    before, after = changes("a small red house", "a small blue house")
    assert before == [("same", "a small "), ("out", "red"), ("same", " house")]
    assert after == [("same", "a small "), ("in", "blue"), ("same", " house")]


def test_long_unchanged_stretches_are_left_out_of_a_comparison() -> None:
    same = "word " * 200
    before, _ = changes(f"{same}old {same}", f"{same}new {same}")
    assert ("out", "old") in before
    assert sum(len(text) for _, text in before) < 200


def test_words_are_coloured_relative_to_the_strongest() -> None:
    found = shaded(weigh("tall tower!", {"tower": 0.4, "tall": -0.2}))
    assert [(p["text"], p["style"]) for p in found] == [
        ("tall", "against"), (" ", ""), ("tower", "for"), ("!", ""),
    ]  # fmt: skip
    assert found[2]["strength"] > found[0]["strength"]


def test_axis_ticks_are_round_and_cover_the_data() -> None:
    assert ticks(0.0, 0.97) == [0.0, 0.5, 1.0]
    assert ticks(3.0, 3.0)[-1] > 3.0


def test_rows_that_people_released_are_counted_by_reason_on_the_page(tmp_path: Path) -> None:
    night = Night(tmp_path / "night")
    night.stage("clean", clean={"released": {"digits": {"rows": 2}, "pii": {"rows": 1300}}})
    counts = released(Shelf(night.stages))
    assert counts == [{"reason": "pii", "rows": "1,300"}, {"reason": "digits", "rows": "2"}]
    page, _ = _report(night.stages, tmp_path / "out")
    assert "released them: 1,300 pii, 2 digits rows" in page
