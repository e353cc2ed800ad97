"""Run systems as whole processes, one at a time on one core, in turns, and make tables of the medians.

In turns (A B C, A B C, …), because a machine drifts: ratios are taken within a round, and the median of the ratios is shown.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from processes import FailedError, interpreter, run_child, say

_HERE = Path(__file__).parent
_WARM_UP = 50  # documents
_ASCII = bytes(range(128))


@dataclass(frozen=True)
class System:
    """One row of a table: what is run, and in which environment ("" is the one that this script runs in)."""

    label: str
    environment: str
    module: str
    variant: str
    kind: str = "sketch"


@dataclass(frozen=True)
class Run:
    """What one process took. Seconds, megabytes."""

    cpu: float
    process: float
    process_cpu: float
    peak: float
    versions: dict[str, str]


def one_run(
    system: System, environments: Path, texts: Path, warm_up: Path, core: int | None, mask: Path | None = None
) -> Run:
    """Run *system* in a new process, on *core* if there is one, and return what it took.

    Raises:
        FailedError: there is no such environment, or the process ended with an error.

    """
    python = interpreter(environments, system.environment)
    command = [str(python), str(_HERE / "dedup_measure.py"), system.module, system.kind, system.variant]
    command += [str(texts), str(warm_up), *([str(mask)] if mask else [])]
    done = run_child(command, core)
    return Run(done.report["cpu"], done.elapsed, done.cpu, done.peak, done.report["versions"])


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


def describe(texts: Path) -> tuple[str, int, float]:
    """Return what the texts are in one line, how many there are, and their megabytes."""
    strings = [text.encode() for text in pq.read_table(texts, columns=["text"]).column("text").to_pylist()]
    sizes = sum(map(len, strings))
    other = sum(len(text.translate(None, _ASCII)) for text in strings)
    line = f"{len(strings):,} documents, {sizes / 1e6:.1f} MB of text, {other / sizes:.1%} of the bytes not ASCII"
    return line, len(strings), sizes / 1e6
