"""Documents out of files: one reader per format, and what happens to bytes that cannot be read.

Bad data never raises. What can be read before the damage comes out first, then one quarantine entry says what is wrong and
where; the files after it are read as if nothing had happened.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from corpusmill.compression import open_stream
from corpusmill.read_parquet import read_parquet
from corpusmill.read_records import DocumentRow, Quarantined, SkippedRecord, record_row, scrubbed
from corpusmill.read_warc import read_warc
from corpusmill.schemas import DOCUMENTS, CorpusmillError, RetryableError
from corpusmill.schemas.inputs import InputFile, InputSettings, Split
from corpusmill.schemas.sizes import parse_size
from corpusmill.stages.encoding import decode_text

__all__ = ["Quarantined", "SkippedRecord", "read"]

_ROWS = 256
_BYTES = 8_000_000
# The file may be whole: putting it into quarantine would lose it for good.
_PASSING = frozenset({errno.EACCES, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EPERM, errno.ESTALE, errno.ETIMEDOUT})


def read(split: Split, settings: InputSettings) -> Iterator[pa.RecordBatch | Quarantined | SkippedRecord]:
    """Yield the documents of a split as batches (schema `DOCUMENTS`), and what could not be read or is no document.

    A batch has at most 256 rows and about 8 MB; memory is bounded by one batch and one record. Ids are the records' own,
    else the file's name (a file that is one document), else `name#number`, counting all records of the file from 0.
    """
    rows: list[DocumentRow] = []
    size = 0
    for part in split.parts:
        for item in _read_file(part.file, settings):
            if not isinstance(item, DocumentRow):
                yield item
                continue
            rows.append(item)
            size += len(item.html or b"") + len(item.text or "") + len(item.metadata)
            if len(rows) == _ROWS or size >= _BYTES:
                yield _batch(rows)
                rows, size = [], 0
    if rows:
        yield _batch(rows)


def _batch(rows: list[DocumentRow]) -> pa.RecordBatch:
    columns = [pa.array(values, field.type) for field, values in zip(DOCUMENTS, zip(*rows, strict=True), strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=DOCUMENTS)


def _read_file(file: InputFile, settings: InputSettings) -> Iterator[DocumentRow | Quarantined | SkippedRecord]:
    """Yield what one file holds; damage of the file as a whole ends it with a quarantine entry."""
    limit = parse_size(settings.maximum_record_bytes)
    readers: dict[str, Any] = {
        "html": _read_document,
        "text": _read_document,
        "jsonl": _read_jsonl,
        "parquet": read_parquet,
        "warc": read_warc,
    }
    number = -1
    try:
        for item in readers[file.format](file, settings, limit):
            number += 1
            yield item
    except CorpusmillError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _PASSING:
            raise RetryableError(
                f"{file.name} cannot be read now ({error.strerror}); run the same command again"
            ) from error
        why = f"{file.name} cannot be read past record {number}: " if number >= 0 else f"{file.name} cannot be read: "
        yield Quarantined(None, file.name, number + 1, why + _words(error))


def _words(error: Exception) -> str:
    """Return what an error says, without the path that some of them repeat."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}"


def _read_document(file: InputFile, settings: InputSettings, limit: int) -> Iterator[DocumentRow | Quarantined]:  # noqa: ARG001
    """Yield the one document that an HTML or text file is."""
    if file.compression == "none" and Path(file.path).stat().st_size > limit:
        yield Quarantined(file.name, file.name, 0, f"too_large: the file has more than {limit:,} bytes")
        return
    with open_stream(file.path, file.compression) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        yield Quarantined(file.name, file.name, 0, f"too_large: the file has more than {limit:,} bytes")
    elif file.format == "html":
        yield DocumentRow(file.name, None, file.name, data, None, "{}")
    else:
        yield DocumentRow(file.name, None, file.name, None, scrubbed(decode_text(data)[0]), "{}")


def _read_jsonl(file: InputFile, settings: InputSettings, limit: int) -> Iterator[DocumentRow | Quarantined]:  # noqa: ARG001
    """Yield the records of a JSON Lines file. A broken line costs that line; blank lines are no records."""
    number = -1
    with open_stream(file.path, file.compression) as stream:
        for line, too_long in _lines(stream, limit):
            content = line.removeprefix(b"\xef\xbb\xbf") if number < 0 else line
            if not too_long and not content.strip():
                continue
            number += 1
            if too_long:
                yield Quarantined(None, file.name, number, f"too_large: the line has more than {limit:,} bytes")
                continue
            try:
                record = _decoded(content)
            except (ValueError, RecursionError) as error:
                yield Quarantined(None, file.name, number, f"no valid JSON: {error}")
                continue
            yield record_row(record, file, number)


def _decoded(line: bytes) -> Any:
    """Return the JSON value of a line; msgspec is strict and fast, Python's own reader also takes lone surrogates."""
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json.loads(line.decode("utf-8"))


def _lines(stream: Any, limit: int) -> Iterator[tuple[bytes, bool]]:
    """Yield (line, False); of a line longer than *limit*, (b"", True), without ever holding it."""
    while line := stream.readline(limit + 1):
        if len(line) <= limit or line.endswith(b"\n"):
            yield line, False
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(1 << 20)
        yield b"", True
