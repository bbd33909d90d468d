import time

import numpy as np
import pytest

from models.text.packing import pack

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


def test_lognormal_lengths_fill_98_percent_in_seconds():
    rng = np.random.default_rng(0)
    sizes = np.maximum(1, rng.lognormal(np.log(40), 1.0, 30_000)).astype(np.int64)
    tokens = np.ones(sizes.sum(), np.int32)
    started = time.perf_counter()
    rows = pack(tokens, np.cumsum([0, *sizes]), length=128, begin=BEGIN, end=END)
    assert rows.fill >= 0.98
    assert time.perf_counter() - started < 5


def test_no_documents_give_no_rows():
    rows = pack(*flat([]), length=8, begin=BEGIN, end=END)
    assert rows.tokens.shape == (0, 8)
    assert rows.fill == 0


def test_a_row_too_short_for_a_token_is_refused():
    with pytest.raises(ValueError, match="three tokens"):
        pack(*flat([7]), length=2, begin=BEGIN, end=END)
