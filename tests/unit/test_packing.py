import time
import tracemalloc

import numpy as np
import pytest

from models.network.encoder import EncoderConfig, build
from models.text.growing import GrowingArray
from models.text.packing import best_fit, cut, lay_out, pack, segment_type, windows
from models.text.pairs import pair
from models.text.rows import Rows

BEGIN, END = 2, 3


def flat(*documents):
    sizes = [len(d) for d in documents]
    return np.concatenate([np.zeros(0), *documents]).astype(np.int32), np.cumsum([0, *sizes])


def read_back(rows):
    """The documents of each segment, without begin and end."""
    found = []
    for tokens, segments, positions in zip(rows.tokens, rows.segments, rows.positions, strict=True):
        for segment in range(1, segments.max() + 1):
            here = segments == segment
            assert positions[here].tolist() == list(range(here.sum()))
            assert tokens[here][0] == BEGIN
            assert tokens[here][-1] == END
            found.append(tokens[here][1:-1].tolist())
    return found


def test_two_documents_share_a_row():
    rows = pack(*flat([7, 8, 9], [5, 6]), length=10, begin=BEGIN, end=END)
    assert rows.tokens.tolist() == [[2, 7, 8, 9, 3, 2, 5, 6, 3, 0]]
    assert rows.segments.tolist() == [[1, 1, 1, 1, 1, 2, 2, 2, 2, 0]]
    assert rows.positions.tolist() == [[0, 1, 2, 3, 4, 0, 1, 2, 3, 0]]


def test_a_long_document_is_cut_into_pieces_that_lose_nothing():
    rows = pack(*flat(range(10, 21)), length=6, begin=BEGIN, end=END)
    assert sorted(read_back(rows)) == [[10, 11, 12, 13], [14, 15, 16, 17], [18, 19, 20]]


def test_every_document_comes_back_once():
    rng = np.random.default_rng(0)
    documents = [rng.integers(5, 99, n).tolist() for n in rng.integers(0, 30, 200)]
    rows = pack(*flat(*documents), length=32, begin=BEGIN, end=END)
    assert sorted(read_back(rows)) == sorted(d for d in documents if d)


def lognormal(count):
    """Sizes with a median of 40 and a mean of 66 tokens."""
    draws = np.random.default_rng(0).lognormal(np.log(40), 1.0, count)
    return np.maximum(1, draws).astype(np.int64)


@pytest.mark.parametrize("length", [128, 256])
def test_lognormal_lengths_fill_98_percent_in_seconds(length):
    sizes = lognormal(30_000)
    tokens = np.ones(sizes.sum(), np.uint16)
    started = time.perf_counter()
    rows = pack(tokens, np.cumsum([0, *sizes]), length=length, begin=BEGIN, end=END)
    assert rows.fill >= 0.98
    assert time.perf_counter() - started < 5


def test_windows_of_documents_fill_98_percent_too():
    sizes = lognormal(30_000)
    offsets = np.cumsum([0, *sizes])
    parts = [np.arange(w.start, w.stop) for w in windows(sizes, tokens=200_000)]
    assert len(parts) > 8
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(30_000))
    places = [cut(offsets, part, 126).positions for part in parts]
    rows = sum(best_fit(taken, 128)[0].max() + 1 for taken in places)
    assert sum(taken.sum() for taken in places) / (rows * 128) >= 0.98


def test_a_document_larger_than_a_window_is_a_window_of_its_own():
    assert list(windows(np.array([3, 50, 2, 2]), tokens=10)) == [
        slice(0, 1), slice(1, 2), slice(2, 4)
    ]  # fmt: skip
    assert list(windows(np.array([0, 0, 0]), documents=2)) == [slice(0, 2), slice(2, 3)]
    assert list(windows(np.array([], np.int64))) == []


def rows_of_the_plain_algorithm(sizes, length):
    """How many rows best fit takes when it places one item after another."""
    space = []
    for size in sorted(sizes, reverse=True):
        fitting = [(left, row) for row, left in enumerate(space) if left >= size]
        if fitting:
            space[min(fitting)[1]] -= size
        else:
            space.append(length - size)
    return len(space)


