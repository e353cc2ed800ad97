"""What a run tells while it works: the protocol between the engine and whoever listens, and the figures made of it.

How figures are shown is in `display`, how they are exported in `metrics`; the engine knows neither.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from corpusmill.journal import Event, Journal
from corpusmill.log import Level
from corpusmill.schemas.manifest import SegmentRecord, ShardRecord, StageCounts
from corpusmill.worker import peak_memory

__all__ = ["Figures", "Meter", "NoProgress", "Progress", "Several", "Standing", "Tally", "Ticker"]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How far the batch of inputs at hand is; a split is done when it has passed all stages.

    Large files are cut while the run goes on, so the number of splits is final only once all of them are planned. Bytes are
    stored bytes, whose sum is known from the beginning; what earlier runs did counts as done.
    """

    splits_done: int
    splits_planned: int
    all_planned: bool
    bytes_done: int
    bytes_all: int
    bytes_before: int
    """Stored bytes that were done already when this process took the batch up."""


class Progress(Protocol):
    """Told of every finished piece of work; `message` is for what the user should read."""

    def begin(self, journal: Journal) -> None:
        """Take note that the output is locked for this run, and of what it holds already."""

    def message(self, text: str, level: Level = "info") -> None:
        """Say something once."""

    def update(self, record: SegmentRecord | ShardRecord, standing: Standing) -> None:
        """Take note of finished work, and of how far the batch is."""

    def close(self) -> None:
        """End the display; the terminal is as it was before."""


