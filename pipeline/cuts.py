"""Large files cut into ranges that any worker can read alone, and that together give what the whole file gives.

Every range says at which record it begins, so ids and messages do not depend on how a file is cut. Cuts are found by the code
that also reads: looking for what a record begins with is wrong, because a record may hold another archive as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from corpusmill.compression import FrameStream
from corpusmill.lines import LineBlock, count_records, line_blocks
from corpusmill.read_records import error_words, raise_if_passing
from corpusmill.schemas.inputs import InputFile, InputSettings, Part
from corpusmill.schemas.sizes import parse_size
from corpusmill.spools import SpoolWriter
from corpusmill.warc_records import Record, warc_records_with_places

__all__ = ["cut_file"]

_BLANK_STEP = 1 << 16  # bytes after which a range of blank lines is looked at again
_CUT_WARC = frozenset({"none", "gzip", "zstd"})


def cut_file(
    file: InputFile,
    settings: InputSettings,
    split_size: int,
    *,
    spool: Callable[[int], Path] | None = None,
    wanted: Callable[[int], bool] = lambda number: True,  # noqa: ARG005
    after: Part | None = None,
) -> Iterator[Part]:
    """Yield the ranges of a file in order, each of *split_size* bytes or up to one record more, as soon as it is found.

    Ranges are stored bytes, of compressed JSON Lines decoded ones; a file that is not larger, or that cannot be entered in
    the middle, is one part. The decoded lines of compressed files are written to the path that *spool* gives for the number
    of a part in its file, for the parts that are *wanted*. With *after*, the last part that is known, only those behind it come.

    Raises:
        RetryableError: the file cannot be read now.
        OSError: a spool cannot be written. What is wrong with the file itself is left for its reader to say.

    """
    if after is not None and (after.start is None or after.offset + after.stored >= file.size):
        return
    limit = parse_size(settings.maximum_record_bytes)
    parts: Iterator[Part]
    if file.size <= split_size:
        parts = iter([Part(file=file)])
    elif file.format == "jsonl" and file.compression != "none":

        def place(number: int) -> Path | None:
            return spool(number) if spool is not None and wanted(number) else None

        parts = _cut_decoded(file, limit, split_size, place, after)
    elif file.format == "jsonl":
        parts = _cut_lines(file, limit, split_size, after)
    elif file.format == "warc" and file.compression in _CUT_WARC:
        parts = _cut_warc(file, limit, split_size, after)
    elif file.format == "parquet":
        parts = _cut_parquet(file, split_size)
    else:
        parts = iter([Part(file=file)])
    for part in parts:
        if after is None or (part.start is not None and after.start is not None and part.start > after.start):
            yield part


class _Range(NamedTuple):
    start: int
    stop: int
    first: int
    last: bool


def _ranges(
    blocks: Iterable[LineBlock], start: int, first: int, limit: int, split_size: int, keep: Callable[..., None]
) -> Iterator[_Range]:
    """Yield ranges of lines, of which the first has the number *first*; only the last one may be empty.

    A range ends where the first line begins that is *split_size* bytes behind its start, or more, if it holds a record. The
    lines in it, but for long runs of blank ones, have gone to *keep* (data, begin, end) when it comes: a gigabyte of them fits
    into a megabyte of gzip.
    """
    at, number, goal = start, first, start + split_size
    for data, size in blocks:
        begin = 0
        while begin < size:
            if at + begin >= goal and number > first:
                yield _Range(start, at + begin, first, last=False)
                start, first, goal = at + begin, number, at + begin + split_size
            elif at + begin >= goal:  # nothing but blank lines so far
                goal = ((at + begin) // _BLANK_STEP + 1) * _BLANK_STEP
            end = size
            if data is not None and (near := goal - 1 - at) < size:
                end = data.find(b"\n", max(begin, near)) + 1 or size
            records = 1 if data is None else count_records(data, begin, end, limit)
            if records:
                keep(data, begin, end)
            number += records
            begin = end
        at += size
    yield _Range(start, at, first, last=True)


class _Readable:
    """The blocks that *make* gives before it raises; `damage` says then what is wrong."""

    def __init__(self, make: Callable[[], Iterator[LineBlock]], file: InputFile) -> None:
        self._make, self._file = make, file
        self.damage: str | None = None

    def __iter__(self) -> Iterator[LineBlock]:
        try:
            yield from self._make()
        except Exception as error:  # noqa: BLE001  told where the file is read
            raise_if_passing(error, self._file)
            self.damage = error_words(error)


def _cut_lines(file: InputFile, limit: int, split_size: int, after: Part | None) -> Iterator[Part]:
    """Yield the ranges of an uncompressed file of JSON Lines."""
    start, first = (after.start or 0, after.first) if after is not None else (0, 0)

    def blocks() -> Iterator[LineBlock]:
        with FrameStream(file.path, "none", start, file.size) as stream:
            yield from line_blocks(stream.read_chunk, limit, mark=not start)

    for found in _ranges(_Readable(blocks, file), start, first, limit, split_size, lambda *_: None):
        stop = file.size if found.last else found.stop
        yield Part(
            file=file, start=found.start, stop=stop, first=found.first, offset=found.start, size=stop - found.start
        )


def _cut_decoded(
    file: InputFile, limit: int, split_size: int, spool: Callable[[int], Path | None], after: Part | None
) -> Iterator[Part]:
    """Yield the ranges of a compressed file of JSON Lines, their lines spooled where *spool* gives a path."""
    position = offset = 0

    def blocks() -> Iterator[LineBlock]:
        nonlocal position
        with FrameStream(file.path, file.compression) as stream:
            for block in line_blocks(stream.read_chunk, limit, mark=True):
                yield block
                position = stream.position

    def writer(start: int) -> SpoolWriter:
        known = after is not None and after.start is not None and start <= after.start
        return SpoolWriter(None if known else spool(number), limit)

    def keep(data: bytes | None, begin: int, end: int) -> None:
        sink.keep(data, begin, end)

    number = 0
    sink = writer(0)
    readable = _Readable(blocks, file)
    try:
        for found in _ranges(readable, 0, 0, limit, split_size, keep):
            # The decoder is ahead of its lines: only the last part may reach the end of the file.
            end = file.size if found.last else max(offset, min(position, file.size - 1))
            if found.last and found.stop == 0:  # nothing can be read of it
                yield Part(file=file)
                return
            yield Part(
                file=file,
                start=found.start,
                stop=found.stop,
                first=found.first,
                offset=offset,
                size=end - offset,
                damage=readable.damage,
                spool=sink.finish(),
            )
            number, offset = number + 1, end
            if not found.last:
                sink = writer(found.stop)
    finally:
        sink.discard()


def _cut_warc(file: InputFile, limit: int, split_size: int, after: Part | None) -> Iterator[Part]:
    """Yield the ranges of a WARC file that begin with a record and, if it is compressed, with a frame."""
    start, first = (after.start or 0, after.first) if after is not None else (0, 0)
    number = first
    try:
        for place, item in warc_records_with_places(file.path, file.compression, limit, frozenset(), start, file.size):
            if place is not None and place >= start + split_size and isinstance(item, Record):
                yield Part(file=file, start=start, stop=place, first=first, offset=start, size=place - start)
                start, first = place, number
            number += 1
    except OSError as error:
        raise_if_passing(error, file)
    if start == 0:
        yield Part(file=file)
    else:
        yield Part(file=file, start=start, stop=file.size, first=first, offset=start, size=file.size - start)


def _cut_parquet(file: InputFile, split_size: int) -> Iterator[Part]:
    """Yield ranges of row groups; what they account for is their share of the file, wherever in it they are."""
    try:
        with Path(file.path).open("rb") as source, pq.ParquetFile(source) as table:
            sizes, rows = _row_groups(table.metadata)
    except Exception as error:  # noqa: BLE001  told where the file is read
        raise_if_passing(error, file)
        yield Part(file=file)
        return
    start = first = held = offset = 0
    for group, size in enumerate(sizes):
        held += size
        if held >= split_size and group + 1 < len(sizes):
            end = min(offset + held, file.size - 1)
            yield Part(file=file, start=start, stop=group + 1, first=first, offset=offset, size=end - offset)
            first += sum(rows[start : group + 1])
            start, offset, held = group + 1, end, 0
    if start == 0:
        yield Part(file=file)
    else:
        yield Part(file=file, start=start, stop=len(sizes), first=first, offset=offset, size=file.size - offset)


def _row_groups(metadata: Any) -> tuple[list[int], list[int]]:
    """Return the stored bytes and the rows of each row group. Raises ValueError where they make no sense."""
    groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
    sizes = [sum(group.column(at).total_compressed_size for at in range(group.num_columns)) for group in groups]
    rows = [group.num_rows for group in groups]
    if min([0, *sizes, *rows]) < 0:
        raise ValueError("a row group with a negative size")
    return sizes, rows
