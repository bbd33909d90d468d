"""How fast noise is found, beside datatrove doing the same rules, and how often both decide alike.

Makes a corpus of so many megabytes of real text, from PLUMBLINE_DATA (reviews, medical answers, novels
in pieces of a page or two, encyclopaedia paragraphs) and from the documentation of the installed
packages, each round of it edited. Then processes of one thread work through it in turns, each figure the
median of the rounds, in CPU seconds: a pass that only hashes words, our scan, our scan with the decisions
of all four filters, all signals of the stage `profile` that depend on a row alone; and datatrove's four
filters with spaCy's words, alone and as a pipeline that stops at the first that drops a document.

datatrove is asked once more on the words and sentences that our scan uses, and every document on which
one keeps and the other drops is counted by the two reasons: on the texts as they are, and with the white
space at the ends of lines and texts removed, as cleaning does before it judges. (datatrove counts the
nothing before a first and after a last line feed as two equal lines, and does not see the full stop of
a line that ends in a space.)

    python benchmarks/curation.py [--megabytes 150] [--sample 1] [--rounds 5]

`--sample` is what datatrove reads of the corpus in a round (it takes seconds a megabyte); `--agreement`
what decisions are compared on.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Iterator
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from measuring import run_once, table, tell

OURS = ("plain", "scan", "filters", "signals")
THEIRS = ("quality", "repetition", "c4", "fineweb", "pipeline")
NAMES = {
    "plain": "a bare pass", "scan": "our scan", "filters": "our scan, decisions of all filters",
    "signals": "all our signals of a row", "quality": "datatrove, Gopher quality",
    "repetition": "datatrove, Gopher repetition", "c4": "datatrove, C4",
    "fineweb": "datatrove, FineWeb", "pipeline": "datatrove, all until one drops",
}  # fmt: skip
_THREADS = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS")
_PAGE = 5000  # characters of a piece of a novel
_PART = 5000  # documents written at a time


def base_texts() -> list[str]:
    """Each real text once, in an order that mixes the sources."""
    texts = list(_documentation())
    if folder := os.environ.get("PLUMBLINE_DATA"):
        texts += _shared(Path(folder))
    else:
        tell("PLUMBLINE_DATA is not set: only the documentation of installed packages is read")
    order = np.random.default_rng(0).permutation(len(texts))
    return [texts[place] for place in order]


def _documentation() -> Iterator[str]:
    """Descriptions of the installed packages, and their files of documentation."""
    seen: set[str] = set()
    for one in sorted(distributions(), key=lambda one: str(one.metadata["Name"])):
        texts = [str(one.metadata.get_payload() or "")]
        for file in sorted(one.files or [], key=str):
            if file.suffix in (".md", ".rst") and (path := Path(str(file.locate()))).is_file():
                texts.append(path.read_text(encoding="utf-8", errors="ignore"))
        for text in texts:
            if text.strip() and text not in seen:
                seen.add(text)
                yield text


def _shared(folder: Path) -> list[str]:
    texts: list[str] = []
    for file, column in (
        ("sentiment/movie_reviews.parquet", "text"), ("medquad/medquad.parquet", "answer"),
        ("pretrain_wiki/bold_wiki.parquet", "text"), ("sentiment/mr_polarity.parquet", "text"),
    ):  # fmt: skip
        found = pl.read_parquet(folder / file, columns=[column])[column].drop_nulls()
        texts += found.filter(found.str.strip_chars() != "").to_list()
    for novel in pl.read_parquet(folder / "pretrain_books" / "novels.parquet")["text"]:
        texts += _pages(novel)
    return texts


def _pages(novel: str) -> Iterator[str]:
    page: list[str] = []
    for paragraph in novel.split("\n\n"):
        page.append(paragraph)
        if sum(map(len, page)) >= _PAGE:
            yield "\n\n".join(page)
            page = []


def write_corpus(path: Path, megabytes: float) -> None:
    """A parquet of so many megabytes; from the second round on every text has a word or two changed."""
    import pyarrow.parquet as pq

    base, rng, written, start = base_texts(), np.random.default_rng(0), 0.0, 0
    writer = None
    while written < megabytes * 1e6:
        part = [
            _edited(base[place % len(base)], rng) if place >= len(base) else base[place]
            for place in range(start, start + _PART)
        ]
        sizes = np.cumsum([len(text.encode()) for text in part])
        taken = min(len(part), int(np.searchsorted(sizes, megabytes * 1e6 - written)) + 1)
        made = pl.DataFrame({"text": part[:taken]}).to_arrow()
        writer = writer or pq.ParquetWriter(path, made.schema)
        writer.write_table(made)
        written, start = written + float(sizes[taken - 1]), start + _PART
    if writer is not None:
        writer.close()


def _edited(text: str, rng: np.random.Generator) -> str:
    words = text.split(" ")
    for place in rng.integers(len(words), size=1 + len(words) // 100):
        words[place] = f"{words[place]}{rng.integers(1 << 16):x}"
    return " ".join(words)


def measure(
    corpus: Path, options: argparse.Namespace, log: Path
) -> dict[str, list[dict[str, Any]]]:
    """All contenders in turns."""
    found: dict[str, list[dict[str, Any]]] = {}
    theirs = THEIRS if find_spec("datatrove") and find_spec("spacy") else ()
    if not theirs:
        tell("datatrove is not installed (make bench installs it): only our own is measured")
    for number in range(options.rounds):
        for name in (*OURS, *theirs):
            job = "ours" if name in OURS else "datatrove"
            size = options.megabytes if name in OURS else options.sample
            given = {"corpus": str(corpus), "megabytes": size, "what": name}
            found.setdefault(name, []).append(run_once(f"filtering.{job}", given, log))
        tell(f"round {number + 1} of {options.rounds}")
    return found


def shown(found: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """Print the rates; the median of each in MB a CPU second."""
    medians, rows = {}, []
    for name, readings in found.items():
        rates = [one["mb_per_s"] for one in readings]
        medians[name] = statistics.median(rates)
        documents = statistics.median(one["documents_per_s"] for one in readings)
        rows.append((
            NAMES[name], f"{medians[name]:,.3g} [{min(rates):,.3g}-{max(rates):,.3g}]",
            f"{documents:,.0f}", f"{max(one['peak_gib'] for one in readings):.2f}",
            f"{max(one['foreign_cpu'] for one in readings):.2f}",
        ))  # fmt: skip
    heads = ("one thread", "MB/s of CPU time", "documents/s", "peak GiB", "load of others")
    table(heads, rows, f"Rates, n={len(next(iter(found.values())))}")
    return medians


def compared(corpus: Path, megabytes: float, log: Path) -> dict[str, float]:
    """Print how often both decide alike; the shares of documents on which all four filters agree."""
    if not (find_spec("datatrove") and find_spec("spacy")):
        return {}
    ways = run_once("filtering.agreement", {"corpus": str(corpus), "megabytes": megabytes}, log)
    shares = {}
    for way in ("as they are", "tidied"):
        found = ways[way]
        total = found["documents"]
        rows = [(name, f"{n / total:.3%}", total - n) for name, n in found["same"].items()]
        rows.append(("all four", f"{found['alike'] / total:.3%}", total - found["alike"]))
        table(("filter", "decide alike", "documents that differ"), rows,
              f"Decisions on {total:,} documents {way}, same words and sentences")  # fmt: skip
        if found["differing"]:
            table(
                ("filter: reason there, reason here", "documents"), list(found["differing"].items())
            )
        shares[way] = found["alike"] / total
    return shares


def main() -> None:
    """Print the tables; the last line is JSON."""
    parser = argparse.ArgumentParser(description="Signals and filters beside datatrove")
    parser.add_argument("--megabytes", type=float, default=150, help="size of the corpus")
    parser.add_argument("--sample", type=float, default=1, help="MB that datatrove reads a round")
    parser.add_argument(
        "--agreement", type=float, default=20, help="MB that decisions are compared on"
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender")
    options = parser.parse_args()
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    with tempfile.TemporaryDirectory() as folder:
        corpus, log = Path(folder, "corpus.parquet"), Path(folder, "log")
        write_corpus(corpus, options.megabytes)
        tell(f"a corpus of {options.megabytes:g} MB is written")
        found = measure(corpus, options, log)
        medians = shown(found)
        agreement = compared(corpus, min(options.agreement, options.megabytes), log)
    their = medians.get("pipeline")
    print(json.dumps({
        "ratio_datatrove_filters": round(medians["filters"] / their, 1) if their else None,
        "agreement": round(agreement["tidied"], 5) if agreement else None,
        "agreement_as_they_are": round(agreement["as they are"], 5) if agreement else None,
        "mb_per_s": round(medians["filters"], 1),
        "mb_per_s_signals": round(medians["signals"], 1),
        "share_of_bare_pass": round(medians["filters"] / medians["plain"], 3),
        "peak_gib": round(max(one["peak_gib"] for n in OURS for one in found[n]), 2),
        "megabytes": options.megabytes,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
