"""From texts in Parquet to ids in Parquet on one core: `tokenize` and the shard writer beside the usual Hugging Face loop.

    python benchmarks/tokenization.py tokenizer.json english=english.parquet code=code.parquet … [--megabytes 15]
    python benchmarks/tokenization.py tokenizer.json english=english.parquet --memory 64MB 256MB 4GB

The loop is what most scripts do: `encode_batch` on 256 texts, the end of text appended to each list of ids, `pq.write_table` as
pyarrow has it by default. It gets the first 2 MB of each file, all else the first `--megabytes`. CPU time (user and system) of
one process with one thread, medians. Each round begins with a new engine, so with empty caches; opening one is in no figure but
"open": each worker does it once. "guard" is the share of all our time in which texts are looked at and compared. Writing is
measured by itself as well: the same ids, by our writer and by pyarrow. (Called tokenize.py it would hide a module of Python.)
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pyarrow as pa
import pyarrow.parquet as pq

from corpusmill.parquet import shard_writer
from corpusmill.schemas.recipe import OutputSettings
from corpusmill.stages import Tokenize
from corpusmill.stages.kernels import tokens
from corpusmill.stages.tokenize import load_tokenizer

_ROWS = 256
_REFERENCE_MEGABYTES = 2.0
_READING = "(reading alone)"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tokenizer")
    parser.add_argument("texts", nargs="+", metavar="NAME=FILE")
    parser.add_argument("--megabytes", type=float, default=15.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", nargs="*", default=[])
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    files = [given.partition("=") for given in arguments.texts]
    if arguments.child:
        _use_memory(arguments.tokenizer, [file for _, _, file in files], arguments.child)
        return
    if arguments.memory:
        _memory(arguments)
        return
    stage = Tokenize(tokenizer=arguments.tokenizer)
    print(f"{Path(arguments.tokenizer).stem}, {stage.load().get_vocab_size():,} entries: {stage.choice()}\n")
    print("| texts | MB | loop MB/s | ours MB/s | times | guard | read, ids, write ms/MB | open s |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    written = []
    with tempfile.TemporaryDirectory() as folder:
        for name, _, file in files:
            source, small = Path(folder, "texts.parquet"), Path(folder, "few.parquet")
            size, few = _first(file, source, arguments.megabytes), _first(file, small, _REFERENCE_MEGABYTES)
            out = Path(folder, "ids.parquet")
            times: dict[str, list[float]] = {"loop": [], "ours": [], "guard": [], "open": []}
            for _ in range(arguments.rounds):
                times["loop"].append(_loop(arguments.tokenizer, small, out) / few)
                opening, parts, guard = _ours(stage, source, out)
                times["ours"].append(sum(parts) / size)
                times["guard"].append(guard / sum(parts))
                times["open"].append(opening)
            loop, ours, guard = (statistics.median(times[which]) for which in ("loop", "ours", "guard"))
            shares = ", ".join(f"{part / size * 1e3:.1f}" for part in parts)
            print(
                f"| {name} | {size:.1f} | {1 / loop:.2f} | {1 / ours:.1f} | {loop / ours:.1f} | "
                f"{guard:.1%} | {shares} | {statistics.median(times['open']):.2f} |",
                flush=True,
            )
            written.append((name, *_writing(stage, source, out, arguments.rounds)))
    print("\n| writing | M tokens | ours M tokens/s | bytes/token | pyarrow's default M tokens/s | bytes/token |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, count, (fast, small_size), (slow, large_size) in written:
        print(f"| {name} | {count:.1f} | {fast:.0f} | {small_size:.3f} | {slow:.0f} | {large_size:.3f} |")


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def _first(file: str, to: Path, megabytes: float) -> float:
    """Write the first *megabytes* of the texts of a file; return how many they are."""
    size = 0
    with pq.ParquetWriter(to, pa.schema([pa.field("text", pa.large_string())]), compression="zstd") as writer:
        for batch in pq.ParquetFile(file).iter_batches(32, columns=["text"]):
            texts = batch.column(0).drop_null().cast(pa.large_string())
            writer.write_table(pa.table({"text": texts}))
            size += texts.nbytes
            if size >= megabytes * 1e6:
                break
    return size / 1e6


def _batches(source: Path) -> Iterator[pa.RecordBatch]:
    yield from pq.ParquetFile(source).iter_batches(_ROWS, use_threads=False)


def _loop(path: str, source: Path, out: Path) -> float:
    """Do as most scripts do; return the CPU time."""
    tokenizer = load_tokenizer(path)
    end = max(tokenizer.get_vocab().values())
    writer: Any = None
    began = time.process_time()
    for batch in _batches(source):
        encodings = tokenizer.encode_batch(batch.column("text").to_pylist(), add_special_tokens=False)
        table = pa.table({"input_ids": [[*encoding.ids, end] for encoding in encodings]})
        writer = writer or pq.ParquetWriter(out, table.schema)
        writer.write_table(table)
    writer.close()
    return time.process_time() - began


def _ours(stage: Tokenize, source: Path, out: Path) -> tuple[float, list[float], float]:
    """Tokenize as a run does, straight into a shard; return the CPU time of opening, of three parts, and of the guard.

    The parts are reading, encoding and writing; the guard is in the second.
    """
    opening, run = _timed(stage.open)
    guard = 0.0

    def clocked(work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal guard
            seconds, result = _timed(lambda: work(*arguments))
            guard += seconds
            return result

        return call

    parts = [0.0, 0.0, 0.0]
    writer: Any = None
    at = time.process_time()

    def lap(part: int) -> None:
        nonlocal at
        now = time.process_time()
        parts[part] += now - at
        at = now

    engine: Any = run._engine  # noqa: SLF001  its guard is clocked
    compare = patch.object(engine, "_compare", clocked(engine._compare))  # noqa: SLF001
    for batch in _batches(source):
        lap(0)
        with patch.object(tokens, "look", clocked(tokens.look)), compare:
            out_batch, _ = run(batch)
        lap(1)
        table = pa.Table.from_batches([out_batch.select(["n_tokens", "input_ids"])])
        writer = writer or shard_writer(out, table.schema, OutputSettings())
        writer.write(table)
        lap(2)
    writer.close()
    lap(2)
    assert run.take_counts()["gigatoken"], "it was chosen"
    return opening, parts, guard


def _writing(
    stage: Tokenize, source: Path, out: Path, rounds: int
) -> tuple[float, tuple[float, float], tuple[float, float]]:
    """Return millions of tokens, and their rate per second and their bytes each by our writer and by pyarrow's default."""
    run = stage.open()
    tables = [pa.Table.from_batches([run(batch)[0].select(["input_ids"])]) for batch in _batches(source)]
    count = sum(table.column(0).combine_chunks().values.__len__() for table in tables) / 1e6
    whole = pa.concat_tables(tables).combine_chunks()

    def ours() -> None:
        writer = shard_writer(out, whole.schema, OutputSettings())
        for table in tables:
            writer.write(table)
        writer.close()

    results = []
    for write in (ours, lambda: pq.write_table(whole, out)):
        seconds = [_timed(write)[0] for _ in range(rounds)]
        results.append((count / statistics.median(seconds), out.stat().st_size / count / 1e6))
    return count, results[0], results[1]


def _memory(arguments: argparse.Namespace) -> None:
    """Print how much memory a process takes at most for each bound of its caches."""
    print("| cache_memory | MB of text | MB/s | peak memory before, MB | after, MB |\n|---|--:|--:|--:|--:|")
    for bound in (*arguments.memory, _READING):
        command = [sys.executable, __file__, arguments.tokenizer, *arguments.texts, "--child", bound]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip(), flush=True)


def _use_memory(path: str, files: list[str], bound: str) -> None:
    run: Callable[[pa.RecordBatch], Any] = lambda _: None  # noqa: E731
    if bound != _READING:
        run = Tokenize(tokenizer=path, cache_memory=bound).open()
    size = 0
    run(pa.record_batch({"text": pa.array(["one"])}))
    before, began = _peak(), time.process_time()
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(64, columns=["text"], use_threads=False):
            size += batch.column(0).nbytes
            run(batch)
    seconds = time.process_time() - began
    print(f"| {bound} | {size / 1e6:.0f} | {size / 1e6 / seconds:.0f} | {before:.0f} | {_peak():.0f} |")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
