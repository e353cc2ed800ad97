"""Documents out of JSON Lines: of whole files, of ranges of lines, and of spools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from corpusmill.compression import FrameStream
from corpusmill.lines import LineBlock, between, line_blocks
from corpusmill.read_records import DocumentRow, Quarantined, RecordedDamageError, RecordReader, Watch, scrubbed_all
from corpusmill.schemas.inputs import InputSettings, Part
from corpusmill.spools import read_spool

__all__ = ["read_json_lines"]

_BAD = (ValueError, RecursionError)  # each costs its line


def read_json_lines(
    part: Part,
    settings: InputSettings,  # noqa: ARG001
    limit: int,
    watch: Watch,
) -> Iterator[DocumentRow | Quarantined]:
    """Yield the records of a file or a range of it. A broken line costs that line; blank lines are no records.

    Raises:
        OSError: the file cannot be read, or not decoded any further.
        RecordedDamageError: it could not be decoded any further when it was cut.

    """
    file = part.file
    number = part.first - 1
    decoder = msgspec.json.Decoder()
    reader = RecordReader(file)
    for data, _ in _blocks(part, limit):
        for line in [None] if data is None else data.split(b"\n"):
            if line is None or len(line) > limit:
                number += 1
                yield Quarantined(None, file.name, number, f"too_large: the line has more than {limit:,} bytes")
                continue
            if not line or line.isspace():
                continue
            number += 1
            if (why := watch(number)) is not None:
                yield Quarantined(None, file.name, number, why)
                continue
            try:
                record = _decoded(decoder, line)
            except _BAD as error:
                yield Quarantined(None, file.name, number, f"no valid JSON: {error}")
                continue
            try:
                row = reader.row(record, number)
            except _BAD as error:
                row = Quarantined(None, file.name, number, f"the record cannot be read: {error}")
            yield row
    if part.damage is not None:
        raise RecordedDamageError(part.damage)


def _decoded(decoder: msgspec.json.Decoder[Any], line: bytes) -> Any:
    """Return the JSON value of a line; msgspec is strict and fast, Python's own reader also takes lone surrogates."""
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = json.loads(line.decode("utf-8"))
        return scrubbed_all(value) if b"\\u" in line else value


def _blocks(part: Part, limit: int) -> Iterator[LineBlock]:
    """Yield the lines of a part."""
    file = part.file
    start = part.start or 0
    if part.spool is not None and Path(part.spool).exists():
        with read_spool(part.spool) as read:
            yield from line_blocks(read, limit)
    elif file.compression == "none":
        with FrameStream(file.path, "none", start, part.stop) as stream:
            yield from line_blocks(stream.read_chunk, limit, mark=not start)
    else:
        with FrameStream(file.path, file.compression) as stream:
            yield from between(line_blocks(stream.read_chunk, limit, mark=True), start, part.stop)
