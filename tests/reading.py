"""Reading one made-up file: what several tests of readers share."""

import bz2
import gzip
import io
import json
import lzma
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import zstandard

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


def one_split(files: Iterable[InputFile]) -> Split:
    return Split(index=0, parts=tuple(Part(file=file) for file in files))


def items(file: InputFile, **changes: Any) -> tuple[list[Row], list[Quarantined], list[SkippedRecord]]:
    """What a file gives: documents, quarantine entries, records that are no documents."""
    rows: list[Row] = []
    rest: list[Any] = []
    for item in read(one_split([file]), InputSettings(**changes)):
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
