"""Which files are read, as what, under which name; and that what is not read is listed with its reason."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from corpusmill.discover import Discovery, discover
from corpusmill.planning import estimated_splits, plan_splits
from corpusmill.schemas import RecipeError
from corpusmill.schemas.inputs import InputFile, InputSettings

JSON_LINE = b'{"text": "a mill", "id": "m"}\n'
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(range(256))


def found_in(path: Path, **settings: object) -> Discovery:
    return discover([path], InputSettings(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "data", "format_", "compression"),
    [
        ("a.html", b"<!DOCTYPE html><p>x", "html", "none"),
        ("a.xhtml", b'<?xml version="1.0"?>\n<!-- c --><html xmlns="x">', "html", "none"),
        ("a.htm", b"just words", "html", "none"),
        ("page", b"\xef\xbb\xbf \n<HTML lang=en>", "html", "none"),
        ("utf16.html", "<html><p>x".encode("utf-16"), "html", "none"),
        ("really.txt", b"<!doctype html><title>x</title>", "html", "none"),
        ("a.html.gz", gzip.compress(b"<html>x"), "html", "gzip"),
        ("packed.html", gzip.compress(b"<html>x"), "html", "gzip"),
        ("a.txt", b"plain words", "text", "none"),
        ("a.md", b"# Title\n<div>inline html</div>", "text", "none"),
        ("stray.txt", b"words \0\0 and words", "text", "none"),
        ("stray.html", b"<html><p>words \0 and words", "html", "none"),
        ("padded.jsonl", JSON_LINE * 200 + bytes(8) + b"\n" + JSON_LINE, "jsonl", "none"),
        ("latin.txt", "caf\xe9".encode("latin-1"), "text", "none"),
        ("empty.txt", b"", "text", "none"),
        ("a.jsonl", JSON_LINE, "jsonl", "none"),
        ("a.ndjson", JSON_LINE, "jsonl", "none"),
        ("a.json", JSON_LINE, "jsonl", "none"),
        ("no_suffix", JSON_LINE, "jsonl", "none"),
        ("a.jsonl.zst", zstandard.ZstdCompressor().compress(JSON_LINE), "jsonl", "zstd"),
        ("broken_first.jsonl", b"{broken\n" + JSON_LINE, "jsonl", "none"),
        ("a.warc", b"WARC/1.0\r\n", "warc", "none"),
        ("a.wet.gz", gzip.compress(b"WARC/1.0\r\n"), "warc", "gzip"),
        ("crawl", gzip.compress(b"WARC/1.1\r\n"), "warc", "gzip"),
    ],
)
def test_content_says_what_a_file_is(tmp_path: Path, name: str, data: bytes, format_: str, compression: str) -> None:
    (tmp_path / name).write_bytes(data)
    (file,) = found_in(tmp_path).files
    assert (file.name, file.format, file.compression, file.size) == (name, format_, compression, len(data))


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("paper.html", PDF, "a PDF file, not what its name says"),
        ("image.png", b"\x89PNG\r\n\x1a\n" + bytes(40), "a PNG image"),
        ("office.txt", b"PK\x03\x04" + bytes(40), "a ZIP archive or office document, not what its name says"),
        ("data.csv", b"a,b\n1,2\n", "no known format: .csv"),
        ("program.py", b"print(1)\n", "no known format: .py"),
        ("array.json", b'[{"text": "x"}]', "a JSON array; convert it to JSON Lines"),
        ("pretty.json", b'{\n  "text": "x"\n}', "JSON that is not one object a line"),
        ("wide.jsonl", JSON_LINE.decode().encode("utf-16"), "JSON Lines in UTF-16; convert it to UTF-8"),
        ("wide_le.jsonl", JSON_LINE.decode().encode("utf-16-le") * 9, "JSON Lines in UTF-16; convert it to UTF-8"),
        ("noise.txt", bytes(range(256)) * 8, "binary data, not what its name says"),
        ("noise", b"\x1f\x8b" + bytes(30), "a damaged gzip file"),
        ("odd.jsonl", b'{"headline": "x", "stars": 3}\n', "no field holds text or html among headline, stars; say which with"),
        ("a.txt.lz4", b"\x04\x22\x4d\x18" + bytes(20), "an LZ4 file that is no WARC"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_listed_with_the_reason(tmp_path: Path, name: str, data: bytes, why: str) -> None:
    (tmp_path / name).write_bytes(data)
    found = found_in(tmp_path)
    assert found.files == ()
    assert [(file.name, file.size) for file in found.skipped] == [(name, len(data))]
    assert found.skipped[0].why.startswith(why)


def test_directories_are_read_to_the_bottom_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.txt", "a/b/c.txt", "B.txt", "é.txt", ".hidden.txt", ".git/x.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    found = found_in(tmp_path)
    assert [file.name for file in found.files] == ["B.txt", "a/b/c.txt", "a/z.txt", "b.txt", "é.txt"]
    assert {file.name: file.why for file in found.skipped} == {
        ".git": "hidden",
        ".hidden.txt": "hidden",
        "a/loop": "a link to a directory that is read already",
    }


def test_the_output_of_a_run_is_no_input(tmp_path: Path) -> None:
    (tmp_path / "out" / "state").mkdir(parents=True)
    (tmp_path / "out" / "state" / "journal.jsonl").write_text("{}\n")
    (tmp_path / "out" / "shards").mkdir()
    pq.write_table(pa.table({"text": ["x"]}), tmp_path / "out" / "shards" / "train-00000.parquet")
    (tmp_path / "a.txt").write_text("a")
    assert [file.name for file in found_in(tmp_path).files] == ["a.txt"]


def test_several_inputs_are_told_apart_by_name(tmp_path: Path) -> None:
    for folder in ("one/crawl", "two/crawl", "three"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.txt").write_text(folder)
    inputs = [tmp_path / "one" / "crawl", tmp_path / "two" / "crawl", tmp_path / "three" / "a.txt"]
    files = discover(inputs, InputSettings()).files
    assert {file.name: Path(file.path).read_text() for file in files} == {
        "a.txt": "three",
        "crawl/a.txt": "one/crawl",
        "crawl#2/a.txt": "two/crawl",
    }


def test_globs_and_single_files(tmp_path: Path) -> None:
    for name in ("a/1.txt", "a/2.md", "b/3.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert [f.name for f in discover([f"{tmp_path}/**/*.txt"], InputSettings()).files] == ["a/1.txt", "b/3.txt"]
    assert [f.name for f in discover([tmp_path / "a" / "1.txt"], InputSettings()).files] == ["1.txt"]


def test_missing_inputs_suggest_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "crawl").mkdir()
    with pytest.raises(RecipeError, match=r"there is no input '.*crwal'; did you mean 'crawl'\?"):
        discover([tmp_path / "crwal"], InputSettings())
    with pytest.raises(RecipeError, match=r"there is no input '.*\*\.warc'"):
        discover([f"{tmp_path}/*.warc"], InputSettings())


def test_names_can_be_excluded(tmp_path: Path) -> None:
    for name in ("a.txt", "b.bak.txt"):
        (tmp_path / name).write_text("x")
    found = found_in(tmp_path, exclude=("*.bak.txt",))
    assert [file.name for file in found.files] == ["a.txt"]
    assert found.skipped[0].why == "excluded by '*.bak.txt'"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"text": "x", "id": 1, "url": "u"}, ("text", None, "id", "url")),
        ({"content": "x", "doc_id": "1"}, ("content", None, "doc_id", None)),
        ({"raw_html": "<p>", "uri": "u", "uuid": "1"}, (None, "raw_html", "uuid", "uri")),
        ({"Text": "x", "ID": "1"}, ("Text", None, "ID", None)),
        ({"text": 5, "body": "x"}, ("body", None, None, None)),
    ],
)
def test_fields_are_guessed_from_the_usual_names(
    tmp_path: Path, record: dict[str, object], expected: tuple[str | None, ...]
) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(record) + "\n")
    found = found_in(tmp_path)
    keys = found.files[0].keys
    assert (keys.text, keys.html, keys.id, keys.url) == expected
    assert len(found.messages) == 1
    assert f"{'text' if expected[0] else 'html'} from '{expected[0] or expected[1]}'" in found.messages[0]


def test_fields_that_were_asked_for_are_taken(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "x", "lead": "y"}) + "\n")
    assert found_in(tmp_path, text_key="lead").files[0].keys.text == "lead"
    with pytest.raises(RecipeError, match=r"input.text_key: no file has a field 'laed'; did you mean 'lead'\?"):
        found_in(tmp_path, text_key="laed")


def test_splits_group_consecutive_files_and_leave_large_ones_alone() -> None:
    files = [
        InputFile(path=n, name=n, size=size, mtime_ns=0, format="text")
        for n, size in zip("abcde", (3, 4, 20, 5, 5), strict=True)
    ]
    settings = InputSettings(split_size="10B")
    splits = list(plan_splits(files, settings, first_index=7))
    assert [(s.index, [p.file.name for p in s.parts]) for s in splits] == [(7, ["a", "b"]), (8, ["c"]), (9, ["d", "e"])]
    assert list(plan_splits([], settings)) == []
    assert estimated_splits(files, 10) == 4  # a large file of a kind that can be cut would be two


@pytest.mark.parametrize("size", ["64 parsecs", "", "MB", "-1MB", "0"])
def test_sizes_that_are_none_are_refused(size: str) -> None:
    with pytest.raises(RecipeError, match="is no size; write a number and a unit"):
        InputSettings(split_size=size)
