"""Passages that many documents repeat word for word: licences, footers, disclaimers, forum rules.

Such text is in no list of phrases (`boilerplate`) and in no whole duplicate, yet a model learns it
by heart. Lee et al. 2022 (arXiv:2107.06499, section 4.1) remove passages of 50 subwords that occur
twice, a length at which they saw hardly any repetition by chance. 50 subwords of English are about
40 words. Here a passage must be in three documents, not two, which phrasing repeats by chance less
often, so 30 words are asked for; in scripts without spaces, 30 characters.

Equal documents count as one, so a passage is not made boilerplate by copies of a single document.
Near duplicates count each; look at them first.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.corpus.duplicates.minhash import Hashes
from tasks.corpus.duplicates.shared_grams import Block, SharedGrams, gram_blocks, table

_SEEN = 255  # that a byte can count


def span_ratios(
    words: Hashes,
    clusters: NDArray[np.int64],
    *,
    size: int,
    documents: int,
    folder: Path | None = None,
) -> NDArray[np.float64]:
    """Share of each text's words inside passages that many documents have: (rows,).

    A word counts once, however many passages it is in. One bit a word is held in memory beside
    what `shared_grams` holds.

    Args:
        words: Of the texts.
        clusters: The exact clusters, (rows,).
        size: Words of a passage.
        documents: Different documents that make a passage boilerplate.
        folder: Where files are put.
    """
    from tasks.corpus.duplicates import kernels_shared as kernels

    starts = words.starts
    chosen = (clusters == np.arange(len(clusters))) & (np.diff(starts) >= size)
    counter, shift = table(int(starts[-1]))
    most = min(documents, _SEEN)
    for block in gram_blocks(words, size):
        part = slice(block.begin, block.end)
        kernels.count_spans(block.grams, block.bounds, chosen[part], shift, most, counter)

    def collect(block: Block, out: NDArray[np.uint64], places: NDArray[np.int64]) -> int:
        part = slice(block.begin, block.end)
        return kernels.collect_spans(
            block.grams, block.bounds, chosen[part], starts[part], shift, most, counter, out, places
        )

    marks = np.zeros(int(starts[-1]) // 8 + 1, np.uint8)
    for grams, places in SharedGrams(gram_blocks(words, size), collect, folder).shards():
        texts = np.searchsorted(starts, places, side="right") - 1
        kernels.mark_repeated(grams, places, texts, documents, marks)
    inside = np.zeros(len(starts) - 1, np.int64)
    kernels.covered(starts, marks, size, inside)
    ratios = inside / np.maximum(1, np.diff(starts))
    return np.asarray(ratios[clusters])
