"""The shards of an output as one long row of tokens or sequences: which there are, their order, and reading from the middle.

A position counts *units*: sequences where shards are packed, tokens where they hold documents. The number of units of each row
group is in the footer of its shard, so a reader finds any position without reading what lies before it.

An order is made on three levels: shards, the row groups of a shard, the rows of a row group. Each is shuffled on its own, so
that a shuffled reading needs one row group in memory and reads each once. Rejected: shuffling all rows, which reads a row group
of a thousand rows for each of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from corpusmill.schemas import RecipeError
from corpusmill.stages.token_columns import packed_length, packed_rows

__all__ = ["Rows", "ShardOrder", "TokenShards"]

_OPEN = 64  # files
_KEPT = 4  # decoded row groups: the one being read, and a few for access at random
_PIECES = ("document_starts",)


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of a row group. *ids* holds the tokens of all of them, row *i* from `bounds[i]` to `bounds[i + 1]`.

    Of sequences, *lengths* is the number of tokens without padding, and the pieces of documents in row *i* begin at
    `starts[start_bounds[i]:start_bounds[i + 1]]` in it.
    """

    ids: npt.NDArray[Any]
    bounds: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    start_bounds: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.bounds) - 1


class TokenShards:
    """The shards of one subset, in order of their names."""

    def __init__(self, path: Any, subset: str = "train", filesystem: Any = None) -> None:
        """Find the shards below *path*: the output of a run, its `shards`, one Parquet file, or a list of files.

        *path* may be local or an address such as `s3://bucket/out`; *filesystem* is one of pyarrow or fsspec.

        Raises:
            RecipeError: there are none, or they are not tokenized, or of two layouts.

        """
        self._files, self.paths = _find(path, subset, filesystem)
        self._group_units: dict[int, npt.NDArray[np.int64]] = {}
        self._forget()
        if not self.paths:
            raise RecipeError(f"no shards of the subset {subset!r} at {path}; is it the output of `corpusmill run`?")
        if not {"input_ids", "n_tokens"} <= set(self._schema.names):
            raise RecipeError(f"{self.paths[0]} holds no tokens (input_ids and n_tokens): put tokenize into the recipe")
        self.sequence_length = packed_length(self._schema.field("input_ids"))
        """Tokens of a row where shards are packed; None where rows are documents."""
        self.units = [self._units(number) for number in range(len(self.paths))]
        """Units of each shard."""

    @property
    def _schema(self) -> pa.Schema:
        return self._file(0).schema_arrow

    @property
    def fingerprint(self) -> str:
        """What a position means: another list of shards has another one."""
        names = [f"{path.rpartition('/')[2]} {units}" for path, units in zip(self.paths, self.units, strict=True)]
        return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]

    def _forget(self) -> None:
        """Have no file open: what another process opened shares its place in the file with it."""
        self._process = os.getpid()
        self._open: dict[int, pq.ParquetFile] = {}
        self._decoded: dict[tuple[int, int], Rows] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in {"_open", "_decoded", "_process"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    def _file(self, number: int) -> pq.ParquetFile:
        if self._process != os.getpid():
            self._forget()
        if number not in self._open:
            self._open[number] = pq.ParquetFile(self._files.open_input_file(self.paths[number]))
            _keep_last(self._open, _OPEN)
        return self._open[number]

    def _units(self, number: int) -> int:
        file = self._file(number)
        length = packed_length(file.schema_arrow.field("input_ids"))
        if length != self.sequence_length:
            raise RecipeError(f"{self.paths[number]} has another layout than {self.paths[0]}: read them apart")
        return int(self.group_units(number).sum() if length is None else file.metadata.num_rows)

    def group_units(self, number: int) -> npt.NDArray[np.int64]:
        """Return the units of each row group of shard *number*."""
        if number not in self._group_units:
            self._group_units[number] = self._counted(number)
        return self._group_units[number]

    def _counted(self, number: int) -> npt.NDArray[np.int64]:
        file = self._file(number)
        groups = [file.metadata.row_group(group) for group in range(file.metadata.num_row_groups)]
        if self.sequence_length is not None:
            return np.array([group.num_rows for group in groups], np.int64)
        columns = [file.metadata.schema.column(at).path for at in range(file.metadata.num_columns)]
        tokens = next(at for at, name in enumerate(columns) if name.startswith("input_ids."))
        lengths = columns.index("n_tokens")
        counts = np.zeros(len(groups), np.int64)
        for at, group in enumerate(groups):
            known = group.column(lengths).statistics
            if known is not None and known.has_min_max and known.min > 0:
                counts[at] = group.column(tokens).num_values
            else:  # a list without entries counts as a value
                counts[at] = pc.sum(file.read_row_group(at, columns=["n_tokens"]).column(0)).as_py() or 0
        return counts

    def rows(self, number: int, group: int) -> Rows:
        """Return all rows of a row group; the last few are kept."""
        file = self._file(number)
        if (number, group) not in self._decoded:
            self._decoded[number, group] = _decode(file, group, self.sequence_length)
            _keep_last(self._decoded, _KEPT)
        return self._decoded[number, group]


class ShardOrder:
    """One reading of all shards: in order, or in an order that follows from (*seed*, *epoch*)."""

    def __init__(self, shards: TokenShards, seed: int | None, epoch: int) -> None:
        self._shards = shards
        self._seed, self._epoch = seed, epoch
        self._order = self._permuted(len(shards.paths), 0, 0, 0)
        self._ends = np.cumsum(np.array(shards.units, np.int64)[self._order])

    def read(self, position: int) -> Iterator[tuple[Rows, npt.NDArray[np.int64], int]]:
        """Yield from *position* on: rows, the order in which to take them, and how many units to leave out at the beginning."""
        place = int(np.searchsorted(self._ends, position, "right"))
        skipped = position - (int(self._ends[place - 1]) if place else 0)
        for number in self._order[place:].tolist():
            units = self._shards.group_units(number)
            groups = self._permuted(len(units), 1, number, 0)
            ends = np.cumsum(units[groups])
            first = int(np.searchsorted(ends, skipped, "right"))
            skipped -= int(ends[first - 1]) if first else 0
            for group in groups[first:].tolist():
                rows = self._shards.rows(number, group)
                yield rows, self._permuted(len(rows), 2, number, group), skipped
                skipped = 0
            skipped = 0

    def _permuted(self, count: int, level: int, number: int, group: int) -> npt.NDArray[np.int64]:
        """Return 0 to *count* in the order of a level."""
        if self._seed is None:
            return np.arange(count, dtype=np.int64)
        # PCG64 seeded by numbers gives the same in every version of NumPy; `permutation` need not, so numbers are sorted.
        bits = np.random.PCG64([self._seed, self._epoch, level, number, group])
        return np.argsort(bits.random_raw(count), kind="stable").astype(np.int64)


def _keep_last(kept: dict[Any, Any], count: int) -> None:
    """Let go of all but the *count* newest entries."""
    while len(kept) > count:
        del kept[next(iter(kept))]


def _decode(file: pq.ParquetFile, group: int, sequence_length: int | None) -> Rows:
    wanted = ["input_ids", "n_tokens", *([] if sequence_length is None else _PIECES)]
    table = file.read_row_group(group, columns=wanted)
    lengths = table.column("n_tokens").to_numpy().astype(np.int64)
    starts, start_bounds = np.zeros(0, np.int64), np.zeros(len(lengths) + 1, np.int64)
    if sequence_length is not None:
        ids = packed_rows(table.column("input_ids"), table.schema.field("input_ids")).reshape(-1)
        bounds = np.arange(len(lengths) + 1, dtype=np.int64) * sequence_length
        pieces = table.column("document_starts").combine_chunks()
        starts = pieces.flatten().to_numpy().astype(np.int64)
        start_bounds[1:] = np.cumsum(pieces.value_lengths().to_numpy())
    else:
        ids = table.column("input_ids").combine_chunks().flatten().to_numpy()
        bounds = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))
    return Rows(ids, bounds, lengths, starts, start_bounds)


