"""The fictional corpus: every fact and every defect is known, and the same seed writes the same."""

import ftfy
import polars as pl
import pytest

from tasks.configuration import Defects
from tasks.corpus.rows import hash_split
from tasks.corpus.sources import fictional_phrases as say
from tasks.corpus.sources.fictional import SKEWED_REGION, FictionalCorpus, generate


@pytest.fixture(scope="module")
def made() -> FictionalCorpus:
    return generate(120, Defects(), 7)


def planted(made: FictionalCorpus, kind: str) -> pl.DataFrame:
    rows = made.planted.filter(pl.col("kind") == kind)
    return rows.join(made.corpus, on="row_id", how="left")


def test_the_same_seed_writes_the_same_and_another_does_not(made: FictionalCorpus) -> None:
    again = generate(120, Defects(), 7)
    assert again.corpus.equals(made.corpus)
    assert again.probes.equals(made.probes)
    assert again.planted.equals(made.planted)
    assert not generate(120, Defects(), 8).corpus.equals(made.corpus)


def test_every_kind_of_defect_is_planted_at_its_rate_in_training_rows_only(
    made: FictionalCorpus,
) -> None:
    rates = Defects()
    clean = 120 * 7
    expected = {
        "mojibake": rates.mojibake, "markup": rates.markup, "boilerplate": rates.boilerplate,
        "email": rates.email, "flipped_label": rates.flipped_labels, "gibberish": rates.gibberish,
        "exact_duplicate": rates.exact_duplicates, "near_duplicate": rates.near_duplicates,
        "leak": rates.leaks,
    }  # fmt: skip
    counts = dict(made.planted["kind"].value_counts().iter_rows())
    assert {kind: counts[kind] for kind in expected} == {
        k: round(r * clean) for k, r in expected.items()
    }
    assert counts["false_fact"] == round(0.1 * 600) * rates.false_repeats
    assert set(planted(made, "leak")["split"]) == {"train"}
    for kind in counts:
        assert set(planted(made, kind)["split"]) == {"train"}, kind


def test_copies_are_what_their_mark_says_and_come_after_their_origin(
    made: FictionalCorpus,
) -> None:
    rows = {row["row_id"]: row for row in made.corpus.with_row_index("place").to_dicts()}
    copies = made.planted.filter(pl.col("origin").is_not_null()).to_dicts()
    for mark in copies:
        copy, origin = rows[mark["row_id"]], rows[mark["origin"]]
        assert copy["place"] > origin["place"]
        assert copy["label"] == origin["label"]
        assert origin["split"] == ("test" if mark["kind"] == "leak" else "train")
        if mark["kind"] == "near_duplicate":
            assert mark["original"] == origin["text"] != copy["text"]
            assert 0.75 <= jaccard(grams(copy["text"]), grams(origin["text"])) < 1
        else:
            assert copy["text"] == origin["text"]


def test_near_copies_keep_names_facts_and_the_words_of_the_label(made: FictionalCorpus) -> None:
    tone = {w for words in say.TONE_WORDS.values() for part in words.values() for w in part}
    kept = tone | {w.lower() for values in say.VALUES.values() for w in values}
    for row in planted(made, "near_duplicate").to_dicts():
        old, new = row["original"].split(), row["text"].split()
        assert abs(len(old) - len(new)) == 1
        for words, others in ((old, new), (new, old)):
            assert not kept & {w.strip(".").lower() for w in set(words) - set(others)}
        assert "  " not in row["text"]
        assert [w for w in old if w[0].isupper()] == [w for w in new if w[0].isupper()]


def test_planted_mojibake_is_what_ftfy_can_repair(made: FictionalCorpus) -> None:
    rows = planted(made, "mojibake").to_dicts()
    repaired = [ftfy.fix_text(row["text"]) == ftfy.fix_text(row["detail"]) for row in rows]
    assert all(repaired)


def test_a_false_statement_contradicts_the_truth_and_says_so(made: FictionalCorpus) -> None:
    truth = {(p["subject"], p["relation"]): p["answer"] for p in made.probes.to_dicts()}
    rows = planted(made, "false_fact").to_dicts()
    for row in rows:
        assert truth[row["subject"], row["relation"]] == row["answer"] != row["false_answer"]
        assert row["subject"] in row["text"]
        assert row["false_answer"].lower() in row["text"].lower()
        assert row["answer"].lower() not in row["text"].lower()
        assert row["detail"] == f"{row['relation']}: {row['answer']} -> {row['false_answer']}"
    versions = {(row["subject"], row["relation"]): set() for row in rows}
    for row in rows:
        versions[row["subject"], row["relation"]].add(row["text"])
    assert {len(texts) for texts in versions.values()} == {Defects().false_repeats}


def test_no_row_uses_a_phrasing_kept_for_probes(made: FictionalCorpus) -> None:
    text = " ".join(made.corpus["text"])
    for phrasings in say.UNSEEN.values():
        for phrase in phrasings:
            longest = max(phrase.replace("{v}", "{s}").split("{s}"), key=len).strip(" .")
            assert longest not in text, phrase


