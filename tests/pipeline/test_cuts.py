"""Ranges of large files: read one after the other they give what the whole file gives, whatever is wrong with it."""

from __future__ import annotations

import errno
import gzip
import io
import json
import tempfile
from pathlib import Path
from typing import Any, cast
from unittest import mock

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill import compression as compression_module
from corpusmill.cuts import cut_file
from corpusmill.readers import read
from corpusmill.schemas import RetryableError
from corpusmill.schemas.inputs import InputFile, InputSettings, Part, Split
from reading import PACK, input_file, jsonl

Items = tuple[list[dict[str, Any]], list[Any]]
CODECS = ["none", "gzip", "zstd", "bz2", "xz"]


def read_parts(parts: list[Part], chosen: InputSettings) -> Items:
    rows: list[dict[str, Any]] = []
    rest: list[Any] = []
    for part in parts:
        for item in read(Split(index=0, parts=(part,)), chosen):
            if isinstance(item, pa.RecordBatch):
                rows += item.to_pylist()
            else:
                rest.append(item)
    return rows, rest


def without_spool(part: Part) -> Part:
    return msgspec.structs.replace(part, spool=None)


def check(
    file: InputFile, split_size: int, folder: Path, chosen: InputSettings, steps: int | None = None
) -> list[Part]:
    """Hold every promise of `cut_file` against one file; *steps* makes decoders and readers take tiny ones."""
    whole = read_parts([Part(file=file)], chosen)
    small = dict.fromkeys(["_READ", "_STEP", "_FIRST", "_ZSTD_STEP"], steps or 1 << 12)
    with mock.patch.multiple(compression_module, **cast("Any", small)):
        parts = list(cut_file(file, chosen, split_size, spool=lambda number: folder / f"spool-{number}"))
        assert sum(part.stored for part in parts) == file.size
        assert [part.offset for part in parts] == [sum(p.stored for p in parts[:at]) for at in range(len(parts))]
        assert all(part.offset + part.stored < file.size for part in parts[:-1])
        if len(parts) > 1:
            assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
        assert [part.damage for part in parts[:-1]] == [None] * (len(parts) - 1)
        assert read_parts(parts, chosen) == whole
        bare = [without_spool(part) for part in parts]
        assert read_parts(bare, chosen) == whole
        for at in range(len(parts)):
            assert list(cut_file(file, chosen, split_size, after=bare[at])) == bare[at + 1 :]
        assert not list(folder.glob("*.part"))
    return parts


LINES = st.one_of(
    st.text(max_size=30).map(lambda text: json.dumps({"text": text, "n": 1}).encode()),
    st.sampled_from(
        [b"", b" ", b"\t\r", b"\r", b" " * 60, b"{broken", b"null", b'{"text":"' + b"x" * 90 + b'"}', b"\xef\xbb\xbf{}"]
    ),
    st.binary(max_size=12).map(lambda data: data.replace(b"\n", b"")),
)