class NoProgress:
    """Says nothing: for use as a library. Others override what they care about."""

    def begin(self, journal: Journal) -> None:
        """Do nothing."""

    def message(self, text: str, level: Level = "info") -> None:
        """Say nothing."""

    def update(self, record: SegmentRecord | ShardRecord, standing: Standing) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Do nothing."""


class Several:
    """Passes everything on to each of several listeners."""

    def __init__(self, *listeners: Progress) -> None:
        self._listeners = listeners

    def begin(self, journal: Journal) -> None:
        """Pass it on."""
        for listener in self._listeners:
            listener.begin(journal)

    def message(self, text: str, level: Level = "info") -> None:
        """Pass it on."""
        for listener in self._listeners:
            listener.message(text, level)

    def update(self, record: SegmentRecord | ShardRecord, standing: Standing) -> None:
        """Pass it on."""
        for listener in self._listeners:
            listener.update(record, standing)

    def close(self) -> None:
        """Pass it on."""
        for listener in self._listeners:
            listener.close()


class Tally:
    """Records of a journal, added up one by one."""

    def __init__(self) -> None:
        self.documents_in = self.unreadable = self.kept = self.quarantined = 0
        self.stored = self.tokens = self.peak_memory = 0
        self.stages: dict[str, StageCounts] = {}

    def add(self, event: Event) -> None:
        """Add what *event* says was done."""
        if isinstance(event, ShardRecord):
            self.kept += event.documents
            self.tokens += event.tokens
        elif isinstance(event, SegmentRecord):
            self.documents_in += event.read + event.unreadable
            self.unreadable += event.unreadable
            self.quarantined += event.unreadable + sum(stage.quarantined for stage in event.stages)
            self.stored += event.stored
            self.peak_memory = max(self.peak_memory, event.peak_memory)
            for stage in event.stages:
                self.stages.setdefault(stage.kind, StageCounts(kind=stage.kind)).add(stage)

    @property
    def kept_share(self) -> float | None:
        """The share of documents that pass all stages, or None before one is read.

        It is the product of what each stage lets through: documents that are still on their way to a later stage, and those
        that an earlier process took through the first stages, do not bend it.
        """
        if not self.documents_in:
            return None
        share = 1 - self.unreadable / self.documents_in
        for stage in self.stages.values():
            judged = stage.kept + sum(stage.dropped.values())
            if judged:  # what crashed a deduplicator is counted before anything is judged there
                share *= stage.kept / (judged + stage.quarantined)
        return share


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """How fast a run is and how far; rates are means over the time of this process up to its last finished piece of work.

    Documents are those read by this process. A megabyte is 1,000,000 stored bytes, and shares are of stored bytes. The rest
    of the time is None where it cannot be estimated yet.
    """

    splits_done: int
    splits_planned: int
    all_planned: bool
    share_read: float
    share_done: float
    documents: int
    documents_per_second: float
    megabytes_per_second: float
    kept_share: float | None
    tokens: int
    elapsed_seconds: float
    eta_seconds: float | None
    stage_seconds: dict[str, float]
    """CPU seconds by stage, the most expensive first."""
    memory_bytes: int
    """The largest resident size that a worker has had."""
    main_memory_bytes: int
    """The same of this process."""


class Meter:
    """Adds up finished work and turns it into figures; both may be asked for from different threads."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, main_memory: Callable[[], int] = peak_memory
    ) -> None:
        self._clock = clock
        self._main_memory = main_memory
        self._lock = threading.Lock()
        self._tally = Tally()
        self._standing: Standing | None = None
        self._read = 0  # stored bytes of the batch at hand that this process has read
        self._started = self._batch_started = self._updated = clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._started

    def add(self, record: SegmentRecord | ShardRecord, standing: Standing) -> None:
        """Take note of a finished piece of work."""
        with self._lock:
            before = self._standing
            if before is not None and (before.bytes_all, before.bytes_before) != (
                standing.bytes_all,
                standing.bytes_before,
            ):
                self._batch_started, self._read = self._updated, 0  # an interrupted batch is done, the next one begins
            self._tally.add(record)
            self._read += record.stored if isinstance(record, SegmentRecord) else 0
            self._standing = standing
            self._updated = self._clock()

    def figures(self) -> Figures | None:
        """Return the figures of now, or None as long as nothing is finished."""
        with self._lock:
            standing, tally = self._standing, self._tally
            if standing is None:
                return None
            worked = max(self._updated - self._started, 1e-9)
            stages = sorted(tally.stages.values(), key=lambda stage: (-stage.seconds, stage.kind))
            return Figures(
                splits_done=standing.splits_done,
                splits_planned=standing.splits_planned,
                all_planned=standing.all_planned,
                share_read=self._share(standing.bytes_before + self._read),
                share_done=self._share(standing.bytes_done),
                documents=tally.documents_in,
                documents_per_second=tally.documents_in / worked,
                megabytes_per_second=tally.stored / worked / 1e6,
                kept_share=tally.kept_share,
                tokens=tally.tokens,
                elapsed_seconds=self.elapsed,
                eta_seconds=self._eta(standing),
                stage_seconds={stage.kind: stage.seconds for stage in stages if stage.seconds},
                memory_bytes=tally.peak_memory,
                main_memory_bytes=self._main_memory(),
            )

    def _share(self, stored: int) -> float:
        assert self._standing is not None
        return min(max(stored, self._standing.bytes_done) / max(self._standing.bytes_all, 1), 1.0)

    def _eta(self, standing: Standing) -> float | None:
        """Return the seconds that are left, estimated from the bytes that were read, and at the end from those finished.

        While a tokenizer's sample is collected nothing is finished; reading and the stages before are most of the work.
        """
        whole, finished = standing.bytes_all - standing.bytes_before, standing.bytes_done - standing.bytes_before
        fresh = max(self._read, finished) if self._read < whole else finished
        if fresh <= 0:
            return None if whole else 0.0
        estimate = (self._updated - self._batch_started) / fresh * (whole - fresh)
        return max(estimate - (self._clock() - self._updated), 0.0)


class Ticker:
    """Calls a function again and again in a thread of its own, until it is stopped."""

    def __init__(self, function: Callable[[], Any], seconds: float) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(function, seconds), daemon=True)
        self._thread.start()

    def _run(self, function: Callable[[], Any], seconds: float) -> None:
        while not self._stopped.wait(seconds):
            function()

    def stop(self) -> None:
        """Stop; a call that is under way is waited for."""
        self._stopped.set()
        self._thread.join()
