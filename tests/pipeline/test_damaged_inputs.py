from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpusmill.discover import discover, plan_splits
from corpusmill.readers import Quarantined, SkippedRecord, read
from corpusmill.schemas import DOCUMENTS
from corpusmill.schemas.inputs import InputFile, InputSettings, Keys, Part, Split

Row = dict[str, Any]


def lz4(data: bytes) -> bytes:
    from fastwarc.stream_io import Lz4Writer

    sink = io.BytesIO()
    writer = Lz4Writer(sink)
    writer.write(data)
    writer.close()
    return sink.getvalue()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lz4": lz4,
}
WITHOUT_LZ4 = sorted(PACK.keys() - {"lz4"})


def input_file(path: Path, format_: Any, compression: Any = "none", **keys: str) -> InputFile:
    return InputFile(
        path=str(path),
        name=path.name,
        size=path.stat().st_size if path.exists() else 0,
        mtime_ns=0,
        format=format_,
        compression=compression,
        keys=Keys(**(keys or {"text": "text", "html": "html", "id": "id", "url": "url"})),
    )


def items(file: InputFile, **changes: Any) -> tuple[list[Row], list[Quarantined], list[SkippedRecord]]:
    """What a file gives: documents, quarantine entries, records that are no documents."""
    rows: list[Row] = []
    rest: list[Any] = []
    for item in read(Split(index=0, parts=(Part(file=file),)), InputSettings(**changes)):
        if isinstance(item, pa.RecordBatch):
            assert item.schema == DOCUMENTS
            item.validate(full=True)
            assert 0 < item.num_rows <= 256
            rows += item.to_pylist()
        else:
            rest.append(item)
    return rows, [i for i in rest if isinstance(i, Quarantined)], [i for i in rest if isinstance(i, SkippedRecord)]


def read_bytes(tmp_path: Path, data: bytes, format_: str, compression: str = "none", **changes: Any) -> Any:
    path = tmp_path / "input"
    path.write_bytes(data)
    return items(input_file(path, format_, compression), **changes)


