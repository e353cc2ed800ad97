"""WARC files as crawlers leave them: encoded twice, cut off, damaged in the middle, with rubbish between records."""

import gzip
import io
import itertools
import json
import re
import tracemalloc
import zlib
from contextlib import nullcontext
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard

from corpusmill import compression as compression_module
from corpusmill import lz4_frames
from corpusmill import warc_records as warc_module
from corpusmill.lz4_frames import Lz4Stream
from corpusmill.schemas import DOCUMENTS
from corpusmill.stages import StripHtml
from corpusmill.warc_records import Broken, Record, warc_records
from reading import PACK, read_bytes


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


def test_what_a_header_asks_of_machines_becomes_metadata(tmp_path: Path) -> None:
    asks = (
        "X-ROBOTS-Tag: noindex,",
        " nofollow",
        "x-robots-tag: googlebot: noai",
        "TDM-Reservation: 1",
        "tdm-reservation: 0",
    )
    data = response(b"<html>a", "text/html", "200 OK", *asks) + response(b"plain", "text/plain", "200 OK", asks[3])
    data += response(b"<html>b") + warc("resource", b"<html>c", content_type="text/html")
    rows, bad, _ = read_bytes(tmp_path, data, "warc", "none")
    assert bad == []
    found = [json.loads(row["metadata"]) for row in rows]
    assert found[0]["x_robots_tag"] == ["noindex, nofollow", "googlebot: noai"]
    assert [row.get("tdm_reservation") for row in found] == ["1", "1", None, None]
    assert [row.get("x_robots_tag") for row in found[1:]] == [None] * 3
    signals = StripHtml()(pa.RecordBatch.from_pylist(rows, DOCUMENTS)).select(
        ["signals.noindex", "signals.tdm_reservation"]
    )
    assert signals.to_pydict() == {
        "signals.noindex": [True, False, False, False],
        "signals.tdm_reservation": [True, True, None, None],
    }


@pytest.mark.parametrize("line", [b"\n x", b"\nX-Robots-Tag: x", b"\na:", b"\n:"])
def test_a_header_without_an_end_is_read_in_linear_time(tmp_path: Path, line: bytes) -> None:
    data = warc("response", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX: y" + line * 100_000)
    rows, bad, _ = read_bytes(tmp_path, data, "warc", "none")
    assert (bad, [row["html"] for row in rows]) == ([], [b""])


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
        (gzip.compress(PAGE[:200]) + gzip.compress(PAGE[200:]), ["Content-Encoding: gzip"]),
        (gzip.compress(PAGE) + b"\0\0padding", ["Content-Encoding: gzip"]),
        (zstandard.compress(PAGE), ["Content-Encoding: zstd"]),
        (zlib.compress(PAGE), ["Content-Encoding: deflate"]),
        (BARE, ["Content-Encoding: deflate"]),
        (CHUNKED, ["Transfer-Encoding: chunked"]),
        (b"5;name=value\r\n<html\r\n1\r\n>\r\n" + b"0\r\n\r\n", ["Transfer-Encoding: chunked"]),
        (PAGE, ["Content-Encoding: gzip"]),
        (PAGE, ["Content-Encoding: br"]),
        (PAGE, ["Transfer-Encoding: chunked"]),
        (PAGE, ["Content-Encoding: identity"]),
        (PAGE, ["Content-Encoding: ISO-8859-1"]),
        (PAGE, ["Content-Encoding: text/html"]),
        (PAGE, ["Content-Encoding: zstd"]),
    ],
)
def test_http_encodings_are_undone_and_those_undone_already_are_left(
    tmp_path: Path, body: bytes, headers: list[str]
) -> None:
    rows, bad, _ = read_bytes(tmp_path, response(body, "text/html", "200 OK", *headers), "warc")
    assert (len(rows), bad) == (1, [])
    assert rows[0]["html"] in (PAGE, b"<html>")


@pytest.mark.parametrize("content_type", ["text/html, text/html; charset=utf-8", "TEXT/HTML;charset=x,text/html"])
def test_a_content_type_that_came_twice(tmp_path: Path, content_type: str) -> None:
    rows, bad, skipped = read_bytes(tmp_path, response(PAGE, content_type), "warc")
    assert ([row["html"] for row in rows], bad, skipped) == ([PAGE], [], [])


def test_a_page_without_content_type_is_what_the_crawler_found_it_to_be(tmp_path: Path) -> None:
    block = b"HTTP/1.1 200 OK\r\n\r\n" + PAGE
    data = warc("response", block, WARC_Identified_Payload_Type="text/html") + warc("response", block)
    data += warc("response", block, WARC_Identified_Payload_Type="image/png")
    rows, bad, skipped = read_bytes(tmp_path, data, "warc")
    assert ([row["id"] for row in rows], bad) == (["input#0"], [])
    assert [record.kind for record in skipped] == ["no content type", "image/png"]


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
    ids=["cut gzip", "cut chunks", "no brotli", "no deflate", "unknown", "a bomb"],
)
def test_a_body_that_cannot_be_decoded_costs_its_record(tmp_path: Path, body: bytes, headers: list[str]) -> None:
    data = response(body, "text/html", "200 OK", *headers) + response(b"<html>next")
    rows, bad, _ = read_bytes(tmp_path, data, "warc", maximum_record_bytes="100kB")
    assert [row["id"] for row in rows] == ["input#1"]
    assert [(b.id, b.offset) for b in bad] == [("input#0", 0)]


