"""Make a file of texts to measure on, out of what lies on a machine: documentation, pages, evaluation data.

Sources take turns, so that a folder of a hundred thousand alike pages does not outweigh the others, and within a source the
order is that of a hash of the path. No text is taken twice. Nothing of it is kept in this project.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from corpusmill.stages import StripHtml

_PLAIN = {".txt", ".md", ".rst", ".pod", ".texi"}
_PAGES = {".html", ".htm"}
_SHORTEST, _LONGEST = 200, 1_000_000  # characters


def write_texts(sources: list[Path], out: Path, megabytes: float) -> int:
    """Write texts from *sources* to *out* until it holds *megabytes*; return how many."""
    strip = StripHtml()

    def text_of(path: Path) -> str:
        data = path.read_bytes()
        if path.suffix in _PAGES:
            page = pa.record_batch({"id": [path.name], "html": pa.array([data], pa.large_binary())})
            return str(strip.judge(page)[0].column("text")[0].as_py() or "")
        return data.decode("utf-8", "replace")

    def texts(source: Path) -> Iterator[tuple[str, str]]:
        for path in _files(source):
            if ".jsonl" in path.suffixes:
                yield from _records(path)
            else:
                yield str(path.relative_to(source.parent)), text_of(path)

    ids, kept, seen, size = [], [], set(), 0
    waiting = [texts(source) for source in sources]
    while waiting and size < megabytes * 1e6:
        for source in list(waiting):
            found = next(source, None)
            if found is None:
                waiting.remove(source)
                continue
            id_, text = found[0], found[1].strip()
            digest = blake2b(text.encode(), digest_size=16).digest()
            if _SHORTEST <= len(text) <= _LONGEST and digest not in seen:
                seen.add(digest)
                ids.append(id_)
                kept.append(text)
                size += len(text.encode())
    table = pa.table({"id": ids, "text": pa.array(kept, pa.large_string())})
    pq.write_table(table, out, compression="zstd", row_group_size=8_192)
    return len(kept)


def _files(source: Path) -> list[Path]:
    found = source.rglob("*") if source.is_dir() else [source]
    wanted = [
        path for path in found if (path.suffix in _PLAIN | _PAGES or ".jsonl" in path.suffixes) and path.is_file()
    ]
    return sorted(wanted, key=lambda path: blake2b(str(path.relative_to(source.parent)).encode()).digest())


def _records(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the id and the text of each line: the field `text`, or `gold`, the main text of a page."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for number, line in enumerate(lines):
            record = json.loads(line)
            text = record.get("text") or record.get("gold")
            if isinstance(text, str):
                yield f"{path.name}#{number}", text