def jsonl(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


# --- one file, one document ------------------------------------------------------------------------------------------


def test_a_page_keeps_its_bytes_and_a_text_file_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(b"<html>caf\xe9")
    (tmp_path / "b.txt").write_bytes("naïve".encode("utf-16"))
    rows, bad, _ = items(input_file(tmp_path / "a.html", "html"))
    assert rows == [
        {"id": "a.html", "url": None, "source": "a.html", "html": b"<html>caf\xe9", "text": None, "metadata": "{}"}
    ]
    rows, _, _ = items(input_file(tmp_path / "b.txt", "text"))
    assert (rows[0]["text"], rows[0]["html"], bad) == ("naïve", None, [])


def test_an_empty_file_is_an_empty_document(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "empty.html").touch()
    assert items(input_file(tmp_path / "empty.txt", "text"))[0][0]["text"] == ""
    assert items(input_file(tmp_path / "empty.html", "html"))[0][0]["html"] == b""


@pytest.mark.parametrize("compression", WITHOUT_LZ4)
def test_compressed_pages_are_documents_and_cut_ones_are_quarantined(tmp_path: Path, compression: str) -> None:
    page = b"<html>" + b"word " * 200
    data = PACK[compression](page)
    rows, bad, _ = read_bytes(tmp_path, data, "html", compression)
    assert ([row["html"] for row in rows], bad) == ([page], [])
    if compression != "none":
        rows, bad, _ = read_bytes(tmp_path, data[:-3], "html", compression)
        assert (rows, len(bad)) == ([], 1)


def test_what_vanished_is_quarantined(tmp_path: Path) -> None:
    for format_ in ("html", "text", "jsonl", "parquet", "warc"):
        rows, bad, _ = items(input_file(tmp_path / "gone", format_))
        assert (rows, len(bad), bad[0].source) == ([], 1, "gone")
        assert "No such file" in bad[0].error
        assert str(tmp_path) not in bad[0].error


def test_a_file_over_the_limit_is_quarantined(tmp_path: Path) -> None:
    for compression in ("none", "gzip", "zstd"):
        rows, bad, _ = read_bytes(
            tmp_path, PACK[compression](b"x" * 5000), "text", compression, maximum_record_bytes="4kB"
        )
        assert (rows, [b.error[:9] for b in bad]) == ([], ["too_large"])


# --- JSON Lines ------------------------------------------------------------------------------------------------------


def test_ids_come_from_the_record_or_from_its_place(tmp_path: Path) -> None:
    data = jsonl({"id": "a", "text": "1"}, {"text": "2"}, {"id": 7, "text": "3"}, {"id": "", "text": "4"})
    data += b"\n  \n{broken\n" + jsonl({"id": None, "text": "5"}, {"id": True, "text": "6"}, {"id": [1], "text": "7"})
    rows, bad, _ = read_bytes(tmp_path, data, "jsonl")
    places = ["a", "input#1", "7", "input#3", "input#5", "input#6", "input#7"]
    assert [row["id"] for row in rows] == places
    assert [(b.offset, b.source) for b in bad] == [(4, "input")]


def test_other_fields_become_metadata_in_one_order(tmp_path: Path) -> None:
    first, _, _ = read_bytes(
        tmp_path, b'{"z": 1, "text": "t", "b": {"y": [1.5, null], "x": "\xc3\xa9"}, "url": "u"}', "jsonl"
    )
    again, _, _ = read_bytes(
        tmp_path, b'{"b": {"x": "\xc3\xa9", "y": [1.5, null]}, "url": "u", "text": "t", "z": 1}', "jsonl"
    )
    assert first == again
    assert (first[0]["url"], first[0]["metadata"]) == ("u", '{"b":{"x":"é","y":[1.5,null]},"z":1}')


def test_lines_end_at_line_feeds_only(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + '{"text": "a\u2028b\u0085c"}\r\n{"text": "d"}'.encode()
    rows, bad, _ = read_bytes(tmp_path, data, "jsonl")
    assert ([row["text"] for row in rows], bad) == (["a\u2028b\u0085c", "d"], [])


def test_lone_surrogates_are_replaced_everywhere(tmp_path: Path) -> None:
    line = rb'{"id": "i\ud800", "text": "\ud83d\ude00 \udc00", "url": "\udfff", "k\ud800": ["\ud800", {"\ud900": 1}]}'
    rows, bad, _ = read_bytes(tmp_path, line, "jsonl")
    assert bad == []
    (row,) = rows
    assert (row["id"], row["text"], row["url"]) == ("i\ufffd", "😀 \ufffd", "\ufffd")
    assert json.loads(row["metadata"]) == {"k\ufffd": ["\ufffd", {"\ufffd": 1}]}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"text": "x"', "JSON"),
        (b'{"text": "\xff"}', "JSON"),
        (b"\xff\xfe\x00", "JSON"),
        (b'["text"]', "array"),
        (b"null", "null"),
        (b"12", "number"),
        (b'{"text": null}', "text"),
        (b'{"text": 3}', "number"),
        (b'{"html": {"a": 1}}', "object"),
        (b'{"other": "x"}', "text"),
        (b"[" * 100_000, "JSON"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "JSON"),
    ],
)
def test_a_broken_line_costs_that_line(tmp_path: Path, line: bytes, words: str) -> None:
    rows, bad, _ = read_bytes(tmp_path, jsonl({"text": "before"}) + line + b"\n" + jsonl({"text": "after"}), "jsonl")
    assert [(row["id"], row["text"]) for row in rows] == [("input#0", "before"), ("input#2", "after")]
    (entry,) = bad
    assert (entry.source, entry.offset) == ("input", 1)
    assert words in entry.error


@pytest.mark.parametrize("extra", [b"1" + b"0" * 30, b"-" + b"9" * 5000, b"1e999", b"1.5", b"18446744073709551616"])
def test_numbers_of_any_size_do_no_harm(tmp_path: Path, extra: bytes) -> None:
    rows, bad, _ = read_bytes(tmp_path, b'{"text": "t", "n": ' + extra + b', "id": ' + extra + b"}", "jsonl")
    assert len(rows) + len(bad) == 1
    assert all(json.loads(row["metadata"]).keys() == {"n"} for row in rows)


