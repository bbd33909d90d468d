import numpy as np
import orjson
import pytest

from models.text.order import Order
from models.text.rows import open_order

RANGES, SHARES = [(0, 100), (100, 7), (107, 30)], [0.2, 0.5, 0.3]


def lots(rows):
    return np.searchsorted([100, 107], rows, side="right")


def test_every_epoch_shows_each_row_once_in_an_order_of_its_own():
    rows = Order(20, seed=1).at(0, 60).reshape(3, 20)
    for epoch in rows:
        assert sorted(epoch) == list(range(20))
    assert len({tuple(epoch) for epoch in rows.tolist()}) == 3


def test_every_prefix_of_a_mixture_has_the_stated_shares_to_within_a_block():
    shown = lots(Order.mixed(RANGES, SHARES, seed=3).at(0, 20_000))
    counts = np.cumsum(shown[:, None] == np.arange(3), axis=0)
    wanted = np.arange(1, 20_001)[:, None] * np.array(SHARES)
    assert np.abs(counts - wanted).max() <= 16
    assert np.abs(counts[-1] - wanted[-1]).max() <= 2


def test_no_place_of_a_batch_belongs_to_one_source():
    shown = lots(Order.mixed([(0, 100), (100, 7)], [0.75, 0.25], seed=3).at(0, 8000))
    assert (np.abs((shown.reshape(-1, 8) == 1).mean(axis=0) - 0.25) < 0.06).all()


def test_each_source_of_a_mixture_goes_through_its_own_epochs():
    rows = Order.mixed(RANGES, SHARES, seed=3).at(0, 2000)
    for number, (_, count) in enumerate(RANGES):
        own = rows[lots(rows) == number]
        seen = np.unique(own, return_counts=True)[1]
        assert len(seen) == count
        # Blocks are shuffled, so the last epoch may have begun before the one before it ended.
        assert seen.max() - seen.min() <= 2


def test_presentations_depend_on_their_number_alone():
    order = Order.mixed(RANGES, SHARES, seed=3)
    whole = order.at(0, 5000)
    again = Order.mixed(RANGES, SHARES, seed=3)
    for first, count in ((4000, 1000), (0, 13), (3333, 8), (31, 2)):
        np.testing.assert_array_equal(again.at(first, count), whole[first : first + count])
    assert (Order.mixed(RANGES, SHARES, seed=4).at(0, 5000) != whole).any()
    assert len(order.at(1 << 37, 8)) == 8


def test_ranges_without_rows_or_share_are_passed_over():
    order = Order.mixed([(0, 5), (5, 0), (5, 4)], [0.0, 0.5, 0.1], seed=0)
    assert set(order.at(0, 8)) == {5, 6, 7, 8}
    with pytest.raises(ValueError, match="share"):
        Order.mixed([(0, 5)], [0.0], seed=0)
    with pytest.raises(ValueError, match="no rows"):
        Order(0, seed=0).at(0, 1)


def test_the_order_of_a_packed_split_is_the_one_its_packing_tells(tmp_path):
    ranges = [
        {"first": 0, "sequences": 6, "share": 0.1},
        {"first": 6, "sequences": 2, "share": 0.9},
    ]
    told = {"train": {"sequences": 8, "ranges": ranges}, "test": {"sequences": 3}}
    (tmp_path / "packing.json").write_bytes(orjson.dumps(told))
    shown = open_order(tmp_path, "train", 5).at(0, 1000)
    assert (shown >= 6).mean() == pytest.approx(0.9, abs=0.002)
    np.testing.assert_array_equal(open_order(tmp_path, "test", 5).at(0, 9), Order(3, 5).at(0, 9))
