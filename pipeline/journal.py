"""Crash-safe writing: files that appear whole or not at all, one line per product, and one run per output.

Every product is written under a temporary name, synced and renamed; then a line in the journal names it. What the journal
does not name does not exist, so a crash at any moment costs the work in flight and nothing else.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import msgspec

from corpusmill.schemas import LockedError, OutputMismatchError
from corpusmill.schemas.manifest import (
    CorpusFacts,
    EngineChosen,
    EngineDistrusted,
    InputsMoved,
    RecipeAccepted,
    RunFinished,
    RunStarted,
    SegmentRecord,
    ShardRecord,
    SplitPlanned,
    TokenizerMade,
)

__all__ = [
    "Event",
    "Journal",
    "OutputLock",
    "by_batch",
    "file_hash",
    "remove_temporary",
    "sync",
    "temporary_name",
    "write_atomically",
]

Event = (
    RunStarted
    | RecipeAccepted
    | SplitPlanned
    | InputsMoved
    | TokenizerMade
    | EngineChosen
    | EngineDistrusted
    | SegmentRecord
    | ShardRecord
    | CorpusFacts
    | RunFinished
)
_TEMPORARY = ".part"  # ends the name of a file that is being written


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside *path*; rename it to *path* if the block ends well, remove it if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_name(path: Path) -> Path:
    """Return the name under which this process writes *path*.

    It holds the process id: a worker that outlives its killed owner for a moment must not write into the same file as the
    worker of the next run.
    """
    return path.with_name(f"{path.name}.{os.getpid()}{_TEMPORARY}")


def remove_temporary(root: Path) -> None:
    """Remove the unfinished files that killed processes left in the output at *root*."""
    for path in root.rglob(f"*{_TEMPORARY}"):
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until the contents of *path*, a file or a directory, are on disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class Journal:
    """The events of an output directory, in the order in which they became true."""

    def __init__(self, path: Path, *, repair: bool = False) -> None:
        """Read the journal at *path*. Only the holder of the lock may *repair* it, that is, cut off a torn last line."""
        self._path = path
        self.events: list[Event] = self._load(repair)

    def append(self, event: Event) -> None:
        """Record *event* durably: it is on disk when this returns."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(event) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.events.append(event)

    @property
    def tokenizer_hash(self) -> str | None:
        """The SHA-256 of the output's tokenizer, if there is one yet."""
        return next((event.sha256 for event in self.events if isinstance(event, TokenizerMade)), None)

    @property
    def engine(self) -> EngineChosen | None:
        """What makes the ids of the output now."""
        return next((event for event in reversed(self.events) if isinstance(event, EngineChosen)), None)

    @property
    def engine_distrusted(self) -> bool:
        """Whether an engine was found to give other ids than its reference."""
        return any(isinstance(event, EngineDistrusted) for event in self.events)

    @property
    def recipe_in_force(self) -> RunStarted | RecipeAccepted | None:
        """The event that says which recipe the output is written with now."""
        return next((e for e in reversed(self.events) if isinstance(e, RunStarted | RecipeAccepted)), None)

    @property
    def unfinished(self) -> bool:
        """Whether a batch was started and not finished."""
        starts = sum(isinstance(event, RunStarted) for event in self.events)
        return starts > self.finished_runs

    @property
    def finished_runs(self) -> int:
        """How many batches are finished."""
        return sum(isinstance(event, RunFinished) for event in self.events)

    def withdraw(self, splits: Container[int]) -> None:
        """Take back what was recorded of *splits*, as if no work had been done on them."""
        self._rewrite([e for e in self.events if not (isinstance(e, SegmentRecord) and e.split in splits)])

    def begin_again(self, why: EngineDistrusted) -> None:
        """Take back all that was done since the last finished batch, its shards too, and record *why*: at once or not at all.

        No manifest has named those shards yet. The plan and the tokenizer stay.
        """
        finished = self.finished_runs
        mine = {e.index for e in self.events if isinstance(e, SplitPlanned) and e.batch >= finished}

        def done(event: Event) -> bool:
            if isinstance(event, ShardRecord):
                return event.splits[0] in mine
            return isinstance(event, SegmentRecord) and event.split in mine

        self._rewrite([*(event for event in self.events if not done(event)), why])

    def _rewrite(self, events: list[Event]) -> None:
        with write_atomically(self._path) as temporary:
            temporary.write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in events))
        self.events = events

    def forget(self) -> None:
        """Remove the journal: nothing that it named counts any more."""
        self._path.unlink(missing_ok=True)
        self.events = []

    def _load(self, repair: bool) -> list[Event]:
        """Return the recorded events; a last line that a crash cut off does not count."""
        if not self._path.exists():
            return []
        data = self._path.read_bytes()
        whole, _, torn = data.rpartition(b"\n")
        if torn and repair:
            with self._path.open("r+b") as file:
                file.truncate(len(data) - len(torn))
        decoder = msgspec.json.Decoder(Event)
        try:
            return [decoder.decode(line) for line in whole.split(b"\n") if line]
        except msgspec.DecodeError as error:
            raise OutputMismatchError(
                f"{self._path} cannot be read ({error}): it was changed, or written by another version; "
                "use --restart to begin again, or another output directory"
            ) from None


def by_batch(events: Iterable[Event]) -> list[tuple[list[SplitPlanned], list[SegmentRecord]]]:
    """Return for each batch of inputs the splits that were planned and the work that was done on them."""
    batches: list[tuple[list[SplitPlanned], list[SegmentRecord]]] = []
    batch_of: dict[int, int] = {}
    for event in events:
        if isinstance(event, RunStarted):
            batches.append(([], []))
        elif isinstance(event, SplitPlanned):
            batch_of[event.index] = event.batch
            batches[event.batch][0].append(event)
        elif isinstance(event, SegmentRecord):
            batches[batch_of[event.split]][1].append(event)
    return batches


class OutputLock:
    """Held while a run writes to an output; the system frees it when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def __enter__(self) -> OutputLock:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 100).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise LockedError(
                f"{self._path.parent.parent} is being written by another run ({holder}); wait for it, or choose another output"
            ) from None
        os.ftruncate(self._file, 0)
        os.write(self._file, f"process {os.getpid()} on {os.uname().nodename}\n".encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)
