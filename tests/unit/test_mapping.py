"""Parts of a stage: kept by what they are known by, made once, and the same whoever makes them."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks import mapping
from tasks.again import starting_from
from tasks.errors import UserError
from tasks.log import Log
from tasks.mapping import StoredParts, key_of, working_with
from tasks.parts import Part, Parts, half_key, listed
from tasks.store import Store


def shout(*, word: str, out: Path) -> None:
    """The unit of these tests."""
    if word == "bad":
        raise UserError("a bad word")
    (out / "said.txt").write_text(word.upper())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), tmp_path / "cache")


def parts(*words: str) -> list[Part]:
    return [Part(word, {"word": word}) for word in words]


def said(folders: tuple[Path, ...]) -> list[str]:
    return [(folder / "said.txt").read_text() for folder in folders]


def test_what_was_made_before_is_not_made_again(store: Store, tmp_path: Path) -> None:
    stored = StoredParts(store)
    first = stored.map(shout, parts("a", "b"), folder=tmp_path, log=Log())
    second = stored.map(shout, parts("b", "c", "a"), folder=tmp_path, log=Log())
    assert (said(first.folders), first.made) == (["A", "B"], 2)
    assert (said(second.folders), second.made) == (["B", "C", "A"], 1)
    assert second.summary == "; 1 of 3 shards measured, 2 reused"


def test_equal_parts_are_made_once_and_more_than_a_wave_are_all_made(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapping, "_WAVE", 2)
    words = ["a", "b", "a", "c", "d", "e"]
    made = StoredParts(store).map(shout, parts(*words), folder=tmp_path, log=Log())
    assert said(made.folders) == [word.upper() for word in words]
    assert made.made == 5


def test_a_damaged_part_is_made_again(store: Store, tmp_path: Path) -> None:
    stored = StoredParts(store)
    (folder,) = stored.map(shout, parts("a"), folder=tmp_path, log=Log()).folders
    (folder / "said.txt").write_text("B!")
    again = stored.map(shout, parts("a"), folder=tmp_path, log=Log())
    assert (said(again.folders), again.made) == (["A"], 1)


def test_parts_before_a_failure_are_kept(store: Store, tmp_path: Path) -> None:
    stored = StoredParts(store)
    with pytest.raises(UserError, match="a bad word"):
        stored.map(shout, parts("a", "bad", "c"), folder=tmp_path, log=Log())
    assert stored.map(shout, parts("a", "c"), folder=tmp_path, log=Log()).made == 1
    assert not list((tmp_path / "store" / ".aside" / "work").iterdir())


def test_a_night_that_starts_from_the_stage_makes_its_parts_afresh(
    store: Store, tmp_path: Path
) -> None:
    stored = StoredParts(store, "profile")
    stored.map(shout, parts("a"), folder=tmp_path, log=Log())
    with starting_from("clean", "2099-01-01T00:00:00+00:00"):
        assert stored.map(shout, parts("a"), folder=tmp_path, log=Log()).made == 0
    now = datetime.now(UTC).isoformat()
    with starting_from("profile", now):
        assert stored.map(shout, parts("a"), folder=tmp_path, log=Log()).made == 1
        assert stored.map(shout, parts("a"), folder=tmp_path, log=Log()).made == 0


def test_without_a_store_the_results_are_the_same(store: Store, tmp_path: Path) -> None:
    bare = Parts().map(shout, parts("a", "b"), folder=tmp_path / "bare", log=Log())
    assert said(bare.folders) == ["A", "B"]
    assert bare.summary == "; 2 of 2 shards measured, 0 reused"


def test_a_key_tells_what_was_worked_on_from_the_code() -> None:
    one, other = parts("a", "b")
    assert key_of(shout, one).startswith(half_key("a"))
    assert key_of(shout, one)[20:] == key_of(shout, other)[20:]
    assert len(key_of(shout, one)) == 40
    assert b'"a"' in listed([one])


def test_dask_that_is_not_installed_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[scale\]'"), working_with("dask", 2):
        pass
