"""Fact probes from files: our own JSONL, LAMA's, and ParaRel's folders.

ours      {"statement": "The city of Mara is [MASK].", "answer": "Dunvale"} and, if wanted, `answers`
          (all that are right, the first one preferred), `subject`, `relation`, `split`, `id`, and
          `fact`: probes of one fact are paraphrases of each other
LAMA      {"masked_sentences": ["... [MASK] ..."], "obj_label": ..., "sub_label": ..., "uuid": ...,
          "predicate_id": ...} (Petroni et al. 2019)
ParaRel   a folder that holds `patterns/P*.jsonl`, lines with a `pattern` such as "[X] was born in
          [Y].", and beside it `trex_lms_vocab/P*.jsonl`, lines with `sub_label` and `obj_label`
          (Elazar et al. 2021); the first pattern of a relation asks, the others are paraphrases
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import orjson
import polars as pl

from tasks.corpus.sources.probes import MAIN, MASK, PARAPHRASE, SCHEMA
from tasks.errors import UserError

_SPLITS = ("", "validation", "test")
_LISTS = ("trex_lms_vocab", "trex", "data")  # where ParaRel's subjects and objects are


def read_probes(path: str) -> pl.DataFrame:
    """Read probes; every fifth fact without a split serves to choose the threshold.

    Returns:
        The columns of `probes.SCHEMA`.

    Raises:
        UserError: The file is missing or empty, or a line is no probe; the line is named.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        probes = list(_pararel(folder))
    else:
        probes = [_parse(f"{path}, line {n}", line) for n, line in _lines(path)]
    if not probes:
        raise UserError(f"the probe file {path!r} is empty")
    return pl.DataFrame(_numbered(path, probes), schema=SCHEMA)


def _lines(path: str) -> Iterator[tuple[int, bytes]]:
    try:
        with fsspec.open(path, "rb") as handle:
            lines = handle.read().splitlines()
    except OSError as error:
        raise UserError(f"there is no probe file {path!r}", "Check source.probes.") from error
    yield from ((number, line) for number, line in enumerate(lines, 1) if line.strip())


def _numbered(path: str, probes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The probes with ids, facts and splits; what is there twice is refused."""
    seen: dict[str, dict[str, str]] = {"statement": {}, "probe_id": {}}
    facts: dict[str, str] = {}
    rows = []
    for number, probe in enumerate(probes, 1):
        where = probe.pop("where")
        probe["probe_id"] = probe["probe_id"] or f"line-{number}"
        for name, what in (("statement", "statement"), ("probe_id", "id")):
            if (earlier := seen[name].setdefault(probe[name], where)) != where:
                raise UserError(f"{where}: the {what} of {earlier.removeprefix(f'{path}, ')} again")
        fact = probe["fact"] or probe["probe_id"]
        asked_before = fact in facts
        default = "validation" if len(facts) % 5 == 4 else "test"
        facts.setdefault(fact, probe["split"] or default)
        kind = PARAPHRASE if asked_before else MAIN
        rows.append({**probe, "fact": fact, "split": facts[fact], "phrasing": kind})
    return rows


def _parse(where: str, line: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise UserError(f"{where}: {error}") from error
    if isinstance(value, dict) and "masked_sentences" in value:
        value = _of_lama(where, value)
    if not isinstance(value, dict) or not isinstance(value.get("statement"), str):
        raise UserError(f"{where}: a probe is an object with the text fields statement and answer")
    _require_one_mask(where, value["statement"])
    answers = value.get("answers", [])
    if not isinstance(answers, list):
        raise UserError(f"{where}: `answers` is no list")
    answers = [value["answer"], *answers] if value.get("answer") is not None else answers
    if not answers or not all(isinstance(a, str) and a.strip() for a in answers):
        raise UserError(f"{where}: the answer is empty")
    split = str(value.get("split") or "")
    if split not in _SPLITS:
        raise UserError(f"{where}: the split {split!r} is neither validation nor test")
    answer, *accepted = dict.fromkeys(answers)
    return {
        "where": where, "statement": value["statement"], "answer": answer, "accepted": accepted,
        "split": split, "subject": str(value.get("subject") or ""),
        "relation": str(value.get("relation") or "any"),
        "probe_id": str(value.get("id") or ""), "fact": str(value.get("fact") or ""),
    }  # fmt: skip


def _require_one_mask(where: str, statement: str) -> None:
    count = statement.count(MASK)
    if count != 1:
        raise UserError(f"{where}: the statement has {count} {MASK}, and must have one")


def _of_lama(where: str, value: dict[str, Any]) -> dict[str, Any]:
    sentences = value["masked_sentences"]
    if not isinstance(sentences, list) or not sentences:
        raise UserError(f"{where}: `masked_sentences` holds no sentence")
    return {
        "statement": " ".join(map(str, sentences)), "answer": value.get("obj_label"),
        "subject": value.get("sub_label"), "id": value.get("uuid"),
        "relation": value.get("predicate_id"),
    }  # fmt: skip


def _pararel(folder: Path) -> Iterator[dict[str, Any]]:
    patterns = sorted((folder / "patterns").glob("*.jsonl"))
    lists = next((folder / name for name in _LISTS if (folder / name).is_dir()), None)
    if not patterns or lists is None:
        raise UserError(
            f"the folder {str(folder)!r} holds no probes in ParaRel's layout",
            "It needs patterns/*.jsonl and, by the same names, trex_lms_vocab/*.jsonl.",
        )
    for path in patterns:
        if not (lists / path.name).exists():
            continue
        frames = [_field(path, n, line, "pattern") for n, line in _lines(str(path))]
        for number, line in _lines(str(lists / path.name)):
            pair = [_field(lists / path.name, number, line, n) for n in ("sub_label", "obj_label")]
            yield from _told(f"{lists / path.name}, line {number}", path.stem, frames, *pair)


def _told(
    where: str, relation: str, frames: list[str], subject: str, answer: str
) -> Iterator[dict[str, Any]]:
    """One fact in every pattern of its relation."""
    for place, frame in enumerate(frames, 1):
        statement = frame.replace("[X]", subject).replace("[Y]", MASK)
        if frame.count("[X]") != 1 or frame.count("[Y]") != 1:
            raise UserError(f"pattern {place} of {relation}: {frame!r} has no [X], or no [Y]")
        fact = f"{relation}-{subject}-{answer}"
        yield {
            "where": f"{where}, pattern {place}", "statement": statement, "answer": answer,
            "accepted": [], "split": "", "subject": subject, "relation": relation,
            "probe_id": f"{fact}-{place}", "fact": fact,
        }  # fmt: skip


def _field(path: Path, number: int, line: bytes, name: str) -> str:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise UserError(f"{path}, line {number}: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get(name), str) or not found[name]:
        raise UserError(f"{path}, line {number}: there is no text `{name}`")
    return str(found[name])
