"""What a worker was doing when it died, and which document is to blame.

A worker notes each step in a small memory-mapped file that outlives it. A first death names the batch and the stage. The job
is done again with that batch taken through that stage one document at a time, and the next death names the document, which is
then put into quarantine before the stage sees it. Halving the batch would cost up to eight deaths instead of two.

Only a signal that others may have sent (SIGKILL, SIGTERM) proves nothing: whoever is killed from outside was at some document
too. Such a death counts against a document only when it comes at the same document several times in a row.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from corpusmill.limits import CpuLimitError
from corpusmill.schemas import RetryableError, StageError
from corpusmill.worker_processes import OUT_OF_MEMORY, WorkerDiedError

__all__ = ["READ", "Culprit", "Deaths", "Place", "Trail", "read_trail"]

READ = -1
"""The step in which documents are read; stages are steps 0, 1, 2 and so on."""
_ALL = -1
_FORMAT = struct.Struct("<qqq")
_TIMES = 3  # deaths of a doubtful kind at the same document that make it the culprit
_IDLE = 5  # deaths before any step is noted, or while nothing is known, that end the run
_HOPELESS = 16  # documents, the very first ones of a split, that a stage must kill in a row to count as broken
_KILLED = 30  # doubtful deaths in one job, of which none proves anything, that end the run
_LEAK = 4  # documents in a row that pass the memory limit and mean that the stage leaks: none of them is to blame
_MOST = 200  # culprits in one split, each of which costs a few process starts


class Place(NamedTuple):
    """A step of a segment: which batch (for `READ`, which part of the split), and which stage."""

    batch: int
    step: int


class Culprit(NamedTuple):
    """A document that is put into quarantine at a place instead of being worked on; for `READ`, a record number."""

    place: Place
    row: int
    error: str


class Trail:
    """The note of where this process is in a job; the file is removed when the job ends, and stays when the process dies."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Trail:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("w+b") as file:
            file.write(bytes(_FORMAT.size))  # not truncate: a map of a hole ends the process when the disk is full
            file.flush()
            self._map = mmap.mmap(file.fileno(), _FORMAT.size)
        return self

    def at(self, place: Place, row: int = _ALL) -> None:
        """Note that *row* of a batch, or all of it, is being worked on."""
        _FORMAT.pack_into(self._map, 0, place.batch + 1, place.step, row)

    def rest(self) -> None:
        """Note that no document is being worked on."""
        _FORMAT.pack_into(self._map, 0, 0, 0, 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._map.close()
        if kind is None or not issubclass(kind, CpuLimitError | MemoryError):  # of which the owner asks where they came
            self._path.unlink(missing_ok=True)


def read_trail(path: Path) -> tuple[Place, int] | None:
    """Return the last place and row of a process that died, or None if it had not begun to work; the file is removed."""
    try:
        batch, step, row = _FORMAT.unpack(path.read_bytes())
    except (FileNotFoundError, struct.error):
        return None
    path.unlink(missing_ok=True)
    return (Place(batch - 1, step), row) if batch else None


class Deaths:
    """The deaths of one job, and what they tell about its documents."""

    def __init__(self, job: str) -> None:
        self._job = job
        self.count = 0
        self._idle = 0
        self._last: tuple[Place, int] | None = None
        self._times = 0
        self._doubtful = 0
        self._seen: tuple[Place, int] | None = None
        self._how = ""
        self.careful: set[Place] = set()
        self.culprits: list[Culprit] = []

    def add(self, death: WorkerDiedError, seen: tuple[Place, int] | None, steps: list[str]) -> None:
        """Learn from a death at *seen*; *steps* are the names of the stages.

        Raises:
            RetryableError: workers die before they begin to work.
            StageError: a stage kills every document, or too many.

        """
        self.count += 1
        self._seen, self._how = seen, str(death)
        if seen is None:
            self._lost(death, steps)
            return
        place, row = seen
        self._doubtful += death.doubtful
        if self._doubtful >= _KILLED:
            raise RetryableError(
                f"worker processes were killed {_KILLED} times while they worked on {self._job}, each time at another document: "
                "give them more memory, or run the same command again with fewer --workers"
            )
        if row == _ALL and place not in self.careful:
            self.careful.add(place)
            return
        if row == _ALL or any((culprit.place, culprit.row) == seen for culprit in self.culprits):
            self._lost(death, steps)
            return
        self._times = self._times + 1 if self._last == seen else 1
        self._last = seen
        self.careful.add(place)
        if death.doubtful and self._times < _TIMES:
            return
        self._doubtful = 0
        self.culprits.append(Culprit(place, row, str(death)))
        self._give_up(place, steps, death)

    def _lost(self, death: WorkerDiedError, steps: list[str]) -> None:
        """Count a death that comes at no document: at the beginning of a job, or between the records of an input."""
        self._idle += 1
        if self._idle >= _IDLE:
            raise RetryableError(
                f"{_IDLE} worker processes died for no document's fault, the last time: {self.what(steps)}. Give them more "
                "memory or run the same command with fewer --workers; if it is an input that ends them, leave it out with "
                "input.exclude"
            ) from death

    def what(self, steps: list[str]) -> str:
        """Say what the last death was."""
        if self._seen is None:
            return f"{self._how}, before it began with {self._job}"
        place, row = self._seen
        name = "reading" if place.step == READ else steps[place.step]
        unit, item = ("part", "record") if place.step == READ else ("batch", "document")
        where = f"{unit} {place.batch}" if row == _ALL else f"{item} {row} of {unit} {place.batch}"
        return f"{self._how} in {name}, at {where} of {self._job}"

    def _give_up(self, place: Place, steps: list[str], death: WorkerDiedError) -> None:
        name = "reading" if place.step == READ else steps[place.step]
        mine = [culprit for culprit in self.culprits if culprit.place.step == place.step]
        rows = [culprit.row for culprit in mine if culprit.place == Place(0, place.step)]
        if place.step != READ and rows == list(range(_HOPELESS)):
            raise StageError(
                f"{name} killed the worker on every one of the first {_HOPELESS} documents of {self._job} ({death}); "
                "repair the stage or its installation and run the same command again",
                stage=name,
            )
        last = mine[-_LEAK:]
        consecutive = [culprit.row for culprit in last] == list(range(last[0].row, last[0].row + _LEAK))
        if death.exit_code == OUT_OF_MEMORY and consecutive and all(c.error == str(death) for c in last):
            raise StageError(
                f"{name} needs more memory with every document: it passed limits.worker_memory at {_LEAK} documents in a row of "
                f"{self._job}; repair the stage, or use a smaller input.split_size or a larger limits.worker_memory",
                stage=name,
            )
        if len(mine) >= _MOST:
            raise StageError(
                f"{name} killed the worker on {_MOST} documents of {self._job} ({death}); "
                "repair the stage, leave it out, or filter what it cannot take before it",
                stage=name,
            )
