"""Run one system once, in its own environment, and print what it took: the child process of `dedup.py`.

    ENVIRONMENT/bin/python benchmarks/dedup_measure.py MODULE KIND VARIANT TEXTS WARM_UP [MASK]

KIND is `sketch` (texts to signatures) or `mask` (texts to the list of documents to keep, written to MASK as JSON). Imports come
first, then the same work on WARM_UP, so that neither start-up nor compilation is counted; then passes over TEXTS until a second
of CPU time is full. The CPU time is that of this process and of processes that it has waited for.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_ENOUGH = 1.0  # seconds of CPU time, after which there are no more passes


@dataclass(frozen=True)
class Texts:
    """The documents, in whichever form a system takes them."""

    path: Path
    table: pa.Table

    @cached_property
    def strings(self) -> list[str]:
        """The texts as Python strings."""
        strings: list[str] = self.table.column("text").to_pylist()
        return strings

    @cached_property
    def ids(self) -> list[str]:
        """The ids of the documents."""
        ids: list[str] = self.table.column("id").to_pylist()
        return ids


Sketch = Callable[[Texts], Any]
"""Texts in, signatures out, in whatever form the system gives them."""
Mask = Callable[[Texts], list[bool]]
"""Texts in, which documents are kept out."""


def read(path: Path, *, strings: bool) -> Texts:
    """Return the documents of a Parquet file, as Python *strings* too if a system takes those: that is nobody's work."""
    texts = Texts(path, pq.read_table(path, columns=["id", "text"]))
    _ = texts.ids, texts.strings if strings else None
    return texts


def cpu() -> float:
    """Return the CPU seconds of this process and its children so far."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in spent)


def main() -> None:
    """Measure and print one line of JSON."""
    module, kind, variant, path, warm_up = sys.argv[1:6]
    system = importlib.import_module(module)
    run = {"sketch": system.SKETCHES, "mask": system.MASKS}[kind][variant]
    strings = not hasattr(system, "TAKES_ARROW")
    texts = read(Path(path), strings=strings)
    run(read(Path(warm_up), strings=strings))
    passes, spent, elapsed, result = 0, 0.0, 0.0, None
    while spent < _ENOUGH:
        result = None  # the memory of two results is not what one takes
        began, clock = cpu(), time.perf_counter()
        result = run(texts)
        spent, elapsed, passes = spent + cpu() - began, elapsed + time.perf_counter() - clock, passes + 1
    if len(sys.argv) > 6:
        Path(sys.argv[6]).write_text(json.dumps(result))
    versions = {found.metadata["Name"].lower().replace("_", "-"): found.version for found in distributions()}
    report = {"cpu": spent / passes, "wall": elapsed / passes, "passes": passes, "versions": versions}
    print(f"\n{json.dumps(report)}")  # on a line of its own, whatever the system printed before


if __name__ == "__main__":
    main()
