from __future__ import annotations

import gzip
import io
import json
import os
import random
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpusmill.discover import discover
from corpusmill.readers import read
from corpusmill.schemas.inputs import InputSettings, Split
from reading import PACK, WITHOUT_LZ4, input_file, items, jsonl, one_split, read_bytes

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
    split = one_split(discover([str(tmp_path)], InputSettings()).files)
    batches = [item for item in read(split, InputSettings()) if isinstance(item, pa.RecordBatch)]
    assert sum(batch.num_rows for batch in batches) == 606
    assert [batch.num_rows for batch in batches[:2]] == [256, 256]
    assert all(batch.num_rows <= 256 and batch.nbytes < 12_000_000 for batch in batches)


def test_settings_and_splits_travel_between_processes(tmp_path: Path) -> None:
    import pickle

    (tmp_path / "a.jsonl").write_bytes(jsonl({"text": "t"}))
    split = one_split(discover([str(tmp_path)], InputSettings()).files)
    assert pickle.loads(pickle.dumps(split)) == split
    assert msgspec.json.decode(msgspec.json.encode(split), type=Split) == split
    assert os.fspath(split.parts[0].file.path) == str(tmp_path / "a.jsonl")


def test_one_field_can_be_text_and_id(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b'{"name": "both", "n": 1}\n')
    rows, bad, _ = items(input_file(tmp_path / "a", "jsonl", text="name", id="name"))
    assert [(row["id"], row["text"], row["metadata"]) for row in rows] == [("both", "both", '{"n":1}')]
    assert bad == []
