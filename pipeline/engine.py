"""The scheduler: splits through segments and gates into shards, with as much in parallel as the order allows.

Splits run through segments on any worker. At a gate they wait for their turn; gates and the planning of shards happen here,
in the owner, in split order, so nothing in the output depends on which worker was faster. How far preparation runs ahead of
the slowest split is bounded, and with it the disk that spilled documents take.
"""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpusmill.chain import Chain
from corpusmill.gates import Gate, open_gate
from corpusmill.journal import Journal
from corpusmill.progress import Progress, Standing
from corpusmill.schemas import RetryableError, StageError
from corpusmill.schemas.inputs import Split
from corpusmill.schemas.manifest import SegmentRecord, ShardRecord
from corpusmill.schemas.recipe import Recipe
from corpusmill.shards import ShardJob, ShardPlanner, finished_rows, write_shard
from corpusmill.stages import CorpusStage
from corpusmill.worker import SegmentJob, run_segment

__all__ = ["Engine"]

_HOPELESS = 16  # documents from which a stage that failed on all of them is broken, not unlucky
_AHEAD = 4  # splits per worker that may be prepared while an earlier one is still being worked on


class Engine:
    """Takes the splits of one batch of inputs to shards; what the journal already holds is not done again."""

    def __init__(
        self,
        root: Path,
        recipe: Recipe,
        chain: Chain,
        journal: Journal,
        executor: Executor,
        workers: int,
        metadata: Callable[[], Mapping[str, str]],
        progress: Progress,
    ) -> None:
        self.root = root
        self.recipe = recipe
        self.chain = chain
        self.journal = journal
        self.executor = executor
        self.workers = workers
        self.metadata = metadata
        self.progress = progress
        self.last = len(chain.segments) - 1
        self.run_id = uuid.uuid4().hex
        self.signals = pa.schema(chain.signal_fields())
        self.segments = chain.with_tokenizer(str(root / "tokenizer.json")).segments  # as workers run them
        self.gates: list[Gate] = [open_gate(gate, root, journal) for gate in chain.gates]

    def replay(self, records: Sequence[SegmentRecord]) -> None:
        """Show the gates the splits of earlier, finished batches, so that their documents count as seen."""
        by_place = {(record.segment, record.split): record for record in records}
        for segment, (gate, named) in enumerate(zip(self.gates, self.chain.gates, strict=True)):
            if not isinstance(named.stage, CorpusStage):  # a tokenizer is trained on the batch at hand
                continue
            for split in sorted(split for at, split in by_place if at == segment):
                gate.add(by_place[segment, split])
            gate.finish()

    def run(self, splits: Sequence[Split], done: Sequence[SegmentRecord], shards: Sequence[ShardRecord]) -> None:
        """Work on *splits* until each is in a shard; *done* and *shards* are what the journal already holds of them."""
        _Batch(self, splits, done, shards).run()

    def segment_job(
        self, split: Split, number: int, before: SegmentRecord | None, verdicts: pa.StructArray | None
    ) -> SegmentJob:
        """Return the job of *split* in segment *number*."""
        return SegmentJob(
            run=self.run_id,
            output=str(self.root),
            split=split,
            number=number,
            last=number == self.last,
            segment=self.segments[number],
            signals=self.signals,
            spill=before.spill if before else None,
            verdicts=verdicts,
            input=self.recipe.input,
            settings=self.recipe.output,
            seed=self.recipe.seed,
        )

    def shard_job(self, subset: str, path: str, sources: list[tuple[int, str]]) -> ShardJob:
        """Return the job that writes one shard."""
        return ShardJob(
            output=str(self.root),
            subset=subset,
            path=path,
            splits=(sources[0][0], sources[-1][0]),
            sources=tuple(source for _, source in sources),
            pack=self.chain.pack,
            settings=self.recipe.output,
            metadata=self.metadata(),
        )


