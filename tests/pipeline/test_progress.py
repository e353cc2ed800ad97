"""What a run tells while it works: figures, log lines, the block on a terminal. Clocks are made up."""

from __future__ import annotations

import io
import json
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from corpusmill.display import LogProgress, TerminalProgress, open_progress
from corpusmill.journal import Journal
from corpusmill.log import Log
from corpusmill.progress import Meter, NoProgress, Standing, Tally, Ticker
from corpusmill.schemas.manifest import SegmentRecord, ShardRecord, StageCounts

NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def standing(done: int, **changes: Any) -> Standing:
    """*done* of 4 MB, of which each split is one."""
    told: dict[str, Any] = {"splits_planned": 3, "all_planned": False, "bytes_all": 4_000_000, "bytes_before": 0}
    return Standing(**{"splits_done": done, "bytes_done": done * 1_000_000, **told, **changes})


def record(split: int = 0, read: int = 0, **changes: Any) -> SegmentRecord:
    return SegmentRecord(split=split, segment=0, read=read, **changes)


def counts(kind: str, kept: int, seconds: float = 1.0, **dropped: int) -> StageCounts:
    return StageCounts(
        kind=kind, documents_in=kept + sum(dropped.values()), kept=kept, dropped=dropped, seconds=seconds
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def meter(clock: Clock) -> Meter:
    return Meter(clock, lambda: 1_130_000_000)


def work(meter: Any, clock: Clock) -> None:
    """Ten seconds in which a quarter of the bytes is finished."""
    clock.now += 10
    stages = [counts("strip_html", 90, 3.0, empty=10), counts("filter_quality", 45, 1.0, short=45)]
    report = meter.add if isinstance(meter, Meter) else meter.update
    report(record(read=100, stored=2_000_000, stages=stages, peak_memory=612_000_000), standing(1))


def test_rates_and_the_rest_of_the_time(meter: Meter, clock: Clock) -> None:
    assert meter.figures() is None
    work(meter, clock)
    clock.now += 6
    figures = meter.figures()
    assert figures is not None
    assert (figures.documents_per_second, figures.megabytes_per_second) == (10.0, 0.2)
    assert figures.elapsed_seconds == 16
    assert figures.eta_seconds == pytest.approx(4)  # half is read after ten seconds, of which six are gone
    assert figures.kept_share == pytest.approx(0.45)
    assert list(figures.stage_seconds.items()) == [("strip_html", 3.0), ("filter_quality", 1.0)]
    clock.now += 100
    late = meter.figures()
    assert late is not None
    assert late.eta_seconds == 0


def test_at_the_end_the_rest_of_the_time_goes_by_what_is_finished(meter: Meter, clock: Clock) -> None:
    clock.now += 10
    meter.add(record(read=1, stored=4_000_000), standing(0))
    figures = meter.figures()
    assert figures is not None
    assert (figures.share_read, figures.share_done, figures.eta_seconds) == (1.0, 0.0, None)
    clock.now += 20
    meter.add(record(), standing(3))
    figures = meter.figures()
    assert figures is not None
    assert figures.eta_seconds == pytest.approx(10)


def test_what_earlier_runs_did_does_not_count_as_speed(meter: Meter, clock: Clock) -> None:
    clock.now += 10
    meter.add(record(read=1), standing(3, bytes_before=2_000_000))
    figures = meter.figures()
    assert figures is not None
    assert figures.eta_seconds == pytest.approx(10)
    clock.now += 30  # the batch of new files begins where the interrupted one ended
    meter.add(record(read=1), standing(4, bytes_before=2_000_000))
    clock.now += 5
    meter.add(record(read=1), standing(1, bytes_all=11_000_000))
    figures = meter.figures()
    assert figures is not None
    assert figures.eta_seconds == pytest.approx(50)


def test_the_kept_share_is_not_bent_by_what_is_on_its_way() -> None:
    tally = Tally()
    assert tally.kept_share is None
    tally.add(record(read=80, unreadable=20, stages=[counts("a", 40, short=40)]))
    tally.add(record(split=1, stages=[StageCounts(kind="near", documents_in=1, quarantined=1)]))
    assert tally.kept_share == pytest.approx(0.8 * 0.5)  # the deduplicator has judged nothing yet
    tally.add(record(stages=[counts("near", 9, copy=2)]))
    assert tally.kept_share == pytest.approx(0.8 * 0.5 * 9 / 12)
    tally.add(ShardRecord(path="", documents=9, tokens=70, rows=9, padding=0, subset="train", splits=(0, 0), sha256=""))
    assert (tally.documents_in, tally.kept, tally.tokens, tally.quarantined) == (100, 9, 70, 21)


def test_a_log_has_a_line_for_the_figures(meter: Meter, clock: Clock) -> None:
    lines: list[str] = []
    progress = LogProgress(Log(lines.append), meter)
    progress.message("read this")
    progress.message("mind this", "warning")
    clock.now += 90
    progress.tick()
    assert lines == ["read this\n", "warning: mind this\n", "nothing finished after 1m30s\n"]
    work(progress, clock)
    progress.close()
    (line,) = lines[3:]
    assert (
        "1/3+ splits, 50% of bytes read, 25% done, 1m40s, about 1m40s left; 100 documents (1/s), 0.02 MB/s, 45.0% kept"
        in line
    )
    assert (
        "CPU strip_html 75%, filter_quality 25%; memory 612 MB in the largest worker, 1.13 GB in the main process\n"
        in line
    )


def test_a_json_log_has_an_object_for_each_line(meter: Meter, clock: Clock) -> None:
    lines: list[str] = []
    log = Log(lines.append, lambda: NOON)
    log.json = True
    progress = LogProgress(log, meter)
    progress.message('two\nlines and a "quote"', "warning")
    work(progress, clock)
    progress.close()
    assert all(line.count("\n") == 1 for line in lines)
    said, figures = map(json.loads, lines)
    assert said == {"time": "2026-01-02T12:00:00.000+00:00", "level": "warning", "message": 'two\nlines and a "quote"'}
    assert figures["level"] == "info"
    expected = {
        "splits_done": 1,
        "splits_planned": 3,
        "all_planned": False,
        "documents": 100,
        "documents_per_second": 10.0,
        "megabytes_per_second": 0.2,
        "kept_share": 0.45,
        "eta_seconds": 10.0,
        "stage_seconds": {"strip_html": 3.0, "filter_quality": 1.0},
        "memory_bytes": 612_000_000,
    }
    assert {name: figures[name] for name in expected} == expected


def test_a_log_speaks_on_its_own_and_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpusmill.display._EVERY", 0.001)
    spoken = threading.Event()
    progress = LogProgress(Log(lambda line: spoken.set()))
    progress.begin(Journal(tmp_path / "journal"))
    assert spoken.wait(30)
    threads = threading.active_count()
    progress.close()
    assert threading.active_count() == threads - 1
    never = Ticker(pytest.fail, 3600)
    never.stop()


def test_the_block_on_a_terminal(meter: Meter, clock: Clock) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    progress = TerminalProgress(console, meter)
    try:
        assert "starting" in shown(progress.block())
        clock.now += 50
        assert "starting, 50s" in shown(progress.block())
        progress.message("[bold]not markup[/bold] " + "and long " * 20, "warning")
        work(progress, clock)
        lines = shown(progress.block()).splitlines()
        assert len(lines) == 4
        assert "1/3+ splits, 50% of bytes read, 25% done, 1m00s, about 1m00s left" in lines[0]
        clock.now += 1
        assert "1m01s, about 59s left" in shown(progress.block())
        assert all(len(line.rstrip()) <= 40 for line in shown(progress.block(), width=40).splitlines())
    finally:
        progress.close()
    assert "warning: " in out.getvalue()
    assert "[bold]not markup[/bold] " + "and long " * 20 in out.getvalue()  # not broken into lines
    assert out.getvalue().endswith("\x1b[?25h") or "\x1b[?25h" in out.getvalue()  # the cursor is back


def shown(block: RenderableType, width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(block)
    return out.getvalue()


def test_the_display_fits_where_stderr_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    assert isinstance(open_progress(log, quiet=True), NoProgress)
    assert isinstance(open_progress(log), LogProgress)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_progress(log), LogProgress)
    monkeypatch.setenv("TERM", "xterm")
    log.json = True
    assert isinstance(open_progress(log), LogProgress)
    log.json = False
    progress = open_progress(log)
    progress.close()
    assert isinstance(progress, TerminalProgress)
