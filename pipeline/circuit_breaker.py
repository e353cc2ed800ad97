"""Whether a stage fails on everything, which is a broken install or a bug and must not empty the corpus into quarantine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from corpusmill.chain import Chain
from corpusmill.journal import Journal
from corpusmill.schemas import StageError
from corpusmill.schemas.manifest import SegmentRecord, ShardRecord

__all__ = ["CircuitBreaker"]

_HOPELESS = 16  # documents from which a stage that failed on all of them is broken, not unlucky


class CircuitBreaker:
    """Judges the splits of a batch in their order, so the answer does not depend on which worker was faster."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        # By segment and stage (a corpus stage sees documents in two segments): documents in, documents crashed, and the
        # first error. By segment: the place of the split judged next.
        self._tried: dict[tuple[int, str], tuple[int, int, str]] = {}
        self._judged = [0] * len(chain.segments)

    def check(
        self, segment: int, order: Sequence[int], done: Mapping[tuple[int, int], SegmentRecord], journal: Journal
    ) -> None:
        """Stop a run in which a stage fails on everything, and take back what was put away for it.

        Raises:
            StageError: every one of the first documents that reached a stage crashed it.

        """
        # The stage that closes a segment counts there only what crashed it; what it let pass is what the segment kept.
        here = self._chain.segments[segment]
        mine = set(here.step_names)
        while self._judged[segment] < len(order):
            record = done.get((order[self._judged[segment]], segment))
            if record is None:
                return
            self._judged[segment] += 1
            for counts in record.stages:
                if counts.kind not in mine:
                    continue
                passed = record.kept if here.closing is not None and counts.kind == here.closing.name else 0
                tried, failed, first = self._tried.get((segment, counts.kind), (0, 0, ""))
                tried, failed = tried + counts.documents_in + passed, failed + counts.quarantined
                first = first or record.first_errors.get(counts.kind, "")
                self._tried[segment, counts.kind] = tried, failed, first
                if failed == tried >= _HOPELESS:
                    journal.withdraw(_broken(counts.kind, journal))
                    raise StageError(
                        f"{counts.kind} failed on every one of {tried:,} documents, the first time with {first}; "
                        "repair the stage or its installation and run the same command again",
                        stage=counts.kind,
                        split=record.split,
                    )


def _broken(stage: str, journal: Journal) -> set[int]:
    """Return the splits in which the stage failed on every document; what is in a shard already stays."""
    shards = [event.splits for event in journal.events if isinstance(event, ShardRecord)]
    return {
        record.split
        for record in journal.events
        if isinstance(record, SegmentRecord)
        and any(c.kind == stage and c.documents_in == c.quarantined > 0 for c in record.stages)
        and not any(first <= record.split <= last for first, last in shards)
    }
