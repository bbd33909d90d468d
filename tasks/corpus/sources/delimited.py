"""Rows out of a delimited file, strictly by its quotes, so that no damaged text passes for a row.

A broken quote is the one fault that can reach beyond its row. What an open quote took in is read
again if it looks like rows, and what is left of a broken record is kept with it.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.configuration import Source
from tasks.corpus.sources.items import File, Reject, Row, require_columns

_TELLING = 5  # lines
_FARTHEST = 20  # lines


class _Lines(Iterator[str]):
    """Lines of a file that remembers those of the record being read, and takes some back."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._returned: list[str] = []
        self.record: list[str] = []
        self.number = 0

    def __next__(self) -> str:
        line = self._returned.pop() if self._returned else next(self._lines)
        self.record.append(line)
        self.number += 1
        return line

    def give_back(self, lines: list[str]) -> None:
        """Have these lines, the last ones taken, read again."""
        self._returned += reversed(lines)
        self.number -= len(lines)
        del self.record[len(self.record) - len(lines) :]


def read_csv(file: File, config: Source) -> Iterator[Row | Reject]:
    """Every row of a delimited file with a header, parsed or rejected with its lines.

    Raises:
        UserError: The header lacks a column.
    """
    with _any_field_size(), file.open() as handle:
        text = io.TextIOWrapper(handle, "utf-8-sig", errors="surrogateescape", newline="")
        lines = _Lines(text)
        delimiter = _delimiter(lines, config)
        header = next(csv.reader(lines, delimiter=delimiter), [])
        require_columns(header, config, file.path)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        while True:
            lines.record.clear()
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                why = f"line {lines.number}: {error}"
                if _swallowed(lines.record, delimiter, len(header)):
                    lines.give_back(lines.record[1:])
                    why = f"line {lines.number}: a quote opens and never closes"
                    reader = csv.reader(lines, delimiter=delimiter, strict=True)
                elif "".join(lines.record).count('"') % 2:
                    _finish_record(lines, delimiter)
                yield file.reject("".join(lines.record).rstrip("\r\n"), "unparseable", why)
                continue
            yield _csv_row(file, fields, header, lines)


def _swallowed(record: list[str], delimiter: str, width: int) -> bool:
    """Whether an open quote took in lines that are rows of their own, as the next five tell."""
    following = record[1 : 1 + _TELLING]
    return bool(following) and all(_stands_alone(line, delimiter, width) for line in following)


def _finish_record(lines: _Lines, delimiter: str) -> None:
    """Take in what is left of a record that broke: up to a line whose quote closes but never opened."""
    taken: list[str] = []
    while len(taken) < _FARTHEST and not (taken and '"' in taken[-1]):
        line = next(lines, None)
        if line is None:
            break
        taken.append(line)
    before, quote, _ = taken[-1].partition('"') if taken else ("", "", "")
    opens = not before or before.endswith(delimiter)
    if not quote or opens or taken[-1].count('"') % 2 == 0:
        lines.give_back(taken)


def _stands_alone(line: str, delimiter: str, width: int) -> bool:
    try:
        fields = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return False
    stray = '""' not in line and any('"' in field for field in fields)
    return len(fields) == width > 1 and not stray


def _csv_row(file: File, fields: list[str], header: list[str], lines: _Lines) -> Row | Reject:
    if len(fields) == len(header):
        return file.row(dict(zip(header, fields, strict=True)))
    if not fields:
        return file.reject("", "empty", f"line {lines.number}: blank")
    count = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
    detail = f"line {lines.number}: {count}, the header has {len(header)}"
    return file.reject("".join(lines.record).rstrip("\r\n"), "unparseable", detail)


def _delimiter(lines: _Lines, config: Source) -> str:
    """The comma, unless only another one finds the text column in the first line."""
    first = next(lines, "")
    lines.give_back([first])
    for delimiter in ",;\t|":
        if config.text in next(csv.reader([first], delimiter=delimiter), []):
            return delimiter
    return ","


@contextmanager
def _any_field_size() -> Iterator[None]:
    """Length is judged by ingest, with a reason; the csv module's own limit is process-wide."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)
