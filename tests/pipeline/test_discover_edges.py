"""Places where a file could be lost, read twice or stop the run before it began."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from corpusmill.discover import Discovery, discover
from corpusmill.schemas.inputs import InputSettings


def put(path: Path, data: bytes = b"<html>x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def found(*inputs: Path) -> Discovery:
    return discover([str(path) for path in inputs], InputSettings())


def names(discovery: Discovery) -> list[str]:
    return [file.name for file in discovery.files]


def test_inputs_whose_names_meet_are_both_read(tmp_path: Path) -> None:
    put(tmp_path / "other" / "crawl" / "a.html")
    put(tmp_path / "crawl" / "a.html")
    put(tmp_path / "x.html")
    result = found(tmp_path / "other" / "crawl", tmp_path / "crawl" / "a.html", tmp_path / "x.html")
    assert names(result) == ["crawl/a.html", "crawl/a.html#2", "x.html"]
    assert len({file.path for file in result.files}) == 3


def test_a_file_that_two_inputs_hold_is_read_once(tmp_path: Path) -> None:
    page = put(tmp_path / "crawl" / "a.html")
    assert names(found(tmp_path / "crawl", page)) == ["crawl/a.html"]


def test_a_name_that_is_no_utf_8_is_skipped_with_the_reason(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.html")).write_bytes(b"<html>")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    (skipped,) = found(tmp_path).skipped
    assert (skipped.name, skipped.why) == ("caf\\xe9.html", "its path is not UTF-8; rename it")


def test_what_is_hidden_or_our_own_output_is_counted(tmp_path: Path) -> None:
    for place in (".git/x.html", ".y.html", "a.html", "out/state/journal.jsonl", "out/shards/t.parquet"):
        put(tmp_path / place)
    result = found(tmp_path)
    assert names(result) == ["a.html"]
    assert [(file.name, file.why) for file in result.skipped] == [
        (".git", "hidden"),
        (".y.html", "hidden"),
        ("out", "the output of a run"),
    ]


@pytest.mark.parametrize(
    "head", [b"\n" * 300, b"<!-- " + b"x" * 9000 + b" -->", b'\xef\xbb\xbf <?xml version="1.0"?>\n<!--a--> <!--b-->\n']
)
def test_a_page_is_known_behind_whatever_comes_before_it(tmp_path: Path, head: bytes) -> None:
    put(tmp_path / "page", head + b"<!DOCTYPE html><p>x")
    assert [file.format for file in found(tmp_path).files] == ["html"]


def test_utf_16_without_a_mark(tmp_path: Path) -> None:
    put(tmp_path / "page", "<html><p>Příliš žluťoučký".encode("utf-16-le"))
    put(tmp_path / "note.txt", "hello there everyone".encode("utf-16-be"))
    assert [file.format for file in found(tmp_path).files] == ["text", "html"]


def test_an_archive_cut_before_its_first_record_goes_to_the_reader(tmp_path: Path) -> None:
    put(tmp_path / "a.warc.gz", gzip.compress(os.urandom(50), mtime=0)[:12])
    assert [(file.format, file.compression) for file in found(tmp_path).files] == [("warc", "gzip")]


def test_a_tar_archive_is_named(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.html"))
    put(tmp_path / "a.tar.gz", sink.getvalue())
    assert [file.why for file in found(tmp_path).skipped] == ["a tar archive: unpack it"]


@pytest.mark.parametrize("blank", [b" " * 60_000, b"<!--" * 15_000, b"<?" * 30_000, b"<!---->" * 9_000])
def test_looking_at_hostile_content_takes_no_time(tmp_path: Path, blank: bytes) -> None:
    put(tmp_path / "page", blank)
    assert found(tmp_path).files == ()


def test_links_that_lead_to_themselves_are_skipped_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "one.txt").symlink_to(tmp_path / "two.txt")
    (tmp_path / "two.txt").symlink_to(tmp_path / "one.txt")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "good.txt").write_text("Good text.")
    for inputs in ([tmp_path], [tmp_path, tmp_path]):
        found = discover(inputs, InputSettings())
        assert [Path(file.path).name for file in found.files] == ["good.txt"]
        assert all("cannot be opened" in file.why for file in found.skipped)