def test_items_of_best_fit_never_overlap_and_take_the_fullest_row():
    sizes = np.random.default_rng(1).integers(1, 33, 500)
    rows, columns, ordinals = best_fit(sizes, 32)
    used = np.zeros((rows.max() + 1, 32), int)
    for size, row, column in zip(sizes, rows, columns, strict=True):
        used[row, column : column + size] += 1
    assert used.max() == 1
    assert len(used) == rows_of_the_plain_algorithm(sizes, 32)
    for row in range(len(used)):
        here = np.argsort(columns[rows == row])
        assert ordinals[rows == row][here].tolist() == list(range(1, len(here) + 1))
    # 5 and 4 open two rows; 3 fits both and goes to the fuller one, 2 to what is left of the other.
    assert best_fit(np.array([5, 4, 3, 2]), 8)[0].tolist() == [0, 1, 0, 1]


def test_memory_for_20_million_tokens_is_bounded_by_a_window(tmp_path):
    sizes = np.full(160_000, 125)  # 20 million tokens, 40 MB as they are stored
    with GrowingArray(tmp_path / "tokens.npy", np.uint16) as file:
        for _ in range(160):
            file.append(np.full(125_000, 7, np.uint16))
    tokens = np.load(tmp_path / "tokens.npy", mmap_mode="r")
    offsets = np.cumsum([0, *sizes])
    tracemalloc.start()
    with GrowingArray(tmp_path / "rows.npy", np.uint16, (128,)) as file:
        for window in windows(sizes, tokens=1 << 18):
            pieces = cut(offsets, np.arange(window.start, window.stop), 126)
            rows = lay_out(pieces, tokens, length=128, begin=BEGIN, end=END)
            file.append(rows.tokens)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert file.rows == 160_000
    assert peak < 30e6


def test_a_growing_array_is_the_file_that_numpy_would_write(tmp_path):
    whole = np.arange(60, dtype=np.uint16).reshape(20, 3)
    with GrowingArray(tmp_path / "grown.npy", np.uint16, (3,)) as file:
        for part in np.split(whole.astype(np.int64), [1, 1, 12]):
            file.append(part)
    np.save(tmp_path / "saved.npy", whole)
    assert (tmp_path / "grown.npy").read_bytes() == (tmp_path / "saved.npy").read_bytes()


def test_a_growing_array_refuses_what_it_cannot_hold(tmp_path):
    with GrowingArray(tmp_path / "grown.npy", np.uint16, (3,)) as file:
        with pytest.raises(ValueError, match="does not fit into uint16"):
            file.append(np.array([[1, 2, 70_000]]))
        with pytest.raises(ValueError, match="do not fit rows"):
            file.append(np.zeros((1, 2), np.uint16))


def test_segments_take_a_byte_while_a_row_holds_at_most_255_documents():
    assert segment_type(767) == np.uint8
    assert segment_type(768) == np.uint16
    rows = pack(*flat(*[[9]] * 400), length=768, begin=BEGIN, end=END)
    assert rows.segments.max() == 256


def test_no_document_of_a_packed_row_sees_its_neighbours():
    documents = [np.random.default_rng(n).integers(5, 50, n) for n in (9, 11, 6)]
    packed = pack(*flat(*documents), length=32, begin=BEGIN, end=END)
    assert packed.segments.max() == 3
    batch = Rows(packed.tokens, packed.segments).take(np.array([0]))
    encoder = build(EncoderConfig(vocabulary=50, layers=3, width=16, heads=2), seed=3).encoder
    before = encoder(*batch[:3]).numpy()[0]
    for segment in (1, 2, 3):
        changed = batch.tokens.copy()
        inside = (batch.segments == segment) & (batch.positions > 0)
        changed[inside] = 5 + changed[inside] % 40
        after = encoder(changed, *batch[1:3]).numpy()[0]
        others = batch.segments[0] != segment
        np.testing.assert_array_equal(before[others], after[others])
        assert np.abs(before[~others] - after[~others]).max() > 0.1


def paired(documents, length=32, seed=0, ends=()):
    tokens, offsets = flat(*documents)
    pieces = cut(offsets, np.arange(len(documents)), length - 3)
    pieces = pair(pieces, tokens, room=length - 3, seed=(seed,), ends=ends)
    return pieces, lay_out(pieces, tokens, length=length, begin=BEGIN, end=END)


