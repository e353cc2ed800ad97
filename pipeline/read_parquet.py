"""Documents out of Parquet files, a bounded number of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow.parquet as pq

from corpusmill.read_records import DocumentRow, Quarantined, record_row
from corpusmill.schemas.inputs import InputFile, InputSettings

__all__ = ["read_parquet"]

_ROWS = 64  # rows decoded at once: records are pages, and a row group of them may be gigabytes


def read_parquet(file: InputFile, settings: InputSettings, limit: int) -> Iterator[DocumentRow | Quarantined]:  # noqa: ARG001
    """Yield the rows of a Parquet file as documents."""
    number = -1
    with pq.ParquetFile(file.path, memory_map=False, pre_buffer=False) as table:
        for batch in table.iter_batches(batch_size=_ROWS, use_threads=False):
            for record in batch.to_pylist():
                number += 1
                row = record_row(record, file, number)
                if isinstance(row, DocumentRow) and len(row.html or b"") + len(row.text or "") > limit:
                    row = Quarantined(row.id, file.name, number, f"too_large: the record has more than {limit:,} bytes")
                yield row
