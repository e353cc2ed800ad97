"""Documents out of Parquet files, a bounded number of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpusmill.read_records import (
    DocumentRow,
    Quarantined,
    RecordedDamageError,
    RecordReader,
    Watch,
    error_words,
    raise_if_passing,
)
from corpusmill.schemas.inputs import InputSettings, Part

__all__ = ["read_parquet"]

_ROWS = 64  # rows decoded at once: records are pages, and a row group of them may be gigabytes
_BUFFER = 1 << 20  # bytes read at once of each column, instead of the whole column of a row group


def read_parquet(
    part: Part,
    settings: InputSettings,  # noqa: ARG001
    limit: int,
    watch: Watch,
) -> Iterator[DocumentRow | Quarantined]:
    """Yield the rows of a Parquet file, or of a range of its row groups, as documents.

    Damage costs the rest of its row group and is one quarantine entry. Raises OSError or pa.ArrowException
    where the file as a whole cannot be read.
    """
    file = part.file
    first = part.first
    reader = RecordReader(file)
    with Path(file.path).open("rb") as source, pq.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER) as table:
        for group in range(part.start or 0, table.num_row_groups if part.stop is None else part.stop):
            number = first - 1
            rows = table.metadata.row_group(group).num_rows
            try:
                batches = table.iter_batches(batch_size=_ROWS, row_groups=[group], use_threads=False)
                while True:
                    if number + 1 < first + rows and (poison := watch(number + 1)) is not None:
                        raise RecordedDamageError(poison)
                    if (batch := next(batches, None)) is None:
                        break
                    for record in _records(batch):
                        number += 1
                        yield _row(record, reader, number, limit)
            except Exception as error:  # noqa: BLE001  whatever it is, the next row group may be whole
                raise_if_passing(error, file)
                place = f" past record {number}" if number >= first else ""
                why = f"row group {group} of {file.name} cannot be read{place}: {error_words(error)}"
                yield Quarantined(None, file.name, number + 1, why)
            first += rows


def _row(
    record: dict[str, Any] | ValueError, reader: RecordReader, number: int, limit: int
) -> DocumentRow | Quarantined:
    if isinstance(record, ValueError):
        return Quarantined(None, reader.source, number, f"the row cannot be read: {record}")
    row = reader.row(record, number)
    if isinstance(row, DocumentRow) and len(row.html or b"") + len(row.text or "") > limit:
        return Quarantined(row.id, reader.source, number, f"too_large: the record has more than {limit:,} bytes")
    return row


def _records(batch: pa.RecordBatch) -> list[dict[str, Any] | ValueError]:
    """Return the rows of *batch*; a string that is no UTF-8 costs its row."""
    columns = [column.cast(pa.string()) if _is_time(column.type) else column for column in batch.columns]
    plain = pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
    try:
        return list(plain.to_pylist())
    except ValueError:
        return [_record(plain.slice(at, 1)) for at in range(plain.num_rows)]


def _record(row: pa.RecordBatch) -> dict[str, Any] | ValueError:
    try:
        (record,) = row.to_pylist()
    except ValueError as error:
        return error
    return dict(record)


def _is_time(type_: Any) -> bool:
    """Return whether Arrow itself should write values of a type: as Python objects nanoseconds need pandas."""
    return bool(pa.types.is_temporal(type_) and not pa.types.is_interval(type_) and not pa.types.is_duration(type_))