def test_html_given_as_a_string_is_marked_as_utf_8(tmp_path: Path) -> None:
    from corpusmill.stages.encoding import decode_html

    page = '<meta charset="windows-1251"><p>naïve ж'
    rows, _, _ = read_bytes(tmp_path, jsonl({"html": page, "text": "t"}), "jsonl")
    assert (decode_html(rows[0]["html"])[0], rows[0]["text"]) == (page, "t")


def test_a_line_over_the_limit_costs_itself(tmp_path: Path) -> None:
    data = jsonl({"text": "a"}, {"text": "x" * 3_000_000}, {"text": "b"})
    for compression in WITHOUT_LZ4:
        rows, bad, _ = read_bytes(tmp_path, PACK[compression](data), "jsonl", compression, maximum_record_bytes="1MB")
        assert [row["id"] for row in rows] == ["input#0", "input#2"]
        assert [(b.offset, b.error[:9]) for b in bad] == [(1, "too_large")]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"")),
            st.text(max_size=20).map(lambda t: json.dumps({"text": t}).encode()),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
            ).map(lambda value: json.dumps({"text": "t", "id": value, "m": value}).encode()),
            st.sampled_from([b"", b"  ", b"{}", b'{"text":"\\ud800"}', b"\r"]),
        ),
        max_size=12,
    ),
    st.booleans(),
)
def test_every_line_is_a_document_or_quarantined_or_blank(tmp_path: Path, lines: list[bytes], closed: bool) -> None:
    rows, bad, skipped = read_bytes(tmp_path, b"\n".join(lines) + (b"\n" if closed else b""), "jsonl")
    blank = sum(not (line.removeprefix(b"\xef\xbb\xbf") if at == 0 else line).strip() for at, line in enumerate(lines))
    assert (len(rows) + len(bad) + blank, skipped) == (len(lines), [])


# --- truncated and damaged files -------------------------------------------------------------------------------------

RECORDS = [{"id": f"r{n}", "text": f"{n} " + "".join(random.Random(n).choices("abcdef ", k=300))} for n in range(40)]


@pytest.mark.parametrize("members", [1, 4])
@pytest.mark.parametrize("compression", sorted(PACK.keys() - {"none", "lz4"}))
def test_records_before_a_cut_come_out_and_one_entry_says_the_rest(
    tmp_path: Path, compression: str, members: int
) -> None:
    step = len(RECORDS) // members
    parts = [PACK[compression](jsonl(*RECORDS[at : at + step])) for at in range(0, len(RECORDS), step)]
    data = b"".join(parts)
    ends = [sum(map(len, parts[: n + 1])) for n in range(members)]
    whole, _, _ = read_bytes(tmp_path, data, "jsonl", compression)
    assert [row["id"] for row in whole] == [record["id"] for record in RECORDS]
    cuts = sorted({*range(1, 40), *range(40, len(data), 131), *(e + d for e in ends for d in (-9, -8, -1, 1, 9))})
    for cut in (c for c in cuts if c < len(data)):
        rows, bad, _ = read_bytes(tmp_path, data[:cut], "jsonl", compression)
        assert rows == whole[: len(rows)], cut
        if cut in ends:
            assert (len(rows), bad) == ((ends.index(cut) + 1) * step, [])
            continue
        assert len(bad) == 1, cut
        assert bad[0].offset == len(rows), cut
        assert len(rows) >= step * sum(e <= cut for e in ends), cut


