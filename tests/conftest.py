"""Test ids that are the same in every process, and a small corpus on disk with ways to compare what runs leave.

pytest writes the bytes of a parameter into the id of its test, and compressed bytes hold the second in which they were made.
Worker processes of pytest-xdist that collect in different seconds then refuse to run, because their tests have other names.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support import prose


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name bytes that are not printable by their argument; pytest numbers names that come again."""
    if isinstance(val, bytes) and not (val.isascii() and val.decode("ascii").isprintable()):
        return argname
    return None


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Thirty documents in JSON Lines, pages and text files, a third of them duplicates across files, and some bad input."""
    root = tmp_path / "crawl"
    root.mkdir()
    for number in range(6):
        records = [{"id": f"r{number}-{n}", "text": prose(number * 3 + n)} for n in range(4)]
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (root / f"part{number}.jsonl").write_text(lines + ("{broken\n" if number == 2 else ""))
    (root / "pages").mkdir()
    for number in range(4):
        body = "".join(f"<p>{prose(100 + number * 5 + n, 60)}.</p>" for n in range(4))
        (root / "pages" / f"page{number}.html").write_text(
            f"<html><body><article><h1>Page</h1>{body}</article></body></html>"
        )
    (root / "note.txt").write_text(prose(3))
    whole = gzip.compress(
        "".join(json.dumps({"id": f"z{n}", "text": prose(200 + n)}) + "\n" for n in range(50)).encode()
    )
    (root / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    return root


@pytest.fixture
def shard_bytes() -> Callable[[Path], dict[str, bytes]]:
    """The files of an output whose bytes must never differ."""

    def read(output: Path) -> dict[str, bytes]:
        paths = [*(output / "shards").glob("*"), output / "tokenizer.json"]
        found = {path.relative_to(output).as_posix(): path.read_bytes() for path in paths}
        assert any(name.startswith("shards/train") for name in found)
        return found

    return read
