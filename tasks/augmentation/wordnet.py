"""Synonyms from a WordNet on this machine, reduced to what can be exchanged blindly.

A word is taken only if it has one sense in all of WordNet, and is exchanged only for members of
that sense that have no other either; both must be single lower-case words. Function words are
left alone (WordNet knows "but" as an adverb, merely, and "might" as a noun alone), and so are words
in -ed and -ing, which may be forms of a verb with more senses. Nouns come with their plural
where it is regular. Two layouts are read: the `dict` folder of WordNet 3.x (`data.noun`,
`data.adj`, `data.adv`, `data.verb`; Debian's wordnet-base puts it under /usr/share/wordnet), and a
parquet of an Open English WordNet with the columns synset, pos and members.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from tasks.augmentation.words import word_class
from tasks.errors import UserError

_WORD = re.compile(r"[a-z]{5,}(?<!ed)(?<!ing)")
_IRREGULAR_PLURAL = re.compile(
    r"(?:[^aeiou]o|f|fe|man|men|s|x|z|us|is|on|um|foot|tooth|goose|child)$"
)
_PARTS = {"a": "adjective", "s": "adjective", "r": "adverb", "n": "noun", "v": "verb"}
_FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
_ADVICE = (
    "Give augment.wordnet the folder that holds data.noun (from the package wordnet-base it is "
    "/usr/share/wordnet) or a parquet with the columns synset, pos and members."
)


def wordnet_digest(path: str | None) -> str:
    """Digest of a WordNet's files, so that changed contents are a changed input; empty for none."""
    if path is None:
        return ""
    folder = Path(path)
    files = sorted(folder.glob("*")) if folder.is_dir() else [folder]
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()


def single_sense_synonyms(path: Path) -> dict[str, tuple[str, ...]]:
    """Word -> its synonyms, both of a single sense.

    Args:
        path: The folder or the parquet.

    Returns:
        Base forms of adjectives, adverbs and nouns, and plurals of the latter.

    Raises:
        UserError: There is no WordNet at `path`.
    """
    synsets = list(_read(path))
    senses = Counter(member.lower() for _, members in synsets for member in set(members))
    table: dict[str, tuple[str, ...]] = {}
    for part, members in synsets:
        if part == "verb":
            continue
        fit = sorted(
            {
                m
                for m in members
                if _WORD.fullmatch(m) and senses[m] == 1 and m not in word_class("function")
            }
        )
        if len(fit) < 2:
            continue
        _add(table, fit)
        if part == "noun" and not any(_IRREGULAR_PLURAL.search(m) for m in fit):
            _add(table, [_plural(m) for m in fit], senses)
    return table


def _add(
    table: dict[str, tuple[str, ...]], members: list[str], senses: Counter[str] | None = None
) -> None:
    """Enter every member; a plural that is a word of its own is none of ours."""
    if senses is not None and any(senses[m] for m in members):
        return
    table |= {m: tuple(o for o in members if o != m) for m in members}


def _plural(noun: str) -> str:
    if noun.endswith(("ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def _read(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Part of speech and members of every synset, in the order of the files."""
    if path.is_file() and path.suffix == ".parquet":
        yield from _read_parquet(path)
    elif path.is_dir():
        for folder in (path, path / "dict"):
            if all((folder / name).is_file() for name in _FILES):
                yield from _read_folder(folder)
                return
        raise UserError(f"augment.wordnet: no WordNet in the folder {path}", _ADVICE)
    elif path.exists():
        raise UserError(f"augment.wordnet: {path} is neither a folder nor a parquet", _ADVICE)
    else:
        raise UserError(f"augment.wordnet: {path} does not exist", _ADVICE)


def _read_parquet(path: Path) -> Iterator[tuple[str, list[str]]]:
    try:
        table = pl.read_parquet(path, columns=["pos", "members"])
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"augment.wordnet: {path} cannot be read: {error}", _ADVICE) from error
    for part, members in table.iter_rows():
        if part in _PARTS and members:
            yield _PARTS[part], list(members)


def _read_folder(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Lines are `offset file type count word id word id ...`, the count in hex (wndb(5))."""
    for name in _FILES:
        with (folder / name).open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith(" "):  # the licence
                    continue
                fields = line.split(" ")
                count = int(fields[3], 16)
                members = [fields[4 + 2 * i].replace("_", " ") for i in range(count)]
                yield _PARTS[fields[2]], [re.sub(r"\((?:a|p|ip)\)$", "(-)", m) for m in members]
