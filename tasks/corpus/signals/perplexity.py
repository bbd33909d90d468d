"""How surprising each text is to a small model of the corpus' own trusted part.

The model gives every character its probability after the few before it: interpolated Kneser-Ney
(Kneser and Ney 1995; equations as in Chen and Goodman 1999, doi:10.1006/csla.1999.0128, with one
discount D = n1 / (n1 + 2 n2) an order):

    p_k(w | h) = max(c(hw) - D, 0) / c(h.) + D N1+(h.) / c(h.) p_{k-1}(w | h')

where c are counts at the highest order, and below it the number of different characters that came
before hw. Characters are folded to lower case; the rarer ones share a class (Brown et al. 1992),
in which each is as likely as it is frequent, so the table stays small whatever the script: order
4 over 48 classes where those cover the text, order 3 over 160 classes where they do not (Chinese,
Japanese, Korean).

`perplexity` is the logarithm that all comparisons use, in bits per character: the mean of -log2 p.
CCNet (Wenzek et al. 2020, arXiv:1911.00359) filters by a word model of Wikipedia; a model of the
corpus itself needs no download and knows no other style than the corpus'. Scripts pack unlike
amounts into a character, so bits compare within a language.

No row is judged by itself: the model of each half of the trusted rows judges the rows whose text
falls into the other half, copies included. Bits are whole 1/1024ths, so sums are exact and do not
depend on the order of rows.

Not covered: fluent text that is false or off the subject, and words in an order no one would write.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.signals.character_model import CharacterModel

SIGNALS = {"perplexity": "bits per character under a model of the trusted rows of the language"}

Flags = NDArray[np.bool_]
Places = NDArray[np.intp]
Texts = Callable[[], Iterable[pl.Series]]

_SAMPLE = 1_000_000  # characters that a model is counted on
_LONGEST = 20_000  # characters taken of one text, so that no book is a language
_FEWEST_ROWS = 50
_FEWEST_CHARACTERS = 10_000
_GROUPS = 8  # whose models, 28 MB together, are held at once


def perplexities(texts: pl.Series, languages: pl.Series, trusted: Flags) -> pl.DataFrame:
    """`perplexities_in_parts` of texts that are in memory."""
    return perplexities_in_parts(lambda: [texts], languages, trusted)


def perplexities_in_parts(texts: Texts, languages: pl.Series, trusted: Flags) -> pl.DataFrame:
    """Bits per character of each text; null for an empty text or with too few trusted rows.

    Args:
        texts: Reads the texts in parts, from the beginning whenever it is asked; null counts as
            empty. It is asked three times, and once more for every eight further languages.
        languages: Their languages. One with too few trusted rows is judged by the whole corpus.
        trusted: Which rows the models may be counted on.
    """
    rows = _Rows.of(texts)
    codes = languages.to_numpy()
    left: Flags = np.ones(len(codes), bool)
    groups: list[tuple[Flags, Flags]] = []  # the rows counted on, and the rows judged
    for group in (codes == code for code in sorted(set(codes))):
        if rows.suffice(group & trusted):
            groups.append((group & trusted, group))
            left &= ~group
    if left.any() and rows.suffice(trusted):
        groups.append((trusted, left))
    bits = np.full(len(codes), np.nan)
    for begin in range(0, len(groups), _GROUPS):
        _judge(texts, rows, groups[begin : begin + _GROUPS], bits)
    return pl.DataFrame({"perplexity": pl.Series(bits).fill_nan(None)})


@dataclass(frozen=True)
class _Rows:
    """What of each text is held while all are read.

    Attributes:
        keys: Hash of the text as it is judged, which says in which half it falls: (rows,).
        lengths: Its characters: (rows,).
    """

    keys: NDArray[np.uint32]
    lengths: NDArray[np.uint32]

    @classmethod
    def of(cls, texts: Texts) -> _Rows:
        keys, lengths = [np.zeros(0, np.uint32)], [np.zeros(0, np.uint32)]
        for part in map(_folded, texts()):
            keys.append(np.array([zlib.crc32(text.encode()) for text in part], np.uint32))
            lengths.append(part.str.len_chars().to_numpy())
        return cls(np.concatenate(keys), np.concatenate(lengths))

    def half(self, side: int) -> Flags:
        """The rows of one half, 0 or 1."""
        return np.asarray(self.keys % 2 == side)

    def suffice(self, among: Flags) -> bool:
        """Whether both halves of some rows are enough to count."""
        for side in (0, 1):
            rows = among & self.half(side)
            if rows.sum() < _FEWEST_ROWS:
                return False
            if self.lengths[rows].sum(dtype=np.int64) < _FEWEST_CHARACTERS:
                return False
        return True

    def sample(self, among: Flags) -> Places:
        """Rows with about `_SAMPLE` characters together, the first in the order of their keys."""
        rows = np.flatnonzero(among)
        rows = rows[np.argsort(self.keys[rows], kind="stable")]
        taken = np.minimum(self.lengths[rows], _LONGEST).astype(np.int64)
        return rows[np.cumsum(taken) - taken < _SAMPLE]


def _judge(
    texts: Texts, rows: _Rows, groups: list[tuple[Flags, Flags]], bits: NDArray[np.float64]
) -> None:
    """Fill in the bits of the judged rows, each half by the model of the other."""
    samples = [rows.sample(among & rows.half(1 - side)) for among, _ in groups for side in (0, 1)]
    judged = [group & rows.half(side) for _, group in groups for side in (0, 1)]
    wanted = _gathered(texts, np.unique(np.concatenate(samples)))
    models = [CharacterModel.of(pl.Series([wanted[row] for row in some])) for some in samples]
    begin = 0
    for part in texts():
        folded, end = _folded(part), begin + len(part)
        for model, mine in zip(models, judged, strict=True):
            places = np.flatnonzero(mine[begin:end])
            if len(places):
                bits[begin + places] = model.bits(folded.gather(places))
        begin = end


def _gathered(texts: Texts, places: Places) -> dict[int, str]:
    """The beginnings of some texts by place."""
    found: dict[int, str] = {}
    begin = 0
    for part in texts():
        first, last = np.searchsorted(places, [begin, begin + len(part)])
        some = places[first:last]
        if len(some):
            taken = _folded(part.gather(some - begin)).str.slice(0, _LONGEST)
            found |= zip(some.tolist(), taken, strict=True)
        begin += len(part)
    return found


def _folded(texts: pl.Series) -> pl.Series:
    return texts.fill_null("").str.normalize("NFC").str.to_lowercase()
