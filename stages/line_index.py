"""The index of lines by host: in how many documents each line is, in bounded memory, and what was found by host."""

from __future__ import annotations

import json
import mmap
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.stages.kernels.line_table import CREDIT, FIRST_SIZE, count_lines, put_lines

__all__ = ["HostAccount", "LineIndex", "LineTable"]

_SLOT = 12  # bytes: a hash of 8, a count and a credit of 2 each
_ROOM = 1 << 16  # slots of a region at most: what a second-level cache holds
_HOSTS = 10_000  # hosts of which the account is kept
_LISTED = 50  # hosts in the report
_SAVED = "lines.json"
_COLUMNS = ("lines", "counts", "credited")
_TAKEN = "taken"
_TOTALS = (
    "documents_without_host",
    "documents_with_boilerplate",
    "lines_compared",
    "boilerplate_lines",
    "boilerplate_characters",
    "lines_forgotten",
)
_RESOLVED = pa.list_(pa.uint32())

Lines = npt.NDArray[np.uint64]


class LineTable:
    """Counts of lines in *memory* bytes: exact as long as about a fifteenth of that many lines are in it.

    Pages of memory that no line was put on are not taken from the system.
    """

    def __init__(self, memory: int) -> None:
        self._room = min(_ROOM, 1 << ((memory // _SLOT).bit_length() - 1))
        regions = memory // (_SLOT * self._room)
        slots = regions * self._room
        self._table = (
            _untouched(slots, np.uint64),
            _untouched(slots, np.uint16),
            _untouched(slots, np.uint16),
            np.full(regions, min(FIRST_SIZE, self._room), np.int64),
            np.zeros(regions, np.int64),
            np.zeros(regions, np.int64),
        )
        room = [np.empty(self._room, type_) for type_ in (np.uint64, np.uint16, np.uint16)]
        self._scratch = (*room, np.empty(1 << 16, np.int64))

    @property
    def held(self) -> int:
        """The lines that are counted now."""
        return int(self._table[4].sum())

    @property
    def short_by(self) -> int:
        """The documents by which a count may be too low, at most."""
        return int(self._table[5].max()) // CREDIT

    def count(self, lines: Lines, ends: npt.NDArray[np.int64], enough: int) -> tuple[npt.NDArray[np.bool_], int]:
        """Count the lines of documents; return which were in *enough* documents before, and how many others were forgotten.

        Equal lines of a document are side by side; *ends* is where each document ends in *lines*.
        """
        common = np.zeros(len(lines), np.bool_)
        return common, int(count_lines(self._table, self._room, self._scratch, lines, ends, enough, common))

    def save(self, folder: Path) -> None:
        """Write the lines that are counted now into *folder*, 12 bytes each, in no order that matters."""
        with ExitStack() as stack:
            files = [stack.enter_context((folder / name).open("wb")) for name in _COLUMNS]
            for region, size in enumerate(self._table[3].tolist()):
                start = region * self._room
                taken = start + np.flatnonzero(self._table[0][start : start + size])
                for file, column in zip(files, self._table[:3], strict=True):
                    column[taken].tofile(file)
        self._table[5].tofile(folder / _TAKEN)

    @classmethod
    def load(cls, folder: Path, memory: int) -> LineTable:
        """Return the table of *memory* bytes that was saved in *folder*."""
        table = cls(memory)
        taken = np.fromfile(folder / _TAKEN, np.int64)
        if len(taken) != len(table._table[5]):
            raise ValueError(f"{folder} holds a table of another size")
        with ExitStack() as stack:
            files = [stack.enter_context((folder / name).open("rb")) for name in _COLUMNS]
            types = [column.dtype for column in table._table[:3]]
            while len((columns := [np.fromfile(f, t, _ROOM) for f, t in zip(files, types, strict=True)])[0]):
                put_lines(table._table, table._room, table._scratch, *columns)
        table._table[5][:] = taken
        return table


class HostAccount:
    """What was removed by host: documents, lines and characters, exact for ten thousand hosts at least.

    Where there are more, those with the fewest characters are let go, and begin at nothing if they come again.
    """

    def __init__(self, hosts: dict[str, list[int]] | None = None, *, complete: bool = True) -> None:
        self.hosts = hosts or {}
        self.complete = complete

    def add(self, host: str, lines: int, characters: int) -> None:
        """Take in what was removed from one document."""
        account = self.hosts.setdefault(host, [0, 0, 0])
        account[0] += 1
        account[1] += lines
        account[2] += characters
        if len(self.hosts) > 2 * _HOSTS:
            self.hosts = dict(self.ranked()[:_HOSTS])
            self.complete = False

    def ranked(self) -> list[tuple[str, list[int]]]:
        """Return the hosts, those with the most characters first."""
        return sorted(self.hosts.items(), key=lambda item: (-item[1][2], item[0]))


class LineIndex:
    """Counts the lines of every document in the order of the splits, and resolves which of them are boilerplate.

    What is resolved for a document is the list of the numbers of those lines; null for a document without a host.
    """

    def __init__(self, maximum_documents: int, table: LineTable) -> None:
        self._enough = maximum_documents
        self._table = table
        self._account = HostAccount()
        self.documents = 0
        self._totals = dict.fromkeys(_TOTALS, 0)

    def add(self, split: int, sketches: pa.Table) -> list[tuple[int, pa.Array]]:
        """Count the lines of the documents of *split*, in row order; what is boilerplate is known at once."""
        parts = [self._resolve(batch) for batch in sketches.to_batches()]
        return [(split, pa.concat_arrays(parts) if parts else pa.array([], _RESOLVED))]

    def finish(self) -> list[tuple[int, pa.Array]]:
        """Return nothing: no split ever waits."""
        return []

    def facts(self) -> dict[str, Any]:
        """Return how much was found, by host where most was, and whether the memory was enough for all lines."""
        account = self._account
        hosts = [
            {"host": host, "documents": documents, "lines": lines, "characters": characters}
            for host, (documents, lines, characters) in account.ranked()[:_LISTED]
        ]
        found = len(account.hosts) if account.complete else f"more than {_HOSTS:,}"
        return {
            "documents": self.documents,
            **self._totals,
            "lines_held": self._table.held,
            "counts_short_by_at_most": self._table.short_by,
            "hosts_with_boilerplate": found,
            "most_boilerplate": hosts,
        }

    def save(self, folder: Path, sketches: str) -> None:  # noqa: ARG002  what it saw it need not see again
        """Write the index into *folder*."""
        self._table.save(folder)
        header = {
            "documents": self.documents,
            "totals": self._totals,
            "hosts": self._account.hosts,
            "complete": self._account.complete,
        }
        (folder / _SAVED).write_text(json.dumps(header), "utf-8")

    @classmethod
    def load(cls, folder: Path, maximum_documents: int, memory: int) -> LineIndex:
        """Return the index that was saved in *folder* with the same settings."""
        header: dict[str, Any] = json.loads((folder / _SAVED).read_text("utf-8"))
        index = cls(maximum_documents, LineTable.load(folder, memory))
        index.documents, index._totals = header["documents"], header["totals"]
        index._account = HostAccount(header["hosts"], complete=header["complete"])
        return index

    def _resolve(self, sketches: pa.RecordBatch) -> pa.ListArray:
        """Return the numbers of the boilerplate lines of each document."""
        rows = sketches.num_rows
        columns = [sketches.column(name) for name in ("lines", "numbers", "characters")]
        lines, numbers, characters = (column.flatten().to_numpy(zero_copy_only=False) for column in columns)
        lengths = columns[0].value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
        ends = np.cumsum(lengths)
        common, forgotten = self._table.count(lines, ends, self._enough)
        offsets = np.zeros(rows + 1, np.int32)
        offsets[1:] = np.concatenate([[0], np.cumsum(common)])[ends]
        hostless = pc.is_null(sketches.column("host"))
        found = {
            "documents_without_host": hostless.true_count,
            "documents_with_boilerplate": int(np.count_nonzero(np.diff(offsets))),
            "lines_compared": len(lines),
            "boilerplate_lines": int(np.count_nonzero(common)),
            "boilerplate_characters": int(characters[common].sum()),
            "lines_forgotten": forgotten,
        }
        self.documents += rows
        self._totals = {name: self._totals[name] + found[name] for name in _TOTALS}
        self._charge(sketches.column("host"), offsets, characters[common])
        values = pa.array(numbers[common], pa.uint32())
        return pa.ListArray.from_arrays(pa.array(offsets), values, mask=hostless)

    def _charge(self, hosts: pa.Array, offsets: npt.NDArray[np.int32], characters: npt.NDArray[np.uint32]) -> None:
        """Write down what was removed by host."""
        for row in np.flatnonzero(np.diff(offsets)).tolist():
            start, end = offsets[row], offsets[row + 1]
            self._account.add(hosts[row].as_py(), int(end - start), int(characters[start:end].sum()))


def _untouched(size: int, type_: type[np.generic]) -> npt.NDArray[Any]:
    """Return zeros of which only what is written to takes memory, page by page (NumPy asks for huge pages)."""
    if not size:
        return np.zeros(0, type_)
    memory = mmap.mmap(-1, size * np.dtype(type_).itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(memory, type_)
