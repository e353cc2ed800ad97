"""A disk that fills up: the output on a tmpfs that is too small at first.

Every size must end with exit 1 and a message that says so; when there is room, the same command must end with the bytes of
an undisturbed run. Mounting needs root; where it is refused the result says so, and is no pass.
"""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

from fault_support import Result, audit, command, difference, make_corpus, say, write_recipe

__all__ = ["run_disk"]

_SMALLEST = 64 * 1024
_PAGE = 4096


def run_disk(work: Path, sizes: int, seed: int) -> list[Result]:
    """Run into *sizes* outputs that are too small, from 64 kB to nearly enough, make room, and go on."""
    name = "disk full (ENOSPC)"
    place = work / "disk"
    place.mkdir()
    if not _mount(place, "size=1M"):
        return [Result(name, None, remark="a tmpfs cannot be mounted (needs root)")]
    subprocess.run(["umount", str(place)], check=True)
    make_corpus(work / "crawl", seed)
    recipe = write_recipe(work / "recipe.toml")
    expected = work / "reference"
    subprocess.run(command(work / "crawl", expected, recipe), check=True)
    need = sum(_PAGE * -(-path.stat().st_size // _PAGE) for path in expected.rglob("*") if path.is_file())
    result = Result(
        name, 0, remark=f"tmpfs of 64 kB to {need - _PAGE:,} bytes, the output needs {need:,}; exit 1, then resumed"
    )
    dice = random.Random(seed)
    between = [dice.randrange(_SMALLEST, need) for _ in range(max(0, sizes - 4))]
    for number, size in enumerate(sorted({_SMALLEST, *between, need - 20 * _PAGE, need - 4 * _PAGE, need - _PAGE})):
        assert _mount(place, f"size={size // _PAGE * _PAGE}")
        try:
            assert result.tried is not None
            result.tried += 1
            line = command(work / "crawl", place / "out", recipe, workers=1 + number % 2)
            problem, lost, duplicated = _fill_and_go_on(line, place, expected)
        finally:
            subprocess.run(["umount", str(place)], check=True)
        say(f"enospc: {size:,} bytes, {1 + number % 2} workers: {problem or 'ok'}")
        result.survived += not problem
        result.lost += lost
        result.duplicated += duplicated
    return [result]


def _fill_and_go_on(line: list[str], place: Path, expected: Path) -> tuple[str, int, int]:
    """Return what is wrong, or nothing, and how many documents were lost or doubled."""
    full = subprocess.run(line, capture_output=True, text=True, check=False)
    problem = ""
    if full.returncode != 1 or "No space left" not in full.stderr or "Traceback" in full.stderr:
        problem = f"ended with {full.returncode}: {full.stderr.strip()[-300:]!r}"
    subprocess.run(["mount", "-o", "remount,size=512M", str(place)], check=True)
    again = subprocess.run(line, capture_output=True, text=True, check=False)
    if again.returncode != 0:
        return f"{problem} with room ended with {again.returncode}: {again.stderr.strip()[-300:]!r}", 0, 0
    files, lost, duplicated = difference(expected, place / "out")
    return f"{problem} {files[:4] or ''} {audit(place / 'out')}".strip(), lost, duplicated


def _mount(place: Path, options: str) -> bool:
    if os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return False
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, check=False
    )
    return done.returncode == 0
