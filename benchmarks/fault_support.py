"""What the fault scripts share: a corpus from a seed, the command, and ways to compare two outputs.

Everything goes through the command line and the files that it leaves, so that the scripts judge what users see and keep
working while the inside of the package changes. Nothing here reads a clock to decide what is right.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

__all__ = [
    "Peak",
    "Result",
    "RowsById",
    "accounted",
    "audit",
    "command",
    "descendants",
    "difference",
    "make_corpus",
    "prose",
    "rows_by_id",
    "say",
    "warc_gz",
    "write_recipe",
    "write_records",
]

COMPARED = ("shards", "rejects", "signals", "quarantine")
"""Folders of an output whose every byte is a function of recipe, inputs and versions."""

_STEMS = ("mill", "river", "stone", "bread", "grain", "wheel", "ferry", "lamp")
_WORDS = [stem + ending for stem in _STEMS for ending in ("", "s", "er", "ing", "ed", "like", "work")]
_WORDS += ["the", "and", "of", "that", "with", "to", "have", "be"]

RowsById = dict[str, list[tuple[Any, ...]]]


@dataclass
class Result:
    """One line of the table. `tried` None means that this machine does not allow the fault to be made."""

    fault: str
    tried: int | None
    survived: int = 0
    lost: int = 0
    duplicated: int = 0
    remark: str = ""

    @property
    def ok(self) -> bool:
        """Whether the fault could be made and every try of it was survived without loss."""
        return self.tried is not None and self.survived == self.tried and not self.lost and not self.duplicated

    def line(self) -> str:
        """Return the result as a row of a Markdown table."""
        if self.tried is None:
            return f"| {self.fault} | not possible here | – | – | – | {self.remark} |"
        return f"| {self.fault} | {self.tried} | {self.survived} | {self.lost} | {self.duplicated} | {self.remark} |"


def say(text: str) -> None:
    """Print progress where it does not mix with the table."""
    print(text, file=sys.stderr, flush=True)


# --- the corpus ------------------------------------------------------------------------------------------------------


def prose(seed: str, length: int = 150) -> str:
    """Return *length* words that depend on *seed* alone."""
    return " ".join(random.Random(seed).choices(_WORDS, k=length))


def _texts(name: str, count: int) -> list[str]:
    """Return texts of which every tenth is a copy of an earlier one and every tenth a copy with two words changed."""
    texts: list[str] = []
    for number in range(count):
        if number % 10 == 7:
            texts.append(texts[number // 2])
        elif number % 10 == 9:
            words = texts[number // 3].split()
            words[20], words[90] = "changed", "words"
            texts.append(" ".join(words))
        elif number % 10 == 4:  # what other files hold, too: duplicates across splits
            texts.append(prose(f"shared {number}"))
        else:
            texts.append(prose(f"{name} {number}"))
    return texts


def _page(text: str) -> str:
    words = text.split()
    paragraphs = "".join(f"<p>{' '.join(words[at : at + 50])}.</p>" for at in range(0, len(words), 50))
    return f"<html><head><title>Page</title></head><body><article>{paragraphs}</article></body></html>"


def warc_gz(pages: list[tuple[str, str]]) -> bytes:
    """Return a WARC file with one gzip member for each (address, page)."""
    members = []
    for number, (url, page) in enumerate(pages):
        content = page.encode()
        http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + content
        head = (
            f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{number:012d}>\r\n"
            f"WARC-Target-URI: {url}\r\nWARC-Date: 2024-01-01T00:00:00Z\r\n"
            f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
        )
        members.append(gzip.compress(head.encode() + http + b"\r\n\r\n", mtime=0))
    return b"".join(members)


def write_records(path: Path, name: str, count: int, *, first: int = 0) -> list[dict[str, str]]:
    """Write *count* records in the format that the suffixes of *path* name, and return them."""
    records = [{"id": f"{name}-{first + at}", "text": text} for at, text in enumerate(_texts(name, count))]
    lines = "".join(json.dumps(record) + "\n" for record in records).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(records), path, row_group_size=25)
    elif path.name.endswith(".warc.gz"):
        path.write_bytes(warc_gz([(f"https://example.org/{r['id']}", _page(r["text"])) for r in records]))
    elif path.name.endswith(".gz"):
        path.write_bytes(gzip.compress(lines, mtime=0))
    elif path.name.endswith(".zst"):
        path.write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(lines))
    else:
        path.write_bytes(lines)
    return records


def make_corpus(root: Path, seed: int, scale: int = 1) -> None:
    """Write some hundred documents times *scale* in every common format, with exact and near duplicates among them."""
    write_records(root / "big.jsonl", f"big {seed}", 320 * scale)
    write_records(root / "packed.jsonl.gz", f"packed {seed}", 120 * scale)
    write_records(root / "frames.jsonl.zst", f"frames {seed}", 60 * scale)
    write_records(root / "table.parquet", f"table {seed}", 120 * scale)
    write_records(root / "crawl.warc.gz", f"crawl {seed}", 80 * scale)
    for number, text in enumerate(_texts(f"pages {seed}", 40 * scale)):
        path = root / "pages" / f"{number:03d}.html"
        path.parent.mkdir(exist_ok=True)
        path.write_text(_page(text))
    for number, text in enumerate(_texts(f"notes {seed}", 20 * scale)):
        path = root / "notes" / f"{number:03d}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    with (root / "big.jsonl").open("a") as file:  # bad input is part of every corpus
        file.write("{broken\n")


def write_recipe(path: Path, *, tokenizer: str = "train", stages: str = "", limits: str = "") -> Path:
    """Write a recipe of quick stages that cuts a small corpus into many splits and shards; *stages* are put first."""
    training = "vocabulary_size = 300" if tokenizer == "train" else f'tokenizer = "{tokenizer}"'
    path.write_text(
        f'name = "faults"\n{limits}\n'
        '[input]\nsplit_size = "16kB"\n'
        "[output]\nshard_tokens = 20_000\nvalidation_share = 0.1\ntext = true\n"
        '[[stage]]\nkind = "strip_html"\n[[stage]]\nkind = "normalize_text"\n'
        f'{stages}[[stage]]\nkind = "filter_quality"\npresets = []\nminimum_words = 40\n'
        f'[[stage]]\nkind = "deduplicate"\n[[stage]]\nkind = "tokenize"\n{training}\n'
    )
    return path


# --- running ---------------------------------------------------------------------------------------------------------


def command(inputs: Path, output: Path, recipe: Path, *more: str, workers: int = 2) -> list[str]:
    """Return the command line of a run."""
    start = [sys.executable, "-m", "corpusmill", "run", str(inputs), str(output), "--recipe", str(recipe)]
    return [*start, "--workers", str(workers), "--quiet", *more]


def audit(output: Path) -> str:
    """Return what is wrong with an output, or nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "corpusmill", "audit", str(output)], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip()


