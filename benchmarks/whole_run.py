"""Time whole runs: a new process and a new output each time, medians over several, with the share of every stage.

    python benchmarks/whole_run.py crawl/ --runs 5 --recipe web

Figures of one machine mean little; run two versions, or two recipes, in turn on the same input and quote the ratio.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def one_run(inputs: list[str], recipe: str, settings: list[str]) -> tuple[float, dict[str, Any]]:
    """Return the CPU seconds of one run with one worker, and its manifest."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "corpusmill", "run", *inputs, f"{folder}/out", "-r", recipe, "-w", "1", "-q"]
        subprocess.run([*command, *(part for change in settings for part in ("--set", change))], check=True)
        manifest: dict[str, Any] = json.loads(Path(folder, "out", "manifest.json").read_text("utf-8"))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, manifest


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("inputs", nargs="+")
    parser.add_argument("--recipe", default="web")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    runs = [one_run(options.inputs, options.recipe, options.settings) for _ in range(options.runs)]
    seconds = sorted(cpu for cpu, _ in runs)
    manifest = runs[-1][1]
    median, documents, size = statistics.median(seconds), manifest["documents"]["in"], manifest["inputs"]["bytes"]
    print(
        f"{documents:,} documents, {size / 1e6:,.1f} MB stored, {options.runs} runs of one worker, recipe {options.recipe}"
    )
    print(f"CPU seconds  median {median:.2f}  min {seconds[0]:.2f}  max {seconds[-1]:.2f}")
    print(f"documents/s  {documents / median:,.1f}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"peak memory  {peak:,.0f} MB")
    for at, stage in enumerate(manifest["stages"]):
        spent = statistics.median(m["stages"][at]["seconds"] for _, m in runs)
        print(f"  {stage['kind']:<24}{spent:8.2f} s  {spent / median:6.1%}  {stage['in']:>10,} in")


if __name__ == "__main__":
    main()