def _find(path: Any, subset: str, filesystem: Any) -> tuple[pafs.FileSystem, list[str]]:
    """Return the file system, and the shards of a subset on it."""
    if isinstance(path, Sequence) and not isinstance(path, str):
        found = [_place(one, filesystem) for one in path]
        for files, place in found:
            if files.get_file_info(place).type != pafs.FileType.File:
                raise RecipeError(f"{place} is no file: a list names files, a single path may be a folder")
        return (found[0][0] if found else pafs.LocalFileSystem()), [place for _, place in found]
    files, place = _place(path, filesystem)
    kind = files.get_file_info(place).type
    if kind == pafs.FileType.File:
        return files, [place]
    for folder in (f"{place}/shards", place):
        if files.get_file_info(folder).type == pafs.FileType.Directory:
            names = [info.path for info in files.get_file_info(pafs.FileSelector(folder)) if info.is_file]
            mine = sorted(
                name for name in names if name.rpartition("/")[2].startswith(f"{subset}-") and name.endswith(".parquet")
            )
            if mine:
                return files, mine
    return files, []


def _place(path: Any, filesystem: Any) -> tuple[pafs.FileSystem, str]:
    """Return the file system of *path* and what it is called there."""
    address = str(path).rstrip("/")
    if filesystem is not None:
        own = (
            filesystem if isinstance(filesystem, pafs.FileSystem) else pafs.PyFileSystem(pafs.FSSpecHandler(filesystem))
        )
        return own, address
    if "://" not in address:
        return pafs.LocalFileSystem(), address
    try:
        return pafs.FileSystem.from_uri(address)  # type: ignore[no-any-return]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowKeyError):
        pass
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise RecipeError(f"{address} is on a file system that pyarrow does not know: pip install fsspec") from None
    remote, place = url_to_fs(address)
    return pafs.PyFileSystem(pafs.FSSpecHandler(remote)), place
