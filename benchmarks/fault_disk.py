"""A disk that fills up: the output on a tmpfs that is too small at first.

Every size must end with exit 1 and a message that says so; when there is room, the same command must end with the bytes of
an undisturbed run. Sizes alone rarely hit the first bytes of a file, so a second series leaves a counted number of pages free
when new inputs are to be taken in. Mounting needs root; where it is refused the result says so, and is no pass.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

from fault_support import Result, audit, command, difference, make_corpus, say, write_recipe

__all__ = ["run_disk"]

_SMALLEST = 64 * 1024
_PAGE = 4096


def run_disk(work: Path, sizes: int, seed: int) -> list[Result]:
    """Run into outputs that are too small, *sizes* of them from 64 kB to nearly enough, make room, and go on."""
    place = work / "disk"
    place.mkdir()
    if not _mount(place, "size=1M"):
        return [Result("disk full (ENOSPC)", None, remark="a tmpfs cannot be mounted (needs root)")]
    subprocess.run(["umount", str(place)], check=True)
    recipe = write_recipe(work / "recipe.toml")
    crawl, expected, first = work / "crawl", work / "reference", work / "first"
    make_corpus(crawl / "old", seed)
    subprocess.run(command(crawl, first, recipe), check=True)
    need = sum(_PAGE * -(-path.stat().st_size // _PAGE) for path in first.rglob("*") if path.is_file())
    dice = random.Random(seed)
    between = [dice.randrange(_SMALLEST, need) for _ in range(max(0, sizes - 4))]
    remark = f"tmpfs of 64 kB to {need - _PAGE:,} bytes, the output needs {need:,}; exit 1, then resumed"
    results = [Result("disk full (ENOSPC)", 0, remark=remark)]
    for number, size in enumerate(sorted({_SMALLEST, *between, need - 20 * _PAGE, need - 4 * _PAGE, need - _PAGE})):
        line = command(crawl, place / "out", recipe, workers=1 + number % 2)
        _try(results[0], line, place, first, size, f"{size:,} bytes")
    subprocess.run(["cp", "-a", str(first), str(expected)], check=True)
    make_corpus(crawl / "new", seed + 1)
    subprocess.run(command(crawl, expected, recipe), check=True)
    results.append(Result("disk full when new files come", 0, remark="1 to 8 pages of 4 kB left; exit 1, then resumed"))
    for number in range(16):
        pages, executor = 1 + number % 8, ("processes", "inline")[number // 8]
        line = command(crawl, place / "out", recipe, "--executor", executor, workers=1)
        _try(results[1], line, place, expected, 1 << 26, f"{pages} pages left, {executor}", first, pages)
    return results


def _try(
    result: Result,
    line: list[str],
    place: Path,
    expected: Path,
    size: int,
    what: str,
    before: Path | None = None,
    pages: int = 0,
) -> None:
    """Run on a disk of *size*, on which *before* lies already and but *pages* are free, and count how it went."""
    assert _mount(place, f"size={size // _PAGE * _PAGE}")
    try:
        if before is not None:
            subprocess.run(["cp", "-a", str(before), str(place / "out")], check=True)
            with (place / "filler").open("wb") as filler:
                filler.write(bytes(shutil.disk_usage(place).free - pages * _PAGE))
        problem, lost, duplicated = _fill_and_go_on(line, place, expected)
    finally:
        subprocess.run(["umount", str(place)], check=True)
    say(f"enospc: {what}: {problem or 'ok'}")
    assert result.tried is not None
    result.tried += 1
    result.survived += not problem
    result.lost += lost
    result.duplicated += duplicated
    if problem and len(result.remark) < 400:
        result.remark += f"; {what}: {problem[:200]}"


def _fill_and_go_on(line: list[str], place: Path, expected: Path) -> tuple[str, int, int]:
    """Return what is wrong, or nothing, and how many documents were lost or doubled."""
    full = subprocess.run(line, capture_output=True, text=True, check=False)
    problem = ""
    if full.returncode != 1 or "No space left" not in full.stderr or "Traceback" in full.stderr:
        problem = f"ended with {full.returncode}: {full.stderr.strip()[:150]!r}"
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
