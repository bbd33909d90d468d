"""Fact probes made of held-out text: a name, a number or a date is masked and has to be restored.

They ask what no list of facts knows: whether a model completes text of the corpus' own kind with what
stands there. Four kinds are masked, each choosing among the answers of its kind:

    year    a number of four digits from 1000 to 2099
    number  any other number
    date    a month and its day, or a day and its month
    name    one to three capitalised words within a sentence, in scripts that have capitals

A span is masked only where the sentence has it once, and the rarer the name in the held-out text the
likelier it is chosen, since frequent ones are guessed. Sentences of less than six or more than sixty
words give too little or too much to go by. Placeholders of personal data are never masked.

Not covered: names in scripts without capitals; whether the sentence is true.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from tasks.corpus.sources.probes import MAIN, MASK, SCHEMA

_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
KINDS = {
    "date": re.compile(rf"\b(?:{_MONTH} \d{{1,2}}|\d{{1,2}} {_MONTH})\b"),
    "year": re.compile(r"(?<![\d.,])(?:1\d{3}|20\d{2})(?![\d.,]\d|\d)"),
    "number": re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?![\w])"),
    "name": re.compile(r"(?<=[\w,;] )[A-ZÀ-ÖØ-Þ][\w'’-]+(?: [A-ZÀ-ÖØ-Þ][\w'’-]+){0,2}"),
}
_SENTENCE = re.compile(r"[^.!?。！？\n]+(?:\.(?=\d)[^.!?。！？\n]+)*[.!?。！？]?")
_WORD = re.compile(r"\w+")
_WIDE = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")
_FEWEST, _MOST = 6, 60  # words of a sentence; wide characters count as words
_PLACEHOLDER = re.compile(r"[\[<{]")
_CHOICES = 200  # answers of a kind


def made_probes(rows: pl.DataFrame, most: int, seed: int) -> pl.DataFrame:
    """Probes of a corpus' validation and test rows.

    Args:
        rows: `row_id`, `text`, `split`.
        most: Test probes; a third as many of validation rows.
        seed: Of the choice.

    Returns:
        The columns of `probes.SCHEMA`; none if no sentence has anything to mask.
    """
    found: list[dict[str, Any]] = []
    for split, wanted in (("validation", max(1, most // 3)), ("test", most)):
        part = rows.filter(pl.col("split") == split).sort("row_id")
        found += _chosen(list(_maskable(part, split)), wanted, seed)
    return _with_choices(pl.DataFrame(found, schema=SCHEMA))


def _maskable(rows: pl.DataFrame, split: str) -> Iterator[dict[str, Any]]:
    """Everything that could be masked in the rows."""
    for row_id, text in rows.select("row_id", "text").iter_rows():
        for number, match in enumerate(_SENTENCE.finditer(text)):
            sentence = " ".join(match.group().split())
            size = len(_WORD.findall(sentence)) + len(_WIDE.findall(sentence))
            if not _FEWEST <= size <= _MOST or _PLACEHOLDER.search(sentence):
                continue
            for kind, start, end in _spans(sentence):
                answer = sentence[start:end]
                if sentence.count(answer) > 1:
                    continue
                probe_id = f"{row_id}-{number}-{start}"
                yield {
                    "probe_id": probe_id, "statement": f"{sentence[:start]}{MASK}{sentence[end:]}",
                    "answer": answer, "accepted": [], "subject": "",
                    "relation": _relation(kind, answer),
                    "split": split, "fact": probe_id, "phrasing": MAIN,
                }  # fmt: skip


def _relation(kind: str, answer: str) -> str:
    """The kind, of names with their number of words: a sum of log-probabilities favours short ones."""
    size = len(answer.split(" "))
    return kind if kind != "name" or size == 1 else f"name of {size} words"


def _spans(sentence: str) -> Iterator[tuple[str, int, int]]:
    """Kind, start and end of what can be masked; the first kind that a place fits has it."""
    taken: list[tuple[int, int]] = []
    for kind, pattern in KINDS.items():
        for match in pattern.finditer(sentence):
            start, end = match.span()
            if all(end <= a or start >= b for a, b in taken):
                taken.append((start, end))
                yield kind, start, end


def _chosen(found: list[dict[str, Any]], wanted: int, seed: int) -> list[dict[str, Any]]:
    """So many of them, one of a sentence at most, the rarer answers likelier (1 / their number)."""
    if not found:
        return []
    counts = Counter(probe["answer"] for probe in found)
    weights = np.array([1.0 / counts[probe["answer"]] for probe in found])
    draws = np.random.default_rng(seed).random(len(found)) ** (1.0 / weights)
    chosen: dict[str, dict[str, Any]] = {}
    for place in np.argsort(-draws, kind="stable"):
        probe = found[int(place)]
        sentence = probe["probe_id"].rsplit("-", 1)[0]
        chosen.setdefault(sentence, probe)
        if len(chosen) == wanted:
            break
    return sorted(chosen.values(), key=lambda probe: str(probe["probe_id"]))


def _with_choices(probes: pl.DataFrame) -> pl.DataFrame:
    """Those whose answer is among the most frequent ones of its kind, so that choices stay few."""
    counted = probes.group_by("relation", "answer").len()
    ranked = counted.sort(["relation", "len", "answer"], descending=[False, True, False])
    kept = ranked.group_by("relation", maintain_order=True).head(_CHOICES)
    return probes.join(kept, on=["relation", "answer"], how="semi", maintain_order="left")
