"""A few of the faults of `make faults`, one after the other in one home.

A night is killed just before a commit, the next one inside a stage; bits of two results are flipped;
then two nights run at once. What they leave is what the undisturbed night left that all tests share.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import SMOKE, Ran
from faulting import company, damage, kills
from faulting.catalogue import a_few, everything
from faulting.endings import differences, ending_of, wrongs
from faulting.ground import Ground
from faulting.nights import Ended
from faulting.seeding import lay_blank, reference, seed

# Four nights, and before them the shared one if no other test has asked for it.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
UNFINISHED = ["audit", "augment", "correct", "check_labels"]


@dataclass(frozen=True)
class Struck:
    """The home, the night that was killed inside a stage, and the two that were the last."""

    ground: Ground
    killed: Ended
    last: tuple[Ended, Ended]


@pytest.fixture(scope="module")
def struck(night: tuple[Path, Ran], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Struck]:
    folder = tmp_path_factory.mktemp("faults")
    home, ran = night
    lay_blank(home, folder / "blank")
    ground = Ground(folder / "runs", reference(home, ran.page, folder / "blank"), SMOKE)
    try:
        seed(ground.made, ground.home, UNFINISHED)
        kills.before_commit(ground, "audit")
        second = ground.night()
        second.wait_until(lambda: ground.is_working_on("check_labels"))
        killed = second.send(signal.SIGKILL, group=True)
        damage.flip(ground, "clean")
        damage.flip_manifest(ground, "decide")
        yield Struck(ground, killed, company.pair(ground))
    finally:
        ground.leave()


def test_every_fault_of_the_catalogue_has_its_place_in_a_night(struck: Struck) -> None:
    known = [fault.name for fault in everything(struck.ground.made)]
    assert len(set(known)) == len(known) > 60
    assert {fault.name for fault in a_few(struck.ground.made)} <= set(known)


def computed(ended: Ended) -> list[str]:
    return [title for title, reused in ended.stages if not reused]


def test_after_a_kill_what_was_finished_is_reused_and_the_rest_is_computed(struck: Struck) -> None:
    assert computed(struck.killed) == ["audit", "augment", "correct"]
    assert len(struck.killed.stages) == list(struck.ground.made.places).index("check_labels")


def test_two_nights_at_once_compute_what_is_missing_or_damaged_and_each_thing_once(
    struck: Struck,
) -> None:
    one, other = map(computed, struck.last)
    assert sorted(one + other) == ["check_labels", "clean", "decide"]


def test_in_the_end_all_is_as_if_nothing_had_happened(struck: Struck) -> None:
    home = struck.ground.home
    for ended in struck.last:
        assert differences(struck.ground.made.ending, ending_of(home, ended.page)) == []
        assert wrongs(home, ended.page) == []
