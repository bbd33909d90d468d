"""One compiled pass over texts: the figures that every rule of Gopher, C4 and FineWeb is made of.

A **word** is what white space separates, marks included, as Gopher and FineWeb have it; so `mat.` is
one word and a dash on its own is another. Where a script has no spaces, words are as in `patterns.WORD`:
each Han or kana character is one, and so are four letters of Thai and its like; marks belong to the
word before them. A **line** is what line feeds separate, without white space at its ends, blank ones
left out; a **paragraph** is the lines between two blank ones.

The signals are put together in `filters` and `signals`; here texts become counts. The kernels read the
UTF-8 bytes of a stretch of rows at a time, stretches in threads, so memory is a few times a stretch.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.signals import patterns
from tasks.corpus.signals.buffers import buffers, stretches
from tasks.corpus.signals.kernels import layout
from tasks.settings import Environment

_STRETCH = 1 << 20  # bytes
_KERNELS = Path(__file__).parent / "kernels"
_CODE_POINTS = 0x110000
_ASCII = 128
_SURROGATES = range(0xD800, 0xE000)
# What composes with the character before it, and the sigma, whose lower case the word's end decides.
_MOVING = r"[\p{M}\x{1100}-\x{11FF}Σ]"
# Marks that may follow a full stop before the sentence is over.
_CLOSERS = r"\"'\)\]\}\p{Pf}\p{Pe}"
# Gopher says "bullet point"; a hyphen, an asterisk and an en dash begin the lines of plain lists.
_BULLETS = "•‣⁃◦▪●■*–\\-"
# What text in order holds beside ASCII and never makes ftfy call it bad: quotes, dashes, dots.
_QUIET = r"\x00-\x7F‘’“”–—…•"


def scan_texts(texts: pl.Series) -> pl.DataFrame:
    """Count what the rules need of each text; null counts as empty.

    Returns:
        One row per text in their order, the columns of `layout.COUNTS`.
    """
    texts = texts.fill_null("")
    suspects = texts.str.contains_any(
        [layout.LOREM_IPSUM, layout.SCRIPT, layout.BRACKET, *layout.POLICIES],
        ascii_case_insensitive=True,
    )
    counts = np.zeros((len(texts), len(layout.COUNTS)), np.int64)
    bits, compiled = code_point_bits(), kernels()

    def work(rows: slice) -> None:
        _scan_stretch(texts[rows], suspects[rows].to_numpy(), counts[rows], bits, compiled)

    parts = list(stretches(texts, _STRETCH))
    with ThreadPoolExecutor(min(pl.thread_pool_size(), max(len(parts), 1))) as pool:
        list(pool.map(work, parts))
    return pl.DataFrame(counts, schema=list(layout.COUNTS))


def distinct_grams(
    starts: NDArray[np.int64], hashes: NDArray[np.uint64], size: int
) -> NDArray[np.int64]:
    """How many different n-grams of `size` words each text has, as `wordgrams.word_grams` cuts them.

    Args:
        starts: Where each text's words begin, and the end: (n + 1,).
        hashes: The words' hashes: (words,).
        size: Words of an n-gram.
    """
    counts = np.zeros(len(starts) - 1, np.int64)
    kernels().repetition.distinct_grams(starts, hashes, size, counts)
    return counts


@dataclass(frozen=True)
class Kernels:
    """The compiled modules."""

    reading: ModuleType
    repetition: ModuleType
    words: ModuleType
    phrases: ModuleType
    loops: ModuleType


@cache
def kernels() -> Kernels:
    """The compiled modules, their machine code kept for the next process.

    numba looks only at the file of a kernel when it decides whether its machine code is still good,
    not at those it calls, so the folder is named after the contents of all of them. It is beside the
    sources, or where those cannot be written under `NUMBA_CACHE_DIR`, the project's home, or the
    folder of temporary files.
    """
    import numba

    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(_cache_folder())
    try:
        from tasks.corpus.signals.kernels import loops, phrases, reading, repetition, words
    finally:
        numba.config.CACHE_DIR = before
    return Kernels(reading, repetition, words, phrases, loops)


def _cache_folder() -> Path:
    digest = hashlib.sha256()
    for path in sorted(_KERNELS.glob("*.py")):
        digest.update(path.read_bytes())
    places = [_KERNELS / "__pycache__", Environment().home.absolute() / "numba"]
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        places.insert(1, Path(named))
    for place in places:
        folder = place / f"numba-{digest.hexdigest()[:16]}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return Path(tempfile.mkdtemp(prefix="numba-"))


@cache
def code_point_bits() -> NDArray[np.uint32]:
    """The bits of `layout` for each code point, by Polars' own Unicode tables: (0x110000,)."""
    points = np.delete(np.arange(_CODE_POINTS, dtype=np.uint32), _SURROGATES)
    everything = pl.Series([points.tobytes().decode("utf-32-le")])
    bits = np.zeros(_CODE_POINTS, np.uint32)
    classes = {
        layout.LETTER: r"[\p{L}\p{M}]", layout.DIGIT: r"\p{Nd}", layout.SPACE: r"\s",
        layout.UPPER: r"\p{Lu}", layout.LOWER: r"\p{Ll}", layout.CONTROL: patterns.CONTROL,
        layout.NUMBER: r"\p{N}", layout.WORDLIKE: patterns.WORDLIKE,
        layout.IDEOGRAPH: f"[{patterns.IDEOGRAPHS}]", layout.BASE: patterns.CLUSTER_PARTS["base"],
        layout.BEFORE: patterns.CLUSTER_PARTS["before"],
        layout.AFTER: patterns.CLUSTER_PARTS["after"],
        layout.STACKING: patterns.CLUSTER_PARTS["stacking"],
        layout.TERMINAL: r"\p{Sentence_Terminal}", layout.CLOSER: f"[{_CLOSERS}]",
        layout.BULLET: f"[{_BULLETS}]", layout.SPECIAL: "[#@<&>/.:…]", layout.ODD: f"[^{_QUIET}]",
        layout.PLAIN: "[A-Za-z]", layout.MOVING: _MOVING, layout.JOINED: r"\w",
    }  # fmt: skip
    for bit, pattern in classes.items():
        kept = "".join(everything.str.extract_all(f"(?:{pattern})+")[0])
        bits[np.frombuffer(kept.encode("utf-32-le"), np.uint32)] |= np.uint32(bit)
    alone = pl.Series([chr(point) for point in points[_ASCII:]])
    moving = (alone.str.normalize("NFC") != alone) | (alone.str.to_lowercase().str.len_chars() != 1)
    bits[points[_ASCII:][moving.to_numpy()]] |= np.uint32(layout.MOVING)
    return bits


