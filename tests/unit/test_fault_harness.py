"""The fault harness itself: it goes on where it was stopped, and counts what struck."""

import json
from collections.abc import Callable
from pathlib import Path

import faults
import pytest
from faulting.catalogue import Fault
from faulting.endings import Ending
from faulting.ground import Ground
from faulting.nights import Broken, Ended, NotInjected
from faulting.seeding import Reference


@pytest.fixture
def made(tmp_path: Path) -> Reference:
    return Reference(tmp_path, {}, {}, Ending({}, {}, None), tmp_path / "blank")


def fault(kind: str, inject: Callable[[Ground, str], str]) -> Fault:
    return Fault(kind, "here", inject, None)


def misses(*_: object) -> str:
    raise NotInjected("the night ended first")


def breaks(*_: object) -> str:
    raise Broken("it said Traceback")


@pytest.fixture
def nights(monkeypatch: pytest.MonkeyPatch) -> list[Ended]:
    """The nights after the faults, which take no time here; their ends are to be filled in."""
    ends: list[Ended] = []

    class After:
        def wait(self) -> Ended:
            return ends.pop()

    monkeypatch.setattr(Ground, "night", lambda _: After())
    return ends


@pytest.mark.parametrize(
    ("inject", "status", "survived", "words"),
    [
        (lambda *_: "struck", 0, True, ""),
        (lambda *_: "struck", 1, False, "the next night ended with 1"),
        (misses, 0, None, "the night ended first"),
        (breaks, 0, False, "the disturbed night: it said Traceback"),
    ],
)
def test_a_fault_is_survived_only_if_it_struck_and_the_next_night_is_good(
    made: Reference, nights: list[Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    inject: Callable[[Ground, str], str], status: int, survived: bool | None, words: str,
) -> None:  # fmt: skip
    if status == 0:
        monkeypatch.setattr(faults, "judge", lambda *_: [])
    nights.append(Ended(status, "", "", 1.0))
    result = faults.inject(fault("kill", inject), made, tmp_path)
    assert result.survived is survived
    assert words in "".join(result.wrong)
    assert (tmp_path / "kill-here").exists() is (survived is not True)  # kept to look at


def test_what_is_wrong_after_a_good_night_is_not_survived(
    made: Reference, nights: list[Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "ending_of", lambda *_: Ending({"clean/k": "d"}, {}, None))
    monkeypatch.setattr(faults, "wrongs", lambda *_: ["the lock x is taken"])
    nights.append(Ended(0, "page.html\n", "", 1.0))
    result = faults.inject(fault("kill", lambda *_: "struck"), made, tmp_path)
    assert result.survived is False
    assert result.wrong == ["other results: clean/k", "the lock x is taken"]


def test_an_interrupted_harness_goes_on_with_what_was_not_survived(
    made: Reference, nights: list[Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(faults, "judge", lambda *_: [])
    nights += [Ended(0, "", "", 1.0)] * 2
    struck: list[str] = []

    def strikes(*_: object) -> str:
        struck.append("x")
        return "struck"

    wanted = [fault("kill", strikes), fault("flip", misses)]
    faults.run_all(wanted, made, tmp_path, 1)
    again = faults.run_all([wanted[0], fault("flip", strikes)], made, tmp_path, 1)
    assert len(struck) == 2
    assert [(r.kind, r.survived) for r in again] == [("kill", True), ("flip", True)]
    capsys.readouterr()
    more = [faults.inject(fault("flip", how), made, tmp_path) for how in (breaks, misses)]
    faults.show([*again, *more])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told.pop("by_kind") == {"kill": [1, 1], "flip": [1, 2]}
    assert told == {"faults": 3, "survived": 2, "missed": 1}
