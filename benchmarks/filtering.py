"""What reads the corpus in `curation.py`: our scan, our signals, and datatrove's filters.

Each job is a process on one thread, as `curation.py` starts it. It reads a parquet a batch at a time,
works through so many megabytes of it, and answers with the CPU seconds that the work alone took (reading
the file and making objects of it are left out) and with the most memory that the process ever held.
"""

from __future__ import annotations

import re
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import polars as pl

SUITES = {"quality": "gopher", "repetition": "gopher", "c4": "c4", "fineweb": "fineweb"}
_BATCH = 2000  # documents
_REPETITION = re.compile(r"gopher_(repeated|top)_")
_SPACES = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")


def ours(_answers: TextIO, corpus: str, megabytes: float, what: str) -> dict[str, Any]:
    """One of our own: `plain` (a bare pass), `filters` (figures and decisions), `signals` (all)."""
    from tasks.corpus.signals.measure import row_signals
    from tasks.corpus.signals.scan import scan_texts

    works: dict[str, Callable[[pl.Series], object]] = {
        "plain": _plain_pass(),
        "scan": scan_texts,
        "filters": decisions,
        "signals": row_signals,
    }
    return _timed(corpus, megabytes, works[what])


def datatrove(_answers: TextIO, corpus: str, megabytes: float, what: str) -> dict[str, Any]:
    """Datatrove's filters with its own words: one by its name, or all until one drops (`pipeline`)."""
    filters = _their_filters()
    chosen = list(filters.values()) if what == "pipeline" else [filters[what]]

    def work(documents: list[Any]) -> None:
        for document in documents:
            for one in chosen:
                if one.filter(document) is not True:
                    break

    return _timed(corpus, megabytes, work, _documents)


def agreement(_answers: TextIO, corpus: str, megabytes: float) -> dict[str, Any]:
    """Keep or drop by both on the same words and sentences: how often alike, and what differs.

    Once on the texts as they are and once with the same lines too: without white space at their ends,
    as cleaning leaves them before rows are judged.
    """
    filters = _their_filters()
    _share_our_words()
    found: dict[str, Any] = {}
    for way, made in {"as they are": lambda text: text, "tidied": _tidied}.items():
        same: Counter[str] = Counter()
        differing: Counter[str] = Counter()
        documents = alike = 0
        for texts in _batches(corpus, megabytes):
            texts = pl.Series([made(text) for text in texts], dtype=pl.String)
            mine = decisions(texts)
            for row, text in enumerate(texts):
                theirs = {name: _verdict(one, text) for name, one in filters.items()}
                agreed = {name: (not mine[name][row]) == (not theirs[name]) for name in filters}
                same.update(name for name, one in agreed.items() if one)
                for name in (name for name, one in agreed.items() if not one):
                    here = mine[name][row] or "kept"
                    differing[f"{name}: {theirs[name] or 'kept'}, here {here}"] += 1
                documents, alike = documents + 1, alike + all(agreed.values())
        found[way] = {
            "documents": documents, "alike": alike, "same": dict(same),
            "differing": dict(differing.most_common()),
        }  # fmt: skip
    return found


def _tidied(text: str) -> str:
    from tasks.corpus.signals.kernels import layout
    from tasks.corpus.signals.scan import code_point_bits

    spaces = "".join(map(chr, np.flatnonzero(code_point_bits() & layout.SPACE)))
    return "\n".join(line.strip(spaces) for line in text.split("\n")).strip(spaces)


def _verdict(one: Any, text: str) -> str:
    """Datatrove's reason to drop a text; empty where it is kept."""
    [document] = _documents(pl.Series([text]))
    try:
        verdict = one.filter(document)
    except (ZeroDivisionError, ValueError) as error:  # a text without words or lines
        return f"fails with {type(error).__name__}"
    return "" if verdict is True else str(verdict[1])


def decisions(texts: pl.Series) -> dict[str, list[str]]:
    """The first rule of each filter that each text breaks; empty where it is kept.

    Every text is taken for English, as datatrove's filters take it.
    """
    from expectations.rules import row_rules
    from tasks.corpus.signals.filters import filter_signals, ratio
    from tasks.corpus.signals.scan import scan_texts

    counts = scan_texts(texts)
    lines = counts.select(ratio("repeated_lines", "lines").alias("repeated_line_ratio"))
    figures = pl.concat([filter_signals(counts), lines], how="horizontal")
    found = {}
    for name, suite in SUITES.items():
        rules = [replace(rule, languages=None) for rule in row_rules(suite)]
        if suite == "gopher":
            wanted = name == "repetition"
            rules = [r for r in rules if bool(_REPETITION.match(r.name)) == wanted]
        first = pl.coalesce(pl.when(r.fails()).then(pl.lit(r.name)) for r in rules).fill_null("")
        found[name] = figures.select(first.alias("reason"))["reason"].to_list()
    return found


