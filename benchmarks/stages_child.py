"""Run one system over texts and print what it took: the child process of `stages.py`.

    PYTHON benchmarks/stages_child.py MODULE SYSTEM KIND TEXTS

A MODULE (`stages_language`, …) names its systems in `SYSTEMS`: each makes a function over `Texts`. Kinds of texts are in its
`KINDS`: what is done to the given texts first, which is nobody's work. Making a system is timed with the imports that it needs,
its first call apart (that is where kernels are compiled or loaded); then passes follow until a second of CPU time is full.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import distributions
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["Kind", "Run", "Texts"]

_ENOUGH = 1.0  # seconds of CPU time, after which there are no more passes
_BATCH = 1_000  # documents
_WARM_UP = 20  # documents


@dataclass(frozen=True)
class Texts:
    """Documents, in whichever form a system takes them: strings, or batches with the columns `id` and `text`."""

    strings: list[str]

    @cached_property
    def batches(self) -> list[pa.RecordBatch]:
        """The documents as batches of a thousand."""
        table = pa.table(
            {
                "id": pa.array([str(number) for number in range(len(self.strings))]),
                "text": pa.array(self.strings, pa.large_string()),
            }
        )
        batches: list[pa.RecordBatch] = table.to_batches(_BATCH)
        return batches

    @property
    def megabytes(self) -> float:
        """Their size in UTF-8."""
        return sum(len(text.encode("utf-8", "surrogatepass")) for text in self.strings) / 1e6


Run = Callable[[Texts], Any]
"""One pass of a system over texts."""
Kind = Callable[[list[str]], list[str]]
"""Makes the texts that are measured from those that were given."""


def main() -> None:
    """Measure and print one line of JSON."""
    name, system, kind, path = sys.argv[1:]
    module = importlib.import_module(name)
    texts = Texts(module.KINDS[kind](pq.read_table(path, columns=["text"]).column("text").to_pylist()))
    warm_up = Texts(texts.strings[:_WARM_UP])
    _ = texts.batches, warm_up.batches
    began = time.process_time()
    run = module.SYSTEMS[system]()
    made = time.process_time()
    run(warm_up)
    first = time.process_time()
    passes, spent = 0, 0.0
    while spent < _ENOUGH:
        since = time.process_time()
        run(texts)
        spent, passes = spent + time.process_time() - since, passes + 1
    versions = {found.metadata["Name"].lower().replace("_", "-"): found.version for found in distributions()}
    report = {
        "cpu": spent / passes,
        "passes": passes,
        "making": made - began,
        "first_call": first - made,
        "megabytes": texts.megabytes,
        "documents": len(texts.strings),
        "versions": versions,
    }
    print(f"\n{json.dumps(report)}")  # on a line of its own, whatever the system printed before


if __name__ == "__main__":
    main()