def _parents() -> dict[int, list[int]]:
    """Return the processes of this machine by the process that started them; those that have ended are left out."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            status = (entry / "stat").read_text()
        except OSError:
            continue
        state, parent = status[status.rindex(")") + 2 :].split()[:2]
        if state not in "ZX":
            children.setdefault(int(parent), []).append(int(entry.name))
    return children


def descendants(pid: int) -> list[tuple[int, str]]:
    """Return the living processes below *pid*, each with its command line."""
    children, found, left = _parents(), [], [pid]
    while left:
        for child in children.get(left.pop(), []):
            left.append(child)
            try:
                line = Path("/proc", str(child), "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            found.append((child, line))
    return found


class Peak:
    """Watches a process and all below it; `largest` is the greatest resident size that any one of them had, in bytes."""

    def __init__(self, pid: int) -> None:
        self.largest = 0
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            for pid in [self._pid, *(pid for pid, _ in descendants(self._pid))]:
                try:
                    status = Path("/proc", str(pid), "status").read_text()
                except OSError:
                    continue
                for line in status.splitlines():
                    if line.startswith("VmHWM:"):
                        self.largest = max(self.largest, int(line.split()[1]) * 1024)


# --- judging ---------------------------------------------------------------------------------------------------------


def _files(output: Path) -> dict[str, bytes]:
    paths = [path for folder in COMPARED for path in (output / folder).glob("*") if path.is_file()]
    return {p.relative_to(output).as_posix(): p.read_bytes() for p in [*paths, output / "tokenizer.json"] if p.exists()}


def _ids(output: Path) -> Counter[str]:
    """Return how often each document is in an output: kept, dropped or quarantined."""
    found: Counter[str] = Counter()
    for folder in ("shards", "rejects", "quarantine"):
        for path in (output / folder).glob("*.parquet"):
            for row in pq.read_table(path).to_pylist():
                found[row["id"] or f"{row['source']}#{row['offset']}"] += 1
    return found


def difference(expected: Path, got: Path) -> tuple[list[str], int, int]:
    """Return the files that differ between two outputs, and how many documents the second lost and has too often."""
    before, after = _files(expected), _files(got)
    files = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    if not files:
        return [], 0, 0
    wanted, found = _ids(expected), _ids(got)
    return files, sum((wanted - found).values()), sum((found - wanted).values())


def rows_by_id(output: Path, folder: str = "shards") -> RowsById:
    """Return the rows of a folder by id, each as a tuple without the place where it stands."""
    rows: RowsById = {}
    for path in sorted((output / folder).glob("*.parquet")):
        data = io.BytesIO(path.read_bytes())
        for row in pq.read_table(data).to_pylist():
            values = tuple((name, tuple(v) if isinstance(v, list) else v) for name, v in sorted(row.items()))
            rows.setdefault(row["id"] or "", []).append((path.name.split("-")[0], *values))
    return rows


def accounted(output: Path) -> str:
    """Return what is wrong with the sum of an output's documents, or nothing."""
    documents = json.loads((output / "manifest.json").read_text())["documents"]
    right = documents["in"] == documents["kept"] + documents["dropped"] + documents["quarantined"]
    return "" if right else f"the account does not add up: {documents}"