def _timed(
    corpus: str, megabytes: float, work: Callable[[Any], object],
    prepare: Callable[[pl.Series], Any] = lambda texts: texts,
) -> dict[str, Any]:  # fmt: skip
    started = time.process_time()
    work(prepare(next(_batches(corpus, 1e-9))[:50]))
    warm = time.process_time() - started
    seconds = size = documents = 0.0
    for texts in _batches(corpus, megabytes):
        made = prepare(texts)
        started = time.process_time()
        work(made)
        seconds += time.process_time() - started
        size += float(texts.str.len_bytes().sum()) / 1e6
        documents += len(texts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "mb": size, "documents": documents, "cpu_s": seconds, "mb_per_s": size / seconds,
        "documents_per_s": documents / seconds, "peak_gib": peak, "first_s": warm,
    }  # fmt: skip


def _batches(corpus: str, megabytes: float) -> Iterator[pl.Series]:
    """Texts of the corpus in its order, until there are so many megabytes of them."""
    import pyarrow.parquet as pq

    left = megabytes * 1e6
    for batch in pq.ParquetFile(Path(corpus)).iter_batches(_BATCH, columns=["text"]):
        texts = pl.Series("text", pl.from_arrow(batch).to_series())  # type: ignore[union-attr]
        ends = texts.str.len_bytes().cum_sum()
        taken = min(len(texts), int((ends < left).sum()) + 1)
        yield texts[:taken]
        left -= float(ends[taken - 1])
        if left <= 0:
            return


def _plain_pass() -> Callable[[pl.Series], object]:
    """The rate to compare with: bytes looked up in a table, words hashed, two classes counted."""
    from numba import njit

    from tasks.corpus.signals.buffers import buffers
    from tasks.corpus.signals.scan import code_point_bits

    @njit(nogil=True)
    def bare(data: Any, bits: Any, hashes: Any) -> Any:
        value, words, letters, digits, inside = np.uint64(1), 0, 0, 0, False
        for byte in data:
            kind = bits[byte]
            letters += kind & 1
            digits += kind >> 1 & 1
            if kind & 4:
                if inside:
                    hashes[words] = value
                    words, value = words + 1, np.uint64(1)
                inside = False
            else:
                value, inside = (value ^ np.uint64(byte)) * np.uint64(0x9E3779B97F4A7C15), True
        return words, letters, digits

    def work(texts: pl.Series) -> object:
        data, _ = buffers(texts)
        return bare(data, code_point_bits(), np.empty(len(data) + 1, np.uint64))

    return work


def _documents(texts: pl.Series) -> list[Any]:
    from datatrove.data import Document

    return [Document(text=text, id=str(place)) for place, text in enumerate(texts)]


def _their_filters() -> dict[str, Any]:
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )
    from loguru import logger

    logger.remove()
    return {
        "quality": GopherQualityFilter(), "repetition": GopherRepetitionFilter(),
        "c4": C4QualityFilter(), "fineweb": FineWebQualityFilter(),
    }  # fmt: skip


def _share_our_words() -> None:
    """Give datatrove our words and sentences in the place of spaCy's."""
    from datatrove.pipeline.filters import (
        c4_filters,
        fineweb_quality_filter,
        gopher_quality_filter,
        gopher_repetition_filter,
    )

    for module in (gopher_quality_filter, gopher_repetition_filter, fineweb_quality_filter):
        module.split_into_words = lambda text, language: words_of(text)
    c4_filters.split_into_sentences = lambda text, language: sentences_of(text)


def words_of(text: str) -> list[str]:
    """The words of `tasks.corpus.signals.scan`."""
    from tasks.corpus.signals.kernels import layout
    from tasks.corpus.signals.scan import code_point_bits

    words: list[str] = []
    for chunk in _SPACES.split(text):
        if chunk.isascii():
            words += [chunk] if chunk else []
            continue
        word, held, run = "", 0, 0
        for character in chunk:
            now = int(code_point_bits()[ord(character)]) & (
                layout.WORDLIKE | layout.IDEOGRAPH | layout.SPACELESS
            )
            goes_on = now == held and (
                now == layout.WORDLIKE or (now == layout.SPACELESS and 0 < run < 4)
            )
            if now and held and not goes_on:
                words.append(word)
                word, held, run = "", 0, 0
            word, run = word + character, run + 1 if now == layout.SPACELESS else 0
            held = now or held
        if word:
            words.append(word)
    return words


def sentences_of(line: str) -> list[str]:
    """As many strings as `tasks.corpus.signals.scan` counts sentences in a line."""
    from tasks.corpus.signals.kernels import layout
    from tasks.corpus.signals.scan import code_point_bits

    bits, words = code_point_bits(), words_of(line)
    count, content = 0, False
    for word in words[:-1]:
        content = content or any(bits[ord(c)] & (layout.LETTER | layout.NUMBER) for c in word)
        bare = word
        while bare and bits[ord(bare[-1])] & layout.CLOSER:
            bare = bare[:-1]
        ends = bool(bare) and bool(bare[-1] == "…" or bits[ord(bare[-1])] & layout.TERMINAL)
        initial = len(word) == 2 and word[1] == "." and bits[ord(word[0])] & layout.LETTER
        if ends and content and not initial:
            count, content = count + 1, False
    last = words[-1] if words else ""
    content = content or any(bits[ord(c)] & (layout.LETTER | layout.NUMBER) for c in last)
    return [line] * max(1, count + content)
