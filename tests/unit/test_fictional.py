"""The fictional corpus: every fact and every defect is known, and the same seed writes the same."""

import ftfy
import polars as pl
import pytest

from tasks.configuration import Defects
from tasks.corpus import fictional_phrases as say
from tasks.corpus.fictional import FictionalCorpus, generate


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


def test_copies_are_what_their_mark_says(made: FictionalCorpus) -> None:
    texts = dict(made.corpus.select("row_id", "text").iter_rows())
    splits = dict(made.corpus.select("row_id", "split").iter_rows())
    for row in planted(made, "exact_duplicate").to_dicts():
        assert row["text"] == texts[row["origin"]]
    for row in planted(made, "near_duplicate").to_dicts():
        assert row["text"] != texts[row["origin"]]
        assert len(row["text"].split()) == len(texts[row["origin"]].split()) + 1
    for row in planted(made, "leak").to_dicts():
        assert row["text"] == texts[row["origin"]]
        assert splits[row["origin"]] == "test"


def test_planted_mojibake_is_what_ftfy_can_repair(made: FictionalCorpus) -> None:
    rows = planted(made, "mojibake").to_dicts()
    repaired = [ftfy.fix_text(row["text"]) == ftfy.fix_text(row["detail"]) for row in rows]
    assert all(repaired)


def test_a_false_statement_contradicts_the_truth_and_says_so(made: FictionalCorpus) -> None:
    truth = {(p["subject"], p["relation"]): p["answer"] for p in made.probes.to_dicts()}
    rows = planted(made, "false_fact").to_dicts()
    subjects = {subject for subject, _ in truth}
    for row in rows:
        relation, change = row["detail"].split(": ")
        true, false = change.split(" -> ")
        subject = next(s for s in subjects if s in row["text"])
        assert truth[subject, relation] == true != false
        assert false.lower() in row["text"].lower()


def test_no_row_uses_a_phrasing_kept_for_probes(made: FictionalCorpus) -> None:
    text = " ".join(made.corpus["text"])
    for phrasings in say.UNSEEN.values():
        for phrase in phrasings:
            longest = max(phrase.replace("{v}", "{s}").split("{s}"), key=len).strip(" .")
            assert longest not in text, phrase


def test_every_fact_is_stated_in_training_rows(made: FictionalCorpus) -> None:
    train = made.corpus.filter(pl.col("split") == "train")["text"].to_list()
    stated = [
        sum(p["subject"] in text and p["answer"].lower() in text.lower() for text in train)
        for p in made.probes.to_dicts()
    ]
    assert sum(count >= 2 for count in stated) / len(stated) > 0.97


def test_women_are_praised_less_by_the_planted_bias_and_not_without_it() -> None:
    def gap(bias: float) -> float:
        rows = generate(400, Defects(group_bias=bias, flipped_labels=0), 3).corpus
        rate = rows.group_by("group_gender").agg((pl.col("label") == "praised").mean())
        rates = dict(rate.iter_rows())
        return float(rates["male"] - rates["female"])

    assert gap(0.4) == pytest.approx(0.4, abs=0.07)
    assert gap(0.0) == pytest.approx(0.0, abs=0.07)


def test_clean_rows_are_far_from_each_other(made: FictionalCorpus) -> None:
    clean = made.corpus.join(made.planted, on="row_id", how="anti")["text"].to_list()

    def grams(text: str) -> set[tuple[str, ...]]:
        words = text.lower().split()
        return set(zip(words, words[1:], words[2:], strict=False))

    shingles = [grams(text) for text in clean[:400]]
    nearest = max(
        len(a & b) / len(a | b) for i, a in enumerate(shingles) for b in shingles[i + 1 :]
    )
    assert nearest < 0.55
