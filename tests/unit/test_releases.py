"""Released rows stay in the corpus for the fault they were released from, and the list keeps who and why."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import orjson
import polars as pl
import pytest

from tasks.configuration import Cleaning, Profiling, Validation
from tasks.corpus.clean import clean
from tasks.corpus.profile import profile
from tasks.corpus.quarantine import releases, releasing
from tasks.corpus.quarantine.releases import Release, ReleasedRow
from tasks.corpus.quarantine.spared import Released
from tasks.corpus.rows import BASE, digest, quarantine, row_ids
from tasks.corpus.validate import validate
from tasks.errors import UserError
from tasks.log import Log
from tasks.records import Outcome
from tasks.store import Store

PROSE = "Anna Vale was born in the town of Ost and works there as a baker to this day."
OTHER = "The ferry to the northern island leaves at dawn and comes back long after the sun has set."
NOISE = "xqzj vkwp qqzx jvbk wzxq pfgq zzkv xwjq kqvz bxjq vwzk qjxz"
FIGURES = "1, 2, 3; 4/5 = 0.8, 6 * 7 = 42 !!"
NEAR = PROSE.replace("works", "still works")
SIX = [("train", PROSE), ("train", NOISE), ("train", PROSE), ("train", PROSE), ("test", OTHER),
       ("train", OTHER)]  # fmt: skip


def run(
    root: Path, rows: list[tuple[str, str]], released: Released | None = None
) -> tuple[Outcome, Path]:
    """Profile and clean (split, text) rows."""
    ingested, profiled, out = (root / name for name in ("ingested", "profiled", "cleaned"))
    for folder in (ingested, profiled, out):
        folder.mkdir(parents=True)
    texts = [text for _, text in rows]
    digests = [digest(text) for text in texts]
    columns = {
        "row_id": row_ids(digests), "digest": digests, "text": texts, "label": "1",
        "split": [split for split, _ in rows], "source": "s", "timestamp": None,
    }  # fmt: skip
    pl.DataFrame(columns, schema=BASE).write_parquet(ingested / "corpus.parquet")
    profile.fn(ingested, config=Profiling(), out=profiled, log=Log())
    how = {"config": Cleaning(), "released": released, "out": out, "log": Log()}
    return clean.fn(ingested, profiled, **how), out


def gone(out: Path) -> list[tuple[str, str]]:
    return pl.read_parquet(out / "quarantine.parquet").select("text", "reason").rows()


def drawn(out: Path, *, why: str = "poems", **what: object) -> Release:
    rows = pl.read_parquet(out / "quarantine.parquet")
    there = pl.read_parquet(out / "corpus.parquet")["row_id"].to_list()
    given = {"row_ids": [], "rules": [], "who": "ann", **what}
    return releasing.drawn_up(rows, there, why=why, **given)  # type: ignore[arg-type]


def of(text: str, copy: int = 0) -> str:
    return f"{digest(text)[:16]}-{copy}"


# --- what the next night does ---


def test_a_released_row_is_kept_repaired_and_counted(tmp_path: Path) -> None:
    text = f"<b>{FIGURES}</b>"
    rows = [("train", PROSE), ("train", text), ("test", OTHER)]
    _, out = run(tmp_path / "one", rows)
    assert gone(out) == [(text, "few_letters")]
    released = releases.effect([drawn(out, row_ids=[of(text)])])
    outcome, out = run(tmp_path / "two", rows, released)
    assert gone(out) == []
    assert pl.read_parquet(out / "corpus.parquet")["text"].to_list() == [PROSE, FIGURES, OTHER]
    assert outcome.summary == "3 kept, 0 quarantined; 1 released"
    assert outcome.metrics["rows_released"] == outcome.metrics["released_few_letters"] == 1
    report = orjson.loads((out / "clean.json").read_bytes())["released"]
    assert report == {"few_letters": {"rows": 1, "examples": [{"row_id": of(text), "text": text}]}}


def test_the_text_counts_and_not_the_id_it_had(tmp_path: Path) -> None:
    released = Released(rows={digest(NOISE): ("gibberish",)})
    rows = [("train", PROSE), ("test", NOISE), ("train", NOISE), ("train", OTHER)]
    _, out = run(tmp_path, rows, released)
    # In training the text repeats the test row: a fault of its own, which nobody released.
    assert gone(out) == [(NOISE, "test_leak")]


def test_a_row_released_from_one_rule_is_filed_under_the_next(tmp_path: Path) -> None:
    rows = [("train", PROSE), ("train", "#1 (2) {3}"), ("test", OTHER)]
    _, out = run(tmp_path / "one", rows)
    detail = pl.read_parquet(out / "quarantine.parquet")["detail"][0]
    first, second, *_ = [part.split(":")[0] for part in detail.split("; ")]
    outcome, out = run(tmp_path / "two", rows, Released(rules=(first,)))
    assert gone(out) == [("#1 (2) {3}", second)]
    assert outcome.metrics["rows_released"] == 0
    # By its id it is released from everything that its quarantine named.
    _, out = run(tmp_path / "three", rows)
    released = releases.effect([drawn(out, row_ids=[of("#1 (2) {3}")])])
    assert gone(run(tmp_path / "four", rows, released)[1]) == []


def test_a_released_rule_takes_no_row(tmp_path: Path) -> None:
    rows = [("train", PROSE), ("train", NOISE), ("train", NOISE[::-1]), ("test", OTHER)]
    outcome, out = run(tmp_path, rows, Released(rules=("gibberish",)))
    assert gone(out) == []
    assert outcome.metrics["released_gibberish"] == 2


def test_as_many_exact_copies_come_back_as_were_released(tmp_path: Path) -> None:
    _, out = run(tmp_path / "one", SIX)
    released = releases.effect([drawn(out, row_ids=[of(PROSE, 1)])])
    _, out = run(tmp_path / "two", SIX, released)
    ids = pl.read_parquet(out / "corpus.parquet")["row_id"].to_list()
    assert [name for name in ids if name.startswith(digest(PROSE)[:16])] == [
        of(PROSE),
        of(PROSE, 1),
    ]
    assert (PROSE, "exact_duplicate") in gone(out)


def test_a_near_duplicate_and_a_leak_come_back_when_released(tmp_path: Path) -> None:
    rows = [("train", PROSE), ("train", NEAR), ("train", OTHER), ("test", OTHER)]
    _, out = run(tmp_path / "one", rows)
    assert gone(out) == [(NEAR, "near_duplicate"), (OTHER, "test_leak")]
    line = drawn(out, row_ids=[of(NEAR), of(OTHER)], even_leaks=True)
    outcome, out = run(tmp_path / "two", rows, releases.effect([line]))
    assert gone(out) == []
    assert outcome.metrics["rows_released"] == 2


def test_nothing_released_changes_nothing(tmp_path: Path) -> None:
    one, two = run(tmp_path / "one", SIX)[1], run(tmp_path / "two", SIX, Released())[1]
    for name in ("corpus.parquet", "quarantine.parquet", "clean.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_a_released_row_is_not_refused_after_cleaning_for_what_it_was_released_from(
    tmp_path: Path,
) -> None:
    rows = [("train", PROSE), ("train", FIGURES), ("test", OTHER)]
    _, out = run(tmp_path, rows, Released(rules=("few_letters", "digits", "symbols")))
    assert gone(out) == []
    (tmp_path / "again").mkdir()
    (tmp_path / "judged").mkdir()
    profile.fn(out, config=Profiling(), out=tmp_path / "again", log=Log())
    judged = validate.fn(
        out, tmp_path / "again", config=Validation(suites=("noise",)), strict=True,
        out=tmp_path / "judged", log=Log(),
    )  # fmt: skip
    assert judged.refusal is None
    records = orjson.loads((tmp_path / "judged" / "validation.json").read_bytes())
    (letters,) = [r for r in records if r["rule"] == "few_letters"]
    assert letters["sentence"].endswith("all 2 rows meet it.")


# --- the list ---


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), tmp_path / "cache")


def line(*rules: str, **more: object) -> Release:
    return Release(who="ann", why="poems", rules=rules, **more)  # type: ignore[arg-type]


def test_the_list_keeps_who_when_why_and_what(store: Store) -> None:
    row = ReleasedRow(row_id="a-0", digest="d", reasons=("gibberish", "digits"))
    releases.add(line("digits", rows=(row,), even_leaks=True), store)
    (kept,) = releases.listed(store)
    assert (kept.number, kept.who, kept.why, kept.rows) == (1, "ann", "poems", (row,))
    assert kept.when
    assert releases.shown([kept]) == (
        f"1  {kept.when}  ann: rule digits; row a-0 from gibberish, digits, even leaks\n   poems\n"
    )


def test_a_withdrawn_release_is_without_effect_and_stays_in_the_list(store: Store) -> None:
    for rule in ("digits", "pii"):
        releases.add(line(rule), store)
    assert releases.effect(releases.listed(store)).rules == ("digits", "pii")
    releases.add(releasing.withdrawal(1, "bob"), store)
    lines = releases.listed(store)
    assert releases.effect(lines).rules == ("pii",)
    assert [kept.withdraws for kept in lines] == [None, None, 1]
    assert "rule digits (withdrawn)" in releases.shown(lines)
    for number, problem in (
        (1, "is withdrawn already"),
        (3, "is itself a withdrawal"),
        (9, "is not in the list"),
    ):
        with pytest.raises(UserError, match=f"release {number} {problem}"):
            releases.add(releasing.withdrawal(number, "bob"), store)
    assert len(releases.listed(store)) == 3


def test_a_release_withdrawn_and_made_again_is_no_new_input(store: Store) -> None:
    for made in (line("digits"), releasing.withdrawal(1, "bob"), line("digits")):
        releases.add(made, store)
    lines = releases.listed(store)
    assert releases.effect(lines) == releases.effect(lines[:1])


def _add_many(root: str, cache: Path) -> None:
    for _ in range(20):
        releases.add(line("digits"), Store(root, cache))


def test_two_people_who_release_at_once_lose_nothing(store: Store) -> None:
    context = multiprocessing.get_context("fork")
    people = [context.Process(target=_add_many, args=(store.root, store.cache)) for _ in range(2)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    content = store.read_file(releases.FILE)
    assert [orjson.loads(kept)["number"] for kept in content.splitlines()] == list(range(1, 41))
    assert not list(Path(store.root, ".aside", "work").glob("*"))


def test_a_damaged_line_is_named(store: Store) -> None:
    store.amend_file(releases.FILE, lambda _: b'{"who": "ann", "rules": ["pii"]}\n{"who"\n')
    with pytest.raises(UserError, match=r"line 2 of the release list .*releases\.jsonl"):
        releases.listed(store)


# --- what cannot be released ---


def test_leaks_are_refused_unless_a_person_insists(tmp_path: Path) -> None:
    _, out = run(tmp_path, SIX)
    for what in ({"row_ids": [of(OTHER, 1)]}, {"rules": ["test_leak"]}):
        with pytest.raises(UserError, match="every figure of the night too good"):
            drawn(out, **what)
        assert drawn(out, **what, even_leaks=True).even_leaks
    assert not drawn(out, rules=["gibberish"], even_leaks=True).even_leaks


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"row_ids": ["feed-0"]}, "row feed-0 is not in the night's quarantine"),
        ({"row_ids": [of(PROSE)]}, "is not in quarantine: the night kept it"),
        ({"rules": ["giberish"]}, "there is no rule 'giberish'; did you mean 'gibberish'"),
        ({"rules": ["empty_after_repair"]}, "nothing is left of the text"),
        ({"rules": ["gibberish"], "why": " "}, "a release needs a reason"),
        ({"rules": ["gibberish"], "who": " "}, "--who is empty"),
        ({}, "nothing is named"),
    ],
)  # fmt: skip
def test_what_cannot_be_released_is_refused_by_name(
    tmp_path: Path, what: dict[str, object], message: str
) -> None:
    _, out = run(tmp_path, SIX)
    with pytest.raises(UserError, match=message):
        drawn(out, **what)  # type: ignore[arg-type]


def test_what_no_row_was_made_of_cannot_be_released() -> None:
    rows = quarantine([("", "empty", "no text", "train", "s")])
    for what in ({"row_ids": rows["row_id"].to_list()}, {"rules": ["empty"]}):
        given = {"row_ids": [], "rules": [], "who": "ann", "why": "so", **what}
        with pytest.raises(UserError, match="reading the source made no row of it"):
            releasing.drawn_up(rows, [], **given)
