"""Lines of a host: how fast they are sketched, counted and removed, on one core.

    python benchmarks/host_lines.py [DOCUMENTS.jsonl[.gz]] [--lines 20]        Markdown on stdout, about a minute

The pages are those of the file, or made up of words; either way they are dealt to a hundred hosts and framed with a header and
a footer of their host. `--lines` is how many million lines of a document each are counted, in 1 GB and in a twentieth of it. Each
figure is the best of three, because other work on the machine only ever makes it slower.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from corpusmill.stages import RemoveRepeatedLines
from corpusmill.stages.line_index import LineTable

_HOSTS = 100
_ROWS = 1000  # of a batch
_RUNS = 3


def _made_up(pages: int) -> Iterator[str]:
    """Pages of lines of 5 to 25 words."""
    chance = random.Random(1)
    words = ["".join(chance.choices("etaoinshrdlucm", k=chance.randint(2, 9))) for _ in range(20_000)]
    for _ in range(pages):
        yield "\n".join(" ".join(chance.choices(words, k=chance.randint(5, 25))) for _ in range(chance.randint(5, 60)))


def _texts(path: Path | None) -> list[str]:
    if path is None:
        return list(_made_up(10_000))
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line)["text"] for line in data.splitlines()]


def _batches(texts: list[str]) -> list[pa.RecordBatch]:
    """Return the texts as pages of hosts, each with a header and a footer."""
    chance = random.Random(2)
    rows = []
    for n, text in enumerate(texts):
        host = f"www.site{chance.randrange(_HOSTS)}.example"
        frame = f"Home page and news and archive of {host}\n", f"\nCopyright of all the pages of {host}, for ever"
        rows.append({"url": f"https://{host}/{n}", "text": text.join(frame)})
    schema = pa.schema([("url", pa.string()), ("text", pa.large_string())])
    return [pa.RecordBatch.from_pylist(rows[at : at + _ROWS], schema) for at in range(0, len(rows), _ROWS)]


def _best(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the quickest of some runs, and what the last one returned."""
    seconds = []
    for _ in range(_RUNS):
        started = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - started)
    return min(seconds), result


def _measure_texts(batches: list[pa.RecordBatch]) -> Iterator[str]:
    """Measure the three steps of a run on the same pages."""
    stage = RemoveRepeatedLines(scope="host").ordered
    assert stage is not None
    sketch, settle = stage.sketch(), stage.settle()
    size = sum(batch.column("text").nbytes for batch in batches) / 1e6
    took, sketches = _best(lambda: [sketch(batch) for batch in batches])
    lines = sum(len(found.column("lines").flatten()) for found in sketches)
    pages = sum(batch.num_rows for batch in batches)
    yield f"sketch | {size / took:,.0f} MB/s | {pages:,} pages, {size:,.0f} MB, {lines:,} lines"

    def resolve() -> list[pa.Array]:
        index = stage.open_index()
        return [part for at, found in enumerate(sketches) for _, part in index.add(at, pa.Table.from_batches([found]))]

    resolve()  # compiles
    took, resolved = _best(resolve)
    yield f"index, these pages | {lines / took / 1e6:.2f} million lines/s | one process, in the order of the splits"
    took, _ = _best(lambda: [settle(batch, found) for batch, found in zip(batches, resolved, strict=True)])
    gone = sum(len(found.flatten()) for found in resolved)
    yield f"settle | {size / took:,.0f} MB/s | {gone:,} lines removed"


def _measure_table(lines: int, memory: int) -> str:
    """Count documents of 50 lines. Nine in ten are new, which costs most; the others are among a thousand common ones."""
    chance = np.random.default_rng(4)
    found = chance.integers(1, 1 << 64, lines, np.uint64)
    found[::10] = found[chance.integers(0, 1000, len(found[::10])) * 10]
    ends = np.arange(50, lines + 1, 50)

    def count() -> tuple[int, int]:
        table = LineTable(memory)
        return sum(
            table.count(found[at : at + 50_000], ends[:1000], 6)[1] for at in range(0, lines, 50_000)
        ), table.held

    took, (forgotten, held) = _best(count)
    return (
        f"index, {memory / 1e6:,.0f} MB | {lines / took / 1e6:.2f} million lines/s | "
        f"{lines:,} lines, {held:,} held, {forgotten:,} forgotten"
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", type=Path, nargs="?", help="JSON Lines with a field `text`")
    parser.add_argument("--lines", type=int, default=20, help="million lines to count")
    options = parser.parse_args()
    print("| what | speed | of |\n|---|---|---|")
    for line in _measure_texts(_batches(_texts(options.documents))):
        print(f"| {line} |", flush=True)
    for memory in (10**9, 10**9 // 20):
        print(f"| {_measure_table(options.lines * 10**6, memory)} |", flush=True)


if __name__ == "__main__":
    main()
