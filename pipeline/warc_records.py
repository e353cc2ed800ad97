"""Records out of a WARC file, one after the other, with proof that none was lost on the way.

fastwarc's own iterator takes a truncated file for a short one: of a four-record `.warc.gz` that is cut inside its last
member it gives three records, or four of which one is empty, and no error in either case. So the division into records,
which needs a header line and a length, is done here, where every byte is accounted for.

Damage costs the records it touches. Behind a broken gzip member or zstd frame reading goes on at the next one that begins
with a record; in data that decodes, at the next line that begins like a record. So it does where a record's length is too
large: taken at its word it would hand over the pages behind it as its own.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from corpusmill.compression import DamagedFrameError, FrameStream
from corpusmill.lz4_frames import Lz4Stream

__all__ = ["Broken", "Record", "all_fields", "fields_of", "warc_records", "warc_records_with_places"]

_HEADER_BYTES = 1 << 16
_TEXT = re.compile(rb"[^\r\n]")
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_MAGIC = b"WARC/"
_NEXT_RECORD = re.compile(rb"(?<=\n)WARC/[01]\.\d")
_LONGEST_MATCH = 16
_PARTS = 64
_MOST_GIVEN_BACK = 1 << 32
_MOST_BLANK = 1 << 12


class Record(NamedTuple):
    """A complete record: its header fields by lower-case name, and its block; None where it was not asked for."""

    fields: dict[str, str]
    block: bytes | None


class Broken(NamedTuple):
    """A place where records cannot be read, and what is wrong there."""

    error: str


def warc_records(
    path: str, compression: str, limit: int, wanted: frozenset[str], start: int = 0, stop: int | None = None
) -> Iterator[Record | Broken]:
    """Yield the records of a file in order; the block only of those whose `WARC-Type` is *wanted*.

    A record longer than *limit* bytes is `Broken` and passed over without being held. *start* and *stop* are places that
    `warc_records_with_places` told. Raises OSError only if the file cannot be opened.
    """
    return (item for _, item in warc_records_with_places(path, compression, limit, wanted, start, stop))


def warc_records_with_places(
    path: str, compression: str, limit: int, wanted: frozenset[str], start: int = 0, stop: int | None = None
) -> Iterator[tuple[int | None, Record | Broken]]:
    """Yield the same with the stored offset of each record; None where reading cannot begin, as inside a gzip member."""
    with _Source(path, compression, start, stop) as source:
        while True:
            place, item = None, None
            try:
                if not source.begin():
                    return
                place = source.place()
                item = _record(source, limit, wanted)
                source.check(place)
            except OSError as error:
                if error.errno is not None:  # the disk's, not the data's
                    raise
                yield None, Broken(f"the {source.what} is damaged between records: {error}")
            except _CutError as error:
                yield place, Broken(str(error))
            else:
                yield place, item
                continue
            if not source.resume():
                return


class _CutError(Exception):
    """A record that cannot be read to its end."""


def _record(source: _Source, limit: int, wanted: frozenset[str]) -> Record | Broken:
    """Return the record that begins here."""
    head = source.head()
    if not head.startswith(_MAGIC):
        raise _CutError("no WARC record begins where one should")
    fields = fields_of(head)
    length = fields.get("content-length", "")
    if not (length.isascii() and length.isdigit() and len(length) < 19):
        raise _CutError("a record has no valid Content-Length")
    size = int(length)
    if size > limit:
        source.take(size, keep=False)
        return Broken(f"too_large: the record has {size:,} bytes, more than {limit:,}")
    keep = fields.get("warc-type", "").lower() in wanted
    block = source.take(size, keep=True)
    if not source.at_record() and source.give_back(block):
        raise _CutError(f"the Content-Length of a record, {size:,}, is too large: another record begins inside it")
    return Record(fields, block if keep else None)


def fields_of(head: bytes, encoding: str = "utf-8") -> dict[str, str]:
    r"""Return header fields by lower-case name; of repeated ones the first, with continuation lines joined.

    >>> fields_of(b"WARC/1.0\r\nWARC-Type: response\r\nX: a\r\n b\r\n")
    {'warc-type': 'response', 'x': 'a b'}
    """
    fields: dict[str, str] = {}
    for name, value in all_fields(head, encoding):
        fields.setdefault(name, value)
    return fields


def all_fields(head: bytes, encoding: str = "utf-8") -> list[tuple[str, str]]:
    r"""Return header fields in order, with lower-case names and continuation lines joined.

    >>> all_fields(b"HTTP/1.1 200 OK\r\nX: a\r\nx: b\r\n c\r\n")
    [('x', 'a'), ('x', 'b c')]
    """
    found: list[tuple[str, list[str]]] = []
    goes_on = False
    for line in head.decode(encoding, "replace").split("\n")[1:]:
        if goes_on and line[:1] in (" ", "\t"):
            found[-1][1].append(line.strip())
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower() if colon else ""
        goes_on = bool(name)
        if name:
            found.append((name, [value.strip()]))
    return [(name, parts[0] if len(parts) == 1 else " ".join(filter(None, parts))) for name, parts in found]


class _Source:
    """The decompressed bytes of a file with a place in them; everything before the place has been accounted for."""

    def __init__(self, path: str, compression: str, start: int, stop: int | None) -> None:
        self.what = "file" if compression == "none" else f"{compression} stream"
        self._plain = compression == "none"
        self._stream = (Lz4Stream if compression == "lz4" else FrameStream)(path, compression, start, stop)
        self._data, self._at = b"", 0
        self._behind = start if self._plain else 0  # the decoded bytes up to the end of the data
        self._frames: deque[tuple[int, int]] = deque()  # where frames begin, in decoded and in stored bytes
        self._frame = -1
        self._error: OSError | None = None
        self._given_back = 0
        self._claimed = 0  # the decoded bytes up to the end of the last record whose length is too large
        self._searched = 0  # the decoded bytes in which ends of headers have been looked for

    def __enter__(self) -> _Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def _chunk(self) -> bytes:
        """Read on; at the end return nothing, and at damage keep what is wrong."""
        if self._error is not None:
            return b""
        try:
            chunk = self._stream.read_chunk()
        except OSError as error:
            if error.errno is not None:
                raise
            self._error = error
            return b""
        frame = self._stream.frame_start
        if frame != self._frame:
            self._frame = frame
            self._frames.append((self._behind, frame))
        self._behind += len(chunk)
        return chunk

    def _more(self) -> bool:
        """Read on, and keep what has not been accounted for; return False at the end and at damage."""
        if not (chunk := self._chunk()):
            return False
        self._data = self._data[self._at :] + chunk if self._at < len(self._data) else chunk
        self._at = 0
        return True

    def _lose(self) -> None:
        self._data, self._at = b"", 0

    def place(self) -> int | None:
        """Return the stored offset of the next byte; None where reading cannot begin at it."""
        at = self._behind - len(self._data) + self._at
        if at < self._claimed:
            return None  # whoever began here would not know whose bytes these were said to be
        if self._plain:
            return at
        while self._frames and self._frames[0][0] < at:
            self._frames.popleft()
        return self._frames[0][1] if self._frames and self._frames[0][0] == at else None

    def begin(self) -> bool:
        """Go to the next record, past the empty lines between two; return False at a clean end, raise at damage."""
        while True:
            if found := _TEXT.search(self._data, self._at):
                self._at = found.start()
                return True
            self._at = len(self._data)
            if not self._more():
                if self._error is not None:
                    raise self._error
                return False

    def at_record(self) -> bool:
        """Return whether the next thing here, if there is any, is a record; far behind empty lines anything will do."""
        blank = 0
        while True:
            found = _TEXT.search(self._data, self._at + blank)
            blank = (found.start() if found else len(self._data)) - self._at
            if blank >= _MOST_BLANK:  # a few bytes expand to gigabytes of them
                return True
            enough = found is not None and len(self._data) - found.start() >= _LONGEST_MATCH
            if enough or not self._more():
                begin = self._at + blank
                return _MAGIC.startswith(self._data[begin : begin + len(_MAGIC)])

    def give_back(self, block: bytes) -> bool:
        """Go back to the begin of the *block* that was just taken, if a record begins inside it."""
        if _NEXT_RECORD.search(block) is None:
            end = block[-_LONGEST_MATCH:]
            found = _NEXT_RECORD.search(end + self._data[self._at : self._at + _LONGEST_MATCH])
            if found is None or found.start() >= len(end):
                return False
        if not self._may_go_back(len(block)):
            return False
        self._claimed = self._behind - len(self._data) + self._at
        self._data, self._at = block + self._data[self._at :], 0
        return True

    def _may_go_back(self, size: int) -> bool:
        """Return whether *size* bytes may be read once more: tiny records that all claim to be large would take hours."""
        self._given_back += size
        return self._given_back <= _MOST_GIVEN_BACK

    def check(self, place: int | None) -> None:
        """Raise if the frame that begins at *place* with the record that was just read is damaged behind it.

        A frame is checked at its end: what came out of it before may be wrong.
        """
        if place is not None and self._frame == place and not self._plain:
            with suppress(OSError):
                self.begin()
            if isinstance(self._error, DamagedFrameError) and self._stream.frame_start == place and self._ended():
                raise _CutError(f"the {self.what} is damaged where a record is{self._because()}")

    def _ended(self) -> bool:
        return self._at == len(self._data)

    def head(self) -> bytes:
        """Return the header of the record that begins here and go past it."""
        while (end := self._header_end()) is None and len(self._data) - self._at < _HEADER_BYTES + 4:
            if not self._more():
                self._lose()
                raise _CutError(f"the {self.what} ends inside the header of a record{self._because()}")
        if end is None or end.start() - self._at > _HEADER_BYTES:
            self._at += 5  # or it would be found again
            raise _CutError(f"the header of a record has more than {_HEADER_BYTES:,} bytes")
        head = self._data[self._at : end.start()]
        if head.startswith(_MAGIC):  # otherwise the place stays where the damage begins
            self._at = end.end()
        return head

    def _header_end(self) -> re.Match[bytes] | None:
        """Return the next end of a header; of thousands of first lines without one each would look through the same bytes."""
        before = self._behind - len(self._data)
        end = _HEADER_END.search(self._data, max(self._at, self._searched - before))
        self._searched = before + (len(self._data) - 3 if end is None else end.start())
        return end

    def take(self, size: int, *, keep: bool) -> bytes:
        """Return the next *size* bytes; or go past them without holding them, and return nothing.

        Where so many are not there, reading goes on behind the begin of those that are held, or else at the end.
        """
        data, begin = self._data, self._at
        held, parts = bytearray(), list[bytes]()
        left = size
        while left > len(data) - begin:
            left -= len(data) - begin
            if keep:
                parts.append(data[begin:])
                if len(parts) > _PARTS:  # of tiny frames: their bytes alone are all that is held
                    held += b"".join(parts)
                    parts.clear()
            data, begin = self._chunk(), 0
            if not data:
                self._lose()
                if keep and self._error is None and self._may_go_back(size - left):  # the length may be wrong
                    self._claimed = self._behind + left
                    self._data = b"".join([held, *parts])
                raise _CutError(
                    f"the {self.what} ends inside a record, {size - left:,} of {size:,} bytes are there{self._because()}"
                )
        self._data, self._at = data, begin + left
        if not keep:
            return b""
        last = data[begin : begin + left]
        return b"".join([held, *parts, last]) if size > left else last

    def resume(self) -> bool:
        """Go on behind damage: at the next line that looks like a record, or the next compressed one; False if none."""
        if self._at == 0:
            self._data = b"\n" + self._data  # damage is found at beginnings of lines
        while self._error is None:
            if found := _NEXT_RECORD.search(self._data, self._at):
                self._at = found.start()
                return True
            self._at = max(0, self._at - 1, len(self._data) - _LONGEST_MATCH)  # with the end of the line before
            if not self._more() and self._error is None:
                return False
        self._lose()
        self._error, self._frame = None, -1
        return self._stream.skip_to_frame(_MAGIC)

    def _because(self) -> str:
        return f" ({self._error})" if self._error is not None else ""