@pytest.mark.parametrize("kind", ["response", "metadata"])
@pytest.mark.parametrize("surplus", [5, 9, 60, 1000, 9000, 10**6])
@pytest.mark.parametrize("packing", ["plain", "one frame", "frames"])
def test_a_length_that_is_too_large_costs_its_record_alone(
    tmp_path: Path, packing: str, surplus: int, kind: str
) -> None:
    records = [response(b"<html>%d " % n + b"words " * 900, url=f"http://a.example/{n}") for n in range(6)]
    wrong = warc(kind, b"HTTP/1.1 200 OK\r\n\r\n", url="http://a.example/wrong")
    records[2] = wrong.replace(b"Content-Length: 19", b"Content-Length: %d" % (19 + surplus))
    packed = [b"".join(records)] if packing != "frames" else records
    data = b"".join(packed if packing == "plain" else map(gzip.compress, packed))
    rows, (entry,), _ = read_bytes(tmp_path, data, "warc", "none" if packing == "plain" else "gzip")
    assert [(row["id"], row["url"]) for row in rows] == [
        (f"input#{n}", f"http://a.example/{n}") for n in (0, 1, 3, 4, 5)
    ]
    assert all(row["html"].count(b"<html>") == 1 for row in rows)
    assert entry.offset == 2


@pytest.mark.parametrize("step", [1, 2, 3, 5, 1 << 18])
@pytest.mark.parametrize("surplus", range(4, 20))
def test_where_reads_end_does_not_decide_what_a_length_that_is_too_large_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, surplus: int, step: int
) -> None:
    monkeypatch.setattr(compression_module, "_STEP", step)
    wrong = warc("metadata", b"words").replace(b"Content-Length: 5", b"Content-Length: %d" % (5 + surplus))
    rows, bad, _ = read_bytes(tmp_path, wrong + ARCHIVE[1] + ARCHIVE[3], "warc")
    # With only the empty lines behind it, it ends where the next one begins: nothing shows that it is wrong.
    first = 0 if surplus > 4 else 1
    assert [(entry.offset, "too large" in entry.error) for entry in bad] == [(0, True)] * (1 - first)
    assert [row["id"] for row in rows] == ["input#1", "input#2"]


def test_any_number_of_empty_lines_takes_the_memory_of_a_few(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(gzip.compress(ARCHIVE[1] + b"\r\n" * (1 << 23) + ARCHIVE[3]))
    tracemalloc.start()
    try:
        found = list(warc_records(str(path), "gzip", 1 << 20, frozenset()))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [type(item) for item in found] == [Record, Record]
    assert most < 1 << 22


def test_first_lines_of_records_without_more_are_not_searched_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = 0

    class Counting:
        def search(self, data: bytes, at: int) -> re.Match[bytes] | None:
            nonlocal searched
            found = header_end.search(data, at)
            searched += (found.end() if found else len(data)) - at
            return found

    header_end = warc_module._HEADER_END
    monkeypatch.setattr(warc_module, "_HEADER_END", Counting())
    data = ARCHIVE[1] + b"WARC/1.0\n" * 20_000 + b"\n" + ARCHIVE[3]
    path = tmp_path / "input"
    path.write_bytes(data)
    found = list(warc_records(str(path), "none", 1 << 20, frozenset()))
    assert [type(found[0]), type(found[-1])] == [Record, Record]
    assert {type(item) for item in found[1:-1]} == {Broken}
    # Of the last lines each is a header that ends where all do.
    assert searched < 2 * len(data)


def test_a_record_that_holds_an_archive_stays_whole(tmp_path: Path) -> None:
    page = b"<html>a record begins so:\r\n" + ARCHIVE[1]
    rows, bad, _ = read_bytes(tmp_path, response(page) + ARCHIVE[3], "warc")
    assert ([row["html"][:9] for row in rows], bad) == ([b"<html>a r", b"<html>two"], [])


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
        b"WARC/1.0\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
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


def test_rubbish_with_damage_behind_it_costs_both_and_nothing_else(tmp_path: Path) -> None:
    pack = PACK["gzip"]
    damaged = bytearray(pack(ARCHIVE[1]))
    damaged[len(damaged) // 2] ^= 0x10
    data = b"".join([pack(ARCHIVE[1]), pack(b"no record\r\n\r\n"), bytes(damaged), pack(ARCHIVE[3])])
    rows, bad, _ = read_bytes(tmp_path, data, "warc", "gzip")
    assert [row["html"] for row in rows] == [b"<html>one</html>" * 20, b"<html>two</html>" * 30]
    assert 1 <= len(bad) <= 2


@pytest.mark.parametrize("step", [1, 2, 1 << 16])
def test_lz4_frames_without_contents_end_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    monkeypatch.setattr(lz4_frames, "_CHUNK", step)
    path = tmp_path / "a.lz4"
    for frames in itertools.chain(*(itertools.product([b"", b"ab", b"c"], repeat=count) for count in range(1, 6))):
        data = b"".join(map(PACK["lz4"], frames))
        for stored, cut in ((data, False), (data[:-3], True)):
            path.write_bytes(stored)
            read = bytearray()
            fails = pytest.raises(OSError, match=r"cut off|damaged") if cut else nullcontext()
            with Lz4Stream(str(path), "lz4") as stream, fails:
                while chunk := stream.read_chunk():
                    read += chunk
            assert cut or bytes(read) == b"".join(frames)
