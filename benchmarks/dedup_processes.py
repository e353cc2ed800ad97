"""Run systems as whole processes, one at a time on one core, in turns, and make tables of the medians.

In turns (A B C, A B C, …), because a machine drifts: ratios are taken within a round, and the median of the ratios is shown.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

_HERE = Path(__file__).parent
_WARM_UP = 50  # documents
_ASCII = bytes(range(128))
# Everything on one thread, and nothing that could ask a server for anything.
_SURROUNDINGS = {
    **dict.fromkeys(
        ["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"], "1"
    ),
    **dict.fromkeys(["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "NO_COLOR"], "1"),
}


@dataclass(frozen=True)
class System:
    """One row of a table: what is run, and in which environment ("" is the one that this script runs in)."""

    label: str
    environment: str
    module: str
    variant: str
    kind: str = "sketch"

    def python(self, environments: Path) -> Path:
        """Return the interpreter of the environment."""
        return environments / self.environment / "bin" / "python" if self.environment else Path(sys.executable)


@dataclass(frozen=True)
class Run:
    """What one process took. Seconds, megabytes."""

    cpu: float
    process: float
    process_cpu: float
    peak: float
    versions: dict[str, str]


class FailedError(Exception):
    """A system did not come to its end."""


def one_run(
    system: System, environments: Path, texts: Path, warm_up: Path, core: int | None, mask: Path | None = None
) -> Run:
    """Run *system* in a new process, on *core* if there is one, and return what it took.

    Raises:
        FailedError: there is no such environment, or the process ended with an error.

    """
    python = system.python(environments)
    if not python.exists():
        raise FailedError(f"no environment {system.environment}")
    command = [str(python), str(_HERE / "dedup_measure.py"), system.module, system.kind, system.variant]
    command += [str(texts), str(warm_up), *([str(mask)] if mask else [])]
    with tempfile.TemporaryDirectory(prefix="dedup-") as home, Path(home, "out").open("w+") as out:
        surroundings = {**os.environ, **_SURROUNDINGS, "HF_HOME": home}
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=surroundings, cwd=home)
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        elapsed = time.perf_counter() - began
        out.seek(0)
        lines = [line for line in out.read().split("\n") if line.strip()]
    if process.returncode:
        raise FailedError(lines[-1] if lines else f"exit code {process.returncode}")
    report: dict[str, Any] = json.loads(lines[-1])
    total = used.ru_utime + used.ru_stime
    return Run(report["cpu"], elapsed, total, used.ru_maxrss / 1024, report["versions"])


def in_turns(
    systems: Sequence[System], environments: Path, texts: Path, rounds: int, core: int
) -> dict[System, list[Run] | str]:
    """Return the runs of every system, or why it has none."""
    results: dict[System, list[Run] | str] = {}
    done: dict[System, list[Run]] = {system: [] for system in systems}
    with tempfile.TemporaryDirectory(prefix="dedup-") as folder:
        warm_up = Path(folder, "warm-up.parquet")
        pq.write_table(pq.read_table(texts).slice(0, _WARM_UP), warm_up)
        for number in range(rounds):
            for system in systems:
                if system in results:
                    continue
                try:
                    run = one_run(system, environments, texts, warm_up, core)
                except FailedError as error:
                    results[system] = str(error)
                    say(f"{system.label}: {error}")
                    continue
                done[system].append(run)
                say(f"round {number + 1}: {system.label}: {run.cpu:.3f} s of work, {run.process:.1f} s in all")
    return {system: results.get(system, runs) for system, runs in done.items()}


def table(results: dict[System, list[Run] | str], documents: int, megabytes: float) -> str:
    """Return the medians as Markdown; ratios are to the first system that ran."""
    reference = next((runs for runs in results.values() if isinstance(runs, list)), [])
    lines = [
        "| | MB/s | documents/s | CPU seconds, median (min–max) | × | whole process, s | × | peak, MB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for system, runs in results.items():
        if isinstance(runs, str):
            lines.append(f"| {system.label} | not measured: {runs.replace('|', '/')} | | | | | | |")
            continue
        spent = [run.cpu for run in runs]
        cpu, process = statistics.median(spent), statistics.median(run.process for run in runs)
        slower = statistics.median(theirs.cpu / ours.cpu for ours, theirs in zip(reference, runs, strict=True))
        longer = statistics.median(theirs.process / ours.process for ours, theirs in zip(reference, runs, strict=True))
        lines.append(
            f"| {system.label} | {_figure(megabytes / cpu)} | {documents / cpu:,.0f} "
            f"| {_figure(cpu)} ({_figure(min(spent))}–{_figure(max(spent))}) | {_figure(slower)} "
            f"| {process:.1f} | {_figure(longer)} | {max(run.peak for run in runs):,.0f} |"
        )
    return "\n".join(lines)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def environments_of(results: dict[System, list[Run] | str]) -> str:
    """Return the versions in every environment, as Markdown."""
    packages = (
        "corpusmill",
        "numba",
        "datasketch",
        "rensa",
        "text-dedup",
        "datatrove",
        "spacy",
        "xxhash",
        "numpy",
        "pyarrow",
    )
    seen: dict[str, str] = {}
    for system, runs in results.items():
        if isinstance(runs, list) and runs:
            versions = runs[0].versions
            seen[system.environment or "ours"] = ", ".join(f"{n} {versions[n]}" for n in packages if n in versions)
    return "\n".join(f"- {name}: {versions}" for name, versions in seen.items())


def machine() -> str:
    """Return the processor and the interpreter in one line."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.processor()
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def describe(texts: Path) -> tuple[str, int, float]:
    """Return what the texts are in one line, how many there are, and their megabytes."""
    strings = [text.encode() for text in pq.read_table(texts, columns=["text"]).column("text").to_pylist()]
    sizes = sum(map(len, strings))
    other = sum(len(text.translate(None, _ASCII)) for text in strings)
    line = f"{len(strings):,} documents, {sizes / 1e6:.1f} MB of text, {other / sizes:.1%} of the bytes not ASCII"
    return line, len(strings), sizes / 1e6


def say(line: str) -> None:
    """Show progress."""
    print(line, file=sys.stderr, flush=True)
