"""The scheduler: splits through segments and gates into shards, with as much in parallel as the order allows.

Splits run through segments on any worker. At a gate they wait for their turn; gates and the planning of shards happen here,
in the owner, in split order, so nothing in the output depends on which worker was faster. How far preparation runs ahead of
the slowest split is bounded, and with it the disk that spilled documents take.
"""

from __future__ import annotations

import heapq
import signal
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from corpusmill.circuit_breaker import CircuitBreaker
from corpusmill.finished_rows import finished_rows
from corpusmill.input_state import InputChangedError
from corpusmill.journal import sync
from corpusmill.limits import CpuLimitError
from corpusmill.mixing import MIXED, asked_tokens, times_taken
from corpusmill.planning import event_of, plan_splits
from corpusmill.progress import Standing
from corpusmill.schemas import OutputMismatchError, RetryableError, StageError
from corpusmill.schemas.inputs import InputFile, Split
from corpusmill.schemas.manifest import SegmentRecord, ShardRecord, SplitPlanned
from corpusmill.shards import PlannedShard, Rows, ShardJob, ShardPlanner, write_shard
from corpusmill.subsets import SUBSETS
from corpusmill.trail import Deaths, read_trail
from corpusmill.worker import SegmentJob, run_segment
from corpusmill.worker_processes import WorkerDiedError

if TYPE_CHECKING:
    from corpusmill.engine import Engine

__all__ = ["Scheduler"]

_AHEAD = 4  # splits per worker that may be prepared while an earlier one is still being worked on
_LOOK_UP = 1.0  # seconds
_RETRIES = 5  # deaths of workers over the same shard; a shard holds what stages have passed, so none is to blame


