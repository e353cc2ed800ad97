"""What a run tells while it works: a bar on a terminal, a line now and then elsewhere. All of it goes to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from corpusmill.schemas.manifest import SegmentRecord, ShardRecord

__all__ = ["LineProgress", "NoProgress", "Progress", "Standing", "TerminalProgress", "open_progress"]

_EVERY = 60.0  # seconds between two lines of a log


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

    def message(self, text: str) -> None:
        """Say something once."""

    def update(self, record: SegmentRecord | ShardRecord, standing: Standing) -> None:
        """Take note of finished work, and of how far the batch is."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class NoProgress:
    """Says nothing: for use as a library."""

    def message(self, text: str) -> None:
        """Say nothing."""

    def update(self, record: SegmentRecord | ShardRecord, standing: Standing) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Do nothing."""


class _Tally:
    """What has been seen so far, as one line."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.read = self.dropped = self.tokens = 0

    def line(self, record: SegmentRecord | ShardRecord, standing: Standing) -> str:
        if isinstance(record, SegmentRecord):
            self.read += record.read
            self.dropped += sum(sum(stage.dropped.values()) for stage in record.stages)
        else:
            self.tokens += record.tokens
        seconds = max(time.monotonic() - self._started, 1e-9)
        fresh = standing.bytes_done - standing.bytes_before
        rest = standing.bytes_all - standing.bytes_done
        left = f", {_clock(seconds / fresh * rest)} left" if fresh > 0 and rest > 0 else ""
        return (
            f"{standing.splits_done:,}/{standing.splits_planned:,} splits, {self.read:,} documents read ({self.read / seconds:,.0f}/s), "
            f"{self.dropped:,} dropped, {self.tokens:,} tokens in shards{left}"
        )


class LineProgress:
    """A line a minute, and one for each message."""

    def __init__(self, write: Callable[[str], Any] = sys.stderr.write) -> None:
        self._write = write
        self._tally = _Tally()
        self._said = time.monotonic()

    def message(self, text: str) -> None:
        """Write *text* as a line."""
        self._write(f"{text}\n")

    def update(self, record: SegmentRecord | ShardRecord, standing: Standing) -> None:
        """Write a line if the last one is a minute old."""
        line = self._tally.line(record, standing)
        if time.monotonic() - self._said >= _EVERY:
            self._said = time.monotonic()
            self._write(f"{line}\n")

    def close(self) -> None:
        """Do nothing."""


class TerminalProgress:
    """One line that is rewritten in place."""

    def __init__(self) -> None:
        from rich.console import Console

        self._tally = _Tally()
        self._status = Console(stderr=True).status("starting")
        self._status.start()

    def message(self, text: str) -> None:
        """Print *text* above the line."""
        from rich.markup import escape

        self._status.console.print(escape(text), highlight=False)

    def update(self, record: SegmentRecord | ShardRecord, standing: Standing) -> None:
        """Rewrite the line."""
        self._status.update(self._tally.line(record, standing))

    def close(self) -> None:
        """Remove the line."""
        self._status.stop()


def open_progress() -> Progress:
    """Return the progress display that fits where stderr goes."""
    return TerminalProgress() if sys.stderr.isatty() else LineProgress()


def _clock(seconds: float) -> str:
    """Return a duration as people say it.

    >>> _clock(45), _clock(3725)
    ('45s', '1h02m')
    """
    minutes = int(seconds) // 60
    return (
        f"{int(seconds)}s" if minutes < 1 else f"{minutes}m" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"
    )