@pytest.mark.parametrize("compression", sorted(PACK.keys() - {"none", "lz4"}))
def test_damage_anywhere_is_never_passed_over(tmp_path: Path, compression: str) -> None:
    half = len(RECORDS) // 2
    data = PACK[compression](jsonl(*RECORDS[:half])) + PACK[compression](jsonl(*RECORDS[half:]))
    whole, _, _ = read_bytes(tmp_path, data, "jsonl", compression)
    dice = random.Random(0)
    for _ in range(80):
        damaged = bytearray(data)
        damaged[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        rows, bad, _ = read_bytes(tmp_path, bytes(damaged), "jsonl", compression)
        assert bad or rows == whole
    rows, bad, _ = read_bytes(tmp_path, data + b"trailing rubbish", "jsonl", compression)
    assert (rows, len(bad)) == (whole, 1)


def test_a_crc_error_comes_after_the_records(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(jsonl(*RECORDS), mtime=0))
    data[-6] ^= 1
    rows, bad, _ = read_bytes(tmp_path, bytes(data), "jsonl", "gzip")
    assert (len(rows), len(bad)) == (len(RECORDS), 1)


# --- Parquet ---------------------------------------------------------------------------------------------------------


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def test_rows_of_a_table_are_documents(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": pa.array([5, None, 7, 8]),
            "text": pa.array(["a", "b", None, "d"], pa.large_string()),
            "when": pa.array([1_600_000_000_123_456_789] * 4, pa.timestamp("ns")),
            "raw": pa.array([b"\xff"] * 4),
            "tags": pa.array([["x"], None, [], ["y", None]], pa.list_(pa.string())),
        }
    )
    rows, bad, _ = read_bytes(tmp_path, parquet(table), "parquet")
    assert [(row["id"], row["text"]) for row in rows] == [("5", "a"), ("input#1", "b"), ("8", "d")]
    assert [(b.id, b.offset) for b in bad] == [("7", 2)]
    metadata = json.loads(rows[0]["metadata"])
    assert (metadata["raw"], metadata["tags"], metadata["when"]) == ("/w==", ["x"], "2020-09-13 12:26:40.123456789")


def test_dictionary_and_binary_columns_are_read(tmp_path: Path) -> None:
    table = pa.table({"text": pa.array(["a", "a"]).dictionary_encode(), "html": pa.array([b"<p>\xe9", None])})
    rows, bad, _ = read_bytes(tmp_path, parquet(table), "parquet")
    assert ([(row["text"], row["html"]) for row in rows], bad) == ([("a", b"<p>\xe9"), ("a", None)], [])


def test_a_string_that_is_no_utf_8_costs_its_row(tmp_path: Path) -> None:
    values = pa.array([b"good", b"\xff\xfe", b"fine"]).cast(pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, values.buffers())
    rows, bad, _ = read_bytes(tmp_path, parquet(pa.table({"text": text})), "parquet")
    assert [row["text"] for row in rows] == ["good", "fine"]
    assert [b.offset for b in bad] == [1]


