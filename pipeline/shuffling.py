"""Documents in another order: within a shard, or through the corpus with no more in memory than a shard.

Through the corpus in two passes. Each split sorts its kept documents by a hash of their ids and leaves them with it. When all
splits are done, shard *k* of *n* takes from each split the hashes of the *k*-th part of their range, which lie together there,
and sorts them: every document is read once, at the one place where it is needed, and any worker can write any shard. The order
follows from ids and seed alone: splits and their size have no part in it. Where ids are equal, the order of reading decides.
Each shard opens the file of every split.

Rejected: buckets of files that are filled while splits are worked on (as many open files as shards, and their number is not known
before the end); a shuffle of a window (pages of one site stay close to each other).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.subsets import shuffle_key

__all__ = ["HASH", "in_order_of_hashes", "mapped", "part_of", "with_hashes"]

HASH = "corpusmill.shuffle"
"""The column of a split's rows that says where they go; no shard has it."""


def with_hashes(rows: pa.RecordBatch, seed: int) -> pa.RecordBatch:
    """Return *rows* with the column `HASH`."""
    hashes = [shuffle_key(id_, seed) for id_ in rows.column("id").to_pylist()]
    return rows.append_column(HASH, pa.array(hashes, pa.uint64()))


def in_order_of_hashes(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the rows of all *tables* as one, in ascending order of `HASH`."""
    table = pa.concat_tables(tables)
    return table.take(pa.array(np.argsort(_hashes(table.column(HASH)), kind="stable")))


def mapped(paths: Iterable[Path]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of each file; they are mapped, so that only what is taken is read."""
    for path in paths:
        with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
            yield from stream


def part_of(paths: Iterable[Path], part: int, parts: int) -> Iterator[pa.Table]:
    """Yield the rows of each file, which is sorted by hash, that belong into *part* of *parts*; a table each, or an empty one."""
    begin, end = (2**64 * number // parts for number in (part, part + 1))
    for batch in mapped(paths):
        hashes = _hashes(batch.column(HASH))
        first = int(np.searchsorted(hashes, np.uint64(begin)))
        last = len(hashes) if part + 1 == parts else int(np.searchsorted(hashes, np.uint64(end)))
        yield pa.Table.from_batches([batch.slice(first, last - first)])


def _hashes(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    hashes: npt.NDArray[np.uint64] = column.to_numpy()
    return hashes