class Scheduler:
    """The moving state of one batch of inputs."""

    def __init__(
        self,
        engine: Engine,
        batch: int,
        files: Sequence[InputFile],
        recorded: Sequence[Split],
        done: Sequence[SegmentRecord],
    ) -> None:
        self._engine = engine
        self._batch = batch
        self._places = {file.name: number for number, file in enumerate(files)}
        earlier = [e.index for e in engine.journal.events if isinstance(e, SplitPlanned) and e.batch < batch]
        first = max(earlier, default=-1) + 1
        self._recorded = {split.index for split in recorded}
        self._done = {(record.split, record.segment): record for record in done}
        self._plan: Iterator[Split] = plan_splits(
            files,
            engine.recipe.input,
            first_index=first,
            recorded=recorded,
            spool=engine.root / "state" / "spill",
            unread=lambda index: (index, 0) not in self._done,
        )
        self._all_planned = False
        self._splits: dict[int, Split] = {}
        self._order: list[int] = []  # of the splits planned so far, which is that of their indices
        shards = [event for event in engine.journal.events if isinstance(event, ShardRecord)]
        self._shards = {shard.path: shard for shard in shards if shard.splits[0] >= first}
        numbers = {s: sum(shard.subset == s and shard.splits[0] < first for shard in shards) for s in SUBSETS}
        settings = engine.recipe.output
        pack = engine.chain.pack
        self._planner = ShardPlanner(
            settings.shard_bytes or settings.shard_tokens,
            numbers,
            whole=settings.shuffle == "corpus",
            nearest=settings.shard_bytes is not None,
            row=pack.sequence_length if pack is not None and pack.remainder == "carry" else 0,
        )
        gates = len(engine.gates)
        self._arrived: list[dict[int, SegmentRecord]] = [{} for _ in range(gates)]
        self._turn = [0] * gates  # position in _order of the split that each gate takes next
        self._through = [(0, 0)] * gates  # stored bytes and documents of the splits that each gate has taken
        self._closed = [False] * gates
        self._ready: list[tuple[int, int]] = []  # heap of (split, segment)
        self._resolved: dict[tuple[int, int], pa.Array | None] = {}
        self._finished: set[int] = set()
        self._breaker = CircuitBreaker(engine.chain)
        self._sharded = 0  # position in _order of the split whose rows are planned into shards next
        self._shards_planned = False
        self._times: tuple[float, ...] = ()
        self._shard_jobs: list[ShardJob] = []
        self._unwritten: Counter[str] = Counter()  # by file of finished rows: the planned shards that still need it
        self._synced: set[str] = set()  # spilled rows of splits that are in a shard of the other subset already
        self._started = 0  # position in _order of the split that enters the first segment next
        self._running: dict[Future[Any], SegmentJob | ShardJob | None] = {}  # None: the next split is being planned
        self._deaths: dict[str, Deaths] = {}
        self._bytes_all = sum(file.size for file in files)
        self._bytes_done = 0
        self._bytes_before = 0

    def run(self) -> None:
        """Work until every split is in a shard."""
        # One thread: splits are planned one after the other, while workers are busy with those before.
        with ThreadPoolExecutor(1, thread_name_prefix="plan") as self._planning:
            while True:
                self._submit()
                if not self._running:
                    break
                # Not for ever: a signal that comes just before the wait begins is seen only when it ends.
                finished, _ = wait(self._running, timeout=_LOOK_UP, return_when=FIRST_COMPLETED)
                for future in finished:
                    self._take(self._running.pop(future), future)
        assert self._all_planned, "the plan has come to its end"
        assert self._sharded == len(self._order), "every split is in a shard, or had nothing to put there"

    def _take(self, job: SegmentJob | ShardJob | None, future: Future[Any]) -> None:
        """Take in what a future holds."""
        if job is None:
            self._add(future.result())
            return
        try:
            record = future.result()
        except WorkerDiedError as death:
            self._retry(job, death)
            return
        except CpuLimitError:  # in the calling process, outside the stages that it interrupts
            self._retry(job, WorkerDiedError(-signal.SIGXCPU))
            return
        except InputChangedError:  # the next attempt sees at once that it changed
            self._start(job)
            return
        if isinstance(record, SegmentRecord):
            record.fingerprint = self._engine.identity
        else:
            self._keep_waiting(record.splits[1])
        self._engine.journal.append(record)
        if isinstance(job, ShardJob):
            self._clean_sources(job)
        else:
            self._advance(record)
        self._engine.progress.update(record, self._standing())

    def _keep_waiting(self, last: int) -> None:
        """Sync what still waits of the splits up to *last*: they are in a shard now and are not worked on again."""
        if self._engine.recipe.output.shuffle == "corpus":
            return  # what waits there was synced when it was written
        jobs = [job for job in (*self._running.values(), *self._shard_jobs) if isinstance(job, ShardJob)]
        sources = [source for job in jobs for source in job.sources] + self._planner.waiting(last)
        fresh = [self._engine.root / source for source in sources if source not in self._synced]
        for path in fresh:
            sync(path)
        if fresh:
            sync(fresh[0].parent)
            self._synced = set(sources)

    def _add(self, split: Split | None) -> None:
        """Take in a planned split, or the end of the plan."""
        if split is None:
            self._all_planned = True
            for number in range(len(self._engine.gates)):
                self._open(number)
            self._plan_shards()
            return
        if split.index not in self._recorded:
            self._engine.journal.append(event_of(split, self._batch, self._places))
        self._splits[split.index] = split
        self._order.append(split.index)
        if (split.index, self._engine.last) in self._done:
            self._bytes_before += split.stored

    def _retry(self, job: SegmentJob | ShardJob, death: WorkerDiedError) -> None:
        """Hand out a job whose worker died once more, warned of the documents at which that happened."""
        name = job.path if isinstance(job, ShardJob) else job.trail
        deaths = self._deaths.setdefault(name, Deaths(Path(name).name))
        if isinstance(job, ShardJob):
            deaths.count += 1
            if deaths.count >= _RETRIES:
                raise RetryableError(f"{job.path} cannot be written: {death}; run the same command again")
            self._start(job)
            return
        deaths.add(death, read_trail(self._engine.root / job.trail), job.segment.step_names)
        self._engine.progress.message(f"{deaths.what(job.segment.step_names)}; the split is tried again", "warning")
        self._start(replace(job, careful=frozenset(deaths.careful), culprits=tuple(deaths.culprits)))

    def _start(self, job: SegmentJob | ShardJob) -> None:
        work: Any = write_shard if isinstance(job, ShardJob) else run_segment
        self._running[self._engine.executor.submit(work, job)] = job

    def _submit(self) -> None:
        """Hand out work: shards first, then the earliest split that can go on, then new splits as far ahead as allowed."""
        room = self._engine.workers + 1 if self._engine.workers > 1 else 1
        while True:
            self._plan_ahead()
            if sum(job is not None for job in self._running.values()) >= room:
                return
            if self._shard_jobs:
                self._start(self._shard_jobs.pop(0))
                continue
            place = self._next_place()
            if place is None:
                return
            if place in self._done:
                self._resolved.pop(place, None)
                self._advance(self._done[place])
                continue
            split, segment = place
            before = self._done.get((split, segment - 1))
            self._start(self._engine.segment_job(self._splits[split], segment, before, self._resolved.pop(place, None)))

    def _plan_ahead(self) -> None:
        """Have the next split planned, unless enough of them wait."""
        waiting = len(self._order) - self._started
        if not self._all_planned and waiting <= self._engine.workers and None not in self._running.values():
            self._running[self._planning.submit(next, self._plan, None)] = None

    def _next_place(self) -> tuple[int, int] | None:
        if self._ready:
            return heapq.heappop(self._ready)
        waiting = sum(map(len, self._arrived)) + sum(isinstance(job, SegmentJob) for job in self._running.values())
        if self._started < len(self._order) and waiting < _AHEAD * self._engine.workers:
            self._started += 1
            return self._order[self._started - 1], 0
        return None

    def _advance(self, record: SegmentRecord) -> None:
        """Take a split on from the segment that it has finished."""
        self._done[record.split, record.segment] = record
        self._breaker.check(record.segment, self._order, self._done, self._engine.journal)
        if record.segment == 0:
            self._clean(part.spool for part in self._splits[record.split].parts if part.spool)
        else:
            self._engine.gates[record.segment - 1].release(record.split)
            before = self._done[record.split, record.segment - 1].spill
            self._clean((before,) if before else ())
        if record.segment == self._engine.last:
            self._finished.add(record.split)
            self._bytes_done += self._splits[record.split].stored
            self._plan_shards()
            return
        self._arrived[record.segment][record.split] = record
        self._open(record.segment)

    def _open(self, number: int) -> None:
        """Let a gate take all splits whose turn it is."""
        gate, arrived = self._engine.gates[number], self._arrived[number]
        passed = []
        while self._turn[number] < len(self._order) and self._order[self._turn[number]] in arrived:
            split = self._order[self._turn[number]]
            record = arrived.pop(split)
            bytes_before, documents_before = self._through[number]
            if bytes_before:  # else nothing is known
                gate.expect(documents_before * (self._bytes_all - bytes_before) // bytes_before)
            passed += gate.add(record)
            self._turn[number] += 1
            self._through[number] = (bytes_before + self._splits[split].stored, documents_before + record.kept)
        if self._all_planned and self._turn[number] == len(self._order) and not self._closed[number]:
            self._closed[number] = True
            passed += gate.finish()
        for split, resolved in passed:
            if resolved is not None and len(resolved) != self._done[split, number].kept:
                name = self._engine.chain.gates[number].name
                raise StageError(f"the index of {name} resolved other rows than it was given", stage=name, split=split)
            self._resolved[split, number + 1] = resolved
            heapq.heappush(self._ready, (split, number + 1))

    def _plan_shards(self) -> None:
        """Plan shards from the splits that are finished without a gap."""
        full = []
        last = self._engine.last
        while self._sharded < len(self._order) and self._order[self._sharded] in self._finished:
            split = self._order[self._sharded]
            done = self._done[split, last]
            rows = {s: Rows(finished_rows(split, last, s), n, done.sizes.get(s, n)) for s, n in done.subsets.items()}
            full += self._planner.add(split, rows)
            self._sharded += 1
        if self._all_planned and self._sharded == len(self._order) and not self._shards_planned:
            self._shards_planned = True
            full += self._planner.finish(self._mix())
        self._unwritten.update(source for shard in full for source in shard.sources)
        for shard in full:
            if shard.path not in self._shards:
                self._shard_jobs.append(self._engine.shard_job(shard, self._times if shard.subset == MIXED else ()))
            elif self._shards[shard.path].splits != shard.splits:
                raise OutputMismatchError(
                    f"{shard.path} was written from other splits than those that are there now: use --restart, or another output"
                )
            else:
                self._clean_sources(shard)

    def _mix(self) -> dict[str, float]:
        """Settle how often the documents of each table of the mixture are taken; return how many of the tokens that makes."""
        mixture = self._engine.recipe.mixture
        by_split = [self._done[split, self._engine.last].mixture for split in self._order]
        there = [sum(tokens[number] for tokens in by_split if tokens) for number in range(len(mixture))]
        if not mixture:
            return {}
        self._times = times_taken(mixture, there)
        if not sum(there):
            return {}
        for table, tokens in zip(mixture, there, strict=True):
            if table.weight and not tokens:
                self._engine.progress.message(
                    f"mixture {table.label!r} has a weight and no documents; the others keep their proportions",
                    "warning",
                )
        return {MIXED: sum(asked_tokens(mixture, there)) / sum(there)}

    def _standing(self) -> Standing:
        """Return how far this batch is."""
        return Standing(
            splits_done=len(self._finished),
            splits_planned=len(self._order),
            all_planned=self._all_planned,
            bytes_done=self._bytes_done,
            bytes_all=self._bytes_all,
            bytes_before=self._bytes_before,
        )

    def _clean_sources(self, shard: ShardJob | PlannedShard) -> None:
        """Remove the rows that a shard was written from, but for those of which another shard takes a part, or will."""
        self._unwritten.subtract(shard.sources)
        waiting = {*self._planner.waiting()}
        self._clean(source for source in shard.sources if not self._unwritten[source] and source not in waiting)

    def _clean(self, paths: Iterable[str]) -> None:
        """Remove spilled files that nothing needs any more."""
        for path in paths:
            (self._engine.root / path).unlink(missing_ok=True)