@cache
def lower_case() -> NDArray[np.uint32]:
    """The lower case of each code point, itself where that is none or several: (0x110000,)."""
    points = np.delete(np.arange(_CODE_POINTS, dtype=np.uint32), _SURROGATES)
    alone = pl.Series([chr(point) for point in points]).str.to_lowercase()
    single = (alone.str.len_chars() == 1).to_numpy()
    lower = np.arange(_CODE_POINTS, dtype=np.uint32)
    joined = "".join(alone.filter(pl.Series(single)))
    lower[points[single]] = np.frombuffer(joined.encode("utf-32-le"), np.uint32)
    return lower


def _scan_stretch(
    texts: pl.Series,
    suspects: NDArray[np.bool_],
    counts: NDArray[np.int64],
    bits: NDArray[np.uint32],
    compiled: Kernels,
) -> None:
    """Fill the rows of `counts` that belong to some texts."""
    data, offsets = buffers(texts)
    feeds = int(np.count_nonzero(data == ord("\n")))
    hashes, lengths = np.empty(len(data), np.uint64), np.empty(len(data), np.int64)
    line_hashes = np.empty(feeds + len(texts), np.uint64)
    lines = np.empty((feeds + len(texts) + 1, layout.LINE_NOTES), np.int64)
    words, starts = (np.empty(len(texts) + 1, np.int64) for _ in range(2))
    compiled.reading.scan(
        data, offsets, bits, suspects, counts, hashes, lengths, words, line_hashes, lines, starts
    )
    compiled.repetition.repetition(hashes, lengths, words, line_hashes, lines, starts, counts)
