"""The inner loops of n-grams and duplicates, compiled by numba.

Nothing is compiled before its first call (`compiled`), but numba is imported, so this file is
imported where its kernels are called.

Texts are flat arrays: `hashes` (words,) holds a 64-bit hash of each word, and text i has the words
`starts[i]` to `starts[i + 1]`. A text of fewer words than an n-gram is one n-gram as a whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.corpus.duplicates.compiled import compiled

Flags = NDArray[np.bool_]
Small = NDArray[np.uint32]
Hashes = NDArray[np.uint64]
Positions = NDArray[np.int64]

_BASE = np.uint64(0x9E3779B97F4A7C15)
_SPREAD = np.uint64(0xBF58476D1CE4E5B9)  # of splitmix64, as is its shift by 31
_HALF = np.uint64(32)
_SHIFT = np.uint64(31)
_MOST = np.uint32(0xFFFFFFFF)


@compiled
def mixed(value: Any) -> Any:
    """Spread a hash over all its bits."""
    value = np.uint64(value)
    value ^= value >> _SHIFT
    value *= _SPREAD
    return value ^ (value >> _HALF)


@compiled
def longest(starts: Positions) -> int:
    """Words of the longest text, at least one."""
    most = 1
    for text in range(len(starts) - 1):
        most = max(most, starts[text + 1] - starts[text])
    return most


@compiled
def fill_grams(hashes: Hashes, begin: int, end: int, size: int, out: Hashes) -> int:
    """Hashes of the n-grams of the words from begin to end; their number.

    A polynomial in a fixed base modulo 2^64, rolled from one place to the next, then mixed.
    """
    if end == begin:
        return 0
    length = min(size, end - begin)
    power = np.uint64(1)
    for _ in range(length - 1):
        power *= _BASE
    value = np.uint64(0)
    for at in range(begin, begin + length):
        value = value * _BASE + hashes[at]
    salt = np.uint64(length)
    out[0] = mixed(value + salt)
    for number in range(1, end - begin - length + 1):
        value = (value - hashes[begin + number - 1] * power) * _BASE
        value += hashes[begin + number + length - 1]
        out[number] = mixed(value + salt)
    return end - begin - length + 1


@compiled
def text_grams(
    hashes: Hashes, starts: Positions, begin: int, end: int, size: int, out: Hashes,
    bounds: Positions,
) -> None:  # fmt: skip
    """The n-grams of the texts from begin to end, end to end, and where each text's begin."""
    place = 0
    for text in range(begin, end):
        bounds[text - begin] = place
        place += fill_grams(hashes, starts[text], starts[text + 1], size, out[place:])
    bounds[end - begin] = place


@compiled
def minhash(
    hashes: Hashes, starts: Positions, rows: Positions, size: int, factors: Small, terms: Small,
    out: Small,
) -> None:  # fmt: skip
    """Signatures of some texts: for each permutation the least (factor x + term) modulo 2^32.

    x is the upper half of an n-gram's hash. Four n-grams a turn, so that the minima are read and
    written a quarter as often; the inner loop is what the compiler makes vector instructions of.

    Args:
        hashes: Words.
        starts: Of each text.
        rows: Which texts.
        size: Words of a shingle.
        factors: Odd, (permutations,).
        terms: (permutations,).
        out: (rows, permutations); all ones for a text without words.
    """
    grams = np.empty(longest(starts) + 4, np.uint64)
    many = len(factors)
    for place in range(len(rows)):
        begin, end = starts[rows[place]], starts[rows[place] + 1]
        count = fill_grams(hashes, begin, end, size, grams)
        least = out[place]
        least[:] = _MOST
        if count == 0:
            continue
        for extra in range(count, count + 3):  # repeated n-grams change no minimum
            grams[extra] = grams[count - 1]
        for at in range(0, count, 4):
            one = np.uint32(grams[at] >> _HALF)
            two = np.uint32(grams[at + 1] >> _HALF)
            three = np.uint32(grams[at + 2] >> _HALF)
            four = np.uint32(grams[at + 3] >> _HALF)
            for p in range(many):
                a, b = factors[p], terms[p]
                low = min(np.uint32(one * a + b), np.uint32(two * a + b))
                high = min(np.uint32(three * a + b), np.uint32(four * a + b))
                least[p] = min(least[p], min(low, high))


@compiled
def band_keys(signatures: Small, width: int, out: Small) -> None:
    """A 32-bit key of each band of each signature: (bands, texts)."""
    for band in range(len(out)):
        for text in range(len(signatures)):
            value = np.uint64(band)
            for place in range(band * width, (band + 1) * width):
                value = mixed(value * _BASE + np.uint64(signatures[text, place]))
            out[band, text] = np.uint32(value >> _HALF)