@st.composite
def packed(draw: st.DrawFn, data: bytes, ends: list[int], codecs: list[str]) -> tuple[str, bytes]:
    """*data* as frames that end at some of *ends*, then damaged somehow."""
    codec = draw(st.sampled_from(codecs))
    cuts = sorted(draw(st.sets(st.sampled_from(ends), max_size=6))) if ends else []
    frames = [PACK[codec](data[a:b]) for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    rubbish = draw(st.sampled_from([b"", b"", b"\0\0\0", b"rubbish", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"]))
    frames.insert(draw(st.integers(0, len(frames))), rubbish)
    stored = b"".join(frames)
    kind = draw(st.sampled_from(["whole", "whole", "cut", "flipped"]))
    if kind == "cut":
        stored = stored[: draw(st.integers(0, len(stored)))]
    elif kind == "flipped" and stored:
        at = draw(st.integers(0, len(stored) - 1))
        stored = stored[:at] + bytes([stored[at] ^ (1 << draw(st.integers(0, 7)))]) + stored[at + 1 :]
    return codec, stored


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_ranges_of_json_lines_give_what_the_file_gives(data: st.DataObject) -> None:
    lines = data.draw(st.lists(LINES, max_size=20))
    ends = data.draw(st.lists(st.sampled_from([b"\n", b"\r\n"]), min_size=len(lines), max_size=len(lines)))
    content = data.draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    content += b"".join(line + end for line, end in zip(lines, ends, strict=True))
    content = content if data.draw(st.booleans()) else content.rstrip(b"\r\n")
    codec, stored = data.draw(packed(content, list(range(len(content))), CODECS))
    chosen = InputSettings(maximum_record_bytes=data.draw(st.sampled_from(["1kB", "50B"])))
    size = data.draw(st.one_of(st.integers(1, 40), st.integers(1, len(stored) + 2)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input"
        path.write_bytes(stored)
        check(
            input_file(path, "jsonl", codec), size, Path(folder), chosen, data.draw(st.sampled_from([None, 1, 7, 50]))
        )


def warc_record(number: int, body: bytes, kind: str = "response") -> bytes:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://a.example/{number}\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(block) + block + b"\r\n\r\n"


NESTED = gzip.compress(warc_record(98, b"<p>in"), mtime=0) + gzip.compress(warc_record(99, b"<p>in"), mtime=0)
RECORDS = [
    *(warc_record(number, b"<p>" + bytes([97 + number]) * 20 * number) for number in range(5)),
    warc_record(5, b"GET", "request"),
    warc_record(6, b"<p>" + NESTED),
    warc_record(7, b"<p>\r\n" + warc_record(97, b"<p>in")),
    b"no record\r\n\r\n",
    b"WARC/1.0\r\nContent-Length: minus one\r\n\r\n",
    warc_record(8, b"<p>" + b"long " * 200),
    *(warc_record(9, b"<p>").replace(b"Length: 47", b"Length: %d" % size) for size in (52, 54, 58, 59, 60, 400)),
]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_ranges_of_archives_give_what_the_file_gives(data: st.DataObject) -> None:
    records = data.draw(st.lists(st.sampled_from(RECORDS), max_size=8))
    ends = [sum(map(len, records[:at])) for at in range(1, len(records))]
    content = b"".join(records)
    anywhere = list(range(len(content)))
    codec, stored = data.draw(packed(content, data.draw(st.sampled_from([ends, ends, anywhere])), [*CODECS, "lz4"]))
    chosen = InputSettings(maximum_record_bytes=data.draw(st.sampled_from(["100kB", "600B"])))
    size = data.draw(st.one_of(st.integers(1, 400), st.integers(1, len(stored) + 2)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input"
        path.write_bytes(stored)
        check(input_file(path, "warc", codec), size, Path(folder), chosen, data.draw(st.sampled_from([None, 1, 7, 50])))


def test_no_range_begins_inside_a_record_that_claims_too_much(tmp_path: Path) -> None:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>" + b"words " * 50
    head = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: %d\r\n\r\n"
    lengths = [len(block), len(block) + 2000, *[len(block)] * 9, 10**6, *[len(block)] * 4]
    path = tmp_path / "input"
    path.write_bytes(b"".join(head % length + block + b"\r\n\r\n" for length in lengths))
    parts = check(input_file(path, "warc"), 1, tmp_path, InputSettings())
    _, bad = read_parts(parts, InputSettings())
    assert [entry.offset for entry in bad] == [1, 11]
    assert [part.first for part in parts] == [0, 7, 8, 9, 10]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_ranges_of_tables_give_what_the_file_gives(data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.none() | st.text(max_size=20), max_size=30))
    sink = io.BytesIO()
    table = pa.table({"text": pa.array(texts, pa.string()), "n": pa.array(range(len(texts)), pa.int64())})
    pq.write_table(table, sink, row_group_size=data.draw(st.integers(1, 9)), use_dictionary=data.draw(st.booleans()))
    _, stored = data.draw(packed(sink.getvalue(), [], ["none"]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input"
        path.write_bytes(stored)
        check(input_file(path, "parquet"), data.draw(st.integers(1, 600)), Path(folder), InputSettings())


# --- how many parts, and where ---------------------------------------------------------------------------------------


def test_small_files_and_those_that_cannot_be_entered_are_one_part(tmp_path: Path) -> None:
    archive = b"".join(RECORDS[:5])
    for name, format_, codec, stored in [
        ("page", "html", "none", b"<p>" * 99),
        ("note", "text", "gzip", gzip.compress(b"x" * 9999)),
        ("single", "warc", "gzip", gzip.compress(archive)),
        ("lz4", "warc", "lz4", b"".join(map(PACK["lz4"], RECORDS[:5]))),
        ("bz2", "warc", "bz2", b"".join(map(PACK["bz2"], RECORDS[:5]))),
        ("table", "parquet", "none", b"PAR1 no table PAR1"),
    ]:
        (tmp_path / name).write_bytes(stored)
        file = input_file(tmp_path / name, format_, codec)
        assert list(cut_file(file, InputSettings(), 10)) == [Part(file=file)]
    (tmp_path / "small").write_bytes(b"{}\n{}\n")
    file = input_file(tmp_path / "small", "jsonl")
    assert list(cut_file(file, InputSettings(), 6)) == [Part(file=file)]


def test_lines_are_cut_at_the_first_one_that_is_far_enough(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b'{"text":1}\n' * 10)  # 11 bytes each
    parts = check(input_file(tmp_path / "a", "jsonl"), 33, tmp_path, InputSettings())
    assert [(part.start, part.stop, part.first) for part in parts] == [
        (0, 33, 0),
        (33, 66, 3),
        (66, 99, 6),
        (99, 110, 9),
    ]
    parts = check(input_file(tmp_path / "a", "jsonl"), 34, tmp_path, InputSettings())
    assert [part.start for part in parts] == [0, 44, 88]


@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
def test_every_record_of_an_archive_can_be_a_part_and_an_archive_in_one_is_none(tmp_path: Path, codec: str) -> None:
    frames = [PACK[codec](record) for record in RECORDS[:8]]
    (tmp_path / "a").write_bytes(b"".join(frames))
    parts = check(input_file(tmp_path / "a", "warc", codec), 1, tmp_path, InputSettings())
    assert [part.start for part in parts] == [sum(map(len, frames[:at])) for at in range(8)]
    assert [part.first for part in parts] == list(range(8))


def test_tables_are_cut_between_row_groups(tmp_path: Path) -> None:
    texts = [str(n) * 100 for n in range(40)]
    pq.write_table(
        pa.table({"text": texts}), tmp_path / "a", row_group_size=10, compression="none", use_dictionary=False
    )
    parts = check(input_file(tmp_path / "a", "parquet"), 2500, tmp_path, InputSettings())
    assert [(part.start, part.stop, part.first) for part in parts] == [(0, 2, 0), (2, 4, 20)]


def test_damage_in_a_row_group_costs_the_rest_of_it(tmp_path: Path) -> None:
    sink = io.BytesIO()
    table = pa.table({"text": [f"{n} text" for n in range(30)]})
    pq.write_table(table, sink, row_group_size=10, compression="zstd", use_dictionary=False)
    damaged = bytearray(sink.getvalue())
    place = damaged.index(b"\x28\xb5\x2f\xfd", damaged.index(b"\x28\xb5\x2f\xfd") + 1)
    damaged[place : place + 4] = b"oops"
    (tmp_path / "a").write_bytes(damaged)
    check(input_file(tmp_path / "a", "parquet"), 1, tmp_path, InputSettings())
    rows, bad = read_parts([Part(file=input_file(tmp_path / "a", "parquet"))], InputSettings())
    assert [row["id"] for row in rows] == [f"a#{n}" for n in (*range(10), *range(20, 30))]
    assert [entry.offset for entry in bad] == [10]


def test_what_is_added_to_a_file_while_it_is_read_belongs_to_no_part(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(jsonl(*({"text": f"{n}"} for n in range(20))))
    file = input_file(path, "jsonl")
    whole = read_parts([Part(file=file)], InputSettings())
    parts = cut_file(file, InputSettings(), 50)
    first = next(parts)
    with path.open("ab") as more:
        more.write(jsonl({"text": "more"}))
    assert read_parts([first, *parts], InputSettings()) == whole


def test_a_file_that_is_gone_is_left_for_its_reader_to_tell(tmp_path: Path) -> None:
    for format_ in ("jsonl", "parquet", "warc"):
        for codec in ("none", "gzip"):
            file = msgspec.structs.replace(input_file(tmp_path / "gone", format_, codec), size=1000)
            rows, bad = read_parts(list(cut_file(file, InputSettings(), 10)), InputSettings())
            assert (rows, len(bad)) == ([], 1)
            assert "No such file" in bad[0].error


# --- spools ----------------------------------------------------------------------------------------------------------


def decoded(tmp_path: Path, records: int = 100) -> InputFile:
    (tmp_path / "a.gz").write_bytes(gzip.compress(jsonl(*({"text": f"{n} words"} for n in range(records)))))
    return input_file(tmp_path / "a.gz", "jsonl", "gzip")


def test_a_spool_is_written_when_its_part_is_asked_for_and_wanted(tmp_path: Path) -> None:
    file, folder = decoded(tmp_path), tmp_path / "spools"
    parts = cut_file(file, InputSettings(), 200, spool=lambda n: folder / f"{n}", wanted=lambda n: n != 1)
    first, second, third = next(parts), next(parts), next(parts)
    assert (first.spool, second.spool, third.spool) == (str(folder / "0"), None, str(folder / "2"))
    assert sorted(path.name for path in folder.iterdir()) == ["0", "2"]
    next(parts)
    parts.close()  # type: ignore[attr-defined]
    assert sorted(path.name for path in folder.iterdir()) == ["0", "2", "3"]


def test_parts_do_not_depend_on_what_is_spooled(tmp_path: Path) -> None:
    file = decoded(tmp_path)
    spooled = list(cut_file(file, InputSettings(), 200, spool=lambda n: tmp_path / f"{n}"))
    assert list(cut_file(file, InputSettings(), 200)) == [without_spool(part) for part in spooled]
    assert len(spooled) > 3


def test_a_spool_that_is_gone_is_decoded_again_and_one_that_cannot_be_read_is_no_bad_input(tmp_path: Path) -> None:
    file = decoded(tmp_path)
    _, part, *_ = cut_file(file, InputSettings(), 200, spool=lambda n: tmp_path / f"{n}")
    expected = read_parts([part], InputSettings())
    assert part.spool is not None
    Path(part.spool).unlink()
    Path(part.spool).mkdir()
    with pytest.raises(RetryableError, match="run the same command again"):
        read_parts([part], InputSettings())
    Path(part.spool).rmdir()
    assert read_parts([part], InputSettings()) == expected


def test_a_line_that_expands_beyond_the_limit_fills_no_disk(tmp_path: Path) -> None:
    bomb = jsonl({"text": "before"}) + b"0" * 60_000_000 + b"\n" + jsonl({"text": "after"})
    (tmp_path / "a.gz").write_bytes(gzip.compress(bomb))
    file = input_file(tmp_path / "a.gz", "jsonl", "gzip")
    chosen = InputSettings(maximum_record_bytes="1MB")
    parts = check(file, 1000, tmp_path, chosen)
    assert [(part.start, part.stop) for part in parts] == [(0, 60_000_020), (60_000_020, 60_000_038)]
    assert sum(path.stat().st_size for path in tmp_path.glob("spool-*")) < 1_100_000  # of 60 MB


def test_a_spool_that_cannot_be_written_is_no_damage_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "spools").touch()
    with pytest.raises(OSError, match="spools"):
        list(cut_file(decoded(tmp_path), InputSettings(), 200, spool=lambda n: tmp_path / "spools" / f"{n}"))


@pytest.mark.parametrize(
    ("format_", "codec"), [("jsonl", "none"), ("jsonl", "gzip"), ("warc", "none"), ("warc", "gzip")]
)
def test_a_disk_that_fails_is_no_damage_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str, codec: str
) -> None:
    def fail(stream: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "a").write_bytes(PACK[codec](b"".join(RECORDS)))
    file = input_file(tmp_path / "a", format_, codec)
    monkeypatch.setattr(compression_module.FrameStream, "read_chunk", fail)
    with pytest.raises(RetryableError):
        list(cut_file(file, InputSettings(), 10))
    with pytest.raises(RetryableError):
        read_parts([Part(file=file)], InputSettings())


def test_millions_of_blank_lines_are_no_splits_and_fill_no_disk(tmp_path: Path) -> None:
    bomb = jsonl({"text": "before"}) + b"\n" * 1_000_000 + jsonl({"text": "after"})
    (tmp_path / "a.gz").write_bytes(gzip.compress(bomb))
    parts = check(input_file(tmp_path / "a.gz", "jsonl", "gzip"), 1000, tmp_path, InputSettings())
    assert len(parts) <= 2
    assert sum(path.stat().st_size for path in tmp_path.glob("spool-*")) < 300_000