def test_half_of_the_pairs_have_a_second_part_of_another_document():
    documents = [[10 + n] * 8 for n in range(40)]
    pieces, rows = paired(documents)
    found = {0: 0, 1: 0}
    at = np.cumsum(rows.counts) - rows.counts
    for row, (tokens, segments) in enumerate(zip(rows.tokens, rows.segments, strict=True)):
        for segment in range(1, segments.max() + 1):
            here = tokens[segments == segment].tolist()
            assert here[0] == BEGIN
            assert [here[5], here[10]] == [END, END]
            assert len(set(here[1:5])) == len(set(here[6:10])) == 1
            follows = int(rows.follows[at[row] + segment - 1])
            assert follows == (here[1] == here[6])
            found[follows] += 1
    assert found == {0: 20, 1: 20}
    # Exchanged parts change places, so that no token is lost.
    assert sorted(rows.tokens[rows.tokens > 3]) == sorted(np.concatenate(documents))


def test_a_pair_is_cut_behind_the_sentence_end_nearest_to_the_middle():
    dot = 4
    (first,) = paired([[9, dot, 9, 9, 9, dot, 9, 9, 9, 9, 9, dot]], ends=(dot,))[0].sizes
    assert first == 6
    (first,) = paired([[9, 9, 9, 9, 9, dot]], ends=(dot,))[0].sizes
    assert first == 3


def test_a_pair_of_which_nobody_knows_whether_it_follows_is_not_judged():
    for seed in range(9):
        pieces, _ = paired([list(range(10, 40)) * 4], seed=seed)  # one document, in five pieces
        behind = pieces.starts + pieces.sizes == pieces.second_starts
        assert pieces.follows.tolist() == np.where(behind, 1, -1).tolist()
    pieces, rows = paired([[9], [8]])  # too short to be pairs
    assert rows.tokens[0][:6].tolist() == [BEGIN, 9, END, BEGIN, 8, END]
    assert set(pieces.follows) == {-1}


def test_no_pair_is_longer_than_a_row_and_the_seed_decides_the_pairs():
    rng = np.random.default_rng(0)
    documents = [rng.integers(5, 99, n).tolist() for n in rng.integers(1, 90, 200)]
    pieces, rows = paired(documents)
    assert pieces.positions.max() <= 32
    assert pieces.second_sizes.min() >= 0
    np.testing.assert_array_equal(rows.tokens, paired(documents)[1].tokens)
    assert (pieces.follows != paired(documents, seed=1)[0].follows).any()


def test_a_batch_has_the_weight_and_the_question_of_each_document():
    packed = pack(*flat([7, 8, 9], [5, 6], [4]), length=10, begin=BEGIN, end=END)
    assert packed.counts.tolist() == [2, 1]
    assert packed.documents.tolist() == [0, 1, 2]
    rows = Rows(
        packed.tokens, packed.segments, np.array([0, 2]), np.float32([0.5, 2, 3]),
        np.int8([1, -1, 0]),
    )  # fmt: skip
    batch = rows.take(np.array([1, 0]))
    assert batch.weights.tolist() == [[3] * 3 + [0] * 7, [0.5] * 5 + [2] * 4 + [0]]
    assert batch.follows.tolist() == [[0] + [-1] * 9, [1] + [-1] * 9]
    assert [array.dtype for array in batch] == ["int32", "int32", "int32", "float32", "int32"]
    padded = rows.padded(1, 3)
    assert padded.weights.sum(axis=1).tolist() == [9, 0, 0]
    assert padded.follows[1:].max() == -1
    np.testing.assert_array_equal(rows.sample(2).take(np.array([1, 0])).weights, batch.weights)


def test_no_documents_give_no_rows():
    rows = pack(*flat([]), length=8, begin=BEGIN, end=END)
    assert rows.tokens.shape == (0, 8)
    assert rows.fill == 0


def test_a_row_too_short_for_a_token_is_refused():
    with pytest.raises(ValueError, match="three tokens"):
        pack(*flat([7]), length=2, begin=BEGIN, end=END)
