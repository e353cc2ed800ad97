"""One split through one segment: what a worker process does.

A worker knows nothing of other splits. It reads documents (from the inputs, or from what the segment before left), applies
the stages, removes rows by their verdicts and accounts for every one of them, and leaves files that the owner then records.
A stage that raises costs the documents it raised on: the batch is halved until they are alone.
"""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.chain import NamedStage, Segment
from corpusmill.finished_rows import FinishedRows
from corpusmill.group_rates import GroupTally
from corpusmill.input_state import CHANGED, InputChangedError, content_hash, is_changed
from corpusmill.ipc_file import IpcFile
from corpusmill.isolation import RESOLVED, isolate, settled_by_rows, words_of
from corpusmill.journal import file_hash
from corpusmill.limits import CpuLimit
from corpusmill.parquet import TableFile
from corpusmill.readers import Quarantined, SkippedRecord, read
from corpusmill.schemas import CLUSTERS, EXCERPT, QUARANTINE, REJECTS, StageError, signal_column
from corpusmill.schemas.inputs import InputSettings, Split
from corpusmill.schemas.manifest import FileRecord, SegmentRecord, StageCounts
from corpusmill.schemas.recipe import LimitSettings, MixtureSettings, OutputSettings
from corpusmill.stages import CorpusStage, Deduplicate, Pack, Stage, Tokenize
from corpusmill.stages.base import CountingFunction, as_batch, with_columns
from corpusmill.subsets import in_sample
from corpusmill.trail import READ, Culprit, Place, Trail

__all__ = ["SegmentJob", "open_stages", "peak_memory", "run_segment"]

_ENGINE = signal_column("html_engine")


@dataclass(frozen=True)
class SegmentJob:
    """All that a worker needs; it travels between processes. `run` is different for every run."""

    run: str
    output: str
    split: Split
    number: int
    last: bool
    segment: Segment
    signals: pa.Schema
    pack: Pack | None
    spill: str | None
    resolved: pa.Array | None
    """What the index of the opening stage found out, one entry per spilled row."""
    input: InputSettings
    settings: OutputSettings
    mixture: tuple[MixtureSettings, ...]
    limits: LimitSettings
    seed: int
    careful: frozenset[Place] = frozenset()
    """Where earlier attempts died: there, documents are taken one at a time."""
    culprits: tuple[Culprit, ...] = ()
    """The documents on which they died."""

    @property
    def trail(self) -> str:
        """Where the worker notes what it is doing, relative to the output."""
        return f"state/trail/split-{self.split.index:06d}-{self.number}"


def run_segment(job: SegmentJob) -> SegmentRecord:
    """Run the segment and return its record; every file it names is complete and on disk."""
    _forget_other_runs(job.run)
    limit = CpuLimit(job.limits)
    with Trail(Path(job.output, job.trail)) as trail, limit.enforced():
        with ExitStack() as stack:
            run = _SegmentRun(job, stack, trail, limit)
            for number, batch in enumerate(run.batches()):
                run.process(number, batch)
            run.finish()
        return run.record()


def open_stages(run: str, stages: Sequence[NamedStage]) -> None:
    """Open the stages of a run in this process: its first split need not wait, and what cannot be opened is found before."""
    _forget_other_runs(run)
    for named in stages:
        if named.stage.ordered is not None:
            _sketcher(named.stage.ordered)
            _settler(named.stage.ordered)
        elif not isinstance(named.stage, Pack | Tokenize):
            _opened(named.stage)


_current_run = ""


def _forget_other_runs(run: str) -> None:
    """Close the stages of another run: the files that they name (lexicons, the tokenizer) may hold something else now."""
    global _current_run
    if run != _current_run:
        _opened.cache_clear()
        _sketcher.cache_clear()
        _settler.cache_clear()
        _current_run = run


@lru_cache(maxsize=64)
def _opened(stage: Stage) -> Callable[[pa.RecordBatch], Any]:
    """Return the opened stage; models are loaded once per process, not once per split."""
    return stage.open()


@lru_cache(maxsize=8)
def _sketcher(stage: CorpusStage) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    return stage.sketch()


@lru_cache(maxsize=8)
def _settler(stage: CorpusStage) -> Callable[[pa.RecordBatch], Any]:
    return settled_by_rows(stage.settle())


