"""`--metrics FILE`: the state of an output and of its last run, as a text file that Prometheus reads.

The file is for the textfile collector of node_exporter (name it `….prom`), which suits jobs that end: nothing has to listen,
and the last figures stay. A push gateway was rejected, because a run must not need the network. The file appears whole or
not at all; it is written when the output is locked, every minute, and at the end, however the run ends. A run that finds the
output locked (exit 3) leaves the file to the run that holds the lock.

Every metric has the label `output`, the path of the output directory, so that several jobs on one machine do not collide.
The whole output, over all runs (begins again with `--restart`):

| metric | type | meaning |
|---|---|---|
| `corpusmill_documents_in_total` | counter | documents read, and those that could not be |
| `corpusmill_documents_kept_total` | counter | documents in shards |
| `corpusmill_documents_dropped_total{stage,reason}` | counter | documents that a stage dropped |
| `corpusmill_documents_quarantined_total` | counter | documents that could not be read or crashed a stage |
| `corpusmill_input_bytes_total` | counter | stored bytes of the inputs that were read |
| `corpusmill_tokens_total` | counter | tokens in shards |
| `corpusmill_stage_cpu_seconds_total{stage}` | counter | CPU time of a stage |
| `corpusmill_last_success_timestamp_seconds` | gauge | when a run last had taken in all that was new; 0 for never |

The last run, which may be under way:

| metric | type | meaning |
|---|---|---|
| `corpusmill_run_running` | gauge | 1 while it works, 0 after its end; stays 1 if it was killed |
| `corpusmill_run_exit_code` | gauge | how the run before ended while one works; missing before the first end |
| `corpusmill_run_start_timestamp_seconds` | gauge | when it began |
| `corpusmill_run_duration_seconds` | gauge | wall time so far |
| `corpusmill_run_documents_in`, `_kept`, `_quarantined` | gauge | as above, of this run |
| `corpusmill_run_documents_dropped{stage,reason}` | gauge | as above, of this run |
| `corpusmill_run_input_bytes`, `corpusmill_run_tokens` | gauge | as above, of this run |
| `corpusmill_run_stage_cpu_seconds{stage}` | gauge | as above, of this run |
| `corpusmill_run_peak_memory_bytes{process}` | gauge | largest resident size of a `worker`, and of the `main` process |
| `corpusmill_batch_splits_done`, `_planned` | gauge | splits of the batch of inputs at hand, with what earlier runs did of it |
| `corpusmill_batch_input_bytes`, `_done_bytes` | gauge | stored bytes of that batch, and of its finished splits |
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from corpusmill.journal import Journal
from corpusmill.log import Level
from corpusmill.progress import NoProgress, Standing, Tally, Ticker
from corpusmill.schemas import CorpusmillError, LockedError, RecipeError
from corpusmill.schemas.manifest import RunFinished, SegmentRecord, ShardRecord
from corpusmill.worker import peak_memory

__all__ = ["MetricsFile"]

_Values = Mapping[tuple[str, ...], float]
_EVERY = 60.0  # seconds between two writes
_SUCCESS = "corpusmill_last_success_timestamp_seconds"
_EXIT_CODE = "corpusmill_run_exit_code"


class MetricsFile(NoProgress, Collector):
    """Listens to a run and keeps the file up to date.

    Raises:
        RecipeError: the file cannot be written where it is asked for.

    """

    def __init__(
        self,
        path: Path,
        output: Path,
        warn: Callable[[str, Level], None],
        *,
        clock: Callable[[], float] = time.time,
        main_memory: Callable[[], int] = peak_memory,
    ) -> None:
        self._path = path.absolute()
        self._root = output.resolve()
        self._warn = warn
        self._clock = clock
        self._main_memory = main_memory
        _check_writable(self._path, self._root)
        self._lock = threading.Lock()
        self._journal: Journal | None = None
        self._ticker: Ticker | None = None
        self._whole, self._run = Tally(), Tally()
        self._standing: Standing | None = None
        self._started = clock()
        self._running = True
        self._warned = False
        earlier = _earlier(self._path, str(self._root))
        self._exit_code = earlier.get(_EXIT_CODE)
        self._success = earlier.get(_SUCCESS, 0.0)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def begin(self, journal: Journal) -> None:
        """Write the file for the first time, and every minute from now on."""
        with self._lock:
            self._journal = journal
            self._take(journal)
        self.write()
        self._ticker = Ticker(self.write, _EVERY)

    def update(self, record: SegmentRecord | ShardRecord, standing: Standing) -> None:
        """Add finished work."""
        with self._lock:
            self._whole.add(record)
            self._run.add(record)
            self._standing = standing

    def finish(self, error: BaseException | None, exit_code: int) -> None:
        """Write the file for the last time: the run ended with *exit_code*, by *error* if it raised one."""
        if self._ticker is not None:
            self._ticker.stop()
            self._ticker = None
        if isinstance(error, LockedError):
            return
        with self._lock:
            self._take(self._journal or _journal(self._root))
            self._exit_code, self._running = float(exit_code), False
            if exit_code == 0:
                self._success = self._clock()
        self.write()

    def write(self) -> None:
        """Write the file; where that fails, the run goes on with a warning."""
        try:
            with self._lock:
                write_to_textfile(str(self._path), self._registry)
        except OSError as error:
            if not self._warned:
                self._warn(f"metrics cannot be written to {self._path}: {error.strerror}; the run goes on", "warning")
            self._warned = True
        else:
            self._warned = False

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics of now, for the registry."""
        label = str(self._root)

        def gauge(name: str, text: str, value: float) -> Metric:
            return _family(GaugeMetricFamily, f"corpusmill_{name}", text, {(label,): value})

        yield from _account("corpusmill", "of the whole output", CounterMetricFamily, self._whole, label)
        yield _family(
            GaugeMetricFamily, _SUCCESS, "When a run last had taken in all that was new.", {(label,): self._success}
        )
        yield gauge("run_running", "Whether a run works on the output.", self._running)
        if self._exit_code is not None:
            yield gauge("run_exit_code", "How the last run ended that has ended.", self._exit_code)
        yield gauge("run_start_timestamp_seconds", "When the last run began.", self._started)
        yield gauge("run_duration_seconds", "Wall time of the last run.", max(self._clock() - self._started, 0.0))
        yield from _account("corpusmill_run", "of the last run", GaugeMetricFamily, self._run, label)
        memory: _Values = {(label, "worker"): self._run.peak_memory, (label, "main"): self._main_memory()}
        text = "Largest resident size of a worker, and of the main process."
        yield _family(GaugeMetricFamily, "corpusmill_run_peak_memory_bytes", text, memory, ("process",))
        standing = self._standing
        if standing is not None:
            yield gauge("batch_splits_done", "Finished splits of the batch at hand.", standing.splits_done)
            yield gauge("batch_splits_planned", "Splits of the batch at hand.", standing.splits_planned)
            yield gauge("batch_input_bytes", "Stored bytes of the batch at hand.", standing.bytes_all)
            yield gauge("batch_done_bytes", "Stored bytes of its finished splits.", standing.bytes_done)

    def _take(self, journal: Journal | None) -> None:
        """Add up the whole output from what its journal holds."""
        self._whole = Tally()
        for event in journal.events if journal is not None else ():
            if isinstance(event, RunFinished):
                self._success = max(self._success, datetime.fromisoformat(event.finished).timestamp())
            self._whole.add(event)


