"""Finished splits gathered into shards of about equal size, in split order.

Which splits a shard holds follows from their token counts (or estimated bytes) alone, so it is the same for any number of
workers; writing one needs nothing else, so any worker can do it.

That stays so where packed rows run on from shard to shard: counts say how many tokens at the end of a shard fill no row, so the
next one begins with the files that hold them and skips what comes before. Every shard is a part of one sequence of rows.
Rejected: a file of tokens that a shard leaves for the next one. Shards would have to be written one after another, and a stop
between the shard and its file would need a record of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.group_rates import KeptTally
from corpusmill.journal import file_hash, write_atomically
from corpusmill.mixing import COPY, MIXTURE, STAGE, Mixer
from corpusmill.parquet import RowGroupWriter, TableFile, shard_writer
from corpusmill.schemas import EXCERPT, REJECTS
from corpusmill.schemas.manifest import ShardRecord
from corpusmill.schemas.recipe import MixtureSettings, OutputSettings
from corpusmill.shuffling import HASH, in_order_of_hashes, mapped, part_of, with_hashes
from corpusmill.stages import Pack
from corpusmill.stages.base import as_batch
from corpusmill.stages.pack import Packer, documents_begun

__all__ = ["PlannedShard", "Rows", "ShardJob", "ShardPlanner", "write_shard"]


@dataclass(frozen=True)
class ShardJob:
    """One shard to write: its name, and the files of finished splits that it takes, in order."""

    output: str
    subset: str
    path: str
    splits: tuple[int, int]
    sources: tuple[str, ...]
    pack: Pack | None
    settings: OutputSettings
    metadata: Mapping[str, str]
    seed: int
    part: tuple[int, int] = (0, 1)
    """Which of how many parts of the files it takes: a part of the range of hashes, where the corpus is shuffled."""
    mixture: tuple[MixtureSettings, ...] = ()
    times: tuple[float, ...] = ()
    """How often it takes the documents of each table of the mixture."""
    begin: int = 0
    end: int | None = None
    """Where among the tokens of its files, one after another, it begins and the next shard does; None: it takes all the rest."""


class PlannedShard(NamedTuple):
    """A shard to be written from the files of the first to the last of *splits*, of which it takes *part* (which of how many).

    Where it begins with what the shard before left, the files of earlier splits come first. It takes the tokens from *begin* to
    *end* of its files then, one after another; to their end where *end* is None.
    """

    subset: str
    path: str
    splits: tuple[int, int]
    sources: tuple[str, ...]
    part: tuple[int, int] = (0, 1)
    begin: int = 0
    end: int | None = None


class Rows(NamedTuple):
    """What a split left for a subset: the file, its tokens, and its size in what the limit of shards is given in."""

    file: str
    tokens: int
    size: int


@dataclass
class _Open:
    """The shard of a subset that is not full yet; the first *carried* of its files are in the shard before, too."""

    files: list[tuple[int, Rows]] = field(default_factory=list)
    carried: int = 0
    begin: int = 0
    size: int = 0
    tokens: int = 0

    def rest(self, tokens: int) -> _Open:
        """Return the shard that begins with the last *tokens* tokens of this one.

        A document without tokens goes with the token behind it: so every file that reaches as far as them is taken, if only
        with its end.
        """
        first, behind = len(self.files), 0
        while first and behind <= tokens:
            first -= 1
            behind += self.files[first][1].tokens
        return _Open(self.files[first:], len(self.files) - first, behind - tokens, 0, tokens)


class ShardPlanner:
    """Groups consecutive splits of a subset into shards of *limit*; all of them into one group where *whole*.

    A shard is closed when the next split comes: if it holds *limit* by then or, with *nearest*, comes nearer to it without that
    split. With *row*, tokens that fill no row of so many go on in the next shard; each but the last of a subset has a row then.
    """

    def __init__(
        self, limit: int, first_numbers: Mapping[str, int], *, whole: bool = False, nearest: bool = False, row: int = 0
    ) -> None:
        self._limit = limit
        self._whole = whole
        self._nearest = nearest
        self._row = row
        self._numbers = dict(first_numbers)
        self._open: dict[str, _Open] = {}

    def add(self, split: int, subsets: Mapping[str, Rows]) -> list[PlannedShard]:
        """Take what *split* left for each subset; return the shards that are now full."""
        full = []
        for subset, rows in sorted(subsets.items()):
            if subset in self._open and self._is_full(self._open[subset], rows):
                full += self._close(subset, carries=self._row > 0)
            shard = self._open.setdefault(subset, _Open())
            shard.files.append((split, rows))
            shard.size += rows.size
            shard.tokens += rows.tokens
        return full

    def waiting(self, up_to: int | None = None) -> list[str]:
        """Return the files, of splits up to *up_to* or of all, of which something waits for its shard to be full."""
        files = [file for shard in self._open.values() for file in shard.files]
        return [rows.file for split, rows in files if up_to is None or split <= up_to]

    def finish(self, taken: Mapping[str, float] = MappingProxyType({})) -> list[PlannedShard]:
        """Return the shards that were not full; *taken* is how many of the tokens of a subset are taken, 1 without an entry."""
        return [shard for subset in sorted(self._open) for shard in self._close(subset, taken.get(subset, 1.0))]

    def _is_full(self, shard: _Open, following: Rows) -> bool:
        ahead = following.size // 2 if self._nearest else 0
        return not self._whole and shard.size + ahead >= self._limit and shard.tokens >= self._row

    def _close(self, subset: str, taken: float = 1.0, *, carries: bool = False) -> list[PlannedShard]:
        number, shard = self._numbers.get(subset, 0), self._open.pop(subset)
        parts = max(round(shard.size * taken / self._limit), 1) if self._whole else 1
        self._numbers[subset] = number + parts
        splits = (shard.files[shard.carried][0], shard.files[-1][0])
        files = tuple(rows.file for _, rows in shard.files)
        end = None
        if carries:
            over = shard.tokens % self._row
            end = shard.begin + shard.tokens - over
            self._open[subset] = shard.rest(over)
        paths = [f"shards/{subset}-{number + part:05d}.parquet" for part in range(parts)]
        return [
            PlannedShard(subset, path, splits, files, (part, parts), shard.begin, end)
            for part, path in enumerate(paths)
        ]


def write_shard(job: ShardJob) -> ShardRecord:
    """Write the shard and return its record."""
    root = Path(job.output)
    documents = tokens = 0
    groups = KeptTally()
    with ExitStack() as stack:
        temporary = stack.enter_context(write_atomically(root / job.path))
        rejects = stack.enter_context(_rejects(root, job))
        excerpt = None if job.settings.reject_text else EXCERPT
        mixer = Mixer(job.mixture, job.times, job.part, rejects.write, excerpt) if job.mixture else None
        writer: RowGroupWriter | None = None
        tables = _accounted(_rows(root, job, mixer), job, groups)
        for table in tables if job.pack is None else _sequences(tables, job.pack, job):
            writer = writer or shard_writer(temporary, table.schema, job.settings, job.metadata)
            writer.write(table)
            documents += table.num_rows if job.pack is None else documents_begun(table)
            tokens += int(_tokens(table).sum(dtype=np.int64))
        assert writer is not None, "a shard is planned for splits that hold rows"
        writer.close()
        digest = file_hash(temporary)
    return ShardRecord(
        path=job.path,
        documents=documents,
        tokens=tokens,
        rows=writer.total,
        padding=writer.total * job.pack.sequence_length - tokens if job.pack is not None else 0,
        subset=job.subset,
        splits=job.splits,
        sha256=digest,
        mixture=mixer.counts() if mixer else {},
        files=[rejects.record] if rejects.record else [],
        groups=groups.record(),
    )


def _rejects(root: Path, job: ShardJob) -> TableFile:
    """Return the file of the documents that a mixture leaves out; it exists if there are any."""
    name = f"rejects/{STAGE}-{Path(job.path).name}"
    return TableFile(root, name, REJECTS, level=job.settings.compression_level)


def _accounted(tables: Iterator[pa.Table], job: ShardJob, groups: KeptTally) -> Iterator[pa.Table]:
    """Yield the documents of *tables* as shards have them, and count those that begin in this one, and their tokens, by group."""
    at = 0
    for table in tables:
        tokens = _tokens(table)
        first = np.asarray(table.column(COPY)) == 0 if COPY in table.schema.names else np.ones(table.num_rows, bool)
        begins = at + np.cumsum(tokens) - tokens
        at += int(tokens.sum(dtype=np.int64))
        low = int(np.searchsorted(begins, job.begin))
        high = len(begins) if job.end is None else int(np.searchsorted(begins, job.end))
        if low < high:
            groups.add(table.slice(low, high - low), tokens[low:high], first[low:high])
        yield table.drop_columns([name for name in (MIXTURE, COPY) if name in table.schema.names])


def _tokens(table: pa.Table) -> npt.NDArray[Any]:
    """Return the tokens of each row; without a tokenizer it has none."""
    there = "n_tokens" in table.schema.names
    return np.asarray(table.column("n_tokens")) if there else np.zeros(table.num_rows, np.int64)


def _sequences(tables: Iterator[pa.Table], pack: Pack, job: ShardJob) -> Iterator[pa.Table]:
    """Yield the documents of *tables* as packed rows; what the next shard begins with stays behind in the packer."""
    packer: Packer | None = None
    for table in tables:
        packer = packer or pack.packer(table.schema.field("input_ids").type.value_type, job.begin)
        # A table without rows has no batches, and its shard has a schema all the same.
        yield pa.concat_tables(packer.add(batch) for batch in table.to_batches() or [as_batch(table)])
    if packer is not None and job.end is None:
        yield packer.finish()


def _rows(root: Path, job: ShardJob, mixer: Mixer | None) -> Iterator[pa.Table]:
    """Yield the rows of the shard in their order, a bounded number at a time, or all where they are shuffled."""
    sources = [root / source for source in job.sources]
    if job.settings.shuffle == "none":
        yield from _as_they_are(sources)
        return
    if job.settings.shuffle == "corpus":
        tables = list(
            part_of(sources, *job.part) if mixer is None else chain.from_iterable(map(mixer.take, mapped(sources)))
        )
    else:
        tables = [
            pa.Table.from_batches([with_hashes(batch, job.seed)])
            for table in _as_they_are(sources)
            for batch in table.to_batches()
        ]
    if tables:
        yield in_order_of_hashes(tables).drop_columns([HASH])


def _as_they_are(sources: Sequence[Path]) -> Iterator[pa.Table]:
    for source in sources:
        with pa.OSFile(str(source)) as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                yield pa.Table.from_batches([batch])
