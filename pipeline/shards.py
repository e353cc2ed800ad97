"""Finished splits gathered into shards of about equal size, in split order.

Which splits a shard holds follows from their token counts alone, so it is the same for any number of workers; writing one
needs nothing else, so any worker can do it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from corpusmill.group_rates import KeptTally
from corpusmill.journal import file_hash, write_atomically
from corpusmill.mixing import COPY, MIXTURE, STAGE, Mixer
from corpusmill.parquet import RowGroupWriter, TableFile
from corpusmill.schemas import REJECTS
from corpusmill.schemas.manifest import ShardRecord
from corpusmill.schemas.recipe import MixtureSettings, OutputSettings
from corpusmill.shuffling import HASH, in_order_of_hashes, mapped, part_of, with_hashes
from corpusmill.stages import Pack
from corpusmill.stages.base import as_batch
from corpusmill.stages.pack import Packer

__all__ = ["PlannedShard", "ShardJob", "ShardPlanner", "write_shard"]


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


class PlannedShard(NamedTuple):
    """A shard to be written from the files of the first to the last of *splits*, of which it takes *part* (which of how many)."""

    subset: str
    path: str
    splits: tuple[int, int]
    sources: tuple[str, ...]
    part: tuple[int, int] = (0, 1)


class ShardPlanner:
    """Groups consecutive splits of a subset until they hold enough tokens for a shard; all of them where *whole*."""

    def __init__(self, shard_tokens: int, first_numbers: Mapping[str, int], *, whole: bool = False) -> None:
        self._limit = shard_tokens
        self._whole = whole
        self._numbers = dict(first_numbers)
        self._waiting: dict[str, list[tuple[int, str]]] = {}
        self._tokens: dict[str, int] = {}

    def add(self, split: int, subsets: Mapping[str, tuple[int, str]]) -> list[PlannedShard]:
        """Take the (tokens, file) of each subset of *split*; return the shards that are now full."""
        full = []
        for subset, (tokens, source) in sorted(subsets.items()):
            self._waiting.setdefault(subset, []).append((split, source))
            self._tokens[subset] = self._tokens.get(subset, 0) + tokens
            if self._tokens[subset] >= self._limit and not self._whole:
                full += self._close(subset)
        return full

    def waiting(self, up_to: int) -> list[str]:
        """Return the files, of splits up to *up_to*, that wait for their shard to be full."""
        return [source for rows in self._waiting.values() for split, source in rows if split <= up_to]

    def finish(self, taken: Mapping[str, float] = MappingProxyType({})) -> list[PlannedShard]:
        """Return the shards that were not full; *taken* is how many of the tokens of a subset are taken, 1 without an entry."""
        return [
            shard
            for subset in sorted(self._waiting)
            if self._waiting[subset]
            for shard in self._close(subset, taken.get(subset, 1.0))
        ]

    def _close(self, subset: str, taken: float = 1.0) -> list[PlannedShard]:
        number = self._numbers.get(subset, 0)
        parts = max(round(self._tokens[subset] * taken / self._limit), 1) if self._whole else 1
        self._numbers[subset] = number + parts
        waiting, self._waiting[subset], self._tokens[subset] = self._waiting[subset], [], 0
        splits, sources = (waiting[0][0], waiting[-1][0]), tuple(source for _, source in waiting)
        return [
            PlannedShard(subset, f"shards/{subset}-{number + part:05d}.parquet", splits, sources, (part, parts))
            for part in range(parts)
        ]


def write_shard(job: ShardJob) -> ShardRecord:
    """Write the shard and return its record."""
    root = Path(job.output)
    documents = tokens = padding = rows = 0
    groups = KeptTally()
    with ExitStack() as stack:
        temporary = stack.enter_context(write_atomically(root / job.path))
        rejects = stack.enter_context(_rejects(root, job))
        mixer = Mixer(job.mixture, job.times, job.part, rejects.write) if job.mixture else None
        writer: RowGroupWriter | None = None
        packer: Packer | None = None
        for table in _rows(root, job, mixer):
            documents += table.num_rows
            tokens += _account(table, groups)
            table = table.drop_columns([name for name in (MIXTURE, COPY) if name in table.schema.names])
            if job.pack is not None:
                packer = packer or job.pack.packer(table.schema.field("input_ids").type.value_type)
            # A table without rows has no batches, and its shard has a schema all the same.
            batches = table.to_batches() or [as_batch(table)]
            packed = pa.concat_tables(packer.add(batch) for batch in batches) if packer else table
            writer = writer or _writer(temporary, packed.schema, job)
            writer.write(packed)
        assert writer is not None, "a shard is planned for splits that hold rows"
        if packer is not None:
            rest = packer.finish()
            writer.write(rest)
        writer.close()
        rows = writer.total
        if job.pack is not None:
            padding = rows * job.pack.sequence_length - tokens
        digest = file_hash(temporary)
    return ShardRecord(
        path=job.path,
        documents=documents,
        tokens=tokens,
        rows=rows,
        padding=padding,
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


def _account(table: pa.Table, groups: KeptTally) -> int:
    """Count the documents and tokens of *table* by group, and return the tokens."""
    if not table.num_rows:
        return 0
    tokens = (
        np.asarray(table.column("n_tokens")) if "n_tokens" in table.schema.names else np.zeros(table.num_rows, np.int64)
    )
    first = np.asarray(table.column(COPY)) == 0 if COPY in table.schema.names else np.ones(table.num_rows, bool)
    groups.add(table, tokens, first)
    return int(tokens.sum(dtype=np.int64))


def _writer(path: Path, schema: pa.Schema, job: ShardJob) -> RowGroupWriter:
    settings = job.settings
    fields = [f.with_nullable(False) if f.name in {"id", "n_tokens", "input_ids"} else f for f in schema]
    return RowGroupWriter(
        path,
        pa.schema(fields),
        rows=settings.row_group_rows,
        level=settings.compression_level,
        encoding=settings.token_encoding,
        metadata=job.metadata,
    )


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