def _account(
    prefix: str, whose: str, family: type[CounterMetricFamily | GaugeMetricFamily], tally: Tally, output: str
) -> Iterator[Metric]:
    """Yield what *tally* counted, as counters or as gauges."""
    reasons: _Values = {
        (output, s.kind, reason): n for s in tally.stages.values() for reason, n in sorted(s.dropped.items())
    }
    seconds: _Values = {(output, stage.kind): stage.seconds for stage in tally.stages.values()}
    singles = {
        "documents_in": ("Documents read, and those that could not be", tally.documents_in),
        "documents_kept": ("Documents in shards", tally.kept),
        "documents_quarantined": ("Documents that were unreadable or crashed a stage", tally.quarantined),
        "input_bytes": ("Stored bytes of the inputs that were read", tally.stored),
        "tokens": ("Tokens in shards", tally.tokens),
    }
    for name, (text, value) in singles.items():
        yield _family(family, f"{prefix}_{name}", f"{text}, {whose}.", {(output,): value})
    text = f"Documents that a stage dropped, {whose}."
    yield _family(family, f"{prefix}_documents_dropped", text, reasons, ("stage", "reason"))
    yield _family(family, f"{prefix}_stage_cpu_seconds", f"CPU time of a stage, {whose}.", seconds, ("stage",))


def _family(
    family: type[CounterMetricFamily | GaugeMetricFamily],
    name: str,
    text: str,
    values: _Values,
    labels: tuple[str, ...] = (),
) -> Metric:
    metric = family(name, text, labels=("output", *labels))
    for key, value in values.items():
        metric.add_metric(key, value)
    return metric


def _check_writable(path: Path, root: Path) -> None:
    """Refuse a file that cannot be written, before hours of work."""
    if path.is_relative_to(root) or path.resolve().is_relative_to(root):
        raise RecipeError(
            f"the metrics file {path} lies in the output, which holds only what runs write; name another place"
        )
    if path.is_dir():
        raise RecipeError(
            f"the metrics file {path} is a directory; name a file in it, for example {path / 'corpusmill.prom'}"
        )
    probe = path.with_name(f"{path.name}.probe")
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise RecipeError(
            f"the metrics file {path} cannot be written: {error.strerror}; make its directory, or name another place"
        ) from None


def _earlier(path: Path, output: str) -> dict[str, float]:
    """Return what an earlier run left in the file about the same output; a file that cannot be read says nothing."""
    try:
        families = list(text_string_to_metric_families(path.read_text("utf-8")))
    except (OSError, ValueError):
        return {}
    return {s.name: s.value for family in families for s in family.samples if s.labels.get("output") == output}


def _journal(root: Path) -> Journal | None:
    """Return the journal of an output with which the run did not come as far as to begin."""
    try:
        return Journal(root / "state" / "journal.jsonl")
    except (OSError, CorpusmillError):
        return None
