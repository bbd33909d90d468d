"""The inner loops of leaks, probes and repeated passages: n-grams that several texts share.

N-grams come in blocks of texts, end to end: the block's text i has the n-grams `bounds[i]` to
`bounds[i + 1]`. A table counts them by the upper bits of their hashes, in a byte each; collisions
only let more through, and what gets through is compared exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.corpus.duplicates.compiled import compiled

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Hashes = NDArray[np.uint64]
Positions = NDArray[np.int64]
# Splits as bits: training, validation, test; 0 for rows that do not count.
Roles = NDArray[np.uint8]


@compiled
def mark_roles(
    grams: Hashes, bounds: Positions, roles: Roles, shift: np.uint64, table: Bytes
) -> None:
    """Set the bits of the splits in which each n-gram occurs; `roles` are the block's."""
    for text in range(len(bounds) - 1):
        if roles[text]:
            for at in range(bounds[text], bounds[text + 1]):
                table[grams[at] >> shift] |= roles[text]


@compiled
def collect_roles(
    grams: Hashes, bounds: Positions, roles: Roles, first: int, shift: np.uint64, table: Bytes,
    out: Hashes, rows: Positions,
) -> int:  # fmt: skip
    """The n-grams that more than one split may have, with their rows; how many.

    The block's texts are the rows from `first` on.
    """
    place = 0
    for text in range(len(bounds) - 1):
        if roles[text]:
            for at in range(bounds[text], bounds[text + 1]):
                splits = table[grams[at] >> shift]
                if splits & (splits - 1):
                    out[place], rows[place] = grams[at], first + text
                    place += 1
    return place


@compiled
def count_spans(
    grams: Hashes, bounds: Positions, chosen: Flags, shift: np.uint64, most: int, table: Bytes
) -> None:
    """Count the passages of the chosen texts, up to `most`."""
    for text in range(len(bounds) - 1):
        if chosen[text]:
            for at in range(bounds[text], bounds[text + 1]):
                slot = grams[at] >> shift
                if table[slot] < most:
                    table[slot] += 1


@compiled
def collect_spans(
    grams: Hashes, bounds: Positions, chosen: Flags, starts: Positions, shift: np.uint64,
    most: int, table: Bytes, out: Hashes, places: Positions,
) -> int:  # fmt: skip
    """The passages that may occur often, with the word they begin at; how many.

    `starts` is where the words of the block's texts begin.
    """
    place = 0
    for text in range(len(bounds) - 1):
        if chosen[text]:
            for at in range(bounds[text], bounds[text + 1]):
                if table[grams[at] >> shift] >= most:
                    out[place], places[place] = grams[at], starts[text] + at - bounds[text]
                    place += 1
    return place


@compiled
def count_shards(grams: Hashes, counts: Positions) -> None:
    """How many n-grams fall to each shard, by the remainder of their hashes."""
    shards = np.uint64(len(counts))
    for at in range(len(grams)):
        counts[grams[at] % shards] += 1


@compiled
def take_shard(
    grams: Hashes, places: Positions, shards: np.uint64, shard: np.uint64, out: Hashes,
    out_places: Positions,
) -> None:  # fmt: skip
    """Copy one shard."""
    place = 0
    for at in range(len(grams)):
        if grams[at] % shards == shard:
            out[place], out_places[place] = grams[at], places[at]
            place += 1


@compiled
def mark_found(
    grams: Hashes, rows: Positions, clusters: Positions, roles: Roles, judged: int, against: int,
    most: int, found: Flags,
) -> None:  # fmt: skip
    """Which n-grams of judged rows are text of the rows to judge against, and in few texts.

    Args:
        grams: In ascending order.
        rows: The row of each.
        clusters: The text of each row: the same number for equal texts.
        roles: Bits of each row.
        judged: Bits of the rows that are judged.
        against: Bits of the others.
        most: Different texts, of either, that a sign of one text may be in.
        found: Filled, (n-grams,).
    """
    texts = np.empty(most + 1, np.int64)
    begin = 0
    while begin < len(grams):
        end = begin
        many, held = 0, False
        while end < len(grams) and grams[end] == grams[begin]:
            row = rows[end]
            if roles[row] & (judged | against):
                held |= (roles[row] & against) != 0
                known = False
                for one in range(many):
                    known |= texts[one] == clusters[row]
                if not known and many <= most:
                    texts[many] = clusters[row]
                    many += 1
            end += 1
        for at in range(begin, end):
            found[at] = held and many <= most and (roles[rows[at]] & judged) != 0
        begin = end


