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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpusmill.schemas import RecipeError
from corpusmill.stages.reference_files import reference_files, reference_names
from corpusmill.stages.references import read_items

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
    assert items(path)[0][1] == (("first", ("Which, of these?",)), ("rest", ("one", "two\nlines")))  # A is the answer
    path.write_text("subject,question\nmaths,What is 1 + 1?\n")
    assert texts(path, ("question",)) == [["What is 1 + 1?"]]
    path = tmp_path / "a.tsv"
    path.write_text("question\tanswer\nWhy, oh why?\tbecause\n")
    assert texts(path, ("question", "answer")) == [["Why, oh why?", "because"]]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("What is 1 + 1?,one,two,B\n", ("set#0", (("first", ("What is 1 + 1?",)), ("rest", ("one", "two"))))),
        ("q-17,What is 1 + 1?,one,two,B\n", ("set#q-17", (("first", ("What is 1 + 1?",)), ("rest", ("one", "two"))))),
        ('3,"1 + 1, is?",1,2,B\n', ("set#3", (("first", ("1 + 1, is?",)), ("rest", ("1", "2"))))),
        ("1+1=?,0,1,2,3,C\n", ("set#0", (("first", ("1+1=?",)), ("rest", ("0", "1", "2", "3"))))),
        ("id,question,A,B\nx,Why?,one,two\n", ("set#x", (("question", ("Why?",)), ("A", ("one",)), ("B", ("two",))))),
        ("Prompt,Answer\r\nWhy?,so\r\n", ("set#0", (("Prompt", ("Why?",)), ("Answer", ("so",))))),
        ("question\nWhy?,so\n", ("set#0", (("question", ("Why?",)), ("", ("so",))))),
        ("id,frage\nx,Warum?\n", ("set#x", (("frage", ("Warum?",)),))),
    ],
)
def test_rows_have_names_where_the_first_line_names_them(tmp_path: Path, content: str, expected: Any) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content.encode())
    assert items(path) == [expected]


Q, R = "Why does the mill stand still today?", "Who grinds the corn of the whole village?"
TWO = [("set#0", (("q", (Q,)),)), ("set#1", (("q", (R,)),))]
NAMED = [("set#x", (("q", (Q,)),)), ("set#y", (("q", (R,)),))]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("a.json", {"x": {"q": Q}, "y": {"q": R}}, NAMED),
        ("a.json", {"version": 1, "data": {"x": {"q": Q}, "y": {"q": R}}}, NAMED),
        ("a.json", {"x": {"id": "own", "q": Q}, "y": {"q": R}}, [("set#own", (("q", (Q,)),)), NAMED[1]]),
        ("a.json", {"q": [Q, R], "n": [1, 2]}, TWO),
        ("a.json", {"id": ["x", "y"], "q": [Q, R]}, NAMED),
        ("a.json", {"q": {"0": Q, "1": R}, "n": {"0": 1, "1": 2}}, TWO),
        ("a.json", {"train": [], "test": [{"q": Q}, {"q": R}]}, TWO),
        ("a.json", {"train": {"q": [Q]}, "test": {"q": [R]}}, TWO),
        (
            "a.json",
            {"q": Q, "choices": [{"text": "a"}, {"text": "b"}]},
            [("set#0", (("q", (Q,)), ("choices.text", ("a", "b"))))],
        ),
        (
            "a.json",
            {"q": {"text": Q}, "choices": {"text": ["a"]}},
            [("set#0", (("q.text", (Q,)), ("choices.text", ("a",))))],
        ),
        ("a.json", {"article": Q * 2, "list": [{"q": Q}]}, [TWO[0], ("set#1", (("article", (Q * 2,)),))]),
        ("a.json", {"q": Q, "a": ["one", "two"]}, [("set#0", (("q", (Q,)), ("a", ("one", "two"))))]),
        ("a.jsonl", [{"q": Q}, {"q": R}], TWO),
        ("a.jsonl", {"q": Q}, TWO[:1]),
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_json_of_any_shape(tmp_path: Path, name: str, value: Any, expected: Any, indent: int | None) -> None:
    path = tmp_path / name
    path.write_text(json.dumps(value, indent=indent))
    assert items(path) == expected


