"""What nobody refers to may go; what a night, a champion or a registered model needs stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.configuration import Configuration
from tasks.errors import UserError
from tasks.log import Log
from tasks.parts import HALF, SHARDS, Part, Parts, half_key, listed
from tasks.records import Outcome, Record
from tasks.stage import open_store, stage
from tasks.tracking import registry, retention, runs
from tasks.tracking.connection import client

MODEL = "plumbline"


@stage
def finetune(*, text: str, out: Path) -> Outcome:
    (out / "model.txt").write_text(text)
    return Outcome(summary="trained")


@stage
def page(model: Path, *, out: Path) -> Outcome:
    (out / "page.txt").write_text((model / "model.txt").read_text())
    return Outcome(summary="wrote")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path / "runs"))
    for name in ("TRACKING_URI", "STORE"):
        monkeypatch.delenv(f"PLUMBLINE_{name}", raising=False)


def night(text: str, *, start: str = "", register: bool = False) -> tuple[Record, Record]:
    opened = runs.open_night(text, Configuration(), None)
    with runs.subflow("train", Configuration(), opened):
        model = finetune(text=text)
        shown = page(model)
    runs.close_night(opened, succeeded=True)
    if register:
        if not client().search_registered_models():
            client().create_registered_model(MODEL)
        tags = {registry.DIGEST: model.digest, registry.START: start}
        client().create_model_version(MODEL, model.uri, opened.run_id, tags=tags)
    return model, shown


def unused(keep: int = 1) -> set[str]:
    return {folder.key for folder in retention.survey(open_store(), keep).unused}


def test_only_what_the_last_nights_left_stays() -> None:
    monday, _tuesday, _wednesday = night("monday"), night("tuesday"), night("wednesday")
    assert unused(keep=2) == {record.key for record in monday}
    assert unused(keep=3) == set()


def test_what_a_later_night_used_again_stays() -> None:
    monday = night("monday")
    night("tuesday")
    assert night("monday") == monday
    assert not unused(keep=1) & {record.key for record in monday}


def test_the_champion_and_what_it_started_from_stay_whole_and_other_versions_keep_their_bundle() -> (
    None
):
    first = night("first", register=True)
    refused = night("refused", register=True)
    second = night("second", start=first[0].digest, register=True)
    client().set_registered_model_alias(MODEL, registry.ALIAS, "3")
    night("last")
    assert unused(keep=1) == {refused[1].key}
    assert not unused(keep=1) & {record.key for record in (*first, *second)}


@stage
def profile(*, word: str, out: Path, parts: Parts = Parts()) -> Outcome:
    made = [Part(letter, {"letter": letter}) for letter in word]
    parts.map(spell, made, folder=out, log=Log())
    (out / SHARDS).write_bytes(listed(made))
    return Outcome(summary="measured")


def spell(*, letter: str, out: Path) -> None:
    (out / "letter.txt").write_text(letter)


def test_the_parts_of_what_stays_stay() -> None:
    records = []
    for word in ("ab", "bc"):
        opened = runs.open_night(word, Configuration(), None)
        with runs.subflow("prepare", Configuration(), opened):
            records.append(profile(word=word))
        runs.close_night(opened, succeeded=True)
    gone = unused(keep=1)
    assert records[0].key in gone
    assert {key[:HALF] for key in gone - {records[0].key}} == {half_key("a")}


def test_deleting_frees_the_unused_folders_and_nothing_else() -> None:
    monday, tuesday = night("monday"), night("tuesday")
    store = open_store()
    elsewhere = Path(store.root, ".aside", "work", "finetune-k~a-machine-that-is-gone~1:1~abc")
    elsewhere.mkdir()
    found = retention.survey(store, 1)
    freed = retention.sweep(store, found)
    assert freed == sum(folder.size for folder in found.unused) > 0
    assert not elsewhere.exists()
    assert store.find("finetune", monday[0].key) is None
    assert store.find("finetune", tuesday[0].key) == tuesday[0]
    assert unused(keep=1) == set()


def test_nothing_is_deleted_while_a_run_is_going_on() -> None:
    monday, _ = night("monday"), night("tuesday")
    found = retention.survey(open_store(), 1)
    runs.open_night("going", Configuration(), None)
    elsewhere = Path(open_store().root, ".aside", "work", "finetune-k~another-machine~1:1~abc")
    elsewhere.mkdir()
    with pytest.raises(UserError, match="'going' is going on"):
        retention.sweep(open_store(), found)
    assert open_store().find("finetune", monday[0].key) == monday[0]
    assert elsewhere.exists()


def test_keeping_no_night_is_refused() -> None:
    with pytest.raises(UserError, match="--keep is 0"):
        retention.survey(open_store(), 0)
