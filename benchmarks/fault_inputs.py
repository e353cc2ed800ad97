"""Damaged, hostile and moving inputs, each beside good files.

Of every case it is asked: does the run end as the guide says, is every document of the good files in the output exactly as
in a run without the bad ones, is every bad file named somewhere (kept, dropped, quarantined or skipped), does the account
add up, and does every process stay below 1 GB.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from fault_support import (
    Peak,
    Result,
    RowsById,
    accounted,
    audit,
    command,
    descendants,
    prose,
    rows_by_id,
    say,
    warc_gz,
    write_recipe,
)

__all__ = ["run_inputs"]

_MEMORY = 1_000_000_000
_BOMB = 1_000_000_000
_HOLDS_NOTHING = {f"bad/{name}" for name in ("empty.jsonl", "empty.jsonl.gz", "empty.jsonl.zst", "packed.jsonl.gz")}
"""Files that are read and have no record, so that there is nothing to say about them."""
_RECORDS = 60
_HANGS = 600  # seconds after which a run counts as hanging; an ordinary one takes a few


def _records(name: str, count: int = _RECORDS) -> list[dict[str, str]]:
    return [{"id": f"{name}-{at}", "text": prose(f"{name} {at}", 120)} for at in range(count)]


def _lines(name: str, count: int = _RECORDS) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in _records(name, count)).encode()


def _parquet(name: str) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(_records(name)), sink, row_group_size=10)
    return bytes(sink.getvalue().to_pybytes())


def _warc_gz(name: str) -> bytes:
    return warc_gz([(f"https://{r['id']}", f"<html><body><p>{r['text']}</p></body></html>") for r in _records(name)])


_WHOLE: dict[str, Callable[[str], bytes]] = {
    "jsonl": _lines,
    "jsonl.gz": lambda name: gzip.compress(_lines(name), mtime=0),
    "jsonl.zst": lambda name: zstandard.ZstdCompressor(write_checksum=True).compress(_lines(name)),
    "warc": lambda name: gzip.decompress(_warc_gz(name)),
    "warc.gz": _warc_gz,
    "parquet": _parquet,
}


def _good(root: Path) -> None:
    """Write the files that must come through whatever lies beside them; names sort before and after those of bad ones."""
    (root / "a").mkdir(parents=True)
    (root / "z").mkdir()
    (root / "a" / "good.jsonl").write_bytes(_lines("good a", 200))
    (root / "m.jsonl.gz").write_bytes(gzip.compress(_lines("good m", 120), mtime=0))
    (root / "z" / "good.warc.gz").write_bytes(_warc_gz("good z"))
    for number in range(20):
        (root / "z" / f"{number:02d}.html").write_text(f"<html><body><p>{prose(f'page {number}')}</p></body></html>")
        (root / "a" / f"{number:02d}.txt").write_text(prose(f"note {number}"))


# --- cases: each writes bad files below a directory and returns how many there are ------------------------------------


def _damaged(suffix: str, cut: bool) -> Callable[[Path, random.Random], int]:
    def make(root: Path, dice: random.Random) -> int:
        for number in range(6):
            data = bytearray(_WHOLE[suffix](f"{suffix} {cut} {number}"))
            if cut:
                del data[dice.randrange(1, len(data)) :]
            else:
                for _ in range(1 + number):
                    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            (root / f"bad{number}.{suffix}").write_bytes(data)
        return 6

    return make


def _not_utf_8(root: Path, dice: random.Random) -> int:
    noise = dice.randbytes(400)
    (root / "latin.txt").write_bytes(prose("latin").encode() + b" caf\xe9 \xff\xfe\xfa " + prose("more").encode())
    (root / "noise.html").write_bytes(b"<html><body><p>" + prose("noise").encode() + noise + b"</p>")
    (root / "nul.txt").write_bytes(prose("nul").encode() + b"\0" * 50 + prose("nul end").encode())
    (root / "nul.html").write_bytes(b"<html>\0<body>\0<p>" + prose("nul page").encode() + b"\0\0</p>")
    lines = [
        b'{"text": "\xff\xfe broken"}',
        b'{"text": "' + noise.replace(b"\n", b"") + b'"}',
        b"\0" * 30,
        b'{"text": "a\\u0000b"}',
    ]
    (root / "lines.jsonl").write_bytes(_lines("between", 5) + b"\n".join(lines) + b"\n" + _lines("behind", 5))
    return 5


def _nested(root: Path, dice: random.Random) -> int:  # noqa: ARG001
    (root / "open.html").write_bytes(b"<html><body>" + b"<div>" * 50_000 + prose("deep").encode())
    (root / "closed.html").write_bytes(b"<html>" + b"<b>" * 50_000 + prose("bold").encode() + b"</b>" * 50_000)
    (root / "table.html").write_bytes(b"<html>" + b"<table><tr><td>" * 50_000 + prose("table").encode())
    (root / "lists.jsonl").write_bytes(
        b'{"text": '
        + b"[" * 50_000
        + b"\n"
        + b'{"text": "x", "m": '
        + b"[" * 50_000
        + b"]" * 50_000
        + b"}\n"
        + _lines("flat", 3)
    )
    return 4


def _bomb(path: Path, head: bytes, filler: bytes) -> None:
    """Write a gzip file of a megabyte or so that unpacks to a gigabyte."""
    packer = zlib.compressobj(9, wbits=31)
    block = filler * (1_000_000 // len(filler))
    with path.open("wb") as file:
        file.write(packer.compress(head))
        for _ in range(_BOMB // len(block)):
            file.write(packer.compress(block))
        file.write(packer.flush())


def _bombs(root: Path, dice: random.Random) -> int:  # noqa: ARG001
    _bomb(root / "zeros.html.gz", b"", b"\0")
    _bomb(root / "zeros.jsonl.gz", b"", b"\0")
    _bomb(root / "page.html.gz", b"<html><body><p>", b" mill")
    _bomb(root / "line.jsonl.gz", _lines("before", 3) + b'{"id": "bomb", "text": "', b"a")
    return 4


def _many_lines(root: Path, dice: random.Random) -> int:  # noqa: ARG001
    _bomb(root / "newlines.jsonl.gz", _lines("first", 3), b"\n")
    return 1


def _empty(root: Path, dice: random.Random) -> int:  # noqa: ARG001
    names = [
        f"empty.{suffix}"
        for suffix in ("html", "txt", "md", "jsonl", "jsonl.gz", "jsonl.zst", "warc", "warc.gz", "parquet")
    ]
    for name in names:
        (root / name).touch()
    (root / "packed.html.gz").write_bytes(gzip.compress(b"", mtime=0))
    (root / "packed.jsonl.gz").write_bytes(gzip.compress(b"", mtime=0))
    return len(names) + 2


def _loops(root: Path, dice: random.Random) -> int:  # noqa: ARG001
    (root / "self.html").symlink_to("self.html")
    (root / "one.txt").symlink_to("two.txt")
    (root / "two.txt").symlink_to("one.txt")
    (root / "dangling.jsonl").symlink_to("nowhere.jsonl")
    (root / "deeper").mkdir()
    (root / "deeper" / "up").symlink_to("..", target_is_directory=True)
    return 5


def _unreadable(root: Path, dice: random.Random) -> int:  # noqa: ARG001
    (root / "locked.jsonl").write_bytes(_lines("locked", 3))
    (root / "locked.jsonl").chmod(0)
    (root / "closed").mkdir()
    (root / "closed" / "page.html").write_text("<html><p>behind a closed door")
    (root / "closed").chmod(0)
    os.mkfifo(root / "pipe.jsonl")
    (root / "device.txt").symlink_to("/dev/zero")
    (root / "memory.html").symlink_to("/proc/self/mem")
    (root / "endless.txt").symlink_to("/dev/random")
    return 6


_CASES: dict[str, Callable[[Path, random.Random], int]] = {
    **{
        f"{'truncated' if cut else 'bits flipped in'} {suffix}": _damaged(suffix, cut)
        for suffix in _WHOLE
        for cut in (True, False)
    },
    "not UTF-8, NULs": _not_utf_8,
    "50,000 nested tags or brackets": _nested,
    "gzip bombs of 1 GB": _bombs,
    "1 GB of empty lines in 1 MB": _many_lines,
    "empty files": _empty,
    "symbolic links: loops, dangling": _loops,
    "unreadable, FIFO, devices": _unreadable,
}


# --- judging ---------------------------------------------------------------------------------------------------------


def _named(output: Path, skipped_as_well: bool = True) -> set[str]:
    """Return the input files that an output says something about."""
    names = {
        dict(row[1:])["source"]
        for f in ("shards", "rejects", "quarantine")
        for rows in rows_by_id(output, f).values()
        for row in rows
    }
    if skipped_as_well:
        names |= {file["name"] for file in json.loads((output / "manifest.json").read_text())["inputs"]["skipped"]}
    return names


def _account(output: Path, expected: dict[str, RowsById]) -> tuple[list[str], int, int]:
    """Return what is wrong with the good documents and the sums, and how many are lost and doubled."""
    problems = [text for text in (audit(output), accounted(output)) if text]
    lost = duplicated = 0
    for folder, wanted in expected.items():
        got = rows_by_id(output, folder)
        lost += sum(max(0, len(rows) - len(got.get(id_, []))) for id_, rows in wanted.items())
        duplicated += sum(max(0, len(got.get(id_, [])) - len(rows)) for id_, rows in wanted.items())
        other = [id_ for id_, rows in wanted.items() if got.get(id_) != rows]
        if other:
            problems.append(f"{len(other)} good documents are not as they were in {folder}: {other[:3]}")
    return problems, lost, duplicated


def _watched(line: list[str], meanwhile: Callable[[int], None] | None = None) -> tuple[int, str, int]:
    """Run a command; return its exit code, what it said, and the largest process in bytes."""
    with (
        subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process,
        Peak(process.pid) as peak,
    ):
        if meanwhile is not None:
            meanwhile(process.pid)
        try:
            _, said = process.communicate(timeout=_HANGS)
        except subprocess.TimeoutExpired:
            for pid in (process.pid, *(pid for pid, _ in descendants(process.pid))):
                os.kill(pid, signal.SIGKILL)
            said = f"no end after {_HANGS} seconds"
    return process.returncode, said.strip(), peak.largest


def _case(name: str, work: Path, recipe: Path, expected: dict[str, RowsById], seed: int) -> Result:
    crawl, output = work / "crawl", work / "out"
    _good(crawl)
    bad = crawl / "bad"
    bad.mkdir()
    count = _CASES[name](bad, random.Random(f"{seed} {name}"))
    size = "4MB" if "1 GB" in name else "16kB"  # a gigabyte in the smallest of splits would take a quarter of an hour
    line = command(crawl, output, recipe, "--max-quarantined", "1", "--set", f"input.split_size={size}")
    code, said, memory = _watched(line)
    result = Result(name, count)
    problems = [] if code == 0 and "Traceback" not in said else [f"exit {code}: {said[-200:]!r}"]
    if (output / "manifest.json").exists():
        more, result.lost, result.duplicated = _account(output, expected)
        problems += more
        named = _named(output)
        places = [path.relative_to(crawl).as_posix() for path in sorted(bad.iterdir())]
        silent = [
            place
            for place in places
            if not any(entry == place or entry.startswith(f"{place}/") for entry in named)
            and place not in _HOLDS_NOTHING
        ]
        result.survived = count - len(silent) if not problems else 0
        problems += [f"not a word about {', '.join(silent)}"] if silent else []
    if memory > _MEMORY:
        problems.append("too much memory")
        result.survived = 0
    result.remark = "; ".join([f"largest process {memory / 1e6:,.0f} MB", *problems])
    if name.startswith("unreadable") and os.geteuid() == 0:
        result.remark += "; run by root, whom chmod does not stop"
    (bad / "closed").chmod(0o755) if (bad / "closed").exists() else None
    return result


def _moving(work: Path, recipe: Path) -> Result:
    """Add, remove and append files while a run works, and look at it and at the runs that follow."""
    crawl, output = work / "crawl", work / "out"
    names = ("zz-vanishes", "zz-grows", "zz-replaced")
    _good(crawl)
    for name in names:
        (crawl / f"{name}.jsonl").write_bytes(_lines(name, 20))

    def meanwhile(pid: int) -> None:
        journal = output / "state" / "journal.jsonl"
        while not (journal.exists() and b'"segment"' in journal.read_bytes()):  # planned, and the first split is done
            time.sleep(0.001)
        os.kill(pid, signal.SIGSTOP)
        (crawl / "zz-vanishes.jsonl").unlink()
        (crawl / "zz-comes.jsonl").write_bytes(_lines("comes", 20))
        with (crawl / "zz-grows.jsonl").open("ab") as file:
            file.write(_lines("grown", 20))
        (work / "other").write_bytes(_lines("replaced", 20))
        (work / "other").replace(crawl / "zz-replaced.jsonl")
        os.kill(pid, signal.SIGCONT)

    good = work / "good"
    _good(good)
    plain = work / "plain"
    subprocess.run(command(good, plain, recipe), check=True)
    expected = {folder: rows_by_id(plain, folder) for folder in ("shards", "rejects", "signals")}
    line = command(crawl, output, recipe)
    code, said, memory = _watched(line, meanwhile)
    result = Result("files added, removed, appended, replaced during the run", 4)
    if not (output / "manifest.json").exists():
        result.remark = f"exit {code}: {said[-300:]!r}"
        return result
    problems, result.lost, result.duplicated = _account(output, expected)
    if code not in (0, 1) or "Traceback" in said:
        problems.append(f"exit {code}: {said[-200:]!r}")
    said_about = {name: any(name in entry for entry in _named(output)) for name in names}
    problems += [f"not a word about {name}" for name, there in said_about.items() if not there]
    code, said, _ = _watched(line)
    problems += [] if code == 0 else [f"the next run ended with {code}: {said[-200:]!r}"]
    with (crawl / "zz-grows.jsonl").open("ab") as file:
        file.write(_lines("grown again", 20))
    code, said, _ = _watched(line)
    if code != 4 or "zz-grows.jsonl" not in said:
        problems.append(f"a file that changed after it was read: the run ended with {code}: {said[-200:]!r}")
    code, said, _ = _watched([*line, "--accept-new-versions"])
    problems += [] if code == 0 else [f"--accept-new-versions ended with {code}: {said[-200:]!r}"]
    if code == 0:
        more, lost, duplicated = _account(output, expected)
        problems += more
        result.lost, result.duplicated = result.lost + lost, result.duplicated + duplicated
        there = rows_by_id(output)
        missing = [name for name in ("comes", "grown", "replaced", "grown again") if f"{name}-0" not in there]
        problems += [f"new documents are not there: {missing}"] if missing else []
    result.survived = 4 if not problems and memory < _MEMORY else 0
    result.remark = "; ".join(
        [
            f"largest process {memory / 1e6:,.0f} MB",
            "the next run reads what was not read",
            *problems,
        ]
    )
    return result


def run_inputs(work: Path, seed: int) -> list[Result]:
    """Run every case and return a row for each."""
    recipe = write_recipe(work / "recipe.toml", tokenizer="bytes")
    _good(work / "good")
    subprocess.run(command(work / "good", work / "plain", recipe), check=True)
    expected = {folder: rows_by_id(work / "plain", folder) for folder in ("shards", "rejects", "signals")}
    results: list[Any] = []
    for name in _CASES:
        place = work / "case"
        results.append(_case(name, place, recipe, expected, seed))
        say(f"inputs: {results[-1].line()}")
        shutil.rmtree(place)
    results.append(_moving(work / "moving", recipe))
    say(f"inputs: {results[-1].line()}")
    return results
