"""How the figures of a run are shown: a block that stays in place on a terminal, a line a minute elsewhere, all on stderr.

A bar of splits alone was rejected: while large files are still being cut nobody knows how many there will be, so share and
time left go by stored bytes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from corpusmill.journal import Journal
from corpusmill.log import Level, Log
from corpusmill.progress import Figures, Meter, NoProgress, Progress, Standing, Ticker
from corpusmill.readable import duration, rate, size
from corpusmill.schemas.manifest import SegmentRecord, ShardRecord

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["LogProgress", "TerminalProgress", "open_progress", "open_work"]

_EVERY = 60.0  # seconds between two lines of a log
_STAGES = 5  # the most expensive stages, whose share of the CPU time is shown


def open_progress(log: Log, *, quiet: bool = False) -> Progress:
    """Return the display that fits where stderr goes."""
    if quiet:
        return NoProgress()
    return TerminalProgress() if _on_terminal(log) else LogProgress(log)


def _on_terminal(log: Log) -> bool:
    return not log.json and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class LogProgress:
    """A line a minute, one at the end, and one for each message."""

    def __init__(self, log: Log, meter: Meter | None = None) -> None:
        self._log = log
        self._meter = meter or Meter()
        self._ticker: Ticker | None = None

    def begin(self, journal: Journal) -> None:  # noqa: ARG002  part of the protocol
        """Write a line every minute from now on, also while nothing is finished."""
        self._ticker = Ticker(self.tick, _EVERY)

    def message(self, text: str, level: Level = "info") -> None:
        """Write *text* as a line."""
        self._log.say(text, level)

    def update(self, record: SegmentRecord | ShardRecord, standing: Standing) -> None:
        """Take note of finished work."""
        self._meter.add(record, standing)

    def tick(self) -> None:
        """Write the figures of now as a line."""
        figures = self._meter.figures()
        if figures is None:
            self._log.say(f"nothing finished after {duration(self._meter.elapsed)}")
        else:
            self._log.say("; ".join(_lines(figures)), **_fields(figures))

    def close(self) -> None:
        """Write how far it came."""
        if self._ticker is not None:
            self._ticker.stop()
            self._ticker = None
        if self._meter.figures() is not None:
            self.tick()


class TerminalProgress:
    """A block of a few lines that is written again twice a second; messages go above it."""

    def __init__(self, console: Console | None = None, meter: Meter | None = None) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner

        self._meter = meter or Meter()
        self._spinner = Spinner("dots")
        self._live = Live(
            console=console or Console(stderr=True),
            get_renderable=self.block,
            refresh_per_second=2,
            transient=True,
            redirect_stdout=False,  # stdout is for data
        )
        self._live.start()

    def begin(self, journal: Journal) -> None:
        """Do nothing: the block is there already."""

    def message(self, text: str, level: Level = "info") -> None:
        """Print *text* above the block."""
        from rich.text import Text

        style = {"info": "", "warning": "yellow", "error": "red"}[level]
        line = Text(text) if level == "info" else Text.assemble((f"{level}: ", style), text)
        self._live.console.print(line, soft_wrap=True)

    def update(self, record: SegmentRecord | ShardRecord, standing: Standing) -> None:
        """Take note of finished work; the block shows it when it is next written."""
        self._meter.add(record, standing)

    def block(self) -> RenderableType:
        """Return the block as it is now."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        figures = self._meter.figures()
        head = Table.grid(padding=(0, 1))
        if figures is None:
            head.add_row(self._spinner, f"starting, {duration(self._meter.elapsed)}")
            return head
        where, *rest = _lines(figures)
        head.add_row(
            self._spinner,
            ProgressBar(completed=(figures.share_read + figures.share_done) / 2, total=1.0, width=16),
            where,
        )
        return Group(head, *(Text(f"  {line}", no_wrap=True, overflow="ellipsis") for line in rest))

    def close(self) -> None:
        """Remove the block."""
        self._live.stop()


@contextmanager
def open_work(log: Log, what: str, total: int, *, quiet: bool = False) -> Iterator[Callable[[int], object]]:
    """Show a piece of work of *total* bytes that is no run: yield what is told how many more are done."""
    if quiet:
        yield lambda _: None
    elif _on_terminal(log):
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn(what), BarColumn(), TextColumn("{task.percentage:.0f}%"), TimeRemainingColumn())
        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda size: bar.advance(task, size)
    else:
        done, began = [0], time.monotonic()

        def tick() -> None:
            passed = duration(time.monotonic() - began)
            log.say(f"{what}: {done[0] / max(total, 1):.0%} of {size(total)} after {passed}")

        def more(size: int) -> None:
            done[0] += size

        ticker = Ticker(tick, _EVERY)
        try:
            yield more
        finally:
            ticker.stop()


def _lines(figures: Figures) -> list[str]:
    """Return the figures as short lines: how far, how fast, where the time goes, and memory."""
    planned = f"{figures.splits_planned:,}{'' if figures.all_planned else '+'}"
    left = f", about {duration(figures.eta_seconds)} left" if figures.eta_seconds else ""
    kept = "" if figures.kept_share is None else f", {figures.kept_share:.1%} kept"
    lines = [
        f"{figures.splits_done:,}/{planned} splits, {figures.share_read:.0%} of bytes read, {figures.share_done:.0%} done, "
        f"{duration(figures.elapsed_seconds)}{left}",
        f"{figures.documents:,} documents ({rate(figures.documents_per_second)}/s), "
        f"{rate(figures.megabytes_per_second)} MB/s{kept}, {figures.tokens:,} tokens in shards",
    ]
    total = sum(figures.stage_seconds.values())
    if total:
        shares = [(kind, seconds / total) for kind, seconds in figures.stage_seconds.items()]
        shown = [f"{kind} {share:.0%}" for kind, share in shares[:_STAGES]]
        shown += [f"others {sum(share for _, share in shares[_STAGES:]):.0%}"] if len(shares) > _STAGES else []
        lines.append(f"CPU {', '.join(shown)}")
    lines.append(
        f"memory {size(figures.memory_bytes)} in the largest worker, {size(figures.main_memory_bytes)} in the main process"
    )
    return lines


def _fields(figures: Figures) -> dict[str, Any]:
    """Return the figures as fields of a log line, rounded to what they are worth."""
    fields = msgspec.structs.asdict(figures)
    digits = {"share_read": 4, "share_done": 4, "kept_share": 4, "documents_per_second": 1, "megabytes_per_second": 3}
    digits |= {"elapsed_seconds": 1, "eta_seconds": 1}
    for name, number in digits.items():
        fields[name] = fields[name] if fields[name] is None else round(fields[name], number)
    fields["stage_seconds"] = {kind: round(seconds, 3) for kind, seconds in figures.stage_seconds.items()}
    return fields