def test_a_broken_table_is_quarantined(tmp_path: Path) -> None:
    table = pa.table({"text": [f"{n} text" for n in range(1000)]})
    data = parquet(table, row_group_size=100)
    for broken in (data[:-1], data[:-8], data[: len(data) // 2], data[:4], b"PAR1 nonsense PAR1"):
        rows, bad, _ = read_bytes(tmp_path, broken, "parquet")
        assert (rows, len(bad)) == ([], 1)
    damaged = bytearray(parquet(table, row_group_size=100, compression="zstd", use_dictionary=False))
    place = damaged.rindex(b"\x28\xb5\x2f\xfd")  # the first bytes of the last compressed page
    damaged[place : place + 4] = b"oops"
    rows, bad, _ = read_bytes(tmp_path, bytes(damaged), "parquet")
    assert [row["id"] for row in rows] == [f"input#{n}" for n in range(len(rows))]
    assert len(bad) == 1


# --- WARC ------------------------------------------------------------------------------------------------------------


def warc(kind: str, block: bytes, url: str = "http://a.example/", content_type: str = "", **fields: str) -> bytes:
    http = "application/http; msgtype=response" if kind == "response" else "text/plain"
    lines = [f"WARC-Type: {kind}", "WARC-Record-ID: <urn:uuid:1>", "WARC-Date: 2024-02-29T12:00:00Z"]
    lines += [f"WARC-Target-URI: {url}"] if url else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    lines += [f"Content-Type: {content_type or http}", f"Content-Length: {len(block)}"]
    return "\r\n".join(["WARC/1.1", *lines, "", ""]).encode() + block + b"\r\n\r\n"


def response(
    body: bytes, content_type: str = "text/html", status: str = "200 OK", *headers: str, **fields: str
) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {content_type}", *headers, "", ""])
    return warc("response", head.encode() + body, **fields)


ARCHIVE = [
    warc("warcinfo", b"software: x\r\n", url=""),
    response(b"<html>one</html>" * 20, url="http://a.example/1"),
    warc("request", b"GET / HTTP/1.1\r\n\r\n"),
    response(b"<html>two</html>" * 30, "text/html; charset=iso-8859-2", url="http://a.example/2"),
    response(b"plain text", "text/plain"),
    warc("metadata", b"fetchTimeMs: 12\r\n"),
    response(b"<html>three</html>" * 9, "application/xhtml+xml"),
]


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("compression", sorted(PACK))
def test_documents_of_an_archive(tmp_path: Path, compression: str, single: bool) -> None:
    pack = PACK[compression]
    data = pack(b"".join(ARCHIVE)) if single else b"".join(map(pack, ARCHIVE))
    rows, bad, skipped = read_bytes(tmp_path, data, "warc", compression)
    assert (bad, skipped) == ([], [])
    assert [row["id"] for row in rows] == ["input#1", "input#3", "input#4", "input#6"]
    assert rows[1] == {
        "id": "input#3",
        "url": "http://a.example/2",
        "source": "input",
        "html": b"<html>two</html>" * 30,
        "text": None,
        "metadata": '{"content_type":"text/html; charset=iso-8859-2","date":"2024-02-29T12:00:00Z",'
        '"http_status":200,"record_id":"<urn:uuid:1>"}',
    }
    assert (rows[2]["text"], rows[2]["html"]) == ("plain text", None)


def test_what_is_no_document_is_counted_by_kind(tmp_path: Path) -> None:
    data = b"".join(
        [
            response(b"gone", status="404 Not Found"),
            response(b"\x89PNG", "image/png"),
            response(b"moved", status="301 Moved"),
            warc("revisit", b"HTTP/1.1 200 OK\r\n\r\n"),
            warc("resource", b"%PDF", content_type="application/pdf"),
            warc("response", b"20240229\n", content_type="text/dns"),
        ]
    )
    rows, bad, skipped = read_bytes(tmp_path, data, "warc")
    assert (rows, bad) == ([], [])
    assert [s.kind for s in skipped] == ["http 404", "image/png", "http 301", "application/pdf", "text/dns"]
    rows, _, skipped = read_bytes(tmp_path, data, "warc", http_errors=True)
    assert [row["html"] for row in rows] == [b"gone", b"moved"]


def test_conversions_and_resources(tmp_path: Path) -> None:
    data = warc("conversion", "árvíztűrő".encode(), url="http://b.example/x")
    data += warc("resource", b"<html>r</html>", content_type="text/html")
    rows, _, _ = read_bytes(tmp_path, data, "warc")
    assert [(row["text"], row["html"], row["url"]) for row in rows] == [
        ("árvíztűrő", None, "http://b.example/x"),
        (None, b"<html>r</html>", "http://a.example/"),
    ]


PAGE = b"<html>" + b"some words " * 50
RAW_DEFLATE = zlib.compressobj(9, zlib.DEFLATED, -15)
BARE = RAW_DEFLATE.compress(PAGE) + RAW_DEFLATE.flush()
CHUNKED = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (PAGE[:100], PAGE[100:], b""))


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (gzip.compress(PAGE), ["Content-Encoding: gzip"]),
        (gzip.compress(PAGE), ["content-encoding: X-GZIP"]),
        (zlib.compress(PAGE), ["Content-Encoding: deflate"]),
        (BARE, ["Content-Encoding: deflate"]),
        (CHUNKED, ["Transfer-Encoding: chunked"]),
        (b"5;name=value\r\n<html\r\n1\r\n>\r\n" + b"0\r\n\r\n", ["Transfer-Encoding: chunked"]),
        (PAGE, ["Content-Encoding: gzip"]),
        (PAGE, ["Content-Encoding: br"]),
        (PAGE, ["Transfer-Encoding: chunked"]),
        (PAGE, ["Content-Encoding: identity"]),
    ],
)
def test_http_encodings_are_undone_and_those_undone_already_are_left(
    tmp_path: Path, body: bytes, headers: list[str]
) -> None:
    rows, bad, _ = read_bytes(tmp_path, response(body, "text/html", "200 OK", *headers), "warc")
    assert (len(rows), bad) == (1, [])
    assert rows[0]["html"] in (PAGE, b"<html>")


