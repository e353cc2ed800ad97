"""How many bytes the rows of a split will take in a shard, estimated before any shard is written.

What a shard holds must follow from recipe and inputs alone, so that any worker can write any shard; a Parquet file knows its size
only when it is written. So where shards are asked for by size, each split is followed by a sample of its rows that is written to
memory as the shard writer writes them, and shards are planned from the sums of these estimates.

The sample is every n-th row of the whole split: files in a split differ in language and kind, and its first rows are of the first
file. It depends on the rows alone, not on how they came in batches.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpusmill.ipc_file import IpcFile
from corpusmill.mixing import MIXTURE, lengths
from corpusmill.parquet import shard_writer
from corpusmill.schemas.recipe import OutputSettings
from corpusmill.shuffling import HASH
from corpusmill.stages import Pack

__all__ = ["estimated_size"]

_ROWS = 1024
_TOKENS = 2_000_000  # of long documents, fewer are taken


def estimated_size(root: Path, rows: IpcFile, whole: int, settings: OutputSettings, pack: Pack | None) -> int:
    """Return the bytes that *rows*, which are written and *whole* tokens together, will take in shards."""
    assert rows.name is not None, "they are written"
    step = max(-(-rows.rows // _ROWS), -(-whole // _TOKENS), 1)
    taken, at = [], 0
    with pa.memory_map(str(root / rows.name)) as file, pa.ipc.open_stream(file) as stream:
        for batch in stream:
            taken.append(batch.take(pa.array(np.arange(-at % step, batch.num_rows, step))))
            at += batch.num_rows
    sample = pa.Table.from_batches(taken)
    sample = sample.drop_columns([name for name in (HASH, MIXTURE) if name in sample.schema.names])
    # A document counts as a token more than it has, so that a sample of empty ones says something too.
    part: int = (pc.sum(lengths(sample)).as_py() or 0) + sample.num_rows
    written = pack(sample) if pack is not None else sample
    sink = pa.BufferOutputStream()
    writer = shard_writer(sink, written.schema, settings)
    writer.write(written)
    writer.close()
    metadata = pq.read_metadata(pa.BufferReader(sink.getvalue()))
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    written_bytes: int = sum(column.total_compressed_size for column in columns)
    return written_bytes * (whole + rows.rows) // part
