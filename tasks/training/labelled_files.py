"""Files of labelled words and of labelled pairs, and what they hold now.

Words: CoNLL columns (a word a line, its tag in the last column, a blank line after a sentence) or
parquet with lists `tokens` and `tags`. Pairs: parquet, CSV or JSONL with a column for each part.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tasks.configuration import Labelled, Pairs
from tasks.errors import UserError
from tasks.training.entities import split_tag

_DOCUMENT = "-DOCSTART-"
_SHOWN = 60  # characters of a malformed line that are shown


@dataclass(frozen=True)
class Sentences:
    """Words and tags of each sentence, as the file has them."""

    words: list[list[str]]
    tags: list[list[str]]


def content_digest(config: Labelled) -> str:
    """Digest of the files that a section names, so that changed contents are a changed input.

    Their endings count, since these decide how the files are read; their folders and names do not.

    Raises:
        UserError: A file is not there.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in ("train", "validation", "test"):
        location = getattr(config, name)
        if location is not None:
            with _there(location).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
            digest.update(Path(location).suffix.lower().encode())
        digest.update(name.encode())
    return digest.hexdigest()


def read_sentences(location: str, *, entities: bool) -> Sentences:
    """Read tagged words.

    Args:
        location: Parquet by its ending, CoNLL columns whatever else it ends in.
        entities: Whether tags mark spans, and are checked to.

    Raises:
        UserError: The file is not there or malformed; its name and the line or row are named.
    """
    path = _there(location)
    read = _from_parquet if path.suffix == ".parquet" else _from_columns
    found = read(path, entities=entities)
    if not found.words:
        raise UserError(f"{path} holds no sentence", "Give a file with a word and its tag a line.")
    return found


def read_pairs(location: str, config: Pairs) -> pl.DataFrame:
    """Read pairs as text columns `first`, `second` and `label`.

    Raises:
        UserError: The file is not there, not of its format, or lacks a column or a value.
    """
    path = _there(location)
    frame = _frame(path)
    wanted = {"first": config.first, "second": config.second, "label": config.label}
    for field, name in wanted.items():
        if name not in frame.columns:
            listed = ", ".join(map(repr, frame.columns))
            raise UserError(
                f"{path} has no column {name!r}; it has {listed}", f"Set pairs.{field}."
            )
    frame = frame.select(pl.col(name).cast(pl.String).alias(new) for new, name in wanted.items())
    for field, name in wanted.items():
        empty = frame[field].is_null().arg_true()
        if len(empty):
            raise UserError(
                f"{path} has no {name!r} in row {int(empty[0]) + 1}"
                + (f" and {len(empty) - 1} others" if len(empty) > 1 else ""),
                "Fill it in, or leave the row out.",
            )
    if frame.is_empty():
        raise UserError(f"{path} holds no row", "Give a file of labelled pairs.")
    return frame


def _frame(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        if path.suffix == ".csv":
            return pl.read_csv(path)
        if path.suffix == ".jsonl":
            return pl.read_ndjson(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} cannot be read: {error}", "Check the file.") from error
    raise UserError(f"{path} is no .parquet, .csv or .jsonl file", "Convert it to one.")


def _there(location: str) -> Path:
    path = Path(location).expanduser()
    if not path.is_file():
        raise UserError(f"there is no file {location!r}", "Check the path.")
    return path


def _from_columns(path: Path, *, entities: bool) -> Sentences:
    """CoNLL columns: tabs where the line has one, else spaces."""
    try:
        lines = path.read_text("utf-8-sig").split("\n")  # a word may hold other line separators
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no UTF-8: {error}", "Save it as UTF-8.") from error
    found = Sentences([[]], [[]])
    width = 0
    for number, line in enumerate(lines, 1):
        line = line.strip("\r\n ")
        if not line.strip() or line.startswith(_DOCUMENT):
            if found.words[-1]:
                found.words.append([])
                found.tags.append([])
            continue
        columns = line.split("\t") if "\t" in line else re.split(" +", line)
        width = width or len(columns)
        problem = _problem(columns, width, entities=entities)
        if problem:
            raise UserError(
                f"{path}, line {number}: {problem}: {line[:_SHOWN]!r}",
                "Give a word, and its tag in the last column, on each line.",
            )
        found.words[-1].append(columns[0])
        found.tags[-1].append(columns[-1])
    if not found.words[-1]:
        found.words.pop()
        found.tags.pop()
    return found


def _problem(columns: list[str], width: int, *, entities: bool) -> str | None:
    """What is wrong with a line, if anything is."""
    if len(columns) < 2:
        return "a word without a tag"
    if len(columns) != width:
        return f"{len(columns)} columns where the lines before have {width}"
    if not columns[0]:
        return "a tag without a word"
    return _tag_problem(columns[-1], entities=entities)


def _tag_problem(tag: str | None, *, entities: bool) -> str | None:
    if not tag:
        return "an empty tag"
    try:
        split_tag(tag if entities else "O")
    except ValueError as error:
        return str(error)
    return None


def _from_parquet(path: Path, *, entities: bool) -> Sentences:
    frame = _frame(path)
    for name in ("tokens", "tags"):
        if frame.schema.get(name) != pl.List(pl.String):
            kind = frame.schema.get(name, "not there")
            raise UserError(
                f"{path}: column {name!r} should be a list of strings and is {kind}",
                "Give columns `tokens` and `tags`.",
            )
    found = Sentences([], [])
    for number, (words, tags) in enumerate(frame.select("tokens", "tags").iter_rows(), 1):
        if words is None or tags is None or len(words) != len(tags) or None in words:
            raise UserError(f"{path}, row {number}: not as many tags as tokens", "Repair the row.")
        problems = [p for tag in tags if (p := _tag_problem(tag, entities=entities))]
        if problems:
            raise UserError(f"{path}, row {number}: {problems[0]}", "Repair the row.")
        if words:
            found.words.append(list(words))
            found.tags.append(list(tags))
    return found
