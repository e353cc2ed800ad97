"""Run one system in its own environment over pages: the child process of `html_extraction.py`.

    ENVIRONMENT/bin/python benchmarks/html_child.py outputs MODULE VARIANT PACKAGE FOLDER DATA…
    ENVIRONMENT/bin/python benchmarks/html_child.py speed MODULE VARIANT PACKAGE PAGES

`outputs` appends to a file in FOLDER what the system gives for each page, and leaves out pages that are there. The file is named
after the variant, the version of PACKAGE and the text of the module that calls it, so that what is kept is never stale; a page
whose HTML has changed is read again. `speed` counts neither imports nor the first call, and passes over PAGES until a second of
CPU time is full. Both print a report as JSON.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import re
import sys
import time
import zlib
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from html_pages import Page, read_pages

_ENOUGH = 1.0  # seconds of CPU time, after which there are no more passes
_WARM_UP = 5  # pages
_BATCH = 50  # pages


def write_outputs(module: Any, variant: str, package: str, folder: Path, data: list[Path]) -> dict[str, Any]:
    """Extract the pages that are not in the file yet."""
    own = zlib.crc32(Path(module.__file__).read_bytes())
    name = re.sub(r"[^A-Za-z0-9]+", "-", variant)[-100:]
    path = folder / f"{name}-{_versions().get(package, 'none')}-{own:08x}.jsonl"
    began, count, run = time.process_time(), 0, None
    with path.open("a", encoding="utf-8") as out:
        fcntl.flock(out, fcntl.LOCK_EX)  # two who compare with the same peer do its work once
        done = _done(path)
        for pages in _batches(data, done):
            run = run or module.extractor(variant)
            for page, text, problem in zip(pages, *run(pages), strict=True):
                record = {"page": page.name, "html": _checksum(page), "text": text, "problem": problem}
                out.write(json.dumps(record) + "\n")  # ASCII: whatever a system gives can be written
            out.flush()
            count += len(pages)
    return {"file": str(path), "new": count, "cpu": time.process_time() - began, "versions": _versions()}


def _done(path: Path) -> dict[str, int]:
    """Return the pages of a file of outputs and the checksums of their HTML; a last line that was cut off is removed."""
    done: dict[str, int] = {}
    whole = 0
    with path.open("r+b") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                record = json.loads(line)
                done[record["page"]] = record["html"]
                whole += len(line)
        lines.truncate(whole)
    return done


def _batches(data: list[Path], done: dict[str, int]) -> Iterator[list[Page]]:
    batch: list[Page] = []
    for path in data:
        for page in read_pages(path):
            if page.gold is not None and done.get(page.name) != _checksum(page):
                batch.append(page)
            if len(batch) == _BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def _checksum(page: Page) -> int:
    return zlib.crc32(page.html.encode())


def measure_speed(name: str, variant: str, pages_path: Path) -> dict[str, Any]:
    """Return the CPU seconds of a pass over the pages, and those of the imports and the first call, in that order."""
    pages = list(read_pages(pages_path))
    began = time.process_time()
    module = importlib.import_module(name)
    run = module.timed(variant)
    imported = time.process_time()
    first = module.load(pages[:1])
    called = time.process_time()
    run(first)
    first_call = time.process_time() - called
    run(module.load(pages[:_WARM_UP]))
    loaded = module.load(pages)
    passes, spent = 0, 0.0
    while spent < _ENOUGH:
        start = time.process_time()
        run(loaded)
        spent, passes = spent + time.process_time() - start, passes + 1
    return {
        "cpu": spent / passes,
        "imports": imported - began,
        "first_call": first_call,
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    return {found.metadata["Name"].lower().replace("_", "-"): found.version for found in distributions()}


def main() -> None:
    """Do what the verb says and print the report."""
    verb, name, variant, package, *paths = sys.argv[1:]
    if verb == "outputs":
        module = importlib.import_module(name)
        report = write_outputs(module, variant, package, Path(paths[0]), [Path(path) for path in paths[1:]])
    else:
        report = measure_speed(name, variant, Path(paths[0]))
    print(f"\n{json.dumps(report)}")  # on a line of its own, whatever the system printed before


if __name__ == "__main__":
    main()
