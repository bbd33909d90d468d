"""What each stage buys: variants that differ in one thing, and intervals that cover both chances."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from tasks.ablation.compare import mean_over_seeds, of_numbers, over_seeds, word
from tasks.ablation.configuration import Ablation, AblationConfiguration
from tasks.ablation.measured import Units, statistic, units_of
from tasks.ablation.table import tabulate
from tasks.ablation.variants import (
    FULL,
    RAW,
    STAGES,
    UNDAMAGED,
    UNDAMAGED_NIGHT,
    Variant,
    of_doses,
    of_stages,
)
from tasks.configuration import Configuration
from tasks.corpus.sources.fictional import generate
from tasks.log import Log


def flat(c: Configuration) -> dict[str, object]:
    found: dict[str, object] = {}

    def walk(values: dict[str, object], prefix: str) -> None:
        for name, value in values.items():
            if isinstance(value, dict):
                walk(value, f"{prefix}{name}.")
            else:
                found[prefix + name] = value

    walk(c.model_dump(), "")
    return found


def test_each_variant_changes_its_own_settings_and_raw_changes_them_all() -> None:
    base = Configuration()
    full, *others = of_stages([name for name in STAGES if name != UNDAMAGED_NIGHT])
    whole = flat(full.applied(base, 3))
    assert {n for n, v in whole.items() if v != flat(base)[n]} == {"seed", "validation.enforce"}
    changed = {
        v.name: {n for n, value in flat(v.applied(base, 3)).items() if value != whole[n]}
        for v in others
    }
    assert all(changed.values())
    assert changed[RAW] == set().union(*changed.values())
    single = [names for name, names in changed.items() if name != RAW]
    assert sum(map(len, single)) == len(set().union(*single))  # no two share a setting


def test_a_dose_plants_one_kind_of_damage_and_is_judged_beside_its_own_whole_night() -> None:
    variants = of_doses(["false_facts", "noise"], levels=3)
    assert [v.amount for v in variants if v.dose == "false_facts"] == [0, 0, 0.2, 0.2, 0.4, 0.4]
    assert {v.judged_on for v in variants} <= {v.name for v in variants}
    for v in variants:
        defects = v.applied(Configuration(), 1).source.defects
        always = {"false_repeats", "false_phrasings", "group_bias", "serving_skew"}
        planted = {n for n, value in defects.model_dump().items() if value} - always
        kinds = {"false_facts": {"contradicted_facts"},
                 "noise": {"mojibake", "markup", "boilerplate", "gibberish"}}  # fmt: skip
        assert planted == (kinds[v.dose] if v.amount else set())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ablate": {"variants": ["no_such"]}}, "names no_such"),
        ({"ablate": {"seeds": [1, 1]}}, "names a seed twice"),
        ({"pretrain": {"minutes": 1}}, "pretrain.minutes is set"),
        ({"source": {"location": "a.csv"}, "ablate": {"study": "dose"}}, "`dose`"),
        ({"source": {"location": "a.csv"}, "ablate": {"variants": ["undamaged"]}}, "`undamaged`"),
    ],
)
def test_what_cannot_be_compared_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        AblationConfiguration.model_validate(given)


def test_the_undamaged_corpus_asks_the_same_facts_and_holds_out_the_same_rows() -> None:
    made = []
    for changes in ({}, UNDAMAGED):
        c = Variant(name="x", changes=dict(changes)).applied(Configuration(), 1)
        made.append(generate(30, c.source.defects, 1))
    damaged, undamaged = made
    assert damaged.probes.equals(undamaged.probes)
    held_out = [set(m.corpus.filter(pl.col("split") == "test")["text"]) for m in made]
    assert held_out[0] == held_out[1]
    assert undamaged.planted.is_empty()
    assert not damaged.planted.is_empty()


def test_a_night_of_a_study_does_not_depend_on_other_nights() -> None:
    night = AblationConfiguration().night()
    assert type(night) is Configuration
    assert (night.validation.reference, night.labels.enabled) == ("none", False)


def units(values: list[float]) -> Units:
    return Units((str(i), np.array([v])) for i, v in enumerate(values))


def test_a_difference_is_the_mean_of_the_seeds_differences_on_shared_units() -> None:
    mean = statistic("accuracy")
    variant = [units([1, 1, 0]), units([0, 0, 0, 1])]
    full = [units([1, 1, 1]), units([1, 1, 1])]
    found = over_seeds(variant, full, mean, 500, seed=0)
    assert found is not None
    assert found["value"] == pytest.approx((-1 / 3 + -1) / 2)
    assert found["low"] <= found["value"] <= found["high"] <= 0
    assert over_seeds([Units()], [units([1])], mean, 500, seed=0) is None
    assert mean_over_seeds(variant, mean) == pytest.approx((2 / 3 + 1 / 4) / 2)


def test_single_numbers_vary_by_seed_alone() -> None:
    found = of_numbers([3.0, 5.0, None], [1.0, 1.0, 1.0], 2000, seed=0)
    assert found == {"value": 3.0, "low": 2.0, "high": 4.0}


@pytest.mark.parametrize(
    ("low", "high", "better", "said"),
    [(0.1, 0.3, -1, "worse"), (0.1, 0.3, 1, "better"), (-0.1, 0.3, 1, "no effect shown"),
     (-0.3, -0.1, 1, "worse"), (0.0, 0.3, 1, "no effect shown")],
)  # fmt: skip
def test_a_stage_is_said_to_do_something_only_if_the_interval_clears_zero(
    low: float, high: float, better: int, said: str
) -> None:
    assert word({"value": (low + high) / 2, "low": low, "high": high}, better) == said
    assert word(None, better) == "not measured"


def test_the_interval_covers_a_known_difference_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(120):
        variant, full = [], []
        for _ in range(8):  # seeds, each with a shift of its own
            shift = 0.2 + rng.normal(0, 0.05)
            base = rng.normal(0, 1, 60)
            full.append(units(base.tolist()))
            variant.append(units((base + shift + rng.normal(0, 0.2, 60)).tolist()))
        found = over_seeds(variant, full, statistic("accuracy"), 300, seed=trial)
        assert found is not None
        covered += found["low"] <= 0.2 <= found["high"]
    assert covered >= 0.85 * 120


def night(folder: Path, wrong: int) -> dict[str, Path]:
    made = {n: folder / n for n in ("quality", "hallucination", "robustness", "group_metrics")}
    for path in made.values():
        path.mkdir(parents=True)
    outcome = ["hallucinated"] * wrong + ["correct"] * (10 - wrong)
    pl.DataFrame(
        {"probe_id": [f"p{i}" for i in range(10)], "subject": [f"s{i}" for i in range(10)],
         "relation": ["city"] * 10, "outcome": outcome, "answer": ["a"] * 10,
         "asserted": ["b"] * wrong + ["a"] * (10 - wrong),
         "confidence": [0.4, 0.5] * 5}
    ).write_parquet(made["hallucination"] / "probes.parquet")  # fmt: skip
    pl.DataFrame(
        {"row_id": ["x", "y"], "correct": [True, False], "confidence": [0.9, 0.6]}
    ).write_parquet(made["quality"] / "predictions.parquet")
    (made["group_metrics"] / "group_metrics.json").write_text('{"accuracy_gap": {"value": 0.1}}')
    return made


def test_facts_that_are_disputed_are_told_from_the_others(tmp_path: Path) -> None:
    folders = night(tmp_path, wrong=4)
    disputed = pl.DataFrame({"subject": ["s0", "s9"], "relation": ["city", "city"]})
    share = units_of("hallucinated_contradicted", folders, disputed)
    assert {unit: float(value[0]) for unit, value in share.items()} == {"p0": 1.0, "p9": 0.0}
    assert len(units_of("facts_known_clean", folders, disputed)) == 8
    assert units_of("attack_success", folders, disputed) == {}


def test_at_one_threshold_for_all_a_night_cannot_hide_behind_its_silence(tmp_path: Path) -> None:
    folders, nothing = night(tmp_path, wrong=4), pl.DataFrame()
    for measure, sure in (
        ("hallucinated_half", {"p1", "p3"}),
        ("correct_half", {"p5", "p7", "p9"}),
    ):
        found = units_of(measure, folders, nothing)
        assert {unit for unit, value in found.items() if value[0]} == sure
        assert len(found) == 10


def test_the_table_has_every_variant_and_measure_and_a_page(tmp_path: Path) -> None:
    config = Ablation(seeds=(1, 2), bootstrap=200, variants=(RAW,))
    judged = {
        name: {str(s): night(tmp_path / f"{name}{s}", wrong) for s in config.seeds}
        for name, wrong in ((FULL, 1), (RAW, 8))
    }
    cleaned = {name: {str(s): tmp_path for s in config.seeds} for name in judged}
    seconds = {name: {str(s): 10.0 + s for s in config.seeds} for name in judged}
    out = tmp_path / "out"
    out.mkdir()
    told = tabulate.fn(judged, cleaned, variants=[v.model_dump() for v in of_stages((RAW,))],
                       seconds=seconds, config=config, out=out, log=Log())  # fmt: skip
    table = pl.read_parquet(out / "table.parquet")
    raw = {line["measure"]: line for line in table.to_dicts() if line["variant"] == RAW}
    assert raw["hallucinated"]["value"] == pytest.approx(0.8)
    assert raw["hallucinated"]["difference"] == pytest.approx(0.7)
    assert raw["hallucinated"]["word"] == "worse"
    assert raw["accuracy"]["word"] == "no effect shown"
    assert raw["attack_success"]["word"] == "not measured"
    assert told.metrics["full.hallucinated"] == pytest.approx(0.1)
    page = (out / "page.html").read_text()
    assert "What each stage buys" in page
    assert "http" not in page.replace("http://www.w3.org", "")
