"""The ordered steps between segments: one owner that sees every split, in split order.

A gate takes splits one after the other and says which of them may go on. A deduplicator lets each pass at once, with what
it resolved; the tokenizer's gate holds the first splits until their text is enough to train on, then lets all pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.chain import NamedStage
from corpusmill.journal import Journal, write_atomically
from corpusmill.schemas import OutputMismatchError
from corpusmill.schemas.manifest import SegmentRecord, TokenizerMade
from corpusmill.schemas.sizes import parse_size
from corpusmill.stages.base import CorpusStage, Index, TellingIndex
from corpusmill.stages.tokenize import Tokenize, tokenizer_hash, train_tokenizer

__all__ = ["Gate", "open_gate"]

Passed = list[tuple[int, "pa.Array | None"]]


class Gate(Protocol):
    """An ordered step: `add` is called once per split in split order, `finish` when there are no more."""

    def add(self, record: SegmentRecord) -> Passed:
        """Take a split; return those that may go on, each with what was resolved for its rows (None: they pass)."""

    def finish(self) -> Passed:
        """Return the splits that were still held."""

    def facts(self) -> dict[str, Any]:
        """Return what is worth telling of all documents so far (see `CorpusFacts`)."""


def open_gate(named: NamedStage, root: Path, journal: Journal) -> Gate:
    """Return the gate for a corpus stage or a tokenizer that is to be trained."""
    ordered = named.stage.ordered
    if ordered is not None:
        return _CorpusGate(ordered, root)
    return _TrainingGate(named.stage, root, journal)


class _CorpusGate:
    def __init__(self, stage: CorpusStage, root: Path) -> None:
        self._stage = stage
        self._root = root

    @cached_property
    def _index(self) -> Index:
        return (
            self._stage.open_index()
        )  # when the first split comes: workers begin before the libraries of an index are loaded

    @cached_property
    def _empty(self) -> pa.Table:
        return pa.Table.from_batches([], schema=_sketch_schema(self._stage))

    def add(self, record: SegmentRecord) -> Passed:
        return list(self._index.add(record.split, self._sketches(record)))

    def finish(self) -> Passed:
        return list(self._index.finish())

    def facts(self) -> dict[str, Any]:
        return self._index.facts() if isinstance(self._index, TellingIndex) else {}

    def _sketches(self, record: SegmentRecord) -> pa.Table:
        """Return the sketches of a split, memory-mapped: what the index keeps of them costs disk, not memory."""
        if record.sketches is None:
            return self._empty
        try:
            with pa.ipc.open_stream(pa.memory_map(str(self._root / record.sketches.path))) as stream:
                return stream.read_all()
        except (OSError, pa.ArrowInvalid) as error:
            raise OutputMismatchError(
                f"{record.sketches.path} is missing or damaged ({error}): restore it, or --restart to begin again"
            ) from error


def _sketch_schema(stage: CorpusStage) -> pa.Schema:
    """Return the schema of the sketches of *stage*: that of the sketch of no document."""
    nothing = pa.record_batch({"id": pa.array([], pa.string()), "text": pa.array([], pa.large_string())})
    return stage.sketch()(nothing).schema


class _TrainingGate:
    def __init__(self, settings: Tokenize, root: Path, journal: Journal) -> None:
        self._settings = settings
        self._root = root
        self._journal = journal
        self._path = root / "tokenizer.json"
        self._wanted = parse_size(settings.sample_size)
        self._held: list[SegmentRecord] = []
        self._bytes = 0
        self._trained = journal.tokenizer_hash is not None

    def add(self, record: SegmentRecord) -> Passed:
        if self._trained:
            return [(record.split, None)]
        self._held.append(record)
        self._bytes += sum(pc.sum(pc.binary_length(column)).as_py() or 0 for column in self._texts(record))
        return self.finish() if self._bytes >= self._wanted else []

    def finish(self) -> Passed:
        if not self._trained and self._bytes:  # a batch that kept nothing leaves the training to the next one
            tokenizer: Any = train_tokenizer(self._sample(), self._settings)
            with write_atomically(self._path) as temporary:
                tokenizer.save(str(temporary))
            self._journal.append(
                TokenizerMade(sha256=tokenizer_hash(self._path), vocabulary_size=tokenizer.get_vocab_size())
            )
            self._trained = True
        held, self._held = self._held, []
        return [(record.split, None) for record in held]

    def facts(self) -> dict[str, Any]:
        return {}  # the tokenizer has an event of its own

    def _sample(self) -> Iterator[str]:
        """Yield the texts of the held splits, in order, up to the size of the sample."""
        left = self._wanted
        for record in self._held:
            for column in self._texts(record):
                for text in column.to_pylist():
                    if left <= 0:
                        return
                    left -= len(text.encode())
                    yield text

    def _texts(self, record: SegmentRecord) -> Iterator[pa.Array]:
        if record.spill is None:
            return
        with pa.OSFile(str(self._root / record.spill)) as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                yield batch.column("text")
