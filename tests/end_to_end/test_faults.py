"""A few of the faults of `make faults`, against the night that all tests share.

Each strikes a night in a home of its own, where all stages but some are finished; the next night there
must leave what the undisturbed one left, with nothing lost, told twice or still taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import SMOKE, Ran
from faulting import company, damage, kills
from faulting.endings import differences, ending_of, wrongs
from faulting.ground import Ground
from faulting.nights import Ended
from faulting.seeding import Reference, lay_blank, reference, seed


@pytest.fixture(scope="module")
def undisturbed(night: tuple[Path, Ran], tmp_path_factory: pytest.TempPathFactory) -> Reference:
    home, ran = night
    blank = tmp_path_factory.mktemp("faults") / "blank"
    lay_blank(home, blank)
    return reference(home, ran.page, blank)


@pytest.fixture
def ground(undisturbed: Reference, tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path / "runs", undisturbed, SMOKE)
    yield made
    made.leave()


def next_night(ground: Ground) -> Ended:
    """The night after the fault, which must have made everything good."""
    ended = ground.night().wait()
    assert ended.status == 0, ended.err
    assert differences(ground.made.ending, ending_of(ground.home, ended.page)) == []
    assert wrongs(ground.home, ended.page) == []
    return ended


def computed(ended: Ended) -> list[str]:
    return [title for title, reused in ended.stages if not reused]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("inject", "missing"),
    [(kills.before_commit, ["audit", "augment"]), (kills.after_commit, ["augment"])],
)
def test_a_night_killed_at_the_boundary_of_a_stage_is_made_good(
    ground: Ground, inject: Callable[[Ground, str], str], missing: list[str]
) -> None:
    seed(ground.made, ground.home, ["audit", "augment"])
    inject(ground, "audit")
    assert computed(next_night(ground)) == missing


@pytest.mark.slow
def test_a_night_killed_inside_a_stage_is_made_good(ground: Ground) -> None:
    seed(ground.made, ground.home, ["check_labels"])
    kills.inside(ground, "check_labels")
    assert computed(next_night(ground)) in (["check_labels"], [])  # it may just have been finished


@pytest.mark.slow
def test_flipped_bits_cost_a_computation_and_no_more(ground: Ground) -> None:
    seed(ground.made, ground.home, [])
    damage.flip(ground, "clean")
    damage.flip_manifest(ground, "decide")
    assert computed(next_night(ground)) == ["clean", "decide"]


@pytest.mark.slow
def test_two_nights_at_once_share_the_work_and_are_both_told(ground: Ground) -> None:
    seed(ground.made, ground.home, ["audit", "augment", "correct"])
    company.together(ground, "")
    assert computed(next_night(ground)) == []
