"""The gate of a corpus stage: the one owner of its index, which sees the sketches of every split in split order."""

from __future__ import annotations

from collections.abc import Container, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpusmill.chain import NamedStage
from corpusmill.checkpoints import Checkpoints, Covered, SavedIndex
from corpusmill.schemas.manifest import SegmentRecord
from corpusmill.stages.base import CorpusStage, Index, SizedIndex, TellingIndex
from corpusmill.stages.sketch_store import open_sketches

__all__ = ["CorpusGate", "Passed"]

Passed = list[tuple[int, "pa.Array | None"]]
"""Splits that may go on, each with what was resolved for its rows (None: they pass)."""

_GROWN = 1_000_000  # documents since the index was saved last, at least, before it is saved again on the way


class CorpusGate:
    """Takes splits in order; what they resolve to is known from their sketches alone, so it can be asked for again."""

    def __init__(self, named: NamedStage, segment: int, root: Path) -> None:
        ordered = named.stage.ordered
        assert ordered is not None
        self._stage: CorpusStage = ordered
        self._root = root
        self._checkpoints = Checkpoints(root, named.name, segment)
        self._covered = Covered()
        self._through = -1  # the last split that the index has seen
        self._held = 0  # splits that it has seen and not resolved
        self._waiting: dict[int, pa.Array | None] = {}  # resolved, and not through the next segment yet
        self._saved = 0  # documents of the index when it was saved last
        self._saved_through = -1

    @cached_property
    def _index(self) -> Index:
        """Opened when the first split comes: workers begin before the libraries of an index are loaded."""
        return self._stage.open_index(self._checkpoints.read_again)

    def restore(self, records: Mapping[int, SegmentRecord], taken_up: Container[int]) -> None:
        """Go on with the saved index, if there is one that fits *records*, those of the segment before this gate.

        *taken_up* are the splits that are through the segment behind it.
        """
        saved = self._checkpoints.load(self._stage, records, taken_up)
        if saved is not None:
            self.__dict__["_index"], self._through, self._waiting = saved
            self._saved, self._saved_through = self._documents, self._through

    def expect(self, documents: int) -> None:
        """Be told about how many documents are still to come."""
        if documents and isinstance(self._index, SizedIndex):
            self._index.expect(self._index.documents + documents)

    def add(self, record: SegmentRecord) -> Passed:
        """Take a split; return those that may go on."""
        self._covered.add(record)
        if record.split <= self._through:
            return [(record.split, self._waiting.get(record.split))]
        passed = list(self._index.add(record.split, self._sketches(record)))
        self._through = record.split
        self._held += 1 - len(passed)
        self._waiting.update(passed)
        if self._documents - self._saved > max(_GROWN, self._saved // 2):
            self.save()
        return passed

    def finish(self) -> Passed:
        """Return the splits that were still held."""
        passed = list(self._index.finish())
        self._held -= len(passed)
        self._waiting.update(passed)
        return passed

    def release(self, split: int) -> None:
        """Forget what was resolved for a split: it is through the next segment, and recorded."""
        self._waiting.pop(split, None)

    def facts(self) -> dict[str, Any]:
        """Return what is worth telling of all documents so far."""
        return self._index.facts() if isinstance(self._index, TellingIndex) else {}

    def save(self) -> None:
        """Save the index, so that a later run need not add all splits again."""
        new = self._through > self._saved_through and not self._held
        if new and isinstance(self._index, SavedIndex):
            self._checkpoints.save(self._index, self._through, self._covered.digest, self._waiting)
            self._saved, self._saved_through = self._documents, self._through

    @property
    def _documents(self) -> int:
        return self._index.documents if isinstance(self._index, SavedIndex) else 0

    @cached_property
    def _empty(self) -> pa.Table:
        """The sketches of no document."""
        nothing = pa.record_batch({"id": pa.array([], pa.string()), "text": pa.array([], pa.large_string())})
        return pa.Table.from_batches([], schema=self._stage.sketch()(nothing).schema)

    def _sketches(self, record: SegmentRecord) -> pa.Table:
        """Return the sketches of a split; memory-mapped, what the index keeps of them costs disk and not memory."""
        return open_sketches(self._root / record.sketches.path) if record.sketches is not None else self._empty
