"""Whether memory stays flat: a run over gigabytes of generated input, with the resident size of every process over time.

    python benchmarks/memory.py WORK_DIRECTORY [--gigabytes 8] [--workers 2]

The input is one JSON Lines file of HTML pages, so it is also cut while the run goes on. Every page is different. The recipe takes
text out of pages, normalizes nothing, and removes exact duplicates: the index of near duplicates grows with the number of
kept documents by design, and is measured elsewhere.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

RECIPE = """
[[stage]]
kind = "strip_html"
engine = "text"

[[stage]]
kind = "deduplicate"
near = false
"""
_EVERY = 5.0  # seconds between two looks at the processes
_PAGES = 400  # templates that pages are made of


def main() -> None:
    """Make the input, run over it, and print what each process held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--gigabytes", type=float, default=8.0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    pages = options.work / f"pages-{options.gigabytes:g}.jsonl"
    if not pages.exists():
        generate(pages, int(options.gigabytes * 1e9))
    recipe = options.work / "memory.toml"
    recipe.write_text(RECIPE)
    command = [sys.executable, "-m", "corpusmill", "run", str(pages), str(options.work / "out"), "--restart"]
    command += ["--recipe", str(recipe), "--workers", str(options.workers), "--quiet"]
    print(f"input: {pages.stat().st_size / 1e9:.2f} GB, {options.workers} workers\n")
    began = time.monotonic()
    process = subprocess.Popen(command)
    samples = []
    while process.poll() is None:
        with contextlib.suppress(FileNotFoundError):  # it has just ended
            samples.append((time.monotonic() - began, resident(process.pid), spilled(options.work / "out")))
        time.sleep(_EVERY)
    seconds = time.monotonic() - began
    if process.returncode:
        sys.exit(f"the run ended with {process.returncode}")
    print(table(samples))
    print(f"\n{seconds:.0f} s, {pages.stat().st_size / 1e6 / seconds:.0f} MB/s of stored input")


def generate(path: Path, size: int) -> None:
    """Write pages of 5 to 60 kB until the file has *size* bytes; each has a number and a shuffled order of its own."""
    chance = random.Random(0)
    words = ["".join(chance.choices("etaoinshrdlucmfwyp", k=chance.randint(2, 9))) for _ in range(20_000)]
    paragraphs = [" ".join(chance.choices(words, k=chance.randint(20, 120))) for _ in range(_PAGES)]
    with path.open("w") as file:
        written = number = 0
        while written < size:
            chosen = chance.sample(paragraphs, chance.randint(8, 90))
            body = "".join(f'<div class="block"><p id="p{n}">{p}</p></div>' for n, p in enumerate(chosen))
            page = f"<html><head><title>Page {number}</title></head><body><h1>Page {number}</h1>{body}</body></html>"
            written += file.write(json.dumps({"url": f"https://example.org/{number}", "html": page}) + "\n")
            number += 1


def resident(owner: int) -> dict[str, int]:
    """Return the resident megabytes of the main process and of each worker, by name."""
    sizes = {"main": _resident(owner)}
    children = [pid for pid in map(int, _children(owner)) if b"spawn_main" in _read(pid, "cmdline")]
    sizes |= {f"worker {number}": _resident(pid) for number, pid in enumerate(sorted(children), 1)}
    return sizes


def _children(owner: int) -> list[str]:
    threads = Path("/proc", str(owner), "task").iterdir()  # each worker was started by a thread of its own
    return [pid for thread in threads for pid in _read(owner, f"task/{thread.name}/children").decode().split()]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path("/proc", str(pid), name).read_bytes()
    except OSError:
        return b""


def _resident(pid: int) -> int:
    lines = [line for line in _read(pid, "status").decode().splitlines() if line.startswith("VmRSS")]
    return int(lines[0].split()[1]) // 1024 if lines else 0


def spilled(output: Path) -> int:
    """Return the megabytes in `state/spill`."""
    with contextlib.suppress(FileNotFoundError):  # one that was needed no longer, or the directory before it is made
        return sum(entry.stat().st_size for entry in os.scandir(output / "state" / "spill")) // 1_000_000
    return 0


def table(samples: list[tuple[float, dict[str, int], int]]) -> str:
    """Return twenty looks, evenly spread, and the largest values of all, as Markdown."""
    names = sorted({name for _, sizes, _ in samples for name in sizes})
    chosen = samples[:: max(1, len(samples) // 20)]
    lines = [
        f"| second | {' | '.join(f'{name}, MB' for name in names)} | spilled, MB |",
        "|---|" + "---|" * (len(names) + 1),
    ]
    for second, sizes, spill in chosen:
        lines.append(f"| {second:.0f} | {' | '.join(str(sizes.get(name, 0)) for name in names)} | {spill} |")
    largest = [str(max(sizes.get(name, 0) for _, sizes, _ in samples)) for name in names]
    lines.append(f"| **largest** | {' | '.join(largest)} | {max(spill for *_, spill in samples)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