class _Batch:
    """The moving state of one batch of splits."""

    def __init__(
        self, engine: Engine, splits: Sequence[Split], done: Sequence[SegmentRecord], shards: Sequence[ShardRecord]
    ) -> None:
        self._engine = engine
        self._splits = {split.index: split for split in splits}
        self._order = sorted(self._splits)
        self._done = {(record.split, record.segment): record for record in done}
        self._shards = {shard.path: shard for shard in shards if shard.splits[0] in self._splits}
        earlier = [shard for shard in shards if shard.splits[0] not in self._splits]
        numbers = {subset: sum(s.subset == subset for s in earlier) for subset in ("train", "validation")}
        self._planner = ShardPlanner(engine.recipe.output.shard_tokens, numbers)
        gates = len(engine.gates)
        self._arrived: list[dict[int, SegmentRecord]] = [{} for _ in range(gates)]
        self._turn = [0] * gates  # position in _order of the split that each gate takes next
        self._ready: list[tuple[int, int]] = []  # heap of (split, segment)
        self._verdicts: dict[tuple[int, int], pa.StructArray | None] = {}
        self._finished: dict[int, SegmentRecord] = {}
        # By stage: documents in, documents crashed, and the first error. By segment: the place of the split judged next.
        self._tried: dict[str, tuple[int, int, str]] = {}
        self._judged = [0] * (engine.last + 1)
        self._before = sum(self._splits[r.split].stored for r in done if r.segment == engine.last)
        self._planned = 0  # position in _order of the split whose rows are planned into shards next
        self._shard_jobs: list[ShardJob] = []
        self._started = 0  # position in _order of the split that enters the first segment next
        self._running: dict[Future[Any], tuple[int, int] | ShardJob] = {}

    def run(self) -> None:
        engine = self._engine
        while True:
            self._submit()
            if not self._running:
                break
            finished, _ = wait(self._running, return_when=FIRST_COMPLETED)
            for future in finished:
                task = self._running.pop(future)
                try:
                    record = future.result()
                except BrokenProcessPool as error:
                    raise RetryableError(
                        "a worker process died (out of memory, or killed); what is finished is safe: run the same command again"
                        if self._finished or self._done
                        else "no worker process could start, or the first ones died; a script that calls run() with several "
                        'workers must do so under `if __name__ == "__main__":`'
                    ) from error
                engine.journal.append(record)
                if isinstance(task, ShardJob):
                    self._clean(task.sources)
                else:
                    self._advance(record)
                engine.progress.update(record, self._standing())
        assert self._planned == len(self._order), "every split is in a shard, or had nothing to put there"

    def _standing(self) -> Standing:
        """Return how far this batch is."""
        return Standing(
            splits_done=len(self._finished),
            splits_planned=len(self._order),
            all_planned=True,
            bytes_done=sum(self._splits[split].stored for split in self._finished),
            bytes_all=sum(split.stored for split in self._splits.values()),
            bytes_before=self._before,
        )

    def _check_hope(self, segment: int) -> None:
        """Stop a run in which a stage fails on everything, and take back what was put away for it.

        Splits are judged in their order, so the answer does not depend on which worker was faster.

        Raises:
            StageError: every one of the first documents that reached a stage crashed it.

        """
        # The stage that closes a segment counts there only what crashed it: it is judged in the next one.
        mine = {named.name for named in self._engine.chain.segments[segment].stages}
        while self._judged[segment] < len(self._order):
            record = self._done.get((self._order[self._judged[segment]], segment))
            if record is None:
                return
            self._judged[segment] += 1
            for counts in record.stages:
                tried, failed, first = self._tried.get(counts.kind, (0, 0, ""))
                tried, failed = tried + counts.documents_in, failed + counts.quarantined
                first = first or record.first_errors.get(counts.kind, "")
                self._tried[counts.kind] = tried, failed, first
                if counts.kind in mine and failed == tried >= _HOPELESS:
                    self._engine.journal.withdraw(self._splits)
                    raise StageError(
                        f"{counts.kind} failed on every one of {tried:,} documents, the first time with {first}; "
                        "repair the stage or its installation and run the same command again",
                        stage=counts.kind,
                        split=record.split,
                    )

    def _submit(self) -> None:
        """Hand out work: shards first, then the earliest split that can go on, then new splits as far ahead as allowed."""
        room = self._engine.workers + 1 if self._engine.workers > 1 else 1
        while len(self._running) < room:
            if self._shard_jobs:
                shard = self._shard_jobs.pop(0)
                self._running[self._engine.executor.submit(write_shard, shard)] = shard
                continue
            place = self._next_place()
            if place is None:
                return
            if place in self._done:
                self._advance(self._done[place])
                continue
            split, segment = place
            before = self._done.get((split, segment - 1))
            job = self._engine.segment_job(self._splits[split], segment, before, self._verdicts.pop(place, None))
            self._running[self._engine.executor.submit(run_segment, job)] = place

    def _next_place(self) -> tuple[int, int] | None:
        if self._ready:
            return heapq.heappop(self._ready)
        waiting = sum(len(arrived) for arrived in self._arrived) + sum(
            isinstance(t, tuple) for t in self._running.values()
        )
        if self._started < len(self._order) and waiting < _AHEAD * self._engine.workers:
            self._started += 1
            return self._order[self._started - 1], 0
        return None

    def _advance(self, record: SegmentRecord) -> None:
        """Take a split on from the segment that it has finished."""
        self._done[record.split, record.segment] = record
        self._check_hope(record.segment)
        if record.segment > 0:
            before = self._done[record.split, record.segment - 1].spill
            self._clean((before,) if before else ())
        if record.segment == self._engine.last:
            self._finished[record.split] = record
            self._plan()
            return
        self._arrived[record.segment][record.split] = record
        self._open(record.segment)

    def _open(self, number: int) -> None:
        """Let a gate take all splits whose turn it is."""
        gate, arrived = self._engine.gates[number], self._arrived[number]
        while self._turn[number] < len(self._order) and self._order[self._turn[number]] in arrived:
            passed = gate.add(arrived.pop(self._order[self._turn[number]]))
            self._turn[number] += 1
            if self._turn[number] == len(self._order):
                passed += gate.finish()
            for split, verdicts in passed:
                self._verdicts[split, number + 1] = verdicts
                heapq.heappush(self._ready, (split, number + 1))

    def _plan(self) -> None:
        """Plan shards from the splits that are finished without a gap."""
        while self._planned < len(self._order) and self._order[self._planned] in self._finished:
            split = self._order[self._planned]
            last = self._engine.last
            subsets = self._finished[split].subsets
            full = self._planner.add(split, {s: (n, finished_rows(split, last, s)) for s, n in subsets.items()})
            self._planned += 1
            if self._planned == len(self._order):
                full += self._planner.finish()
            for subset, path, sources in full:
                if path in self._shards:
                    self._clean(source for _, source in sources)
                else:
                    self._shard_jobs.append(self._engine.shard_job(subset, path, sources))

    def _clean(self, paths: Any) -> None:
        """Remove spilled files that nothing needs any more."""
        for path in paths:
            (self._engine.root / path).unlink(missing_ok=True)
