"""Words that lie in immediate repetitions of a short unit; `signals.loops` says what counts as one."""

from __future__ import annotations

from typing import Any

from numba import njit


@njit(cache=True, nogil=True)
def cover_loops(
    ids: Any, starts: Any, spaceless: Any, longest: int, spaced_twice: int, spaceless_twice: int,
    covered: Any,
) -> None:  # fmt: skip
    """Mark the words of texts that lie in loops.

    Args:
        ids: The words' numbers: (words,).
        starts: Where each text's words begin, and the end: (n + 1,).
        spaceless: Which numbers are pieces of a script without spaces: (vocabulary,).
        longest: Words of a unit at most.
        spaced_twice: Words of a unit from which saying it twice is a loop; before, three times.
        spaceless_twice: The same for units that begin with a piece of a script without spaces.
        covered: Receives the marks: (words,).
    """
    for text in range(len(starts) - 1):
        end = starts[text + 1]
        for period in range(1, min(longest, end - starts[text] - 1) + 1):
            at = starts[text]
            while at + period < end:
                first = at
                while at + period < end and ids[at] == ids[at + period]:
                    at += 1
                if at > first:
                    twice = spaceless_twice if spaceless[ids[first]] else spaced_twice
                    if at - first >= (period if period >= twice else 2 * period):
                        for word in range(first, at + period):
                            covered[word] = True
                at += 1