NAMES = st.sampled_from(["q", "choices", "data", "test", "question", "target_scores", "0", "1", "A", "B", "c1", "c2"])
LEAVES = st.one_of(
    st.integers(0, 999_999).map(lambda number: f"a text of more than forty characters, number {number}"),
    st.sampled_from([None, 1, 2.5, True, "x", "A", ""]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)


def _long_texts(value: Any) -> set[str]:
    if isinstance(value, dict | list):
        return set().union(*map(_long_texts, value.values() if isinstance(value, dict) else value))
    return {value} if isinstance(value, str) and len(value) > 40 else set()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=VALUES, suffix=st.sampled_from([".json", ".jsonl"]), indent=st.sampled_from([None, 1]))
def test_no_text_is_lost_whatever_the_shape(tmp_path: Path, value: Any, suffix: str, indent: int | None) -> None:
    path = tmp_path / f"fuzz{suffix}"
    path.write_text(json.dumps(value, indent=indent))
    assert {text for strings in texts(path) for text in strings if len(text) > 40} == _long_texts(value)


def test_json_lines_may_be_called_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(LINES)
    assert items(path) == EXPECTED
    path.write_bytes(LINES + b'{"question": "secr')
    with pytest.raises(RecipeError, match="no valid JSON") as error:
        items(path)
    assert "secr" not in str(error.value)


def test_maps_of_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    type_ = pa.map_(pa.string(), pa.string())
    columns = {
        "id": ["x", "y"],
        "m": pa.array([[("q", Q)], [("q", R)]], type_),
        "l": pa.array([[[("a", R)]], []], pa.list_(type_)),
    }
    pq.write_table(pa.table(columns), path)
    assert items(path) == [("set#x", (("m.q", (Q,)), ("l.a", (R,)))), ("set#y", (("m.q", (R,)),))]


def test_addresses_are_text_only_where_they_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    address = "https://example.org/wiki/what-happens-if-you-swallow-a-chewing-gum-by-accident"
    record = {"q": f"Look at {address}", "source": address, "links": [f" {address}", "www.example.org/a"]}
    path.write_text(json.dumps(record))
    assert texts(path) == [[f"Look at {address}"]]
    assert texts(path, ("source",)) == [[address]]


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


def test_ids_can_be_printed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"id": "\\ud800x", "q": "a"}\n{"id": "a\\nb\\u001b[31m", "q": "b"}\n')
    refs = [ref for ref, _ in items(path)]
    assert refs == ["set#\ufffdx", "set#a\ufffdb\ufffd[31m"]
    assert pa.array(refs).to_pylist() == refs


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


def test_files_about_a_set_are_taken_only_if_they_are_named(tmp_path: Path) -> None:
    beside = [
        "LICENSE.txt",
        "License-MIT.txt",
        "README.json",
        "requirements.txt",
        "requirements-dev.txt",
        "package.json",
        "NOTICE.txt",
    ]
    sets = ["citation_intent.jsonl", "license_exam.jsonl", "test.txt"]
    for name in (*beside, *sets, "README.md"):
        (tmp_path / name).write_bytes(LINES)
    for pattern in (tmp_path, tmp_path / "*", tmp_path / "**"):
        assert reference_names(reference_files([str(pattern)])) == sets
        assert len(reference_files([str(pattern)], licenses=True)) == len(beside) + len(sets)
    assert reference_files([str(tmp_path / name) for name in beside]) == [tmp_path / name for name in beside]
    with pytest.raises(RecipeError, match=r"only 'LICENSE\.txt' or its like; name the file itself if it is a set"):
        reference_files([str(tmp_path / "LIC*")])


def test_names_tell_files_apart(tmp_path: Path) -> None:
    paths = [Path("/a/x/t.jsonl"), Path("/b/x/t.jsonl"), Path("t.jsonl"), Path("/a/u.jsonl")]
    assert reference_names(paths) == ["a/x/t.jsonl", "b/x/t.jsonl", "t.jsonl", "u.jsonl"]


def test_fields_with_strings_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINES)
    columns: set[str] = set()
    list(read_items(path, "set", ("question",), (), columns))
    assert columns == {"id", "question", "choices"}
