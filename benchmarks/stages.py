"""Speed of the stages that work on text, each beside its reference and its peers in the same run.

    python benchmarks/stages.py texts texts.parquet FILE.jsonl.gz…      # texts to measure on, from the field `text` or `gold`
    python benchmarks/stages.py make environments/                      # peers, each in an environment of its own
    python benchmarks/stages.py speed environments/ texts.parquet       # a table per stage; --only language --kind clean

Every system is a process on one core, and systems take turns (A B C, A B C, …), because a machine drifts: ratios are taken within
a round and the median of the ratios is shown. MB are UTF-8 bytes, time is CPU time. What a first call takes is shown with kernels
that have to be compiled (`cold`, in the same process) and with kernels that were kept.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from processes import FailedError, Finished, interpreter, machine, make_environments, run_child, say

_HERE = Path(__file__).parent
_MODULES = tuple(sorted(path.stem for path in _HERE.glob("stages_*.py") if path.stem != "stages_child"))
_OURS = "corpusmill"  # how the labels of our systems begin
Rounds = dict[str, list[Finished] | str]


def environments_of(names: list[str]) -> dict[str, list[str]]:
    """Return what to install in the environments of all peers of *names*; each module has its own in `ENVIRONMENTS`."""
    return {
        env: list(packages) for name in names for env, packages in importlib.import_module(name).ENVIRONMENTS.items()
    }


def measured(name: str, kind: str, folder: Path, texts: Path, rounds: int, core: int) -> Rounds:
    """Return the runs of every system of a module over one kind of texts, or why there are none."""
    module = importlib.import_module(name)
    results: Rounds = {}
    done: dict[str, list[Finished]] = {system: [] for system in module.SYSTEMS}
    for number in range(rounds):
        for system in module.SYSTEMS:
            if system in results:
                continue
            try:
                command = [str(interpreter(folder, module.ENVIRONMENT_OF.get(system, "")))]
                run = run_child([*command, str(_HERE / "stages_child.py"), name, system, kind, str(texts)], core)
            except FailedError as error:
                results[system] = str(error)
                say(f"{name}, {system}: {error}")
                continue
            done[system].append(run)
            say(f"round {number + 1}: {name}, {kind}, {system}: {run.report['megabytes'] / run.report['cpu']:.1f} MB/s")
    return {system: results.get(system, runs) for system, runs in done.items()}


def cold(name: str, system: str, kind: str, texts: Path, core: int) -> float:
    """Return the CPU seconds of making one of our systems and of its first call, with nothing compiled before."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as cache:
        os.environ["NUMBA_CACHE_DIR"] = cache
        try:
            run = run_child(
                [sys.executable, str(_HERE / "stages_child.py"), name, system, kind, str(texts)], core
            ).report
        finally:
            del os.environ["NUMBA_CACHE_DIR"]
    return float(run["making"] + run["first_call"])


def table(name: str, only: str, folder: Path, texts: Path, rounds: int, core: int) -> Iterator[str]:
    """Yield the tables of one module, as Markdown, of the kinds of texts with *only* in their name."""
    module = importlib.import_module(name)
    for kind in module.KINDS:
        if only not in kind:
            continue
        results = measured(name, kind, folder, texts, rounds, core)
        reference = results[module.REFERENCE]
        yield f"\n### {name.removeprefix('stages_')}: {kind}\n"
        yield f"| | MB/s, median (min–max) | × {module.REFERENCE} | documents/s | making, s | first call, s | both cold, s |"
        yield "|---|---:|---:|---:|---:|---:|---:|"
        for system, runs in results.items():
            if isinstance(runs, str):
                yield f"| {system} | not measured: {runs.replace('|', '/')} | | | | | |"
                continue
            reports = [run.report for run in runs]
            rates = sorted(report["megabytes"] / report["cpu"] for report in reports)
            times = _ratio(reports, reference)
            first = cold(name, system, kind, texts, core) if system.startswith(_OURS) else None
            documents, making, call = (
                median(values)
                for values in zip(
                    *((r["documents"] / r["cpu"], r["making"], r["first_call"]) for r in reports), strict=True
                )
            )
            yield (
                f"| {system} | {median(rates):.4g} ({rates[0]:.4g}–{rates[-1]:.4g}) | {times} | {documents:,.0f} | {making:.2f} "
                f"| {call:.2f} | {'' if first is None else f'{first:.1f}'} |"
            )
        yield f"\n{reports[-1]['documents']:,} documents, {reports[-1]['megabytes']:.1f} MB."


def _ratio(reports: list[dict[str, Any]], reference: list[Finished] | str) -> str:
    if isinstance(reference, str):
        return "–"
    times = median(theirs.report["cpu"] / ours["cpu"] for ours, theirs in zip(reports, reference, strict=True))
    return f"{times:.3g}"


def write_texts(out: Path, files: list[Path]) -> None:
    """Write the texts of JSONL files to a Parquet file, one row each."""
    texts = []
    for file in files:
        with gzip.open(file, "rt", encoding="utf-8", newline="\n") as lines:
            for line in lines:
                row = json.loads(line)
                texts.append(row.get("text") or row.get("gold") or "")
    pq.write_table(pa.table({"text": [text for text in texts if text.strip()]}), out)


def main() -> None:
    """Write texts, make environments, or measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    verbs = parser.add_subparsers(dest="verb", required=True)
    making = verbs.add_parser("texts")
    making.add_argument("out", type=Path)
    making.add_argument("files", type=Path, nargs="+")
    for verb in ("make", "speed"):
        one = verbs.add_parser(verb)
        one.add_argument("environments", type=Path)
        one.add_argument("--only", default="", help=f"one of {', '.join(m.removeprefix('stages_') for m in _MODULES)}")
        if verb == "speed":
            one.add_argument("texts", type=Path)
            one.add_argument(
                "--kind", default="", help="part of the name of the kinds of texts to measure on; all if not given"
            )
            one.add_argument("--rounds", type=int, default=5)
            one.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    options = parser.parse_args()
    if options.verb == "texts":
        write_texts(options.out, options.files)
        return
    names = [name for name in _MODULES if options.only in name]
    if options.verb == "make":
        make_environments(options.environments, environments_of(names), "")
        return
    print(machine())
    for name in names:
        for line in table(
            name, options.kind, options.environments, options.texts.absolute(), options.rounds, options.core
        ):
            print(line, flush=True)


if __name__ == "__main__":
    main()
