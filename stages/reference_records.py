"""Takes the records out of a file of any format that people keep evaluation sets in, whatever its shape.

A record is what one item is made of: an object, a row, or a string. JSON has no one way to write a table, so a list of objects,
objects by their ids, and columns are told apart by what they hold. Rejected: to compare a whole file as one item where its shape
is unknown, because an item is the unit in which common text is counted.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import zstandard

from corpusmill.stages.reference_files import COMPRESSIONS, file_kind

__all__ = ["read_records"]

_MARK: Final = b"\xef\xbb\xbf"  # byte order mark
_BAD_JSON: Final = (ValueError, RecursionError)
_WRAPPERS: Final = frozenset({"data", "dev", "examples", "items", "records", "rows", "test", "train", "validation"})
_PARTS: Final = frozenset(
    {
        "answer",
        "answers",
        "candidates",
        "choices",
        "conversations",
        "dialogue",
        "endings",
        "messages",
        "options",
        "question",
    }
)
"""Fields whose objects are parts of an item and no items."""
_LONG: Final = 40  # characters: shorter strings beside a list of items are versions and names
_HEADERS: Final = frozenset(
    {
        "answer",
        "answers",
        "choices",
        "context",
        "hypothesis",
        "input",
        "instruction",
        "label",
        "options",
        "passage",
        "premise",
    }
    | {"problem", "prompt", "query", "question", "sentence", "solution", "subject", "target", "text", "title"}
)
_LONGEST_HEADER: Final = 40
_ID_CELL: Final = re.compile(r"[\w.:/-]*\d[\w.:/-]*", re.ASCII)
_ANSWER_CELL: Final = re.compile(r"\s*[A-Ja-j]\s*")


def read_records(path: Path, fields: Sequence[str], id_fields: Sequence[str], *, whole: bool = False) -> Iterator[Any]:
    """Yield the records of a file; of Parquet those columns that *fields* name, if any.

    A record that has only a key gets that as the first of *id_fields*. *whole* makes one record of a text file.

    Raises:
        Exception: whatever a decoder raises for a file that cannot be read, or not to its end.

    """
    kind = file_kind(path) or ".txt"
    if kind == ".parquet":
        yield from _parquet(path, fields, id_fields)
    elif kind in {".jsonl", ".ndjson"}:
        yield from _json_lines(path, id_fields)
    elif kind == ".json":
        yield from _json(path, id_fields)
    elif kind == ".txt":
        yield from _text(path, whole)
    else:
        yield from _table(path, "\t" if kind == ".tsv" else ",", bool(fields), id_fields)


def _unzstd(data: bytes) -> bytes:
    """Decode every frame: the library's own reader takes a truncated frame for a short one."""
    out = []
    while data:
        frame = zstandard.ZstdDecompressor().decompressobj()
        out.append(frame.decompress(data))
        if not frame.eof:
            raise ValueError("the file is cut short")
        data = frame.unused_data
    return b"".join(out)


_DECODERS: Final[dict[str, Callable[[bytes], bytes]]] = dict(
    zip(COMPRESSIONS, (gzip.decompress, _unzstd, bz2.decompress, lzma.decompress), strict=True)
)


def _content(path: Path) -> bytes:
    """Return the bytes of a file, decompressed, without a byte order mark."""
    data = path.read_bytes()
    decode = _DECODERS.get(path.suffix.lower())
    return (decode(data) if decode else data).removeprefix(_MARK)


def _json_value(data: bytes) -> Any:
    """Return a JSON value: msgspec is fast and strict, Python's own reader also takes NaN and lone surrogates."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json.loads(data)


def _json_lines(path: Path, id_fields: Sequence[str]) -> Iterator[Any]:
    """Yield a record for each line; a line may hold several in a list, and the file may be one JSON value after all."""
    with _lines(path) as lines:
        none_yet = True
        for number, line in enumerate(lines, 1):
            bare = line.removeprefix(_MARK) if number == 1 else line
            if not bare.strip():
                continue
            try:
                value = _json_value(bare)
            except _BAD_JSON as error:
                if none_yet and (records := _whole_json(path, id_fields)) is not None:
                    yield from records
                    return
                raise ValueError(f"line {number} is no valid JSON: {_reason(error)}") from None
            none_yet = False
            if isinstance(value, list) and value and all(isinstance(inner, dict) for inner in value):
                yield from value
            else:
                yield value


def _whole_json(path: Path, id_fields: Sequence[str]) -> list[Any] | None:
    try:
        return list(_records(_json_value(_content(path)), id_fields))
    except _BAD_JSON:
        return None


def _lines(path: Path) -> Any:
    """Open a file for reading line by line; only where the decoder tells a file that is cut short from a whole one."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")
    return io.BytesIO(_content(path)) if path.suffix.lower() in _DECODERS else path.open("rb")


def _json(path: Path, id_fields: Sequence[str]) -> Iterator[Any]:
    """Yield the records of a JSON file, which may be JSON Lines after all."""
    content = _content(path)
    try:
        value = _json_value(content)
    except _BAD_JSON as error:
        try:
            values = [_json_value(line) for line in content.splitlines() if line.strip()]
        except _BAD_JSON:
            raise ValueError(f"no valid JSON: {_reason(error)}") from None
        yield from values
        return
    yield from _records(value, id_fields)