@compiled
def bucket_band(keys: Small, rows: Positions, bits: int, buckets: NDArray[np.int32]) -> int:
    """Number the keys that several rows have; -1 for a row that shares its key with none.

    An open-addressing table of the first row with each key, then of the number given to it.

    Args:
        keys: Of one band, (all rows,).
        rows: Those that count.
        bits: log2 of the table's size, which is at least twice the rows.
        buckets: Filled, (rows,).

    Returns:
        How many numbers were given.
    """
    shift, mask = np.uint64(64 - bits), (1 << bits) - 1
    first = np.full(1 << bits, -1, np.int32)
    given = 0
    for place in range(len(rows)):
        key = keys[rows[place]]
        slot = np.int64((np.uint64(key) * _BASE) >> shift)
        while first[slot] >= 0 and keys[rows[first[slot]]] != key:
            slot = (slot + 1) & mask
        buckets[place] = -1
        if first[slot] < 0:
            first[slot] = place
        else:
            if buckets[first[slot]] < 0:
                buckets[first[slot]] = given
                given += 1
            buckets[place] = buckets[first[slot]]
    return given


@compiled
def shingle_set(
    hashes: Hashes, begin: int, end: int, size: int, grams: Hashes, out: Hashes, place: int
) -> int:
    """Write the different n-grams of one text in order from a place on; where they end."""
    count = fill_grams(hashes, begin, end, size, grams)
    ordered = np.sort(grams[:count])
    for at in range(count):
        if at == 0 or ordered[at] != ordered[at - 1]:
            out[place] = ordered[at]
            place += 1
    return place


@compiled
def shingle_sets(
    hashes: Hashes, starts: Positions, rows: Positions, size: int, out: Hashes, ends: Positions
) -> int:
    """The sets of some texts one after the other: where each ends (rows,), and the last."""
    grams = np.empty(longest(starts), np.uint64)
    place = 0
    for number in range(len(rows)):
        begin, end = starts[rows[number]], starts[rows[number] + 1]
        place = shingle_set(hashes, begin, end, size, grams, out, place)
        ends[number] = place
    return place


@compiled
def similar(left: Hashes, right: Hashes, threshold: float) -> bool:
    """Whether two sets in ascending order have a Jaccard similarity of at least the threshold.

    Ends as soon as what is left cannot reach it.
    """
    many, more = len(left), len(right)
    i = j = common = 0
    while i < many and j < more:
        possible = common + min(many - i, more - j)
        if possible < threshold * (many + more - possible) - 1e-6:
            return False
        if left[i] == right[j]:
            common, i, j = common + 1, i + 1, j + 1
        elif left[i] < right[j]:
            i += 1
        else:
            j += 1
    return common / max(1, many + more - common) >= threshold


@compiled
def leaders(
    edges: Positions, members: NDArray[np.int32], given: int, sets: Hashes, set_starts: Positions,
    threshold: float, crowd: int,
) -> Positions:  # fmt: skip
    """For each row, in order, the first row kept before it that is similar; itself if there is none.

    Args:
        edges: Where each row's buckets begin in `members`, and the end, (rows + 1,).
        members: Numbers of the buckets.
        given: How many numbers there are.
        sets: Shingles of the rows, each row's in order and different.
        set_starts: (rows + 1,).
        threshold: Least similarity.
        crowd: Kept rows that a bucket holds at most.
    """
    rows = len(edges) - 1
    found = np.arange(rows)
    head, crowded = np.full(given, -1, np.int32), np.zeros(given, np.int32)
    node_row, node_next = np.empty(len(members), np.int32), np.empty(len(members), np.int32)
    nodes = 0
    visited = np.full(rows, -1, np.int64)
    others = np.empty(max(1, rows), np.int64)
    for row in range(rows):
        many = 0
        for edge in range(edges[row], edges[row + 1]):
            node = head[members[edge]]
            while node >= 0:
                other = node_row[node]
                if visited[other] != row:
                    visited[other] = row
                    others[many] = other
                    many += 1
                node = node_next[node]
        own = sets[set_starts[row] : set_starts[row + 1]]
        for other in np.sort(others[:many]):
            if similar(own, sets[set_starts[other] : set_starts[other + 1]], threshold):
                found[row] = other
                break
        if found[row] == row:
            for edge in range(edges[row], edges[row + 1]):
                bucket = members[edge]
                if crowded[bucket] < crowd:
                    crowded[bucket] += 1
                    node_row[nodes], node_next[nodes] = row, head[bucket]
                    head[bucket] = nodes
                    nodes += 1
    return found


@compiled
def similar_pairs(
    hashes: Hashes, starts: Positions, others: Hashes, other_starts: Positions,
    pairs: Positions, size: int, threshold: float, out: Flags,
) -> None:  # fmt: skip
    """Which pairs (text, other text) are similar: (pairs,); pairs of one text follow each other."""
    grams = np.empty(max(longest(starts), longest(other_starts)), np.uint64)
    left, right = np.empty_like(grams), np.empty_like(grams)
    last, many = -1, 0
    for pair in range(len(pairs)):
        one, two = pairs[pair, 0], pairs[pair, 1]
        if one != last:
            many = shingle_set(hashes, starts[one], starts[one + 1], size, grams, left, 0)
            last = one
        more = shingle_set(others, other_starts[two], other_starts[two + 1], size, grams, right, 0)
        out[pair] = similar(left[:many], right[:more], threshold)
