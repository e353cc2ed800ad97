"""What the runner itself costs, and what a second worker brings.

    python benchmarks/runner.py WORK_DIRECTORY [--crawl INPUT] [--rounds 3]

Three figures, each the median of whole processes:

1. With stages that do nothing: megabytes of JSON Lines per second and core, as the difference between a long and a short run, so
   that start-up is left out; once with the documents written into shards as text, which is mostly zstd, and once with all of
   them dropped by the last stage.
2. Start-up: a run over one small file, from the start of the process to its end.
3. With --crawl: the default recipe over INPUT by one worker and by two, in turns.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa

from corpusmill import Pipeline
from corpusmill.schemas import VERDICT
from corpusmill.stages import Stage

_SHORT, _LONG = 200, 1_000  # megabytes


class Nothing(Stage, frozen=True, kw_only=True, tag="nothing"):
    """Pass every document."""

    def open(self):  # type: ignore[no-untyped-def]  # noqa: ANN201
        """Build the function that does nothing."""
        return lambda batch: (batch, pa.nulls(batch.num_rows, VERDICT))


class Nobody(Stage, frozen=True, kw_only=True, tag="nobody"):
    """Drop every document."""

    reasons = frozenset({"because"})

    def open(self):  # type: ignore[no-untyped-def]  # noqa: ANN201
        """Build the function that drops everything."""
        verdict = {"reason": "because", "value": None, "limit": None, "ref": None}
        return lambda batch: (batch, pa.array([verdict] * batch.num_rows, VERDICT))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--crawl", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one-run", nargs=2, metavar=("INPUT", "LAST"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one_run:
        given, last = options.one_run
        stages = [Nothing(), Nothing(), Nobody() if last == "nobody" else Nothing()]
        Pipeline(stages).run(given, options.work / "out", restart=True)
        return
    options.work.mkdir(parents=True, exist_ok=True)
    inputs = {size: options.work / f"lines-{size}.jsonl" for size in (1, _SHORT, _LONG)}
    for size, path in inputs.items():
        if not path.exists():
            generate(path, size * 1_000_000)
    for last in ("nothing", "nobody"):
        command = [sys.executable, __file__, str(options.work), "--one-run"]
        seconds = {size: median([*command, str(inputs[size]), last], options.rounds) for size in (_SHORT, _LONG)}
        speed = (_LONG - _SHORT) / (seconds[_LONG] - seconds[_SHORT])
        kept = "text into shards" if last == "nothing" else "all dropped by the last stage"
        print(f"stages that do nothing, {kept}: {speed:.0f} MB/s per core ({seconds})")
    run = [sys.executable, "-m", "corpusmill", "run", "--quiet", "--restart"]
    small = [*run, str(inputs[1]), str(options.work / "small"), "--recipe", "minimal", "--tokenizer", "bytes"]
    print(f"one megabyte, whole process: {median(small, options.rounds):.2f} s")
    if options.crawl:
        crawl = {w: [*run, str(options.crawl), str(options.work / "crawl"), "--workers", str(w)] for w in (1, 2)}
        times: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(options.rounds):
            for workers, command in crawl.items():
                times[workers].append(timed(command))
        one, two = (statistics.median(times[workers]) for workers in (1, 2))
        print(f"default recipe: {one:.1f} s with one worker, {two:.1f} s with two, ratio {one / two:.2f} ({times})")


def generate(path: Path, size: int) -> None:
    """Write records of one to four kB until the file has *size* bytes."""
    chance = random.Random(0)
    words = ["".join(chance.choices("etaoinshrdlucmfwypvbgk", k=chance.randint(2, 9))) for _ in range(5_000)]
    with path.open("w") as file:
        written = number = 0
        while written < size:
            record = {
                "id": f"document-{number}",
                "text": " ".join(chance.choices(words, k=chance.randint(150, 650))),
                "url": f"https://example.org/{number}",
                "timestamp": "2024-01-01T00:00:00Z",
            }
            written += file.write(json.dumps(record) + "\n")
            number += 1


def median(command: list[str], rounds: int) -> float:
    """Return the median seconds of whole runs of *command*."""
    return statistics.median(timed(command) for _ in range(rounds))


def timed(command: list[str]) -> float:
    """Return the seconds that *command* takes."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
