"""Records out of a WARC file, one after the other, with proof that none was lost on the way.

fastwarc's own iterator takes a truncated file for a short one: of a four-record `.warc.gz` that is cut inside its last
member it gives three records, or four of which one is empty, and no error in either case. Its decompressors are twice as
fast as the standard library (158 against 317 ms for 170 MB), so they are kept, and the division into records, which needs
a header line and a length, is done here, where every byte is accounted for.

Damage costs the records it touches. Behind a broken gzip member or zstd frame reading goes on at the next one that begins
with a record; in uncompressed data, at the next line that begins like a record.
"""

from __future__ import annotations

import lzma
import mmap
import os
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import zstandard
from fastwarc.stream_io import GzipReader, Lz4Reader, ZstdReader

from corpusmill.compression import open_stream

__all__ = ["Broken", "Record", "fields_of", "warc_records"]

_CHUNK = 1 << 16
_HEADER_BYTES = 1 << 16
_NATIVE: dict[str, tuple[Any, bytes]] = {
    "gzip": (GzipReader, b"\x1f\x8b\x08"),
    "zstd": (ZstdReader, b"\x28\xb5\x2f\xfd"),
    "lz4": (Lz4Reader, b"\x04\x22\x4d\x18"),
}
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_NEXT_RECORD = re.compile(rb"(?:\A|(?<=\n))WARC/[01]\.\d")
_DAMAGE = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


class Record(NamedTuple):
    """A complete record: its header fields by lower-case name, and its block; None where it was not asked for."""

    fields: dict[str, str]
    block: bytes | None


class Broken(NamedTuple):
    """A place where records cannot be read, and what is wrong there."""

    error: str


def warc_records(path: str, compression: str, limit: int, wanted: frozenset[str]) -> Iterator[Record | Broken]:
    """Yield the records of a file in order; the block only of those whose `WARC-Type` is *wanted*.

    A record longer than *limit* bytes is `Broken` and passed over without being held. Raises OSError only if the file
    cannot be opened.
    """
    with _Source(path, compression) as source:
        while True:
            try:
                if not source.begin():
                    return
            except _DAMAGE as error:
                yield Broken(f"the {source.what} is damaged between records: {error}")
                if source.resume():
                    continue
                return
            try:
                yield _record(source, limit, wanted)
            except _CutError as error:
                yield Broken(str(error))
                if not source.resume():
                    return


class _CutError(Exception):
    """A record that cannot be read to its end."""


def _record(source: _Source, limit: int, wanted: frozenset[str]) -> Record | Broken:
    """Return the record that begins here."""
    head = source.head()
    if not head.startswith(b"WARC/"):
        raise _CutError("no WARC record begins where one should")
    fields = fields_of(head)
    length = fields.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        raise _CutError("a record has no valid Content-Length")
    size = int(length)
    if size > limit:
        source.take(size, keep=False)
        return Broken(f"too_large: the record has {size:,} bytes, more than {limit:,}")
    keep = fields.get("warc-type", "").lower() in wanted
    return Record(fields, source.take(size, keep=keep))


def fields_of(head: bytes, encoding: str = "utf-8") -> dict[str, str]:
    r"""Return header fields by lower-case name; of repeated ones the first, with continuation lines joined.

    >>> fields_of(b"WARC/1.0\r\nWARC-Type: response\r\nX: a\r\n b\r\n")
    {'warc-type': 'response', 'x': 'a b'}
    """
    fields: dict[str, str] = {}
    last = ""
    for line in head.decode(encoding, "replace").split("\n")[1:]:
        if line[:1] in (" ", "\t") and last:
            fields[last] = f"{fields[last]} {line.strip()}".strip()
            continue
        name, colon, value = line.partition(":")
        last = name.strip().lower() if colon else ""
        if last in fields:
            last = ""
        elif last:
            fields[last] = value.strip()
    return fields


class _Source:
    """The decompressed bytes of a file with a place in them; everything before the place has been accounted for."""

    def __init__(self, path: str, compression: str) -> None:
        self.what = "file" if compression == "none" else f"{compression} stream"
        self._native = compression in _NATIVE
        self._stream: Any = _NativeStream(path, compression) if self._native else open_stream(path, compression)
        # read1 gives what is there; read waits for all that was asked for, and loses it where damage follows.
        self._read: Callable[[int], bytes] = getattr(self._stream, "read" if self._native else "read1")
        self._buffer = bytearray()
        self._error: Exception | None = None

    def __enter__(self) -> _Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def _more(self) -> bool:
        """Read on. At damage return False, and keep what is wrong."""
        if self._error is None:
            try:
                data = self._read(_CHUNK)
            except _DAMAGE as error:
                self._error = error
                return False
            self._buffer += data
            return bool(data)
        return False

    def begin(self) -> bool:
        """Go to the next record, past the empty lines between two; return False at a clean end, raise at damage."""
        while True:
            blank = len(self._buffer) - len(self._buffer.lstrip(b"\r\n"))
            del self._buffer[:blank]
            if self._buffer:
                return True
            if not self._more():
                if self._error is not None:
                    raise self._error
                return False

    def head(self) -> bytes:
        """Return the header of the record that begins here and go past it."""
        while (end := _HEADER_END.search(self._buffer)) is None and len(self._buffer) < _HEADER_BYTES:
            if not self._more():
                self._buffer.clear()
                raise _CutError(f"the {self.what} ends inside the header of a record{self._because()}")
        if end is None:
            del self._buffer[:5]  # or it would be found again
            raise _CutError(f"the header of a record has more than {_HEADER_BYTES:,} bytes")
        head = bytes(self._buffer[: end.start()])
        if head.startswith(b"WARC/"):  # otherwise the place stays where the damage begins
            del self._buffer[: end.end()]
        return head

    def take(self, size: int, *, keep: bool) -> bytes | None:
        """Return the next *size* bytes, or go past them without holding them."""
        left = size
        while True:
            if keep and len(self._buffer) >= size:
                block = bytes(memoryview(self._buffer)[:size])
                del self._buffer[:size]
                return block
            if not keep:
                passed = min(left, len(self._buffer))
                del self._buffer[:passed]
                left -= passed
                if not left:
                    return None
            if not self._more():
                there = len(self._buffer) if keep else size - left
                self._buffer.clear()
                raise _CutError(
                    f"the {self.what} ends inside a record, {there:,} of {size:,} bytes are there{self._because()}"
                )

    def resume(self) -> bool:
        """Go on behind damage: at the next compressed record, or the next line that looks like one; False if none."""
        if self._error is not None:
            self._buffer.clear()
            if not (self._native and self._stream.skip_damage()):
                return False
            self._error = None
            return True
        while True:
            found = _NEXT_RECORD.search(self._buffer)
            if found is not None:
                del self._buffer[: found.start()]
                return True
            del self._buffer[: max(0, len(self._buffer) - 16)]
            if not self._more():
                return False

    def _because(self) -> str:
        return f" ({self._error})" if self._error is not None else ""


