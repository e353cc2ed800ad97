"""Finished splits gathered into shards of about equal size, in split order.

Which splits a shard holds follows from their token counts alone, so it is the same for any number of workers; writing one
needs nothing else, so any worker can do it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.journal import file_hash, write_atomically
from corpusmill.parquet import RowGroupWriter
from corpusmill.schemas.manifest import ShardRecord
from corpusmill.schemas.recipe import OutputSettings
from corpusmill.stages import Pack
from corpusmill.stages.pack import Packer

__all__ = ["ShardJob", "ShardPlanner", "finished_rows", "write_shard"]


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


class ShardPlanner:
    """Groups consecutive splits of a subset until they hold enough tokens for a shard."""

    def __init__(self, shard_tokens: int, first_numbers: Mapping[str, int]) -> None:
        self._limit = shard_tokens
        self._numbers = dict(first_numbers)
        self._waiting: dict[str, list[tuple[int, str]]] = {}
        self._tokens: dict[str, int] = {}

    def add(self, split: int, subsets: Mapping[str, tuple[int, str]]) -> list[tuple[str, str, list[tuple[int, str]]]]:
        """Take the (tokens, file) of each subset of *split*; return the (subset, shard path, [(split, file)]) now full."""
        full = []
        for subset, (tokens, source) in sorted(subsets.items()):
            self._waiting.setdefault(subset, []).append((split, source))
            self._tokens[subset] = self._tokens.get(subset, 0) + tokens
            if self._tokens[subset] >= self._limit:
                full.append(self._close(subset))
        return full

    def waiting(self, up_to: int) -> list[str]:
        """Return the files, of splits up to *up_to*, that wait for their shard to be full."""
        return [source for rows in self._waiting.values() for split, source in rows if split <= up_to]

    def finish(self) -> list[tuple[str, str, list[tuple[int, str]]]]:
        """Return the shards that were not full."""
        return [self._close(subset) for subset in sorted(self._waiting) if self._waiting[subset]]

    def _close(self, subset: str) -> tuple[str, str, list[tuple[int, str]]]:
        number = self._numbers.get(subset, 0)
        self._numbers[subset] = number + 1
        sources, self._waiting[subset], self._tokens[subset] = self._waiting[subset], [], 0
        return subset, f"shards/{subset}-{number:05d}.parquet", sources


def finished_rows(split: int, segment: int, subset: str) -> str:
    """Return the path, relative to the output, of the rows that a split left for a subset."""
    return f"state/spill/split-{split:06d}-{segment}.{subset}.arrow"


def write_shard(job: ShardJob) -> ShardRecord:
    """Write the shard and return its record."""
    root = Path(job.output)
    documents = tokens = padding = rows = 0
    with write_atomically(root / job.path) as temporary:
        writer: RowGroupWriter | None = None
        packer: Packer | None = None
        for table in _rows(root, job.sources):
            documents += table.num_rows
            if "n_tokens" in table.schema.names:
                tokens += pc.sum(table.column("n_tokens")).as_py() or 0
            if job.pack is not None:
                packer = packer or job.pack.packer(table.schema.field("input_ids").type.value_type)
            packed = pa.concat_tables(packer.add(batch) for batch in table.to_batches()) if packer else table
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
    )


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


def _rows(root: Path, sources: tuple[str, ...]) -> Iterator[pa.Table]:
    """Yield the rows of the finished splits, in order, a bounded number at a time."""
    for source in sources:
        with pa.OSFile(str(root / source)) as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                yield pa.Table.from_batches([batch])
