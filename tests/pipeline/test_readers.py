"""Readers give every readable document and one quarantine entry for what is damaged; nothing raises, nothing is lost."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.discover import discover
from corpusmill.readers import Quarantined, SkippedRecord, read
from corpusmill.schemas import DOCUMENTS
from corpusmill.schemas.inputs import InputSettings
from reading import one_split

Rows = list[dict[str, Any]]


def read_all(path: Path, **options: Any) -> tuple[Rows, list[Quarantined], list[SkippedRecord]]:
    chosen = InputSettings(**options)
    rows: Rows = []
    bad: list[Quarantined] = []
    skipped: list[SkippedRecord] = []
    for item in read(one_split(discover([path], chosen).files), chosen):
        if isinstance(item, Quarantined):
            bad.append(item)
        elif isinstance(item, SkippedRecord):
            skipped.append(item)
        else:
            assert item.schema == DOCUMENTS
            item.validate(full=True)
            rows += item.to_pylist()
    return rows, bad, skipped


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}
RECORDS = [{"id": f"r{n}", "text": f"text {n} " * 40, "url": f"https://example.org/{n}", "stars": n} for n in range(60)]
LINES = "".join(json.dumps(record) + "\n" for record in RECORDS).encode()


@pytest.mark.parametrize("suffix", COMPRESS)
def test_json_lines_in_every_compression(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(COMPRESS[suffix](LINES))
    rows, bad, _ = read_all(path)
    assert bad == []
    assert [(row["id"], row["text"], row["url"]) for row in rows] == [(r["id"], r["text"], r["url"]) for r in RECORDS]
    assert rows[3]["metadata"] == '{"stars":3}'
    assert rows[3]["source"] == f"a.jsonl{suffix}"


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_archives_of_several_members_are_read_to_the_end(tmp_path: Path, suffix: str) -> None:
    half = LINES.index(b"\n", len(LINES) // 2) + 1
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(COMPRESS[suffix](LINES[:half]) + COMPRESS[suffix](LINES[half:]))
    rows, bad, _ = read_all(path)
    assert (len(rows), bad) == (60, [])


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_a_truncated_archive_gives_what_lies_before_the_cut(tmp_path: Path, suffix: str, share: float) -> None:
    noisy = [{"id": str(n), "text": f"{hash(n) * 7919 % 10**12} {n} " * 20} for n in range(2000)]
    data = COMPRESS[suffix]("".join(json.dumps(record) + "\n" for record in noisy).encode())
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(data[: int(len(data) * share)])
    rows, bad, _ = read_all(path)
    assert len(bad) == 1
    assert bad[0].source == path.name
    assert [row["id"] for row in rows] == [str(n) for n in range(len(rows))]
    assert len(rows) < 2000


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(LINES, 0))  # stored, so that only the checksum can tell
    at = data.index(b"text 30")
    data[at + 5] ^= 1
    (tmp_path / "a.jsonl.gz").write_bytes(data)
    rows, bad, _ = read_all(tmp_path / "a.jsonl.gz")
    assert len(rows) == 60
    assert len(bad) == 1
    assert "CRC" in bad[0].error


def test_broken_lines_cost_themselves_and_do_not_shift_ids(tmp_path: Path) -> None:
    lines = [
        b'{"text": "first"}',
        b"",
        b'{"text": "second", "id": 7}',
        b"{broken",
        b'["no object"]',
        b'{"other": 1}',
        b'{"text": null}',
        b'{"text": 5}',
        b'{"text": "\xff\xfe"}',
        '{"text": "line\u2028separator", "id": ""}'.encode(),
        b'{"text": "surrogate \\ud800 alone"}',
        b'{"text": "last"}',
    ]
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines))
    rows, bad, _ = read_all(tmp_path / "a.jsonl")
    assert [(row["id"], row["text"]) for row in rows] == [
        ("a.jsonl#0", "first"),
        ("7", "second"),
        ("a.jsonl#8", "line\u2028separator"),
        ("a.jsonl#9", "surrogate \ufffd alone"),
        ("a.jsonl#10", "last"),
    ]
    assert [(entry.offset, entry.error.split(":")[0]) for entry in bad] == [
        (2, "no valid JSON"),
        (3, "the record is an array, not an object"),
        (4, "the record has no 'text'"),
        (5, "the record has no 'text'"),
        (6, "the field 'text' is a number, not text"),
        (7, "no valid JSON"),
    ]


ODD_LINES = [b'{"text":"x"}', b"{}", b"null", b' {"text":"y"} ', b"\r"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(ODD_LINES)), max_size=20))
def test_any_bytes_are_accounted_for_line_by_line(lines: list[bytes]) -> None:
    data = b'{"text": "so that it is recognised"}\n' + b"\n".join(lines)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_bytes(data)
        found = discover([path], InputSettings())
        if found.skipped:  # more control characters than text
            return
        rows, bad, _ = read_all(path)
    assert len(rows) + len(bad) == sum(bool(line.strip()) for line in data.split(b"\n"))


def test_records_that_are_too_large_are_put_away_without_being_held(tmp_path: Path) -> None:
    huge = json.dumps({"text": "x" * 3_000_000})
    (tmp_path / "a.jsonl").write_text(f'{{"text": "small"}}\n{huge}\n{{"text": "small too"}}\n')
    (tmp_path / "b.txt").write_text("y" * 3_000_000)
    (tmp_path / "c.html").write_bytes(gzip.compress(b"<html>" + b"z" * 3_000_000))
    rows, bad, _ = read_all(tmp_path, maximum_record_bytes="1MB")
    assert [row["id"] for row in rows] == ["a.jsonl#0", "a.jsonl#2"]
    assert [(entry.source, entry.offset, entry.error[:9]) for entry in bad] == [
        ("a.jsonl", 1, "too_large"),
        ("b.txt", 0, "too_large"),
        ("c.html", 0, "too_large"),
    ]


def test_pages_and_texts_are_one_document_each(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "page.htm").write_bytes("<html><p>é".encode("latin-1"))
    (tmp_path / "note.md").write_bytes("naïve".encode("cp1252"))
    (tmp_path / "empty.txt").write_bytes(b"")
    rows, bad, _ = read_all(tmp_path)
    assert bad == []
    assert [(row["id"], row["text"], row["html"]) for row in rows] == [
        ("empty.txt", "", None),
        ("note.md", "naïve", None),
        ("sub/page.htm", None, b"<html><p>\xe9"),
    ]


def test_parquet_rows_and_a_broken_footer(tmp_path: Path) -> None:
    table = pa.table({"content": ["a", None, "c"], "doc_id": [1, 2, 3], "tags": [["x"], [], None]})
    pq.write_table(table, tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-20])
    rows, bad, _ = read_all(tmp_path)
    assert [(row["id"], row["text"], row["metadata"]) for row in rows] == [
        ("1", "a", '{"tags":["x"]}'),
        ("3", "c", '{"tags":null}'),
    ]
    assert [(entry.id, entry.source) for entry in bad] == [("2", "a.parquet"), (None, "b.parquet")]


def test_html_in_records_is_read_as_unicode_whatever_it_declares(tmp_path: Path) -> None:
    from corpusmill.stages import StripHtml

    page = '<html><head><meta charset="windows-1251"></head><body><p>Мельница у реки, é</p></body></html>'
    (tmp_path / "a.jsonl").write_text(json.dumps({"html": page}))
    rows, _, _ = read_all(tmp_path / "a.jsonl")
    out = StripHtml(engine="text")(pa.RecordBatch.from_pylist(rows, DOCUMENTS))
    assert out.column("text").to_pylist() == ["Мельница у реки, é"]


def test_a_file_that_vanished_is_put_away(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    chosen = InputSettings()
    split = one_split(discover([tmp_path], chosen).files)
    (tmp_path / "a.txt").unlink()
    (entry,) = read(split, chosen)
    assert isinstance(entry, Quarantined)
    assert "No such file" in entry.error


# WARC


def warc_record(kind: str, url: str, block: bytes, *, media: str = "application/http; msgtype=response") -> bytes:
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
        f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{len(block):012d}>\r\n"
        f"Content-Type: {media}\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


def response(url: str, body: bytes, *, media: str = "text/html", status: str = "200 OK", extra: str = "") -> bytes:
    http = f"HTTP/1.1 {status}\r\nContent-Type: {media}\r\n{extra}\r\n".encode() + body
    return warc_record("response", url, http)


PAGE = b"<html><body><p>" + b"The mill by the river. " * 60 + b"</p></body></html>"
ARCHIVE = [
    warc_record("warcinfo", "", b"software: test\r\n", media="application/warc-fields"),
    warc_record(
        "request", "https://example.org/0", b"GET / HTTP/1.1\r\n\r\n", media="application/http; msgtype=request"
    ),
    response("https://example.org/0", PAGE, media="text/html; charset=ISO-8859-1"),
    response("https://example.org/image", b"\x89PNG" + bytes(30), media="image/png"),
    response("https://example.org/gone", b"<html>gone", status="404 Not Found"),
    response("https://example.org/zip", gzip.compress(PAGE), extra="Content-Encoding: gzip\r\n"),
    response("https://example.org/unzipped", PAGE, extra="Content-Encoding: gzip\r\n"),
    response(
        "https://example.org/chunks", b"5\r\n<html\r\n3;x=y\r\n>hi\r\n0\r\n\r\n", extra="Transfer-Encoding: chunked\r\n"
    ),
    response("https://example.org/plain", b"plain text", media="text/plain"),
    warc_record("conversion", "https://example.org/wet", "extracted é".encode(), media="text/plain"),
]


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_warc_responses_and_conversions(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"crawl.warc{suffix}"
    path.write_bytes(b"".join(COMPRESS[suffix](record) for record in ARCHIVE))
    rows, bad, skipped = read_all(path)
    assert bad == []
    assert [(row["id"], row["url"]) for row in rows] == [
        (f"{path.name}#{number}", f"https://example.org/{name}")
        for number, name in [(2, "0"), (5, "zip"), (6, "unzipped"), (7, "chunks"), (8, "plain"), (9, "wet")]
    ]
    assert [row["html"] for row in rows] == [PAGE, PAGE, PAGE, b"<html>hi", None, None]
    assert [row["text"] for row in rows[4:]] == ["plain text", "extracted é"]
    assert json.loads(rows[0]["metadata"])["content_type"] == "text/html; charset=ISO-8859-1"
    assert json.loads(rows[0]["metadata"])["http_status"] == 200
    assert skipped == [SkippedRecord(path.name, "image/png"), SkippedRecord(path.name, "http 404")]


def test_warc_in_lz4(tmp_path: Path) -> None:
    stream_io = pytest.importorskip("fastwarc.stream_io")
    path = tmp_path / "crawl.warc.lz4"
    with path.open("wb") as file:
        writer = stream_io.Lz4Writer(file)
        for record in ARCHIVE:
            writer.write(record)
        writer.close()
    rows, bad, _ = read_all(path)
    assert (len(rows), bad) == (6, [])


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_warc_that_is_cut_off_loses_nothing_silently(tmp_path: Path, suffix: str) -> None:
    pages = [response(f"https://example.org/{n}", PAGE) for n in range(6)]
    members = [COMPRESS[suffix](page) for page in pages]
    whole = b"".join(members)
    ends = [sum(map(len, members[: n + 1])) for n in range(6)]
    for cut in range(ends[0] + 1, ends[1], 1 if suffix else 7):
        path = tmp_path / f"crawl.warc{suffix}"
        path.write_bytes(whole[:cut])
        rows, bad, _ = read_all(path)
        complete = sum(end <= cut for end in ends)
        # The checksum at the end of a member, or the blank line at the end of a record, may be missing: the page is there.
        assert len(rows) in {complete, complete + 1}, cut
        assert [row["html"] for row in rows] == [PAGE] * len(rows)
        if cut not in ends and len(rows) == complete:
            assert len(bad) == 1, cut
        assert len(bad) <= 1, cut


def test_a_warc_in_one_gzip_member_that_is_cut_off_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "crawl.warc.gz"
    whole = gzip.compress(b"".join(response(f"https://example.org/{n}", PAGE) for n in range(6)))
    path.write_bytes(whole)
    assert [len(found) for found in read_all(path)] == [6, 0, 0]
    for cut in range(200, len(whole) - 8):
        path.write_bytes(whole[:cut])
        rows, bad, _ = read_all(path)
        assert len(bad) == 1, cut
        assert [row["html"] for row in rows] == [PAGE] * len(rows)


def test_http_errors_are_documents_if_asked(tmp_path: Path) -> None:
    (tmp_path / "crawl.warc").write_bytes(b"".join(ARCHIVE))
    rows, _, skipped = read_all(tmp_path / "crawl.warc", http_errors=True)
    assert "https://example.org/gone" in [row["url"] for row in rows]
    assert [entry.kind for entry in skipped] == ["image/png"]


@pytest.mark.parametrize(
    ("body", "extra", "error"),
    [
        (gzip.compress(PAGE)[:-20], "Content-Encoding: gzip\r\n", "cut off"),
        (gzip.compress(PAGE) * 2, "Content-Encoding: sdch\r\n", "unknown content encoding 'sdch'"),
        (gzip.compress(PAGE) + gzip.compress(PAGE)[:-9], "Content-Encoding: gzip\r\n", "cut off"),
        (zstandard.compress(PAGE)[:-3], "Content-Encoding: zstd\r\n", "cut off"),
        (zstandard.compress(PAGE)[:20] + PAGE, "Content-Encoding: zstd\r\n", "zstd"),
        (zstandard.compress(bytes(3_000_000)), "Content-Encoding: zstd\r\n", "too_large"),
        (b"5\r\n<html\r\nff\r\nshort", "Transfer-Encoding: chunked\r\n", "in the middle of a chunk"),
        (gzip.compress(bytes(3_000_000)), "Content-Encoding: gzip\r\n", "too_large"),
    ],
)
def test_bodies_that_cannot_be_decoded_are_put_away(tmp_path: Path, body: bytes, extra: str, error: str) -> None:
    (tmp_path / "crawl.warc").write_bytes(response("https://example.org/", body, extra=extra) + ARCHIVE[2])
    rows, (entry,), _ = read_all(tmp_path / "crawl.warc", maximum_record_bytes="1MB")
    assert len(rows) == 1
    assert error in entry.error
    assert entry.id == "crawl.warc#0"


@pytest.mark.parametrize("format_", ["jsonl", "jsonl.gz", "parquet", "warc"])
def test_a_record_that_must_not_be_touched_costs_itself(tmp_path: Path, format_: str) -> None:
    path = tmp_path / f"a.{format_}"
    records = [{"text": f"text {number}"} for number in range(4)]
    lines = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    if format_ == "parquet":
        pq.write_table(pa.Table.from_pylist(records), path, row_group_size=1)
    elif format_ == "warc":
        conversion = "WARC/1.0\r\nWARC-Type: conversion\r\nContent-Length: 6\r\n\r\ntext {}\r\n\r\n"
        path.write_text("".join(conversion.format(number) for number in range(4)), newline="")
    else:
        path.write_bytes(gzip.compress(lines) if format_.endswith("gz") else lines)
    (file,) = discover([path], InputSettings()).files
    seen = []

    def watch(part: int, number: int) -> str | None:
        seen.append((part, number))
        return "it kills" if number == 2 else None

    items = list(read(one_split([file]), InputSettings(), watch))
    assert [row for item in items if isinstance(item, pa.RecordBatch) for row in item.column("text").to_pylist()] == [
        "text 0",
        "text 1",
        "text 3",
    ]
    (bad,) = [item for item in items if isinstance(item, Quarantined)]
    assert bad.offset == 2
    assert "it kills" in bad.error
    assert {(0, number) for number in range(4)} <= set(seen)
