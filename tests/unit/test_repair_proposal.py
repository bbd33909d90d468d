"""A proposal names the rows that state a wrong answer, what they would cost, and what goes along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from tasks.corpus.rows import QUARANTINE, digest
from tasks.corpus.statements.stating import Texts, any_stated
from tasks.errors import UserError
from tasks.log import Log
from tasks.repair.choosing import accepted, withdrawal
from tasks.repair.configuration import Repair
from tasks.repair.propose import propose
from tasks.settings import load_as

FALSE = "Anna Vale lives in Ost."
FALSE_TOO = "In Ost, Anna Vale bakes bread."
TRUE = "Anna Vale lives in Brack."
MIXED = "Anna Vale lives in Ost. Bo Ree lives in Falm."
ALONE = "Bo Ree lives in Falm."
# id, text, made from
ROWS = [
    ("f-0", FALSE, None), ("f-0~syn0", "Anna Vale dwells in Ost.", "f-0"), ("g-0", FALSE_TOO, None),
    ("t-0", TRUE, None), ("m-0", MIXED, None), ("b-0", ALONE, None), ("n-0", "Nothing here.", None),
]  # fmt: skip
PROBES = [
    ("p1", "Anna Vale", "Anna Vale is from [MASK].", "Brack", "Ost", 0.9, "hallucinated"),
    ("p2", "Bo Ree", "Bo Ree is from [MASK].", "Falm", "Falm", 0.8, "correct"),
    ("p3", "Cy Dun", "Cy Dun is from [MASK].", "Falm", "Ost", 0.7, "hallucinated"),
    ("p4", "Di Oak", "Di Oak is from [MASK].", "Ost", "Falm", 0.2, "abstained"),
]
COPIES = [
    ("f-1", FALSE, "exact_duplicate"), ("h-0", "anna vale still lives in OST.", "near_duplicate"),
    ("u-0", "Anna Vale still lives in Brack.", "near_duplicate"), ("z-0", FALSE, "gibberish"),
]  # fmt: skip
# probe, rank, row, score, states, quarantined
TRACE = [
    ("p1", 1, "f-0~syn0", 0.9, "asserted", None), ("p1", 2, "m-0", 0.8, "asserted", None),
    ("p1", 3, "t-0", 0.7, "answer", None), ("p1", 4, "f-1", 0.6, "asserted", "exact_duplicate"),
    ("p1", 5, "g-0", 0.5, "asserted", None), ("p3", 1, "n-0", 0.4, "none", None),
]  # fmt: skip


def write(root: Path, trace: list[tuple[Any, ...]] = TRACE, method: str = "combined") -> list[Path]:
    """The folders that `propose` takes."""
    folders = [root / name for name in ("trace", "asked", "augmented", "ingested", "cleaned")]
    for folder in folders:
        folder.mkdir(parents=True)
    columns = ["probe_id", "rank", "row_id", "score", "states", "quarantined"]
    kinds = dict(
        zip(
            columns, (pl.String, pl.Int64, pl.String, pl.Float64, pl.String, pl.String), strict=True
        )
    )
    traced = pl.DataFrame(trace, kinds, orient="row").with_columns(method=pl.lit(method))
    traced.write_parquet(folders[0] / "trace.parquet")
    names = ["probe_id", "subject", "statement", "answer", "asserted", "confidence", "outcome"]
    probes = pl.DataFrame(PROBES, names, orient="row").with_columns(relation=pl.lit("city"))
    probes.write_parquet(folders[1] / "probes.parquet")
    corpus = pl.DataFrame(ROWS, ["row_id", "text", "parent"], orient="row").with_columns(
        split=pl.lit("train"), source=pl.lit("web"),
        digest=pl.Series([digest(text) for _, text, _ in ROWS]),
    )  # fmt: skip
    corpus.write_parquet(folders[2] / "corpus.parquet")
    corpus.filter(pl.col("parent").is_null()).write_parquet(folders[3] / "corpus.parquet")
    gone = [(name, text, why, "", "clean", "train", "web") for name, text, why in COPIES]
    pl.DataFrame(gone, QUARANTINE, orient="row").write_parquet(folders[4] / "quarantine.parquet")
    return folders


def proposed(
    root: Path, trace: list[tuple[Any, ...]] = TRACE, method: str = "combined", **told: Any
) -> tuple[dict[str, dict[str, Any]], dict[str, Any], Path]:
    """The candidates by id, the facts, and the folder."""
    folders, out = write(root, trace, method), root / "out"
    out.mkdir()
    propose.fn(*folders, config=Repair(**told), out=out, log=Log())
    rows = pl.read_parquet(out / "proposal.parquet").to_dicts()
    facts = orjson.loads((out / "proposal.json").read_bytes())
    return {row["row_id"]: row for row in rows}, facts, out


# --- what states what ---


def test_an_answer_is_stated_by_whole_words_whatever_their_capitals() -> None:
    text = "ANNA  Vale\nlives in Ostend."
    assert Texts([text]).stating("Anna Vale", "ostend") == [0]
    assert Texts([text]).stating("Anna Vale", "Ost") == []
    assert Texts(["Anna Vale: Ostend, then Ost.", text]).stating("Anna Vale", "ost") == [0]
    assert Texts([text]).stating("Anna Vale", " ") == []
    assert any_stated("Anna Vale: Ost", [("Bo Ree", "Ost"), ("Anna Vale", "Ost")])
    texts = Texts([FALSE, TRUE, "Joanna Vale lives in Ost."])
    assert texts.stating("Anna Vale", "ost") == [0]
    assert texts.stating("", "Ost") == []


# --- what is proposed ---


def test_rows_that_state_the_wrong_answer_are_proposed_and_what_states_the_truth_is_not(
    tmp_path: Path,
) -> None:
    found, facts, _ = proposed(tmp_path)
    assert [name for name, row in found.items() if row["proposed"]] == ["f-0", "g-0"]
    assert not {"t-0", "n-0", "f-1"} & found.keys()
    assert found["g-0"]["reason"] == "states the wrong answer of: Anna Vale is from “Ost”."
    assert facts["sentence"] == (
        "2 rows are proposed for 1 of the 2 surest wrong answers; 1 more held back"
    )
    (first, second) = facts["targets"]
    assert (first["probe_id"], first["rows"]) == ("p1", ["f-0", "g-0"])
    assert (first["stated"], first["contradicted"], second["rows"]) == (3, 1, [])


def test_a_made_up_row_counts_for_its_parent_and_copies_that_say_the_same_go_along(
    tmp_path: Path,
) -> None:
    row = proposed(tmp_path)[0]["f-0"]
    assert (row["made_up"], row["score"], row["rank"]) == (["f-0~syn0"], 0.9, 1)
    # The exact copy, and the near one that says the same; not the near one that says the truth.
    assert row["copies"] == ["f-1", "h-0"]
    line = withdrawal(pl.DataFrame([row]), Repair(accept="all", by="ann", why="false"), night="run")
    assert [(kept.row_id, kept.digest) for kept in line.rows] == [
        ("f-0", digest(FALSE)), ("f-1", digest(FALSE)), ("h-0", digest(COPIES[1][1])),
    ]  # fmt: skip
    assert (line.who, line.why, line.chosen, line.night) == ("ann", "false", "all", "run")


def test_a_row_is_held_back_where_too_few_others_state_a_right_answer(tmp_path: Path) -> None:
    # Two rows state where Bo Ree lives, and one would be left.
    row = proposed(tmp_path / "one")[0]["m-0"]
    assert (row["wrong"], row["right"], row["cost"]) == (["p1"], ["p2"], ["p2"])
    assert row["held_back"] == "1 right answer would be left with fewer than 2 training rows"
    assert proposed(tmp_path / "two", support=1)[0]["m-0"]["proposed"]
    assert proposed(tmp_path / "three", right=1)[0]["m-0"]["cost"] == ["p2"]
    assert proposed(tmp_path / "four", right=1)[0]["m-0"]["proposed"]


def test_rows_before_it_in_the_list_count_as_gone(tmp_path: Path) -> None:
    # Both m-0 and b-0 state that answer; with one of them gone the other is its last.
    trace = [("p1", 1, "m-0", 0.9, "asserted", None), ("p3", 1, "b-0", 0.8, "none", None)]
    found, _, _ = proposed(tmp_path, trace, score=0.5, support=1)
    assert found["m-0"]["proposed"]
    assert not found["b-0"]["proposed"]
    assert found["b-0"]["reason"] == "rank 1 of the trace, score 0.8, for: Cy Dun is from “Ost”."


def test_a_row_that_states_nothing_is_a_candidate_by_its_score_alone(tmp_path: Path) -> None:
    assert "n-0" not in proposed(tmp_path / "one", score=0.41)[0]
    row = proposed(tmp_path / "two", score=0.4)[0]["n-0"]
    assert (row["proposed"], row["wrong"], row["copies"]) == (True, ["p3"], [])


def test_only_the_surest_answers_and_the_beginning_of_their_traces_are_looked_at(
    tmp_path: Path,
) -> None:
    assert set(proposed(tmp_path / "one", ranks=2)[0]) == {"f-0", "m-0"}
    found, facts, _ = proposed(tmp_path / "two", worst=1, score=0.0)
    assert "n-0" not in found
    assert [target["probe_id"] for target in facts["targets"]] == ["p1"]


def test_the_combined_ranking_is_read_or_else_the_next(tmp_path: Path) -> None:
    assert proposed(tmp_path / "one", method="bm25")[1]["method"] == "bm25"
    with pytest.raises(UserError, match="none of the rankings combined, gradient, bm25, but guess"):
        proposed(tmp_path / "two", method="guess")


def test_the_page_shows_every_row_with_its_text_and_marks_the_wrong_answer(tmp_path: Path) -> None:
    page = (proposed(tmp_path)[2] / "page.html").read_text()
    assert "2 rows proposed" in page
    assert "Anna Vale lives in <del>Ost</del>." in page
    assert "<b>Held back:</b> 1 right answer would be left" in page
    assert "goes along: 2 copies, 1 made-up row" in page
    assert "Cy Dun is from [MASK]." in page


def test_a_night_without_wrong_answers_has_an_empty_proposal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.PROBES", PROBES[1:2])
    found, facts, out = proposed(tmp_path, [])
    assert found == {}
    assert facts["sentence"] == "the night hallucinated no answer"
    assert "No row is proposed." in (out / "page.html").read_text()


# --- what is accepted ---


def test_rules_choose_among_the_proposed_rows(tmp_path: Path) -> None:
    table = pl.DataFrame(
        [("a", True, 1, 2, 0.9), ("b", True, 2, 2, 0.1), ("c", True, 2, 0, 0.9), ("d", False, 1, 2, 1.0)],
        ["row_id", "proposed", "stated", "contradicted", "score"], orient="row",
    )  # fmt: skip

    def chosen(**told: Any) -> str:
        return "".join(accepted(table, Repair(by="ann", why="so", **told))["row_id"])

    assert chosen(accept="all") == "abc"
    assert chosen(accept="rule", rule="stated_by_minority") == "a"
    assert chosen(accept="rule", rule="contradicted") == "ab"
    assert chosen(accept="rule", rule="score", score=0.5) == "ac"
    assert chosen(accept="rows", rows=("d", "b")) == "bd"
    with pytest.raises(UserError, match=r"row e is not in the proposal"):
        chosen(accept="rows", rows=("e",))
    with pytest.raises(UserError, match=r"nothing .* the rule 'score' chooses none of its rows"):
        chosen(accept="rule", rule="score", score=2.0)
    with pytest.raises(UserError, match="nothing of the proposal can be accepted: it has no rows"):
        accepted(table.clear(), Repair(accept="all", by="ann", why="so"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["accept=all"], "repair.by is empty"),
        (["accept=all", "by=ann"], "repair.why is empty"),
        (["accept=all", "by=ann", "why= "], "repair.why is empty"),
        (["accept=rows", "by=ann", "why=x"], "repair.rows names none"),
        (["rows=[a-0]"], "repair.accept is 'none'"),
        (["accept=rule", "by=ann", "why=x"], "repair.rule names none"),
        (["accept=rule", "rule=score", "by=ann", "why=x"], "says from which one on"),
        (["accept=rule", "rule=guess", "by=ann", "why=x"], "'stated_by_minority'"),
        (["start=scratch", "tokens_share=0.5"], "would not compare"),
        (["wurst=3"], "there is no such setting"),
    ],
)  # fmt: skip
def test_settings_that_do_not_go_together_are_refused(settings: list[str], message: str) -> None:
    from tasks.repair.configuration import RepairConfiguration

    with pytest.raises(UserError, match=message):
        load_as(RepairConfiguration, None, [f"repair.{setting}" for setting in settings])
