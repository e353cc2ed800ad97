"""Runs over files that are larger than a split: cut while the run goes on, resumed anywhere, the same for all workers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from corpusmill.audit import audit
from corpusmill.manifest import read_manifest
from corpusmill.recipe import load_recipe
from corpusmill.run import run
from support import prose, stop_after

SETTINGS = (
    "tokenize.tokenizer=bytes",
    "input.split_size=6kB",
    "output.text=true",
    "output.shard_tokens=20000",
    "output.validation_share=0.2",
)


def warc(pages: list[str]) -> bytes:
    """Return a WARC file in which each record is a gzip member."""
    members = []
    for number, page in enumerate(pages):
        body = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html><body><p>{page}</p></body></html>".encode()
        head = (
            "WARC/1.0\r\nWARC-Type: response\r\n"
            f"WARC-Target-URI: https://example.org/{number}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        members.append(gzip.compress(head.encode() + body + b"\r\n\r\n", mtime=0))
    return b"".join(members)


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    folder = tmp_path / "crawl"
    folder.mkdir()
    lines = [json.dumps({"text": prose(n)}) for n in range(120)]
    plain = "\n".join([*lines[:40], "{broken", "", *lines[20:30]]).encode()  # some come twice
    (folder / "a.jsonl").write_bytes(plain)
    (folder / "b.jsonl.gz").write_bytes(gzip.compress("\n".join(lines[30:90]).encode(), mtime=0))
    (folder / "c.jsonl.zst").write_bytes(zstandard.compress("\n".join(lines[80:120]).encode())[:-9])  # cut off
    pq.write_table(pa.table({"text": [prose(n) for n in range(200, 240)]}), folder / "d.parquet", row_group_size=7)
    (folder / "e.warc.gz").write_bytes(warc([prose(n) for n in range(300, 340)]))
    (folder / "small.txt").write_text(prose(999))
    return folder


def ran(crawl: Path, output: Path, **options: Any) -> Any:
    return run(load_recipe("minimal", SETTINGS), [crawl], output, **options)


def contents(output: Path) -> dict[str, bytes]:
    folders = ("shards", "rejects", "signals", "quarantine")
    paths = [path for folder in folders for path in output.glob(f"{folder}/*")]
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in paths}


def test_large_files_of_every_kind_are_cut_and_lose_nothing(crawl: Path, tmp_path: Path) -> None:
    manifest = ran(crawl, tmp_path / "out")
    whole = run(load_recipe("minimal", [*SETTINGS, "input.split_size=1GB"]), [crawl], tmp_path / "whole")
    assert manifest.runs[0]["splits"] > 15 > whole.runs[0]["splits"]
    rows = {
        at: pq.read_table(at / "shards").drop(["input_ids"]).to_pylist()
        for at in (tmp_path / "out", tmp_path / "whole")
    }
    first, second = (sorted(map(str, found)) for found in rows.values())
    assert first == second
    assert manifest.documents == whole.documents
    errors = [pq.read_table(tmp_path / name / "quarantine").drop(["stage"]).to_pylist() for name in ("out", "whole")]
    assert sorted(map(str, errors[0])) == sorted(map(str, errors[1]))
    assert {row["source"] for row in errors[0]} == {"a.jsonl", "c.jsonl.zst"}
    assert not list((tmp_path / "out" / "state").glob("spill/*"))
    assert audit(tmp_path / "out").ok


def test_workers_change_nothing(crawl: Path, tmp_path: Path) -> None:
    ran(crawl, tmp_path / "one")
    ran(crawl, tmp_path / "two", workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.parametrize("events", [3, 8, 17, 30, 50])
def test_a_stopped_run_cuts_on_where_it_was(
    crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: int
) -> None:
    ran(crawl, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_after(patch, events)
        with pytest.raises(KeyboardInterrupt):
            ran(crawl, tmp_path / "out")
    ran(crawl, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert read_manifest(tmp_path / "out").documents == read_manifest(tmp_path / "whole").documents
    assert audit(tmp_path / "out").ok


def test_lines_that_come_later_are_left_to_a_run_that_is_told_of_them(
    crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in crawl.iterdir():
        if path.name != "b.jsonl.gz":
            path.unlink()
    with monkeypatch.context() as patch:
        stop_after(patch, 9)
        with pytest.raises(KeyboardInterrupt):
            ran(crawl, tmp_path / "out")
    lines = [json.dumps({"text": prose(n)}) for n in range(30, 95)]
    (crawl / "b.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))
    ran(crawl, tmp_path / "out", accept_new_versions=True)
    texts = [row["text"] for row in pq.read_table(tmp_path / "out" / "shards").to_pylist()]
    assert sorted(texts) == sorted(prose(n) for n in range(30, 95))
    assert audit(tmp_path / "out").ok