def test_gzip_inside_chunks_and_brotli(tmp_path: Path) -> None:
    from fastwarc.stream_io import BrotliWriter

    packed = gzip.compress(PAGE)
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed)
    sink = io.BytesIO()
    writer = BrotliWriter(sink)
    writer.write(PAGE)
    writer.close()
    data = response(chunked, "text/html", "200 OK", "Transfer-Encoding: chunked", "Content-Encoding: gzip")
    data += response(sink.getvalue(), "text/html", "200 OK", "Content-Encoding: br")
    rows, bad, _ = read_bytes(tmp_path, data, "warc")
    assert ([row["html"] for row in rows], bad) == ([PAGE, PAGE], [])


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (gzip.compress(PAGE)[:-20], ["Content-Encoding: gzip"]),
        (CHUNKED[:150], ["Transfer-Encoding: chunked"]),
        (b"\x00\x01\x02nonsense", ["Content-Encoding: br"]),
        (b"\x00\x01\x02nonsense", ["Content-Encoding: deflate"]),
        (b"\x00\x01\x02nonsense", ["Content-Encoding: rot13"]),
        (gzip.compress(bytes(200_000)), ["Content-Encoding: gzip"]),
    ],
)
def test_a_body_that_cannot_be_decoded_costs_its_record(tmp_path: Path, body: bytes, headers: list[str]) -> None:
    data = response(body, "text/html", "200 OK", *headers) + response(b"<html>next")
    rows, bad, _ = read_bytes(tmp_path, data, "warc", maximum_record_bytes="100kB")
    assert [row["id"] for row in rows] == ["input#1"]
    assert [(b.id, b.offset) for b in bad] == [("input#0", 0)]


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("compression", sorted(PACK))
def test_a_cut_archive_loses_nothing_in_silence(tmp_path: Path, compression: str, single: bool) -> None:
    pack = PACK[compression]
    parts = [pack(b"".join(ARCHIVE))] if single else [pack(record) for record in ARCHIVE]
    plain = compression == "none"
    data = b"".join(parts)
    ends = [sum(map(len, (ARCHIVE if plain else parts)[: n + 1])) for n in range(len(ARCHIVE if plain else parts))]
    whole, _, _ = read_bytes(tmp_path, data, "warc", compression)
    before = [sum(number <= n for number in (1, 3, 4, 6)) for n in range(len(ARCHIVE))]
    cuts = sorted({*range(1, len(data), 23), *(e + d for e in ends for d in (-9, -8, -5, -4, -1, 0, 1, 3, 7, 10, 12))})
    for cut in (c for c in cuts if 0 < c < len(data)):
        rows, bad, _ = read_bytes(tmp_path, data[:cut], "warc", compression)
        assert rows == whole[: len(rows)], cut
        complete = sum(e <= cut for e in ends)
        assert len(rows) >= (before[complete - 1] if complete and (plain or not single) else 0), cut
        # The empty lines behind a record are no part of it.
        at_an_end = any(0 <= e - cut <= 4 for e in ends) if plain else cut in ends
        assert len(bad) == (0 if at_an_end else 1), (cut, bad)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_one_damaged_member_costs_one_record(tmp_path: Path, compression: str) -> None:
    parts = [PACK[compression](record) for record in ARCHIVE]
    for target in range(len(parts)):
        damaged = bytearray(parts[target])
        damaged[len(damaged) // 2] ^= 0x10
        damaged[-3] ^= 0x10
        data = b"".join([*parts[:target], bytes(damaged), *parts[target + 1 :]])
        rows, bad, _ = read_bytes(tmp_path, data, "warc", compression)
        expected = [f"input#{n}" for n in (1, 3, 4, 6) if n != target]
        assert ([row["id"] for row in rows], [b.offset for b in bad]) == (expected, [target])


@pytest.mark.parametrize(
    "rubbish",
    [
        b"garbage that is no record\r\n\r\n",
        b"WARC/1.0\r\nWARC-Type: response\r\n\r\n",
        b"WARC/1.0\r\nContent-Length: minus one\r\n\r\n",
        b"\x00" * 200_000 + b"\n",
        b"WARC/1.0\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
    ],
)
def test_rubbish_between_records_costs_itself(tmp_path: Path, rubbish: bytes) -> None:
    rows, bad, _ = read_bytes(tmp_path, ARCHIVE[1] + rubbish + ARCHIVE[3] + ARCHIVE[4], "warc")
    assert [row["id"] for row in rows] == ["input#0", "input#2", "input#3"]
    assert [b.offset for b in bad] == [1]


def test_a_record_over_the_limit_costs_itself(tmp_path: Path) -> None:
    data = ARCHIVE[1] + response(b"<html>" + b"x" * 300_000) + ARCHIVE[3]
    for compression in sorted(PACK):
        rows, bad, _ = read_bytes(tmp_path, PACK[compression](data), "warc", compression, maximum_record_bytes="200kB")
        assert [row["id"] for row in rows] == ["input#0", "input#2"]
        assert [(b.offset, b.error[:9]) for b in bad] == [(1, "too_large")]


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\n"])
def test_an_empty_archive_holds_nothing(tmp_path: Path, data: bytes) -> None:
    assert read_bytes(tmp_path, data, "warc") == ([], [], [])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(PACK)),
    st.binary(max_size=200),
    st.sampled_from(["html", "text", "jsonl", "parquet", "warc"]),
)
def test_arbitrary_bytes_never_raise(tmp_path: Path, compression: str, data: bytes, format_: str) -> None:
    if compression == "lz4" and format_ != "warc":
        return
    read_bytes(tmp_path, data, format_, compression)
    read_bytes(tmp_path, PACK[compression](data), format_, compression)
    read_bytes(
        tmp_path,
        PACK[compression](b"WARC/1.0\r\nContent-Length: 5\r\nWARC-Type: response\r\n" + data),
        "warc",
        compression,
    )


