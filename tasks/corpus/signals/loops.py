"""Machine-repeated text: a short unit said again at once, and again.

`loop_ratio` is the share of a text's words that lie in a loop. A loop is a stretch with a period
of p words, 1 <= p <= 40, long enough to say its unit

- three times, whatever the unit ("ha ha ha"), or
- twice, if the unit has two words of a script with spaces ("buy now buy now"), or six pieces of a
  script without (a Chinese sentence; "研究研究" is grammar and no loop).

A single word that is itself a loop of up to four letters, said four times ("hahahaha"), is one too.
The two lengths are ours: in ordinary prose a word is doubled by accident or grammar ("had had"),
a phrase hardly ever. Repetition at a distance is `repeated_ngram_ratio`'s and `repeated_line_ratio`'s.

Cost: one comparison of the words with themselves per period, whatever the texts.

Not covered: loops with a counter in them ("row 1, row 2, row 3"), units over 40 words.
"""

from __future__ import annotations

import re

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.signals.patterns import SPACELESS_PIECE
from tasks.corpus.signals.scan import kernels
from tasks.corpus.signals.wordgrams import Words

SIGNALS = {"loop_ratio": "share of the words in immediate repetitions of a short unit"}

_LONGEST = 40
_TWICE_SPACED = 2
_TWICE_SPACELESS = 6
_SAID_IN_A_WORD = re.compile(r"^\D{0,2}?(\D{1,4}?)\1{3,}\D{0,2}$")


def loop_signals(words: Words) -> pl.DataFrame:
    """`loop_ratio` of each text, from its words: (texts,)."""
    covered = _looped_words(words)[words.ids] if len(words.ids) else np.zeros(0, bool)
    spaceless = words.vocabulary.str.contains(SPACELESS_PIECE).to_numpy()
    limits = (_LONGEST, _TWICE_SPACED, _TWICE_SPACELESS)
    kernels().loops.cover_loops(words.ids, words.starts, spaceless, *limits, covered)
    totals = np.concatenate([[0], np.cumsum(covered)])
    inside = totals[words.starts[1:]] - totals[words.starts[:-1]]
    return pl.DataFrame({"loop_ratio": inside / np.maximum(words.counts, 1)})


def _looped_words(words: Words) -> NDArray[np.bool_]:
    """Which different words are loops of letters: (vocabulary,)."""
    found = np.zeros(len(words.vocabulary), bool)
    for place in (words.vocabulary.str.len_chars() >= 4).arg_true():
        found[place] = _SAID_IN_A_WORD.match(words.vocabulary[place]) is not None
    return found