def _records(value: Any, id_fields: Sequence[str]) -> Iterator[Any]:
    """Yield the records of a JSON value: of lists of objects, of objects by key, of columns; else it is a record itself."""
    if not isinstance(value, dict):
        yield from value if isinstance(value, list) else [value]
        return
    if rows := _rows(value):
        yield from rows
        return
    sets = {name: inner for name, inner in value.items() if _is_set(name, inner)}
    if not sets and _has_records(value):
        for key, inner in value.items():
            named = not id_fields or any(name in inner for name in id_fields)
            yield inner if named else {id_fields[0]: key, **inner}
        return
    for inner in sets.values():
        yield from _records(inner, id_fields)
    rest = {name: inner for name, inner in value.items() if name not in sets}
    if not sets or _longest(rest) >= _LONG:
        yield rest


def _is_set(name: str, value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and isinstance(value[0], dict) and name.lower() not in _PARTS
    return isinstance(value, dict) and name.lower() in _WRAPPERS and bool(_rows(value) or _has_records(value))


def _has_records(value: dict[str, Any]) -> bool:
    """Return whether all values are objects of one kind, which have a field in common: records by their ids."""
    if len(value) < 2 or not all(isinstance(inner, dict) for inner in value.values()):
        return False
    return not _PARTS & {name.lower() for name in value} and bool(set.intersection(*map(set, value.values())))


def _rows(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of columns: lists of the same length, or objects with row numbers for keys, as pandas writes them."""
    columns = list(value.values())
    if columns and all(isinstance(column, list) for column in columns) and len(set(map(len, columns))) == 1:
        if not any(isinstance(cell, dict) for cell in columns[0]):
            return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
    elif columns and all(isinstance(column, dict) and column.keys() == columns[0].keys() for column in columns):
        numbers = list(columns[0])
        if numbers and all(number.isdigit() for number in numbers):
            return [{name: value[name][number] for name in value} for number in numbers]
    return []


def _longest(value: Any) -> int:
    """Return the characters of the longest string in a JSON value."""
    if isinstance(value, dict | list):
        return max((_longest(inner) for inner in (value.values() if isinstance(value, dict) else value)), default=0)
    return len(value) if isinstance(value, str) else 0


def _reason(error: Exception) -> str:
    """Return what is wrong in JSON without quoting any of it."""
    return f"{error.msg} (column {error.colno})" if isinstance(error, json.JSONDecodeError) else type(error).__name__


def _table(path: Path, delimiter: str, named: bool, id_fields: Sequence[str]) -> Iterator[Any]:
    """Yield the rows of a table; its first line names the columns if *named*, or if it looks like that."""
    csv.field_size_limit(1 << 30)
    rows = csv.reader(io.StringIO(_content(path).decode("utf-8"), newline=""), delimiter=delimiter)
    header: list[str] = []
    for number, row in enumerate(row for row in rows if row):
        if number == 0 and (named or _is_header(row, id_fields)):
            header = row
        elif header:
            surplus = {"": row[len(header) :]} if len(row) > len(header) else {}
            yield {**dict(zip(header, row, strict=False)), **surplus}
        else:
            yield _unnamed(row, id_fields)


def _is_header(row: Sequence[str], id_fields: Sequence[str]) -> bool:
    cells = [cell.strip().lower() for cell in row]
    usual = _HEADERS.union(id_fields)
    return any(cell in usual for cell in cells) and not any(
        len(cell) > _LONGEST_HEADER or "?" in cell for cell in cells
    )


def _unnamed(row: list[str], id_fields: Sequence[str]) -> dict[str, Any]:
    """Return a row as in the files of MMLU: perhaps an id, the question, its choices, perhaps the letter of the answer."""
    record: dict[str, Any] = {}
    if id_fields and len(row) > 2 and _ID_CELL.fullmatch(row[0]) and len(row[1]) > len(row[0]):
        record[id_fields[0]], row = row[0], row[1:]
    if len(row) > 3 and _ANSWER_CELL.fullmatch(row[-1]):
        row = row[:-1]
    return {**record, "first": row[0], "rest": row[1:]}


def _text(path: Path, whole: bool) -> Iterator[str]:
    text = _content(path).decode("utf-8").strip().replace("\r\n", "\n")
    paragraphs = [text] if whole else re.split(r"\n(?:[^\S\n]*\n)+", text)
    lines = paragraphs if whole or len(paragraphs) > 1 else text.splitlines()
    yield from (unit for unit in lines if unit.strip())


def _parquet(path: Path, fields: Sequence[str], id_fields: Sequence[str]) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        wanted = {field.partition(".")[0] for field in fields}
        schema = file.schema_arrow
        texts = [column.name for column in schema if _holds_text(column.type)]
        # Columns that are not asked for are read all the same where none is there: the error then names what is.
        columns = [*([name for name in texts if name in wanted] or texts), *id_fields]
        for batch in file.iter_batches(
            batch_size=1024, columns=list(dict.fromkeys(c for c in columns if c in schema.names))
        ):
            yield from batch.to_pylist()


def _holds_text(type_: pa.DataType) -> bool:
    """Return whether strings can be in a column of this type: pictures and numbers need not be read."""
    if pa.types.is_struct(type_):
        return any(_holds_text(type_.field(at).type) for at in range(type_.num_fields))
    if pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_):
        return _holds_text(type_.value_type)
    if pa.types.is_dictionary(type_):
        return _holds_text(type_.value_type)
    if pa.types.is_map(type_):
        return _holds_text(type_.item_type)
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))
