"""datatrove's MinHash signatures: its own step, `MinhashDedupSignature`, without its files.

The step's `get_shingles` splits into words with its tokenizer of English and hashes the 5-grams;
`get_signature` takes the minima. Its defaults are kept: 14 bands of 8, 5-grams. Writing the signatures to
disk, which the step does as well, is left out, in its favour.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence

from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature


def signatures(texts: Sequence[str]) -> float:
    """CPU seconds to make the signatures of the texts; its tokenizer is loaded before."""
    with tempfile.TemporaryDirectory() as folder:
        step = MinhashDedupSignature(output_folder=folder, config=MinhashConfig())
        _made(step, texts[:2])
        began = time.process_time()
        found = _made(step, texts)
        spent = time.process_time() - began
    if found > len(texts):
        raise RuntimeError(f"{found} signatures of {len(texts)} texts")
    return spent


def _made(step: MinhashDedupSignature, texts: Sequence[str]) -> int:
    made = 0
    for text in texts:
        shingles = step.get_shingles(text)
        if shingles.size:  # none of texts under five words
            made += len(step.get_signature(shingles)) > 0
    return made