# --- batches and whole trees -----------------------------------------------------------------------------------------


def test_batches_are_small_and_go_across_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_bytes(jsonl(*({"text": f"{name}{n}"} for n in range(300))))
    big = "x" * 3_000_000
    (tmp_path / "c.jsonl").write_bytes(jsonl(*({"text": big} for _ in range(5)), {"text": "t", "other": big}))
    (split,) = plan_splits(discover([str(tmp_path)], InputSettings()).files, 10**9)
    batches = [item for item in read(split, InputSettings()) if isinstance(item, pa.RecordBatch)]
    assert sum(batch.num_rows for batch in batches) == 606
    assert [batch.num_rows for batch in batches[:2]] == [256, 256]
    assert all(batch.num_rows <= 256 and batch.nbytes < 12_000_000 for batch in batches)


def test_settings_and_splits_travel_between_processes(tmp_path: Path) -> None:
    import pickle

    (tmp_path / "a.jsonl").write_bytes(jsonl({"text": "t"}))
    (split,) = plan_splits(discover([str(tmp_path)], InputSettings()).files, 10)
    assert pickle.loads(pickle.dumps(split)) == split
    assert msgspec.json.decode(msgspec.json.encode(split), type=Split) == split
    assert os.fspath(split.parts[0].file.path) == str(tmp_path / "a.jsonl")