@compiled
def partners(
    grams: Hashes, rows: Positions, found: Flags, suspects: Flags, roles: Roles, against: int,
    pairs: Positions,
) -> int:  # fmt: skip
    """Pairs (suspected row, row to judge against), once for each n-gram that was found; how many.

    Called without room for a pair, it only counts them.
    """
    begin = place = 0
    while begin < len(grams):
        end = begin
        while end < len(grams) and grams[end] == grams[begin]:
            end += 1
        for one in range(begin, end):
            again = one > begin and rows[one] == rows[one - 1]
            if found[one] and suspects[rows[one]] and not again:
                for two in range(begin, end):
                    again = two > begin and rows[two] == rows[two - 1]
                    if roles[rows[two]] & against and not again:
                        if place < len(pairs):
                            pairs[place, 0], pairs[place, 1] = rows[one], rows[two]
                        place += 1
        begin = end
    return place


@compiled
def mark_repeated(
    grams: Hashes, places: Positions, texts: Positions, documents: int, marks: Bytes
) -> None:
    """Set a bit for the first word of each passage that at least so many texts have."""
    begin = 0
    while begin < len(grams):
        end, many = begin + 1, 1
        while end < len(grams) and grams[end] == grams[begin]:
            many += texts[end] != texts[end - 1]
            end += 1
        if many >= documents:
            for at in range(begin, end):
                marks[places[at] >> 3] |= np.uint8(1 << (places[at] & 7))
        begin = end


@compiled
def covered(starts: Positions, marks: Bytes, size: int, out: Positions) -> None:
    """Words of each text inside passages of `size` words that begin at marked words."""
    for text in range(len(starts) - 1):
        left = count = 0
        for at in range(starts[text], starts[text + 1]):
            if marks[at >> 3] & (1 << (at & 7)):
                left = size
            if left > 0:
                left, count = left - 1, count + 1
        out[text] = count


@compiled
def stated(
    grams: Hashes, bounds: Positions, hashes: Hashes, starts: Positions, first: int,
    judged: Flags, statements: Hashes, statement_starts: Positions, anchors: Hashes,
    owners: Positions, shift: np.uint64, table: Bytes, out: Positions,
) -> None:  # fmt: skip
    """The first statement that each text of a block holds word for word; -1 if none.

    Args:
        grams: N-grams of the block, as long as the anchors.
        bounds: Of each of its texts.
        hashes: Words of all texts.
        starts: Of each text.
        first: The block's first text.
        judged: Which texts to look at, (all texts,).
        statements: Words of the statements.
        statement_starts: Of each.
        anchors: Hashes of the n-grams that statements begin with, ascending.
        owners: The statement of each anchor.
        shift: Of hashes into the table.
        table: 1 where an anchor's hash falls.
        out: Filled for the block's texts, (all texts,).
    """
    for text in range(first, first + len(bounds) - 1):
        if not judged[text]:
            continue
        begin, end = bounds[text - first], bounds[text - first + 1]
        for at in range(begin, end):
            if out[text] >= 0 or not table[grams[at] >> shift]:
                continue
            place = np.searchsorted(anchors, grams[at])
            while place < len(anchors) and anchors[place] == grams[at]:
                start = statement_starts[owners[place]]
                length = statement_starts[owners[place] + 1] - start
                word = starts[text] + at - begin
                same = word + length <= starts[text + 1]
                for step in range(length if same else 0):
                    same &= hashes[word + step] == statements[start + step]
                if same and out[text] < 0:
                    out[text] = owners[place]
                place += 1
