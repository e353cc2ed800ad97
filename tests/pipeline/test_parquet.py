"""Parquet files depend on their rows alone, and tokens are stored as the recipe says."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpusmill.parquet import RowGroupWriter, TableFile

TOKEN = pa.field("element", pa.uint16(), nullable=False)
IDS = [[number % 97] * (number % 13) for number in range(1000)]
ROWS = pa.table({"id": [f"d{number}" for number in range(1000)], "input_ids": pa.array(IDS, pa.list_(TOKEN))})


def written(path: Path, pieces: list[int], **options: str) -> bytes:
    writer = RowGroupWriter(path, ROWS.schema, rows=128, level=1, metadata={"made.by": "test"}, **options)
    at = 0
    for piece in pieces:
        writer.write(ROWS.slice(at, piece))
        at += piece
    writer.write(ROWS.slice(at))
    writer.close()
    return path.read_bytes()


def test_bytes_do_not_depend_on_how_rows_arrive(tmp_path: Path) -> None:
    whole = written(tmp_path / "a", [])
    for pieces in ([1, 127, 128, 500], [999], [0, 300, 0, 1], [10] * 99):
        assert written(tmp_path / "b", pieces) == whole
    assert pq.read_table(tmp_path / "a").equals(ROWS)
    groups = pq.read_metadata(tmp_path / "a")
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [128] * 7 + [104]
    assert groups.metadata[b"made.by"] == b"test"


@pytest.mark.parametrize(("encoding", "named"), [("plain", "PLAIN"), ("byte_stream_split", "BYTE_STREAM_SPLIT")])
@pytest.mark.parametrize("packed", [False, True])
def test_tokens_are_encoded_as_asked(tmp_path: Path, encoding: str, named: str, packed: bool) -> None:
    rows = pa.table({"input_ids": pa.array([[1, 2], [3, 4]], pa.list_(TOKEN, 2))}) if packed else ROWS
    writer = RowGroupWriter(tmp_path / "a", rows.schema, rows=1024, level=1, encoding=encoding)
    writer.write(rows)
    writer.close()
    columns = pq.read_metadata(tmp_path / "a").row_group(0)
    (tokens,) = [
        columns.column(n)
        for n in range(columns.num_columns)
        if columns.column(n).path_in_schema.startswith("input_ids")
    ]
    assert named in tokens.encodings
    assert not {"PLAIN_DICTIONARY", "RLE_DICTIONARY"} & set(tokens.encodings)


def test_a_side_table_exists_only_if_a_row_was_written(tmp_path: Path) -> None:
    with TableFile(tmp_path, "rejects/a.parquet", ROWS.schema) as table:
        table.write(ROWS.slice(0, 0))
    assert table.record is None
    with TableFile(tmp_path, "rejects/a.parquet", ROWS.schema) as table:
        table.write(ROWS)
    assert table.record is not None
    assert table.record.rows == 1000
    with pytest.raises(RuntimeError, match="stopped"):
        _write_and_fail(tmp_path)
    assert [path.name for path in (tmp_path / "rejects").iterdir()] == ["a.parquet"]


def _write_and_fail(root: Path) -> None:
    with TableFile(root, "rejects/b.parquet", ROWS.schema) as table:
        table.write(ROWS)
        raise RuntimeError("stopped")
