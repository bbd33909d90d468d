"""The store: whole or absent, and never a wrong result."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.disk import friendly_disk_errors
from tasks.errors import UserError
from tasks.leftovers import own_name
from tasks.records import Outcome
from tasks.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), tmp_path / "cache")


def committed(store: Store, text: str = "seven"):
    with store.work("count", "k1") as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "words.txt").write_text(text)
        return store.commit(folder, "count", "k1", Outcome(summary="counted"), 0.5)


def test_a_committed_folder_is_found_with_its_record_and_contents(store: Store) -> None:
    record = committed(store)
    assert store.find("count", "k1") == record
    assert (store.fetch(record) / "sub" / "words.txt").read_text() == "seven"


def test_the_digest_is_of_contents_and_names_and_nothing_else(tmp_path: Path) -> None:
    digests = [
        committed(Store(str(tmp_path / name), tmp_path / "cache"), text).digest
        for name, text in [("a", "seven"), ("b", "seven"), ("c", "eight")]
    ]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "manifest"])
def test_a_damaged_folder_counts_as_absent(store: Store, damage: str) -> None:
    record = committed(store)
    file = Path(record.uri) / "sub" / "words.txt"
    if damage == "flip":
        file.write_text("sevem")
    elif damage == "truncate":
        file.write_text("sev")
    elif damage == "remove":
        file.unlink()
    else:
        (Path(record.uri) / "manifest.json").write_text('{"record":')
    assert store.find("count", "k1") is None
    with pytest.raises(UserError, match="missing or damaged"):
        store.fetch(record)


def test_no_flipped_bit_of_a_manifest_changes_what_is_found(store: Store) -> None:
    record = committed(store)
    path = Path(record.uri) / "manifest.json"
    whole = path.read_bytes()
    for place in range(len(whole)):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << place % 8
        path.write_bytes(spoilt)
        assert store.find("count", "k1") in (None, record), (place, chr(whole[place]))
    path.write_bytes(whole)
    assert store.find("count", "k1") == record


def test_a_folder_from_before_there_were_seals_is_still_found(store: Store) -> None:
    record = committed(store)
    path = Path(record.uri) / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["seal"]
    path.write_text(json.dumps(manifest))
    assert store.find("count", "k1") == record


def test_a_damaged_folder_is_replaced_by_the_next_commit(store: Store) -> None:
    record = committed(store)
    (Path(record.uri) / "sub" / "words.txt").write_text("x")
    assert committed(store) == record
    assert store.find("count", "k1") == record


def test_unfinished_work_leaves_nothing_behind(store: Store, tmp_path: Path) -> None:
    def interrupted() -> None:
        with store.work("count", "k2") as folder:
            (folder / "half.txt").write_text("ha")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert store.find("count", "k2") is None
    assert not list(tmp_path.rglob("half.txt"))


def test_scratch_outlives_a_failure_and_ends_with_success(store: Store) -> None:
    scratch = store.scratch("count", "k1")
    (scratch / "step-10").write_text("x")
    assert (store.scratch("count", "k1") / "step-10").exists()
    committed(store)
    assert not scratch.exists()


NAME = "from tasks.leftovers import own_name; print(own_name('count-k1'))"


@pytest.mark.parametrize("how", ["computed", "reused"])
def test_what_a_killed_process_left_goes_and_what_a_living_one_works_on_stays(
    store: Store, tmp_path: Path, how: str
) -> None:
    working = tmp_path / "store" / ".aside" / "work"
    dead = subprocess.run([sys.executable, "-c", NAME], capture_output=True, text=True, check=True)
    living = own_name("count-k2")
    for name in (dead.stdout.strip(), living, "count-k3-unnamed"):
        (working / name).mkdir(parents=True)
        (working / name / "half.txt").write_text("ha")
    if how == "computed":
        committed(store)
    else:
        store.tidy("count", "k1")
    assert {p.name for p in working.iterdir()} == {living, "count-k3-unnamed"}


def test_what_may_not_be_changed_is_one_error_that_names_the_store() -> None:
    wanted = r"the store s cannot be written.*may not be changed"
    with pytest.raises(UserError, match=wanted), friendly_disk_errors("s"):
        raise PermissionError(errno.EPERM, "Operation not permitted")


def test_a_remote_store_gives_back_what_was_put(tmp_path: Path) -> None:
    store = Store("memory://plumbline-test", tmp_path / "cache")
    record = committed(store)
    again = Store("memory://plumbline-test", tmp_path / "another")
    assert again.find("count", "k1") == record
    assert (again.fetch(record) / "sub" / "words.txt").read_text() == "seven"


def test_an_unwritable_store_is_one_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = Store(str(tmp_path / "file" / "store"), tmp_path / "cache")
    with pytest.raises(UserError, match=r"cannot be written.*part of its path is a file"):
        committed(store)


def test_an_unknown_protocol_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere://x"):
        Store("nowhere://x", tmp_path)


@pytest.mark.parametrize("root", ["store", "memory://amended"])
def test_a_file_beside_the_stages_is_empty_until_amended_and_then_whole(
    tmp_path: Path, root: str
) -> None:
    place = root if "://" in root else str(tmp_path / root)
    store = Store(place, tmp_path / "cache")
    assert store.read_file("list.jsonl") == b""
    for line in (b"one\n", b"two\n"):
        store.amend_file("list.jsonl", lambda content, line=line: content + line)
    assert store.read_file("list.jsonl") == b"one\ntwo\n"
    with pytest.raises(ZeroDivisionError):
        store.amend_file("list.jsonl", lambda _: bytes(1 // 0))
    assert store.read_file("list.jsonl") == b"one\ntwo\n"
