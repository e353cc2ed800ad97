"""What lies beside good files, damaged, strange or hostile, costs the good files nothing."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from corpusmill.audit import audit
from corpusmill.recipe import load_recipe
from corpusmill.run import run
from corpusmill.schemas.manifest import Manifest
from support import prose

SETTINGS = ["tokenize.tokenizer=bytes", "input.split_size=4kB", "output.text=true", "output.validation_share=0.2"]


def ran(crawl: Path, output: Path) -> Manifest:
    manifest = run(load_recipe("minimal", SETTINGS), [crawl], output)
    documents = manifest.documents
    assert documents.documents_in == documents.kept + documents.dropped + documents.quarantined
    result = audit(output)
    assert result.ok, result.problems
    return manifest


def rows(output: Path, prefix: str) -> dict[str, list[Any]]:
    """The kept and dropped rows of documents whose id begins with *prefix*, by id."""
    found: dict[str, list[Any]] = {}
    for folder in ("shards", "rejects"):
        for path in sorted((output / folder).glob("*")):
            for row in pq.read_table(path).to_pylist():
                if row["id"].startswith(prefix):
                    found.setdefault(row["id"], []).append((folder, path.name.split("-")[0], row))
    return found


def quarantined(output: Path) -> set[str]:
    return {row["source"] for path in (output / "quarantine").glob("*") for row in pq.read_table(path).to_pylist()}


def records(name: str) -> list[dict[str, str]]:
    return [{"id": f"{name}-{n}", "text": prose(hash_of(name) + n // 2, 60)} for n in range(40)]  # each one twice


def hash_of(name: str) -> int:
    return int.from_bytes(name.encode(), "big") % 1_000_003 * 100


def lines(name: str) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records(name)).encode()


def parquet(name: str) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records(name)), sink, row_group_size=10)
    return sink.getvalue()


FORMATS: dict[str, Callable[[str], bytes]] = {
    "jsonl": lines,
    "jsonl.gz": lambda name: gzip.compress(lines(name), mtime=0),
    "jsonl.zst": lambda name: zstandard.ZstdCompressor(write_checksum=True).compress(lines(name)),
    "parquet": parquet,
}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Files of every format whose names sort before, between and behind those of bad ones."""
    crawl = tmp_path / "crawl"
    for folder in ("a", "m", "z"):
        (crawl / folder).mkdir(parents=True)
        for suffix, packed in FORMATS.items():
            (crawl / folder / f"good.{suffix}").write_bytes(packed(f"good {folder} {suffix}"))
        (crawl / folder / "good.txt").write_text(prose(hash_of(folder)))
    return crawl


def test_good_files_are_as_without_the_damaged_ones(good: Path, tmp_path: Path) -> None:
    ran(good, tmp_path / "plain")
    expected = rows(tmp_path / "plain", "good")
    assert len(expected) == 3 * 40 * len(FORMATS)
    bad = set()
    for suffix, packed in FORMATS.items():
        data = packed(f"bad {suffix}")
        flipped = bytearray(packed(f"flipped {suffix}"))
        flipped[len(flipped) // 2] ^= 0x80  # no ASCII any more in plain text, another code in packed data
        for name, content in (("cut", data[: len(data) * 2 // 3]), ("tail", data[9:]), ("flipped", bytes(flipped))):
            (good / "m" / f"{name}.{suffix}").write_bytes(content)
            bad.add(f"m/{name}.{suffix}")
    manifest = ran(good, tmp_path / "out")
    assert rows(tmp_path / "out", "good") == expected
    told = quarantined(tmp_path / "out") | {file["name"] for file in manifest.inputs["skipped"]}
    assert bad <= told


def test_what_is_no_file_is_named_and_never_opened(good: Path, tmp_path: Path) -> None:
    ran(good, tmp_path / "plain")
    (good / "dangling.jsonl").symlink_to("nowhere.jsonl")
    (good / "endless.txt").symlink_to("/dev/zero")
    (good / "m" / "up").symlink_to("..", target_is_directory=True)
    os.mkfifo(good / "pipe.jsonl")
    manifest = ran(good, tmp_path / "out")
    assert rows(tmp_path / "out", "") == rows(tmp_path / "plain", "")
    why = {file["name"]: file["why"] for file in manifest.inputs["skipped"]}
    assert why["dangling.jsonl"].startswith("cannot be opened")
    assert why["endless.txt"] == why["pipe.jsonl"] == "no regular file"


def test_links_in_a_circle_are_named(good: Path, tmp_path: Path) -> None:
    (good / "self.html").symlink_to("self.html")
    (good / "one.txt").symlink_to("two.txt")
    (good / "two.txt").symlink_to("one.txt")
    manifest = ran(good, tmp_path / "out")
    assert {"self.html", "one.txt", "two.txt"} <= {file["name"] for file in manifest.inputs["skipped"]}


@pytest.mark.skipif(os.geteuid() == 0, reason="root opens what nobody may read")
def test_what_may_not_be_read_is_named(good: Path, tmp_path: Path) -> None:
    (good / "m" / "good.txt").chmod(0)
    (good / "z").chmod(0)
    try:
        manifest = ran(good, tmp_path / "out")
    finally:
        (good / "z").chmod(0o755)
    why = {file["name"]: file["why"] for file in manifest.inputs["skipped"]}
    assert why["m/good.txt"] == "cannot be opened: Permission denied"
    assert why["z"] == "the directory cannot be opened: Permission denied"
