"""Evaluation sets as they come: formats, compression, folders, fields, names of items, and files that are not whole."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from corpusmill.schemas import RecipeError
from corpusmill.stages.references import read_items, reference_files, reference_names

RECORDS: list[dict[str, Any]] = [
    {"id": "first", "question": "Why?", "choices": ["because", "so"], "answer": 1},
    {"question": "Who?", "choices": ["he", "she"], "answer": 0},
]
EXPECTED = [
    ("set#first", (("question", ("Why?",)), ("choices", ("because", "so")))),
    ("set#1", (("question", ("Who?",)), ("choices", ("he", "she")))),
]
LINES = "".join(json.dumps(record) + "\n" for record in RECORDS).encode()


def items(path: Path, fields: tuple[str, ...] = (), ids: tuple[str, ...] = ("id",)) -> list[Any]:
    return [tuple(item) for item in read_items(path, "set", fields, ids, set())]


def texts(path: Path, fields: tuple[str, ...] = ()) -> list[list[str]]:
    return [[text for _, strings in item[1] for text in strings] for item in items(path, fields)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", LINES),
        ("a.ndjson", LINES.replace(b"\n", b"\r\n\r\n")),
        ("a.jsonl.gz", gzip.compress(LINES[:40]) + gzip.compress(LINES[40:])),
        ("a.jsonl.zst", zstandard.compress(LINES[:40]) + zstandard.compress(LINES[40:])),
        ("a.JSONL.bz2", bz2.compress(LINES)),
        ("a.jsonl.xz", lzma.compress(LINES)),
        ("a.jsonl", b"\xef\xbb\xbf" + LINES),
        ("a.json", json.dumps(RECORDS).encode()),
        ("a.json", json.dumps({"version": "1.1", "data": RECORDS}).encode()),
    ],
)
def test_formats_and_compression(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert reference_files([str(path)]) == [path]
    assert items(path) == EXPECTED


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rows = [{"id": None, **record, "picture": b"\x89PNG"} for record in RECORDS]
    pq.write_table(pa.Table.from_pylist(rows), path)
    assert items(path) == EXPECTED
    assert texts(path, ("choices",)) == [["because", "so"], ["he", "she"]]
    assert items(path, ("choices",))[0][0] == "set#first"


def test_nested_fields_keep_their_names_and_numbers_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    record = {
        "q": {"stem": "Why?", "n": 3},
        "choices": [{"text": "yes", "label": "A"}, {"text": "no"}],
        "x": [[["deep"]]],
    }
    path.write_text(json.dumps([record]))
    ((_, fields),) = items(path)
    assert fields == (
        ("q.stem", ("Why?",)),
        ("choices.text", ("yes", "no")),
        ("choices.label", ("A",)),
        ("x", ("deep",)),
    )
    assert texts(path, ("choices.text", "q")) == [["yes", "no", "Why?"]]


def test_tables_of_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('"Which, of these?",one,"two\nlines",A\nWhy?,three,four,B\n')
    assert items(path)[0][1] == (("first", ("Which, of these?",)), ("rest", ("one", "two\nlines", "A")))
    path.write_text("subject,question\nmaths,What is 1 + 1?\n")
    assert texts(path, ("question",)) == [["What is 1 + 1?"]]
    path = tmp_path / "a.tsv"
    path.write_text("question\tanswer\nWhy, oh why?\tbecause\n")
    assert texts(path, ("question", "answer")) == [["Why, oh why?", "because"]]


def test_text_is_cut_at_blank_lines_or_else_into_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\n\nfirst\r\nparagraph\r\n \r\n\r\nsecond\r\n")
    assert texts(path) == [["first\nparagraph"], ["second"]]
    path.write_text("one question\nanother question\n")
    assert texts(path, ("question",)) == [["one question"], ["another question"]]  # lines have no fields
    assert [ref for ref, _ in items(path)] == ["set#0", "set#1"]


def test_ids_are_not_compared_and_never_long(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"task_id": "HumanEval/3", "prompt": "def"}\n{"task_id": " ", "prompt": "x"}\n{"task_id": "%s"}' % ("y" * 999)
    )
    found = items(path, ids=("id", "task_id"))
    assert found[0] == ("set#HumanEval/3", (("prompt", ("def",)),))
    assert found[1][0] == "set#1"
    assert len(found[2][0]) == len("set#") + 200


def test_odd_json_is_read_as_python_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": "lone \\ud800 surrogate", "b": NaN}\n"a bare string"\n')
    assert texts(path) == [["lone ? surrogate"], ["a bare string"]]


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", LINES + b'{"question": "secr', r"a\.jsonl: line 3 is no valid JSON"),
        ("a.json", b"{", "no valid JSON"),
        ("a.json", b"[" * 100_000, "no valid JSON"),
        ("a.jsonl.gz", _cut(gzip.compress(LINES * 9)), "cannot read"),
        ("a.jsonl.zst", _cut(zstandard.compress(LINES * 9)), "the file is cut short"),
        ("a.jsonl.xz", _cut(lzma.compress(LINES * 9)), "cannot read"),
        ("a.parquet", b"PAR1 and nothing more", "cannot read"),
        ("a.txt", b"caf\xe9", "cannot read"),
        ("a.csv", b"caf\xe9", "cannot read"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=message) as error:
        items(path)
    assert "secr" not in str(error.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "mmlu/test.jsonl",
        "gsm8k/test.jsonl",
        "arc.jsonl.gz",
        "arc.md",
        ".cache/x.jsonl",
        "mmlu/dataset_info.json",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(gzip.compress(LINES) if name.endswith("gz") else LINES)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", ["arc.jsonl.gz", "gsm8k/test.jsonl", "mmlu/test.jsonl"]),
        ("*/test.jsonl", ["gsm8k/test.jsonl", "mmlu/test.jsonl"]),
        ("**/test*", ["gsm8k/test.jsonl", "mmlu/test.jsonl"]),
        ("mmlu", ["test.jsonl"]),
        ("arc.jsonl.gz", ["arc.jsonl.gz"]),
    ],
)
def test_folders_and_patterns(folder: Path, pattern: str, expected: list[str]) -> None:
    found = reference_files([str(folder / pattern)])
    assert reference_names(found) == expected
    assert reference_files([str(folder / pattern), str(folder / "mmlu" / ".." / pattern)]) == found


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("mmlu/tset.jsonl", r"there is no file '.*tset\.jsonl'; did you mean 'test\.jsonl'\?"),
        ("mlu/test.jsonl", "nor a folder '.*mlu'"),
        ("arc.md", r"cannot tell what '.*arc\.md' is: its name must end in \.jsonl"),
        (".cache", "holds no evaluation set"),
        ("*.parquet", "holds no evaluation set"),
    ],
)
def test_what_cannot_be_found_is_refused_with_what_can(folder: Path, reference: str, message: str) -> None:
    if reference == ".cache":
        (folder / ".cache" / "x.jsonl").rename(folder / ".cache" / "x.md")
    with pytest.raises(RecipeError, match=message):
        reference_files([str(folder / reference)])


def test_names_tell_files_apart(tmp_path: Path) -> None:
    paths = [Path("/a/x/t.jsonl"), Path("/b/x/t.jsonl"), Path("t.jsonl"), Path("/a/u.jsonl")]
    assert reference_names(paths) == ["a/x/t.jsonl", "b/x/t.jsonl", "t.jsonl", "u.jsonl"]


def test_fields_with_strings_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINES)
    columns: set[str] = set()
    list(read_items(path, "set", ("question",), (), columns))
    assert columns == {"id", "question", "choices"}
