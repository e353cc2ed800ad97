"""The sketches of every document that an index has seen, by ordinal: what verification reads.

Exactness must cost disk, not memory: a document's shingles are about 1.2 times its text. So the store keeps two integers a
split and opens the sketches again, memory-mapped, when a candidate asks for them. Few are open at a time: a mapping per
split of a large corpus would pass the limit of mappings that Linux gives a process (65,530).
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.schemas import OutputMismatchError
from corpusmill.stages.base import SketchReader

__all__ = ["SketchStore", "open_sketches", "sketch_reader"]

_OPEN = 512  # splits whose sketches are open at a time
_SORTED = 4096  # documents whose sorted shingles are kept: the kept one of a cluster is compared again and again
_LONGEST = 100_000  # shingles; longer documents are sorted again each time

Shingles = npt.NDArray[np.uint64]


def open_sketches(path: Path) -> pa.Table:
    """Return the sketches in an Arrow IPC file, memory-mapped: what is not looked at is not read.

    Raises:
        OutputMismatchError: the file is missing or damaged.

    """
    try:
        with pa.ipc.open_stream(pa.memory_map(str(path))) as stream:
            return stream.read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise OutputMismatchError(
            f"{path} is missing or damaged ({error}): restore it, or --restart the run that wrote it"
        ) from error


def sketch_reader(folder: Path, pattern: str) -> SketchReader:
    """Return the reader of sketches that lie at *pattern*, relative to *folder*, with the number of the split put in."""
    # Normalized, because a saved index may be replaced while it is in use: a path through its folder would lead nowhere.
    return lambda split: open_sketches(Path(os.path.normpath(folder / pattern.format(split=split))))


class SketchStore:
    """Documents have ordinals from 0 in the order in which they come; *reader* gives back what `append` was given."""

    def __init__(self, reader: SketchReader | None = None) -> None:
        self._reader = reader
        self._splits: list[int] = []
        self._starts: list[int] = []
        self.documents = 0
        self._open: OrderedDict[int, _Part] = OrderedDict()
        self._sorted: OrderedDict[int, Shingles] = OrderedDict()

    @classmethod
    def restored(cls, reader: SketchReader, splits: list[int], starts: list[int], documents: int) -> SketchStore:
        """Return the store that held these splits, with these first ordinals."""
        store = cls(reader)
        store._splits, store._starts, store.documents = splits, starts, documents
        return store

    @property
    def layout(self) -> tuple[list[int], list[int]]:
        """The splits in order, and the first ordinal of each."""
        return self._splits, self._starts

    def append(self, split: int, sketches: pa.Table) -> int:
        """Add the documents of a split and return the ordinal of the first."""
        first = self.documents
        self._splits.append(split)
        self._starts.append(first)
        self.documents += sketches.num_rows
        self._keep_open(len(self._splits) - 1, _Part(sketches))
        return first

    def id(self, ordinal: int) -> str:
        """Return the id of a document."""
        batch, row = self._find(ordinal)
        return str(batch.rows.column("id")[row].as_py())

    def content(self, ordinal: int) -> bytes:
        """Return the 16 bytes of its content hash."""
        batch, row = self._find(ordinal)
        return batch.rows.column("content")[row].as_py()  # type: ignore[no-any-return]

    def signatures(self, ordinals: Sequence[int]) -> npt.NDArray[np.uint32]:
        """Return the MinHash signatures of documents in ascending order, shape (documents, permutations)."""
        parts = []
        at = 0
        while at < len(ordinals):
            batch, row = self._find(ordinals[at])
            start = ordinals[at] - row
            end = bisect_left(ordinals, start + batch.rows.num_rows, at)
            parts.append(batch.signatures[np.array(ordinals[at:end]) - start])
            at = end
        return np.concatenate(parts)

    def shingles(self, ordinal: int) -> Shingles | None:
        """Return the hashes of its shingles, sorted and with repeats; None where none are stored."""
        known = self._sorted.get(ordinal)
        if known is not None:
            self._sorted.move_to_end(ordinal)
            return known
        batch, row = self._find(ordinal)
        if batch.shingles is None:
            return None
        offsets, values = batch.shingles
        found: Shingles = np.sort(values[offsets[row] : offsets[row + 1]])
        if len(found) <= _LONGEST:
            self._sorted[ordinal] = found
            if len(self._sorted) > _SORTED:
                self._sorted.popitem(last=False)
        return found

    def _find(self, ordinal: int) -> tuple[_Batch, int]:
        if ordinal >= self.documents:
            raise OutputMismatchError(
                f"the index names document {ordinal:,} of {self.documents:,}: it was changed; remove state/index/ of that output"
            )
        at = bisect_right(self._starts, ordinal) - 1
        # A split without documents begins where the next one does; the last that begins here is the one that has it.
        part = self._open.get(at)
        if part is None:
            assert self._reader is not None
            part = _Part(self._reader(self._splits[at]))
            self._keep_open(at, part)
        else:
            self._open.move_to_end(at)
        return part.find(ordinal - self._starts[at])

    def _keep_open(self, at: int, part: _Part) -> None:
        self._open[at] = part
        if self._reader is not None and len(self._open) > _OPEN:
            self._open.popitem(last=False)


class _Part:
    """The opened sketches of a split."""

    def __init__(self, sketches: pa.Table) -> None:
        self._batches = [_Batch(batch) for batch in sketches.to_batches()]
        self._starts = [0]
        for batch in self._batches:
            self._starts.append(self._starts[-1] + batch.rows.num_rows)

    def find(self, row: int) -> tuple[_Batch, int]:
        at = bisect_right(self._starts, row) - 1
        return self._batches[at], row - self._starts[at]


class _Batch:
    """Views of the columns of a batch, without a copy."""

    def __init__(self, rows: pa.RecordBatch) -> None:
        self.rows = rows

    @cached_property
    def signatures(self) -> npt.NDArray[np.uint32]:
        """Shape (rows, permutations)."""
        column = self.rows.column("signature")
        flat: npt.NDArray[np.uint32] = column.flatten().to_numpy(zero_copy_only=True)
        return flat.reshape(len(column), column.type.list_size)

    @cached_property
    def shingles(self) -> tuple[npt.NDArray[np.int64], Shingles] | None:
        """Offsets and values; None where none are stored."""
        if "shingles" not in self.rows.schema.names:
            return None
        column = self.rows.column("shingles")
        return column.offsets.to_numpy(zero_copy_only=True), column.values.to_numpy(zero_copy_only=True)
