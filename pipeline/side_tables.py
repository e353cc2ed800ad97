"""What the report shows of the side tables, read so that memory does not grow with the corpus.

Quantiles are exact up to a million values of a signal and taken from every second, fourth … value beyond that; which values
those are follows from their order alone. A sketch (t-digest) was rejected: it is not exact for small corpora, and what it
says depends on how the values are handed to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpusmill.schemas.manifest import Manifest

__all__ = ["Sample", "Signal", "examples", "quarantined", "signals"]

_SAMPLE = 1_000_000  # values of one signal in memory
_TOGETHER = 8  # signals that are read in one pass over the files, so at most 64 MB of values
_ROWS = 256  # rows with texts that are in memory at once
_EXCERPT = 300  # characters of a rejected text


class Signal(msgspec.Struct, frozen=True):
    """The distribution of a signal over kept and dropped documents alike: its 5 %, 50 % and 95 % quantiles.

    They are of every `step`-th of `count` values.
    """

    name: str
    count: int
    step: int
    quantiles: tuple[float, float, float]


class Sample:
    """Every k-th number of a stream, where k is the smallest power of two that leaves at most *limit* of them."""

    def __init__(self, limit: int = _SAMPLE) -> None:
        self._limit = limit
        self._parts: list[np.ndarray[Any, Any]] = []
        self._size = 0
        self.count = 0
        self.step = 1

    def add(self, values: np.ndarray[Any, Any]) -> None:
        """Take the next numbers of the stream."""
        part = values[-self.count % self.step :: self.step].copy()
        self.count += len(values)
        self._parts.append(part)
        self._size += len(part)
        while self._size > self._limit:
            self._parts = [np.concatenate(self._parts)[::2].copy()]
            self._size = len(self._parts[0])
            self.step *= 2

    @property
    def values(self) -> np.ndarray[Any, Any]:
        """The numbers that are left, in order."""
        return np.concatenate(self._parts) if self._parts else np.empty(0)


def signals(root: Path, manifest: Manifest, limit: int = _SAMPLE) -> Iterator[Signal]:
    """Yield the distribution of every numeric signal that was measured at all."""
    paths = _paths(root, manifest, "signals")
    names: dict[str, None] = {}  # in order; files written under another version of the recipe may have others
    for path in paths:
        for field in pq.read_schema(path):
            if pa.types.is_integer(field.type) or pa.types.is_floating(field.type):
                names.setdefault(field.name)
    left = iter(names)
    while group := list(islice(left, _TOGETHER)):
        samples = {name: Sample(limit) for name in group}
        for path in paths:
            with pq.ParquetFile(path) as file:
                columns = [name for name in group if name in file.schema_arrow.names]
                for batch in file.iter_batches(batch_size=1 << 16, columns=columns):
                    for name in columns:
                        values = batch.column(name).drop_null().to_numpy(zero_copy_only=False).astype(np.float64)
                        samples[name].add(values[~np.isnan(values)])
        for name, sample in samples.items():
            if sample.count:
                low, middle, high = np.quantile(sample.values, [0.05, 0.5, 0.95]).tolist()
                yield Signal(name.removeprefix("signals."), sample.count, sample.step, (low, middle, high))


def examples(root: Path, manifest: Manifest, each: int) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the first *each* rejects by (stage, reason), in the order of the stages; texts are cut.

    Only columns of names are read until a row is found that is wanted, and nothing when all are.
    """
    wanted = {(stage.kind, reason): min(each, n) for stage in manifest.stages for reason, n in stage.dropped.items()}
    found: dict[tuple[str, str], list[dict[str, Any]]] = {key: [] for key in wanted}
    for path in _paths(root, manifest, "rejects"):
        missing = {key for key, rows in found.items() if len(rows) < wanted[key]}
        if not missing:
            break
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                places = _places(file.read_row_group(group, columns=["stage", "reason"]), missing, each)
                for row in _rows(file, group, places):
                    rows = found[row["stage"], row["reason"]]
                    if len(rows) < each:
                        rows.append(row | {"excerpt": (row["excerpt"] or "")[:_EXCERPT]})
    return found


def quarantined(root: Path, manifest: Manifest, limit: int) -> list[dict[str, Any]]:
    """Return the first *limit* rows of the quarantine."""
    return list(islice((row for path in _paths(root, manifest, "quarantine") for row in _side_rows(path)), limit))


def _paths(root: Path, manifest: Manifest, folder: str) -> list[Path]:
    return [root / file.path for file in manifest.files if file.path.startswith(f"{folder}/")]


def _places(table: pa.Table, wanted: set[tuple[str, str]], each: int) -> list[int]:
    """Return the positions of the first *each* rows of every wanted (stage, reason)."""
    places: list[int] = []
    for stage, reason in wanted:
        rows = pc.and_(pc.equal(table["stage"], stage), pc.equal(table["reason"], reason))
        places += pc.indices_nonzero(rows)[:each].to_pylist()
    return sorted(places)


def _rows(file: pq.ParquetFile, group: int, places: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield the rows at *places* of a row group."""
    start, waiting = 0, list(places)
    batches = file.iter_batches(batch_size=_ROWS, row_groups=[group]) if places else ()
    for batch in batches:
        here = [place - start for place in waiting if place < start + batch.num_rows]
        yield from batch.take(pa.array(here, pa.int64())).to_pylist()
        waiting = waiting[len(here) :]
        start += batch.num_rows
        if not waiting:
            return


def _side_rows(path: Path) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS):
            yield from batch.to_pylist()