class _SegmentRun:
    """The files, counts and steps of one job."""

    def __init__(self, job: SegmentJob, stack: ExitStack, trail: Trail, limit: CpuLimit) -> None:
        self._job = job
        self._trail = trail
        self._limit = limit
        self._root = Path(job.output)
        self._started = time.perf_counter()
        self._record = SegmentRecord(
            split=job.split.index, segment=job.number, stored=0 if job.number else job.split.stored
        )
        name = f"split-{job.split.index:06d}-{job.number}"

        def table(folder: str, schema: pa.Schema) -> TableFile:
            level = job.settings.compression_level
            return stack.enter_context(TableFile(self._root, f"{folder}/{name}.parquet", schema, level=level))

        self._rejects = table("rejects", REJECTS)
        self._quarantine = table("quarantine", QUARANTINE)
        self._clusters = table("clusters", CLUSTERS)
        self._signals = table("signals", pa.schema([pa.field("id", pa.string()), *job.signals]))
        self._side_tables = (self._rejects, self._quarantine, self._clusters, self._signals)
        self._spill = stack.enter_context(IpcFile(self._root, f"state/spill/{name}.arrow"))
        self._sketches = stack.enter_context(IpcFile(self._root, f"state/sketches/{name}.arrow", lasting=True))
        place = (self._root, job.split.index, job.number)
        self._finished = FinishedRows(*place, job.settings, job.mixture, job.seed, stack)
        self._groups = GroupTally()
        opening = job.segment.opening
        self._counts = {n.name: StageCounts(kind=n.name) for n in ((opening,) if opening else ()) + job.segment.stages}

    def record(self) -> SegmentRecord:
        """Return what happened; call it after the files are closed."""
        record = self._record
        record.stages = list(self._counts.values())
        record.groups = self._groups.record()
        record.files = [f.record for f in self._side_tables if f.record is not None]
        record.spill = self._spill.name
        record.subsets, record.mixture = self._finished.tokens, self._finished.mixture
        record.sizes = self._finished.sizes(self._job.pack) if self._job.settings.shard_size else {}
        if self._sketches.name is not None:
            path = self._sketches.name
            record.sketches = FileRecord(path=path, rows=self._sketches.rows, sha256=file_hash(self._root / path))
        record.seconds = round(time.perf_counter() - self._started, 3)
        record.peak_memory = peak_memory()
        for counts in record.stages:
            counts.seconds = round(counts.seconds, 3)
        return record

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the documents that enter the stages: read from the inputs, or left by the segment before."""
        if self._job.number == 0:
            yield from self._read()
        elif self._job.spill is not None:
            yield from self._resume()

    def _read(self) -> Iterator[pa.RecordBatch]:
        """Yield the documents of the inputs, as they were when the run was planned."""
        parts = self._job.split.parts
        changed = {part.file.name for part in parts if part.damage == CHANGED or is_changed(part.file)}
        self._record.hashes = [None if part.file.name in changed else part.hash or content_hash(part) for part in parts]
        for name in sorted(changed):
            self._record.unreadable += 1
            self._put_away(None, name, None, "read", CHANGED)
        same = tuple(part for part in parts if part.file.name not in changed)
        yield from self._read_parts(msgspec.structs.replace(self._job.split, parts=same))
        if any(is_changed(part.file) for part in same):
            raise InputChangedError

    def _read_parts(self, split: Split) -> Iterator[pa.RecordBatch]:
        careful = any(place.step == READ for place in self._job.careful)
        items = read(split, self._job.input, self._watch) if careful else read(split, self._job.input)
        self._trail.at(Place(0, READ))
        self._limit.renew()
        for item in items:
            self._rest()
            if isinstance(item, SkippedRecord):
                skipped = self._record.skipped_records
                skipped[item.kind] = skipped.get(item.kind, 0) + 1
            elif isinstance(item, Quarantined):
                self._record.unreadable += 1
                self._put_away(item.id, item.source, item.offset, "read", item.error)
            else:
                chosen = self._sample(item)
                self._record.read += chosen.num_rows
                yield chosen
            self._trail.at(Place(0, READ))
            self._limit.renew()
        self._rest()

    def _sample(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the documents of a batch that belong to the sample; the others count as skipped."""
        share = self._job.input.sample_share
        if share >= 1:
            return batch
        chosen = pa.array([in_sample(id_, self._job.seed, share) for id_ in batch.column("id").to_pylist()])
        skipped = self._record.skipped_records
        skipped["not in the sample"] = skipped.get("not in the sample", 0) + len(chosen) - chosen.true_count
        return batch.filter(chosen)

    def _watch(self, part: int, number: int) -> str | None:
        """Note which record is read next, and spare those at which workers died."""
        place = Place(part, READ)
        self._trail.at(place, number)
        self._limit.renew()
        return next((c.error for c in self._job.culprits if c.place == place and c.row == number), None)

    def _resume(self) -> Iterator[pa.RecordBatch]:
        """Yield what the segment before left, with what was resolved for each row as the last column, if anything was."""
        assert self._job.spill is not None
        resolved, at = self._job.resolved, 0
        with pa.OSFile(str(self._root / self._job.spill)) as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                if resolved is not None:
                    batch = with_columns(batch, {RESOLVED: resolved.slice(at, batch.num_rows)})
                    at += batch.num_rows
                yield batch

    def process(self, number: int, batch: pa.RecordBatch) -> None:
        """Take batch *number* through all stages of the segment and write what is left of it."""
        segment, step = self._job.segment, 0
        if segment.opening is not None:
            batch = self._step(Place(number, step), segment.opening, _settler(segment.opening.stage.ordered), batch)
            step += 1
        for named in segment.stages:
            if not batch.num_rows:
                return
            batch = self._step(Place(number, step), named, _opened(named.stage), batch)
            step += 1
        if not batch.num_rows:
            return
        if segment.closing is not None:
            batch = self._sketch(Place(number, step), segment.closing, batch)
        if self._job.last:
            self._finish(batch)
        else:
            self._spill.write(batch)
        self._record.kept += batch.num_rows

    def finish(self) -> None:
        """Write what waited for the end of the split."""
        self._finished.finish()

    def _step(
        self, place: Place, named: NamedStage, function: Callable[[pa.RecordBatch], Any], batch: pa.RecordBatch
    ) -> pa.RecordBatch:
        """Apply one stage, opened as *function*, and remove the rows it drops."""
        started = time.process_time()
        parts = self._isolated(place, named, function, batch)
        if not parts:
            return batch.slice(0, 0)
        if len(parts) == 1:
            ((seen, (out, verdicts)),) = parts
        else:
            out = as_batch(pa.Table.from_batches([result[0] for _, result in parts]))
            seen = as_batch(pa.Table.from_batches([rows for rows, _ in parts]))
            verdicts = pa.concat_arrays([result[1] for _, result in parts])
        if not (out.num_rows == seen.num_rows == len(verdicts)) or not out.column("id").equals(seen.column("id")):
            raise StageError(
                f"{named.name} returned other rows than it was given", stage=named.name, split=self._record.split
            )
        if isinstance(function, CountingFunction):
            for name, count in function.take_counts().items():
                self._record.engines[name] = self._record.engines.get(name, 0) + count
        kept = self._drop(named, seen, out, verdicts)
        self._counts[named.name].seconds += time.process_time() - started
        return kept

    def _isolated(
        self, place: Place, named: NamedStage, function: Callable[[pa.RecordBatch], Any], batch: pa.RecordBatch
    ) -> list[Any]:
        """Apply *function*; documents on which it raises, or on which workers died, go to quarantine."""
        if place not in self._job.careful:
            self._trail.at(place, *([0] if batch.num_rows == 1 else []))
            parts, failed = isolate(function, batch, self._limit.renew)
            self._rest()
            for row, error in failed:
                self._blame(named, row, words_of(error))
            return parts
        deadly = {culprit.row: culprit.error for culprit in self._job.culprits if culprit.place == place}
        parts = []
        for at in range(batch.num_rows):
            row = batch.slice(at, 1)
            if at in deadly:
                self._blame(named, row, deadly[at])
                continue
            self._trail.at(place, at)
            good, failed = isolate(function, row, self._limit.renew)
            self._rest()
            parts += good
            for _, error in failed:
                self._blame(named, row, words_of(error))
        return parts

    def _rest(self) -> None:
        """Hold no document responsible for what comes next."""
        self._limit.pause()
        self._trail.rest()

    def _blame(self, named: NamedStage, row: pa.RecordBatch, error: str) -> None:
        """Put the one document of *row* into quarantine."""
        id_ = row.column("id")[0].as_py()
        self._put_away(id_, row.column("source")[0].as_py() or "", None, named.name, error)
        counts = self._count(named)
        counts.documents_in += 1
        counts.bytes_in += _size(row)
        counts.quarantined += 1
        self._record.first_errors.setdefault(named.name, f"{error} (document {id_!r})")

    def _count(self, named: NamedStage) -> StageCounts:
        """Return the counts of a stage; those of the corpus stage that closes the segment begin here."""
        return self._counts.setdefault(named.name, StageCounts(kind=named.name))

    def _put_away(self, id_: str | None, source: str, offset: int | None, stage: str, error: str) -> None:
        row = {"id": id_, "source": source, "offset": offset, "stage": stage, "error": error}
        self._quarantine.write(pa.Table.from_pylist([row], QUARANTINE))

    def _drop(
        self, named: NamedStage, seen: pa.RecordBatch, out: pa.RecordBatch, verdicts: pa.StructArray
    ) -> pa.RecordBatch:
        """Write the dropped rows away, count them, and return the kept ones.

        The excerpt of a reject shows the text as the stage saw it (*seen*), unless there was none yet.
        """
        counts = self._counts[named.name]
        counts.documents_in += out.num_rows
        counts.bytes_in += _size(seen)
        counts.kept += verdicts.null_count
        self._groups.add(named, out, verdicts)
        if verdicts.null_count == out.num_rows:
            return out
        keep = pc.is_null(verdicts)
        kept = out.filter(keep)
        dropped, before, why = out.filter(pc.invert(keep)), seen.filter(pc.invert(keep)), verdicts.drop_null()
        for reason, count in Counter(why.field("reason").to_pylist()).items():
            counts.dropped[reason] = counts.dropped.get(reason, 0) + count
        texts = [before.column("text"), dropped.column("text")]
        if not self._job.settings.reject_text:
            texts = [pc.utf8_slice_codeunits(text, 0, EXCERPT) for text in texts]
        text = pc.coalesce(*texts)
        columns = {name: dropped.column(name) for name in ("id", "url", "source")}
        columns["stage"] = pa.array([named.name] * dropped.num_rows)
        columns |= {name: why.field(name) for name in ("reason", "value", "limit", "ref")}
        columns["excerpt"] = text
        self._rejects.write(pa.table(columns))
        if isinstance(named.stage, Deduplicate) and named.stage.clusters:
            pairs = [columns["id"], columns["ref"], columns["value"], columns["reason"]]
            self._clusters.write(pa.table(pairs, schema=CLUSTERS))
        self._write_signals(dropped)
        return kept

    def _write_signals(self, batch: pa.RecordBatch) -> None:
        """Write what was measured so far; what a dropped document did not reach is null."""
        present = set(batch.schema.names)
        columns = {"id": batch.column("id")}
        for field in self._job.signals:
            columns[field.name] = (
                batch.column(field.name) if field.name in present else pa.nulls(batch.num_rows, field.type)
            )
        self._signals.write(pa.table(columns))
        if _ENGINE in present and batch.schema.field(_ENGINE).type == pa.string():
            counts = self._record.html_engines
            for engine, count in Counter(batch.column(_ENGINE).drop_null().to_pylist()).items():
                counts[engine] = counts.get(engine, 0) + count

    def _sketch(self, place: Place, named: NamedStage, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Write one sketch per row and return the rows that have one."""
        started = time.process_time()
        parts = self._isolated(place, named, _sketcher(named.stage.ordered), batch)
        for _, sketches in parts:
            self._sketches.write(sketches)
        self._count(named).seconds += time.process_time() - started
        return as_batch(pa.Table.from_batches([rows for rows, _ in parts], batch.schema))

    def _finish(self, batch: pa.RecordBatch) -> None:
        """Leave the rows that go into shards, and write the signals of kept documents."""
        self._write_signals(batch)
        self._finished.add(batch)
        if "language" in batch.schema.names:
            for language, count in Counter(batch.column("language").to_pylist()).items():
                self._record.languages[language or "unknown"] = (
                    self._record.languages.get(language or "unknown", 0) + count
                )


def _size(batch: pa.RecordBatch) -> int:
    """Return the bytes of HTML and text in a batch."""
    return sum(pc.sum(pc.binary_length(batch.column(name))).as_py() or 0 for name in ("html", "text"))


def peak_memory() -> int:
    """Return the largest resident size that this process has had, in bytes."""
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024  # macOS counts bytes, Linux kibibytes
