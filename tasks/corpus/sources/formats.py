"""Rows out of one file, one at a time, so that one bad row costs one row.

Text formats are read by our own loops, because the loaders of `datasets` refuse a whole file for
one line that does not parse. Bytes that are not UTF-8 travel as lone surrogates (Python's
`surrogateescape`) until ingest judges the row.
"""

from __future__ import annotations

import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from tasks.configuration import Source
from tasks.corpus.sources.delimited import read_csv
from tasks.corpus.sources.items import File, Reject, Row, require_columns, wanted_columns
from tasks.errors import UserError

_HEAD = 4096
_BATCH = 4096  # rows
_BOM = b"\xef\xbb\xbf"
_MAGIC = {
    b"PAR1": "a parquet file", b"PK\x03\x04": "a zip archive or spreadsheet", b"%PDF": "a PDF",
    b"\xff\xfe": "UTF-16 text", b"\xfe\xff": "UTF-16 text", b"\x1f\x8b": "a gzip archive",
    b"ARROW1": "an Arrow file",
}  # fmt: skip


def read_file(file: File, config: Source) -> Iterator[Row | Reject]:
    """Every row of one file, parsed or rejected.

    Raises:
        UserError: The file as a whole is empty, damaged or not of its format.
    """
    readers: dict[str, Callable[[File, Source], Iterator[Row | Reject]]] = {
        "parquet": _read_parquet, "csv": read_csv, "jsonl": _read_jsonl, "json": _read_json,
        "txt": _read_txt,
    }  # fmt: skip
    try:
        with file.open() as handle:
            head = handle.read(_HEAD)
        if not head:
            raise UserError(f"{file.path} is empty (0 bytes)", "Check how it was written.")
        if file.format != "parquet":
            _require_text(file, head)
        yield from readers[file.format](file, config)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise UserError(f"{file.path} cannot be read to its end: {error}") from error


def _require_text(file: File, head: bytes) -> None:
    bad = sum("\udc80" <= c <= "\udcff" for c in head.decode("utf-8", "surrogateescape"))
    magic = [what for mark, what in _MAGIC.items() if head.startswith(mark)]
    if magic:
        what = magic[0]
    elif b"\0" in head[:512] and bad + head.count(b"\0") > len(head) // 10:
        what = "binary"
    elif bad > len(head) // 4:
        what = "not UTF-8 text"
    else:
        return
    raise UserError(
        f"{file.path} should be {file.format} but is {what} (it begins with {head[:8]!r})",
        "Set source.format, or convert the file to UTF-8.",
    )


def _read_parquet(file: File, config: Source) -> Iterator[Row | Reject]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with file.open() as handle:
            table = pq.ParquetFile(handle)
            require_columns(table.schema_arrow.names, config, file.path)
            wanted = wanted_columns(config)
            for batch in table.iter_batches(batch_size=_BATCH, columns=wanted):
                columns = [cells(batch.column(name)) for name in wanted]
                for values in zip(*columns, strict=True):
                    yield file.row(dict(zip(wanted, values, strict=True)))
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file.path} is not a readable parquet file: {error}") from error


def cells(column: Any) -> list[Any]:
    """An Arrow column as Python values; text that is not UTF-8 keeps its bytes as surrogates."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    try:
        values = column.to_pylist()
    except UnicodeDecodeError:
        values = column.cast(pa.large_binary()).to_pylist()
    return [v.decode("utf-8", "surrogateescape") if isinstance(v, bytes) else v for v in values]


def _read_jsonl(file: File, config: Source) -> Iterator[Row | Reject]:
    columns: set[str] = set()
    with file.open() as handle:
        for number, line in enumerate(handle, 1):
            line = line.removeprefix(_BOM) if number == 1 else line
            item = _json_row(file, line, number)
            if isinstance(item, Row):
                columns.update(item.values)
            yield item
    if columns:
        require_columns(sorted(columns), config, file.path)


def _json_row(file: File, line: bytes, number: int) -> Row | Reject:
    raw = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
    if not raw.strip():
        return file.reject("", "empty", f"line {number}: blank")
    try:
        values = parse_json(line)
    except UnicodeDecodeError as error:
        detail = f"line {number}: {error.reason} at byte {error.start}"
        return file.reject(raw, "invalid_utf8", detail)
    except (ValueError, RecursionError) as error:
        return file.reject(raw, "unparseable", f"line {number}: {error}")
    if not isinstance(values, dict):
        detail = f"line {number}: {type(values).__name__}, not an object"
        return file.reject(raw, "unparseable", detail)
    return file.row(values)


def parse_json(raw: bytes) -> Any:
    """One JSON value; NaN, which Python's own writer produces, is read too.

    Raises:
        UnicodeDecodeError: The bytes are not UTF-8.
        ValueError: They are not JSON.
        RecursionError: It is nested beyond reason.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return json.loads(raw.decode())


def _read_json(file: File, config: Source) -> Iterator[Row | Reject]:
    with file.open() as handle:
        raw = handle.read().removeprefix(_BOM)
    try:
        rows = json.loads(raw.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        if isinstance(_json_row(file, raw.split(b"\n", 1)[0], 1), Row):  # one object a line
            yield from _read_jsonl(file, config)
            return
        raise UserError(
            f"{file.path} is not one JSON value: {error}",
            "If it has one object a line, set source.format=jsonl.",
        ) from error
    if isinstance(rows, dict) and isinstance(rows.get("data"), list):
        rows = rows["data"]
    if not isinstance(rows, list):
        raise UserError(f"{file.path} holds {type(rows).__name__}, not a list of objects")
    names = {key for row in rows if isinstance(row, dict) for key in row}
    require_columns(sorted(names), config, file.path)
    for number, values in enumerate(rows):
        if isinstance(values, dict):
            yield file.row(values)
        else:
            detail = f"entry {number}: {type(values).__name__}, not an object"
            yield file.reject(str(values), "unparseable", detail)


def _read_txt(file: File, config: Source) -> Iterator[Row | Reject]:
    require_columns([config.text], config, file.path)
    with file.open() as handle:
        for number, line in enumerate(handle, 1):
            line = line.removeprefix(_BOM) if number == 1 else line
            text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
            if text.strip():
                yield file.row({config.text: text})
            else:
                yield file.reject("", "empty", f"line {number}: blank")
