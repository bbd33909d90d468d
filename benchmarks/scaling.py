"""The corpora of `scale.py`, and the process that takes one through ingest, profile and clean."""

from __future__ import annotations

import hashlib
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import polars as pl

WORDS = 40  # of a document, on average
_PART = 20_000  # documents written at a time
_CHANGED = 0.25  # share of a document's words that are others than its piece's
_COPIES, _NEAR = 0.04, 0.03  # documents that repeat an earlier one of their part
_DEFECTS = (  # share of the documents, and what is done to them
    (0.02, "<p>{}</p>"),
    (0.01, "{} Write to someone@example.org."),
    (0.10, "{}  "),
)
_WARMING = 500  # documents that a process begins with, so that compiling is not counted


def pieces(folder: Path) -> list[list[str]]:
    """Real text in pieces of about `WORDS` words."""
    found: list[list[str]] = []
    for file, column in (
        ("sentiment/movie_reviews.parquet", "text"), ("medquad/medquad.parquet", "answer"),
        ("pretrain_wiki/bold_wiki.parquet", "text"), ("pretrain_books/novels.parquet", "text"),
    ):  # fmt: skip
        for text in pl.read_parquet(folder / file, columns=[column])[column].drop_nulls():
            words = text.split()
            found += [words[at : at + WORDS] for at in range(0, len(words), WORDS)]
    long = [piece for piece in found if len(piece) > WORDS // 2]
    order = np.random.default_rng(0).permutation(len(long))
    return [long[place] for place in order]


def write_corpus(path: Path, documents: int, folder: Path, seed: int = 0) -> None:
    """A parquet file of so many documents, alike at every size; longer ones begin with shorter ones.

    Each is a piece of real text in which a quarter of the words are exchanged for words of other
    pieces, as often as they occur there; so no two are alike unless they are made to be.
    """
    import pyarrow.parquet as pq

    base = pieces(folder)
    words = np.array([word for piece in base for word in piece], dtype=object)
    writer = None
    for start in range(0, documents, _PART):
        rng = np.random.default_rng((seed, start))
        texts = list(_documents(base, words, start, rng))[: documents - start]
        made = pl.DataFrame({"text": texts, "label": [str(n % 2) for n in range(len(texts))]})
        writer = writer or pq.ParquetWriter(path, made.to_arrow().schema)
        writer.write_table(made.to_arrow())
    if writer is not None:
        writer.close()


def _documents(
    base: list[list[str]], words: Any, start: int, rng: np.random.Generator
) -> Iterator[str]:
    made: list[str] = []
    for number, (kind, place) in enumerate(rng.random((_PART, 2))):
        if kind < _COPIES and made:
            text = made[int(place * len(made))]
        elif kind < _COPIES + _NEAR and made:
            text = made[int(place * len(made))] + " indeed"
        else:
            piece = list(base[(start + number) % len(base)])
            for at in np.flatnonzero(rng.random(len(piece)) < _CHANGED):
                piece[at] = words[rng.integers(len(words))]
            text = " ".join(piece)
            for share, form in _DEFECTS:
                if rng.random() < share:
                    text = form.format(text)
        made.append(text)
        yield text


def night(
    answers: TextIO, *, corpus: str, home: str, runner: str, workers: int, warm: str
) -> dict[str, Any]:
    """Take a corpus through the three stages.

    Args:
        answers: Unused; the answer is returned.
        corpus: The file.
        home: Where results and what was measured before are kept.
        runner: `in_process` or `dask`.
        workers: Processes of Dask.
        warm: A small corpus that is worked on first, in a home of its own.

    Returns:
        Seconds and CPU seconds of each stage, the peak resident memory of the process (GiB), and a
        digest of the rows kept.
    """
    from tasks import mapping

    _three(Path(warm), f"{home}-warm")
    with mapping.working_with(runner, workers):  # type: ignore[arg-type]
        return _three(Path(corpus), home)


def _three(corpus: Path, home: str) -> dict[str, Any]:
    os.environ["PLUMBLINE_HOME"] = home
    from tasks.configuration import Cleaning, Profiling, Source
    from tasks.corpus.clean import clean
    from tasks.corpus.ingest import ingest
    from tasks.corpus.profile import profile
    from tasks.settings import Environment
    from tasks.stage import open_store

    Environment().apply()
    source = Source(location=str(corpus), label="label")
    marks = [_now()]
    raw = ingest(config=source, seed=0, content=corpus.stem)
    marks.append(_now())
    signals = profile(raw, config=Profiling())
    marks.append(_now())
    cleaned = clean(raw, signals, config=Cleaning())
    marks.append(_now())
    spent = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(marks, marks[1:], strict=False)]
    names = ("ingest", "profile", "clean")
    rows = cleaned.outcome.rows
    return {
        "seconds": dict(zip(names, (wall for wall, _ in spent), strict=True)),
        "cpu": dict(zip(names, (cpu for _, cpu in spent), strict=True)),
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "kept": rows.kept if rows else 0,
        "profile": signals.outcome.summary,
        "digest": _digest(open_store().fetch(cleaned) / "corpus.parquet"),
    }


def warming(path: Path, folder: Path) -> None:
    """Write the small corpus that a process begins with."""
    write_corpus(path, _WARMING, folder, seed=1)


def _digest(path: Path) -> str:
    """Of the file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _now() -> tuple[float, float]:
    """Wall seconds, and CPU seconds of this process and of its children that have ended."""
    used = os.times()
    return time.perf_counter(), used.user + used.system + used.children_user + used.children_system
