"""Documents out of files: one reader per format, and what happens to bytes that cannot be read.

Bad data never raises. What can be read before the damage comes out first, then one quarantine entry says what is wrong and
where; the files after it are read as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpusmill.compression import open_stream
from corpusmill.read_json_lines import read_json_lines
from corpusmill.read_parquet import read_parquet
from corpusmill.read_records import (
    DocumentRow,
    Quarantined,
    SkippedRecord,
    Watch,
    error_words,
    raise_if_passing,
    scrubbed,
)
from corpusmill.read_warc import read_warc
from corpusmill.schemas import DOCUMENTS, CorpusmillError
from corpusmill.schemas.inputs import InputSettings, Part, Split
from corpusmill.schemas.sizes import parse_size
from corpusmill.stages.encoding import decode_text

__all__ = ["Quarantined", "SkippedRecord", "read"]

_ROWS = 256
_BYTES = 8_000_000


def read(
    split: Split,
    settings: InputSettings,
    watch: Callable[[int, int], str | None] = lambda part, number: None,  # noqa: ARG005
) -> Iterator[pa.RecordBatch | Quarantined | SkippedRecord]:
    """Yield the documents of a split as batches (schema `DOCUMENTS`), and what could not be read or is no document.

    A batch has at most 256 rows and about 8 MB; memory is bounded by one batch and one record. Ids are the records' own,
    else the file's name (a file that is one document), else `name#number`, counting all records of the file from 0.

    *watch* is called with the number of a part in the split and that of a record in its file before the record is decoded;
    where it returns a text, the record is put into quarantine with that as the error, and its bytes are not looked at.
    """
    rows: list[DocumentRow] = []
    size = 0
    for number, part in enumerate(split.parts):
        for item in _read_part(part, settings, partial(watch, number)):
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


def _read_part(
    part: Part, settings: InputSettings, watch: Watch
) -> Iterator[DocumentRow | Quarantined | SkippedRecord]:
    """Yield what a file or a range of it holds; damage of the file as a whole ends it with a quarantine entry."""
    limit = parse_size(settings.maximum_record_bytes)
    readers: dict[str, Any] = {
        "html": _read_document,
        "text": _read_document,
        "jsonl": read_json_lines,
        "parquet": read_parquet,
        "warc": read_warc,
    }
    file = part.file
    number = part.first - 1
    try:
        for item in readers[file.format](part, settings, limit, watch):
            number += 1
            yield item
    except CorpusmillError:
        raise
    except Exception as error:  # noqa: BLE001  whatever a file does to its reader costs that file
        raise_if_passing(error, file)
        why = f"{file.name} cannot be read past record {number}: " if number >= 0 else f"{file.name} cannot be read: "
        yield Quarantined(None, file.name, number + 1, why + error_words(error))


def _read_document(
    part: Part,
    settings: InputSettings,  # noqa: ARG001
    limit: int,
    watch: Watch,
) -> Iterator[DocumentRow | Quarantined]:
    """Yield the one document that an HTML or text file is."""
    file = part.file
    if (why := watch(0)) is not None:
        yield Quarantined(file.name, file.name, 0, why)
        return
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