def test_every_fact_is_stated_in_three_rows_and_nearly_all_in_three_to_train_on(
    made: FictionalCorpus,
) -> None:
    def stated(rows: pl.DataFrame) -> list[int]:
        texts = rows["text"].str.to_lowercase().to_list()
        return [
            sum(p["subject"].lower() in t and p["answer"].lower() in t for t in texts)
            for p in made.probes.to_dicts()
        ]

    assert min(stated(made.corpus)) >= 3
    train = stated(made.corpus.filter(pl.col("split") == "train"))
    assert min(train) >= 1
    assert sum(count >= 3 for count in train) / len(train) > 0.9


def test_every_person_has_a_probe_per_relation_that_names_them(made: FictionalCorpus) -> None:
    assert len(made.probes) == 120 * 5 * 3
    assert made.probes["statement"].n_unique() == len(made.probes)
    probes = made.probes.filter(pl.col("phrasing") == "main")
    assert len(probes) == 120 * 5
    assert probes["probe_id"].n_unique() == probes["statement"].n_unique() == len(probes)
    assert probes["subject"].n_unique() == 120
    for probe in probes.to_dicts():
        assert probe["statement"].count("[MASK]") == 1
        assert probe["subject"] in probe["statement"]
        assert probe["answer"] not in probe["statement"]
    assert 0.14 < (probes["split"] == "validation").mean() < 0.26


def praise(rows: pl.DataFrame, by: str) -> dict[str, float]:
    rates = rows.group_by(by).agg((pl.col("label") == "praised").mean())
    return {name: rate for name, rate in rates.iter_rows() if name}


def test_women_are_praised_less_by_the_planted_bias_in_training_rows_alone() -> None:
    for bias in (0.4, 0.0):
        rows = generate(400, Defects(group_bias=bias, flipped_labels=0), 3).corpus
        for split, expected in (("train", bias), ("test", 0.0), ("validation", 0.0)):
            rates = praise(rows.filter(pl.col("split") == split), "group_gender")
            # Three standard errors of a difference of rates among some 150 rows each.
            near = 0.07 if split == "train" else 0.18
            assert rates["male"] - rates["female"] == pytest.approx(expected, abs=near), split


def test_the_serving_split_differs_by_the_planted_skew_and_not_without_it() -> None:
    def differences(skew: float) -> tuple[float, float, float]:
        rows = generate(400, Defects(serving_skew=skew, group_bias=0), 3).corpus
        rows = rows.filter(pl.col("group_region").is_not_null())
        serving = rows.filter(pl.col("split") == "serving")
        test = rows.filter(pl.col("split") == "test")
        parts = [
            (
                (part["group_region"] == SKEWED_REGION).mean(),
                (part["label"] == "praised").mean(),
                part["text"].str.len_chars().mean(),
            )
            for part in (serving, test)
        ]
        return tuple(a - b for a, b in zip(*parts, strict=True))

    region, praised, length = differences(0.5)
    assert region > 0.2
    assert praised < -0.07
    assert length < -20
    region, praised, length = differences(0.0)
    assert abs(region) < 0.12
    assert abs(praised) < 0.12
    assert abs(length) < 12


def test_splits_follow_the_text_and_the_shares_asked_for() -> None:
    none = Defects(**{name: 0 for name in Defects.model_fields if not name.startswith("false_")})
    rows = generate(200, none, 5, validation_share=0.2, test_share=0.3).corpus
    rows = rows.filter(pl.col("split") != "serving")
    assert rows["split"].to_list() == hash_split(rows["digest"].to_list(), 0.2, 0.3)
    assert rows["text"].n_unique() == len(rows)


def test_extreme_shares_plant_what_there_is_room_for() -> None:
    most = dict.fromkeys(("mojibake", "markup", "boilerplate", "email", "gibberish"), 0.5)
    shares = Defects(**most, flipped_labels=0.5, leaks=0.5, exact_duplicates=2, near_duplicates=2)
    made = generate(20, shares, 1)
    assert made.corpus["row_id"].n_unique() == len(made.corpus)
    plenty = generate(20, Defects(exact_duplicates=2, near_duplicates=0), 1)
    assert plenty.planted["kind"].to_list().count("exact_duplicate") == 2 * 20 * 7


def test_clean_rows_are_far_from_each_other(made: FictionalCorpus) -> None:
    clean = made.corpus.join(made.planted, on="row_id", how="anti")["text"].to_list()
    shingles = [grams(text) for text in clean[:400]]
    nearest = max(jaccard(a, b) for i, a in enumerate(shingles) for b in shingles[i + 1 :])
    assert nearest < 0.55


def grams(text: str) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return set(zip(words, words[1:], words[2:], strict=False))


def jaccard(one: set[tuple[str, ...]], two: set[tuple[str, ...]]) -> float:
    return len(one & two) / len(one | two)