class _NativeStream:
    """A file behind one of fastwarc's decompressors that gives all it can before it raises, and never ends quietly."""

    def __init__(self, path: str, compression: str) -> None:
        self._class, self._magic = _NATIVE[compression]
        self._compression = compression
        self._file: IO[bytes] = Path(path).open("rb")  # noqa: SIM115  closed with the stream
        self._error: Exception | None = None
        self._open(0)

    def close(self) -> None:
        self._file.close()

    def _open(self, start: int) -> None:
        self._file.seek(start)
        self._start, self._given = start, 0
        self._reader = self._class(self._file)

    def _frame(self) -> int:
        """Return where in the file the compressed frame begins that is being read."""
        return max(self._start, int(self._reader.frame_start_position() or 0))

    def read(self, size: int) -> bytes:
        """Return up to *size* bytes, none at a clean end. Raises OSError or EOFError behind the last readable byte."""
        if self._error is not None:
            raise self._error
        try:
            data = bytes(self._reader.read(size))
        except OSError as error:
            self._error = error
            data = self._salvage(size)
            if not data and self._padding():
                self._error = None
                return b""
        self._given += len(data)
        if not data:
            self._check_end()
        return data

    def _salvage(self, size: int) -> bytes:
        """Return the bytes between the last good read and the damage: read again, and the last part byte by byte."""
        given = self._given
        self._open(self._start)
        out = bytearray()
        try:
            while self._given < given:
                self._given += len(self._reader.read(min(size, given - self._given)))
            while len(out) < size and (byte := self._reader.read(1)):
                out += byte
        except OSError:
            pass
        return bytes(out)

    def _padding(self) -> bool:
        """Return whether nothing but zero bytes follow, with which tapes and block devices fill files up."""
        self._file.seek(self._frame())
        return all(not chunk.strip(b"\0") for chunk in iter(lambda: self._file.read(_CHUNK), b""))

    def _check_end(self) -> None:
        """Raise where the data ends before its last frame does: zstd's decompressor sees that, the others do not."""
        if self._error is not None:
            raise self._error
        start = self._frame()
        self._file.seek(0, os.SEEK_END)
        left = self._file.tell() - start
        self._file.seek(start)
        check = {"gzip": self._gzip_ends, "lz4": self._lz4_ends}.get(self._compression)
        if left and check is not None and not check(left):
            self._error = EOFError(f"it is cut off before the end of a {self._compression} frame")
            raise self._error

    def _gzip_ends(self, left: int) -> bool:
        """Return whether the gzip member at the file's place is complete."""
        if self._given and self._frame() == 0 == self._start:
            # The last four bytes are the length of the last member: where it is the only one, that settles it.
            self._file.seek(left - 4)
            if int.from_bytes(self._file.read(4), "little") == self._given & 0xFFFFFFFF:
                return True
            self._file.seek(0)
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        while not member.eof and (data := self._file.read(_CHUNK)):
            while data and not member.eof:
                member.decompress(data, 1 << 20)
                data = member.unconsumed_tail
        return member.eof

    def _lz4_ends(self, left: int) -> bool:
        """Return whether the LZ4 frame at the file's place ends with its end mark (source: LZ4 frame format 1.6)."""
        head = self._file.read(5)
        flags = head[4] if len(head) == 5 else 0
        at = 7 + 8 * (flags >> 3 & 1) + 4 * (flags & 1)
        while at + 4 <= left:
            self._file.seek(self._frame() + at)
            size = int.from_bytes(self._file.read(4), "little") & 0x7FFFFFFF
            at += 4 + size + 4 * (flags >> 4 & 1)
            if not size:
                return True
        return False

    def skip_damage(self) -> bool:
        """Go on at the next compressed frame that begins with a record; return False if there is none."""
        at = self._frame()
        self._error = None
        with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            while (at := data.find(self._magic, at + 1)) >= 0:
                if self._begins_record(at):
                    self._open(at)
                    return True
        return False

    def _begins_record(self, at: int) -> bool:
        """Return whether a compressed frame at *at* decompresses to the beginning of a record."""
        self._open(at)
        try:
            return bool(self._reader.read(5) == b"WARC/")
        except OSError:
            return False
