"""What stays the same from batch to batch of a run: the gates, which remember every split, and how jobs are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

import pyarrow as pa

from corpusmill.chain import Chain
from corpusmill.corpus_gate import CorpusGate
from corpusmill.gates import Gate, open_gate
from corpusmill.journal import Journal
from corpusmill.progress import Progress
from corpusmill.scheduler import Scheduler
from corpusmill.schemas.inputs import InputFile, Split
from corpusmill.schemas.manifest import CorpusFacts, SegmentRecord
from corpusmill.schemas.recipe import Recipe
from corpusmill.shards import PlannedShard, ShardJob
from corpusmill.worker import SegmentJob

__all__ = ["Engine"]


class Engine:
    """Takes the splits of one batch of inputs to shards; what the journal already holds is not done again."""

    def __init__(
        self,
        run_id: str,
        root: Path,
        recipe: Recipe,
        identity: str,
        chain: Chain,
        journal: Journal,
        executor: Executor,
        workers: int,
        metadata: Callable[[], Mapping[str, str]],
        progress: Progress,
    ) -> None:
        self.run_id = run_id
        self.root = root
        self.recipe = recipe
        self.identity = identity
        self.chain = chain
        self.journal = journal
        self.executor = executor
        self.workers = workers
        self.metadata = metadata
        self.progress = progress
        self.last = len(chain.segments) - 1
        self.signals = pa.schema(chain.signal_fields())
        self.segments = chain.with_tokenizer(  # as workers run them
            str(root / "tokenizer.json"), distrusted=journal.engine_distrusted
        ).segments
        self.gates: list[Gate] = [
            open_gate(gate, number, root, journal, progress.message) for number, gate in enumerate(chain.gates)
        ]

    def restore(self) -> None:
        """Let the gates go on with what they saved, as far as it fits the journal."""
        places = {
            (event.segment, event.split): event for event in self.journal.events if isinstance(event, SegmentRecord)
        }
        for segment, gate in enumerate(self.gates):
            if isinstance(gate, CorpusGate):
                records = {split: record for (at, split), record in places.items() if at == segment}
                gate.restore(records, {split for at, split in places if at == segment + 1})

    def replay(self, records: Sequence[SegmentRecord]) -> None:
        """Show the gates the splits of earlier, finished batches, so that their documents count as seen."""
        by_place = {(record.segment, record.split): record for record in records}
        for segment, gate in enumerate(self.gates):
            if not isinstance(gate, CorpusGate):  # a tokenizer is trained on the batch at hand
                continue
            for split in sorted(split for at, split in by_place if at == segment):
                gate.add(by_place[segment, split])
            gate.finish()
            for split in (split for at, split in by_place if at == segment):
                gate.release(split)

    def run(
        self, batch: int, files: Sequence[InputFile], recorded: Sequence[Split], done: Sequence[SegmentRecord]
    ) -> None:
        """Work on the *files* of a batch until all of them are in shards.

        *recorded* and *done* are the splits and the work that the journal already holds of them.
        """
        Scheduler(self, batch, files, recorded, done).run()
        for gate, named in zip(self.gates, self.chain.gates, strict=True):
            if isinstance(gate, CorpusGate):
                gate.save()
            if facts := gate.facts():
                self.journal.append(CorpusFacts(stage=named.name, facts=facts))

    def segment_job(
        self, split: Split, number: int, before: SegmentRecord | None, resolved: pa.Array | None
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
            pack=self.chain.pack,
            spill=before.spill if before else None,
            resolved=resolved,
            input=self.recipe.input,
            settings=self.recipe.output,
            mixture=self.recipe.mixture,
            limits=self.recipe.limits,
            seed=self.recipe.seed,
        )

    def shard_job(self, shard: PlannedShard, times: tuple[float, ...]) -> ShardJob:
        """Return the job that writes one shard; *times* is how often it takes the documents of each table of the mixture."""
        return ShardJob(
            output=str(self.root),
            subset=shard.subset,
            path=shard.path,
            splits=shard.splits,
            sources=shard.sources,
            part=shard.part,
            begin=shard.begin,
            end=shard.end,
            pack=self.chain.pack,
            settings=self.recipe.output,
            mixture=self.recipe.mixture if times else (),
            times=times,
            metadata=self.metadata(),
            seed=self.recipe.seed,
        )
