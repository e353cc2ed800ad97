"""Time systems over the same pages, each as a process of its own on one core, in turns; tables of the medians.

Our stage takes bytes and finds the encoding; peers take pages that are decoded. In turns (A B C, A B C, …), because a machine
drifts: ratios are taken within a round, and the median of the ratios is shown.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from html_pages import evenly_spaced
from html_systems import System
from processes import FailedError, Finished, interpreter, run_child, say

__all__ = ["speed"]

_HERE = Path(__file__).parent
_REFERENCES = ("trafilatura", "resiliparse")  # labels
_SHOWN = ("numba", "numpy", "lxml", "pyarrow")


def speed(systems: Sequence[System], folder: Path, data: Sequence[Path], count: int, rounds: int, core: int) -> str:
    """Time *systems* over *count* pages and return the table as Markdown."""
    pages = evenly_spaced(data, count)
    size = sum(len(page.html.encode()) for page in pages) / 1e6
    with tempfile.TemporaryDirectory(prefix="benchmark-") as home:
        path = Path(home, "pages.jsonl.gz")
        with gzip.open(path, "wt", encoding="utf-8", newline="\n", compresslevel=1) as lines:
            lines.writelines(json.dumps(asdict(page)) + "\n" for page in pages)
        results = _in_turns(systems, folder, path, rounds, core)
    about = (
        f"{len(pages)} pages at even distances over the files, {size:.1f} MB of HTML; rounds: {rounds}. CPU time of one process "
        "on one core after its imports and first call, which stand beside it. × is how many times as fast as the other."
    )
    return f"{about}\n\n{_table(results, len(pages), size)}\n\n{_environments(results)}"


def _in_turns(
    systems: Sequence[System], folder: Path, pages: Path, rounds: int, core: int
) -> dict[System, list[Finished] | str]:
    results: dict[System, list[Finished] | str] = {}
    done: dict[System, list[Finished]] = {system: [] for system in systems}
    for number in range(rounds):
        for system in systems:
            if system in results:
                continue
            try:
                command = [str(interpreter(folder, system.environment)), str(_HERE / "html_child.py"), "speed"]
                run = run_child([*command, system.module, system.variant, system.environment, str(pages)], core)
            except FailedError as error:
                results[system] = str(error)
                say(f"{system.label}: {error}")
                continue
            done[system].append(run)
            say(f"round {number + 1}: {system.label}: {run.report['cpu']:.3f} s")
    return {system: results.get(system, runs) for system, runs in done.items()}


def _table(results: dict[System, list[Finished] | str], pages: int, megabytes: float) -> str:
    references = [next((runs for system, runs in results.items() if system.label == name), []) for name in _REFERENCES]
    names = " | ".join(f"× {name}" for name in _REFERENCES)
    lines = [
        f"| | pages/s | MB/s | ms a page, median (min–max) | {names} | imports, s | first call, s | peak, MB |",
        "|---|" + "---:|" * (6 + len(_REFERENCES)),
    ]
    for system, runs in results.items():
        if isinstance(runs, str):
            lines.append(f"| {system.label} | not measured: {runs.replace('|', '/')} |" + " |" * (5 + len(_REFERENCES)))
            continue
        spent = [run.report["cpu"] for run in runs]
        times = [_ratio(runs, others) for others in references]
        slow, middle, fast = (1000 * seconds / pages for seconds in (max(spent), median(spent), min(spent)))
        imports, first = (median(run.report[name] for run in runs) for name in ("imports", "first_call"))
        lines.append(
            f"| {system.label} | {pages / median(spent):,.0f} | {megabytes / median(spent):.1f} "
            f"| {middle:.2f} ({fast:.2f}–{slow:.2f}) | {' | '.join(times)} "
            f"| {imports:.2f} | {first:.2f} | {max(run.peak for run in runs):,.0f} |"
        )
    return "\n".join(lines)


def _ratio(runs: list[Finished], others: list[Finished] | str) -> str:
    if isinstance(others, str) or not others:
        return "–"
    times = median(theirs.report["cpu"] / ours.report["cpu"] for ours, theirs in zip(runs, others, strict=True))
    return f"{times:.1f}" if times >= 10 else f"{times:.2f}"


def _environments(results: dict[System, list[Finished] | str]) -> str:
    """Return the versions in every environment, as Markdown."""
    seen: dict[str, str] = {}
    for system, runs in results.items():
        if isinstance(runs, list) and runs:
            versions = runs[0].report["versions"]
            name = system.environment or "corpusmill"
            packages = [name, *(package for package in _SHOWN if package in versions and package != name)]
            packages += ["resiliparse"] if not system.environment else []
            seen[name] = ", ".join(f"{package} {versions.get(package, '')}" for package in packages)
    return "\n".join(f"- {versions}" for versions in seen.values())
