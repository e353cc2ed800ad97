"""The ordered steps between segments: one owner that sees every split, in split order.

A gate takes splits one after the other and says which of them may go on. A deduplicator lets each pass at once, with what
it resolved; the tokenizer's gate holds the first splits until their text is enough to train on, then lets all pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.chain import NamedStage
from corpusmill.corpus_gate import CorpusGate, Passed
from corpusmill.journal import Journal
from corpusmill.put_tokenizer import put_tokenizer, record_engine
from corpusmill.readable import size
from corpusmill.schemas.manifest import SegmentRecord
from corpusmill.schemas.sizes import parse_size
from corpusmill.stages.tokenize import Tokenize, train_tokenizer

__all__ = ["Gate", "open_gate"]


class Gate(Protocol):
    """An ordered step: `add` is called once per split in split order, `finish` when there are no more."""

    def expect(self, documents: int) -> None:
        """Be told about how many documents are still to come, from the next split on."""

    def add(self, record: SegmentRecord) -> Passed:
        """Take a split; return those that may go on, each with what was resolved for its rows (None: they pass)."""

    def finish(self) -> Passed:
        """Return the splits that were still held."""

    def release(self, split: int) -> None:
        """Forget what was resolved for a split: it is through the next segment, and recorded."""

    def facts(self) -> dict[str, Any]:
        """Return what is worth telling of all documents so far (see `CorpusFacts`)."""


def open_gate(named: NamedStage, segment: int, root: Path, journal: Journal, tell: Callable[[str], object]) -> Gate:
    """Return the gate behind *segment*, for a corpus stage or a tokenizer that is to be trained; *tell* is given messages."""
    if named.stage.ordered is not None:
        return CorpusGate(named, segment, root)
    return _TrainingGate(named.stage, root, journal, tell)


class _TrainingGate:
    def __init__(self, settings: Tokenize, root: Path, journal: Journal, tell: Callable[[str], object]) -> None:
        self._settings = settings
        self._root = root
        self._journal = journal
        self._tell = tell
        self._wanted = parse_size(settings.sample_size)
        self._held: list[SegmentRecord] = []
        self._bytes = 0
        self._trained = journal.tokenizer_hash is not None

    def expect(self, documents: int) -> None:
        pass

    def add(self, record: SegmentRecord) -> Passed:
        if self._trained:
            return [(record.split, None)]
        self._held.append(record)
        self._bytes += sum(pc.sum(pc.binary_length(column)).as_py() or 0 for column in self._texts(record))
        return self.finish() if self._bytes >= self._wanted else []

    def finish(self) -> Passed:
        if not self._trained and self._bytes:  # a batch that kept nothing leaves the training to the next one
            sample = size(min(self._bytes, self._wanted))
            self._tell(f"training a tokenizer of {self._settings.vocabulary_size:,} entries on {sample} of text")
            put_tokenizer(train_tokenizer(self._sample(), self._settings), self._root, self._journal)
            record_engine(self._settings, self._root, self._journal, self._tell)
            self._trained = True
        held, self._held = self._held, []
        return [(record.split, None) for record in held]

    def release(self, split: int) -> None:
        pass

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
