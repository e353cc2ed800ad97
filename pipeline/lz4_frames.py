"""LZ4 files, in which some crawlers keep WARC, read through fastwarc.

Its decoder neither says where a file is cut off nor hands over what it decoded before damage, and gives nothing, as at the end,
for a frame without contents; all of it is made up for here. Nothing else that the project depends on decodes LZ4 as a stream.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from fastwarc.stream_io import Lz4Reader

from corpusmill.compression import FrameError, FrameStream

__all__ = ["Lz4Stream"]

_CHUNK = 1 << 16
_MAGIC = b"\x04\x22\x4d\x18"
_LEAST_FRAME = 11  # bytes: magic, descriptor, end mark


class _Extent(NamedTuple):
    """Where a frame ends in the file, and whether it has contents."""

    end: int
    empty: bool


class Lz4Stream(FrameStream):
    """The decompressed contents of an LZ4 file; its chunks may go across frames, so it cannot be split."""

    def _restart(self, at: int) -> None:
        super()._restart(at)
        self.frame_start = at
        self._reader = Lz4Reader(self._file)

    def read_chunk(self) -> bytes:
        """Return the next bytes; none at a clean end. Raises OSError behind the last readable byte."""
        if self._error is not None:
            raise self._error
        start = self._start
        try:
            data = bytes(self._reader.read(_CHUNK))
            self.frame_start = max(start, int(self._reader.frame_start_position() or 0))
            for _ in range(0 if data else self._empty_frames()):
                if data := bytes(self._reader.read(_CHUNK)):
                    break
            if not data and not self._ends():
                self._error = FrameError("the lz4 data is cut off: its last frame has no end")
        except OSError as error:
            self.frame_start = frame = max(start, int(self._reader.frame_start_position() or 0))
            self._file.seek(frame)
            if all(not chunk.strip(b"\0") for chunk in iter(lambda: self._file.read(_CHUNK), b"")):
                return b""  # padding, with which tapes and block devices fill files up
            data = self._again(self._given)
            self.frame_start = frame
            self._error = FrameError(f"the lz4 data is damaged: {error}")
        self._given += len(data)
        if not data and self._error is not None:
            raise self._error
        return data

    def _again(self, given: int) -> bytes:
        """Return what comes behind the first *given* bytes, byte by byte."""
        self._restart(self._start)
        out = bytearray()
        try:
            while self._given < given:
                self._given += len(self._reader.read(min(_CHUNK, given - self._given)))
            nothing = os.fstat(self._file.fileno()).st_size // _LEAST_FRAME  # as many frames may have no contents
            while nothing:
                byte = self._reader.read(1)
                out += byte
                nothing -= not byte
        except OSError:
            pass
        return bytes(out)

    def _empty_frames(self) -> int:
        """Return how many frames without contents follow each other here, where the decoder gave nothing."""
        count, at = 0, self.frame_start
        frame = self._frame_at(at)
        while frame is not None and (frame.empty or not count):
            count += 1
            frame = self._frame_at(frame.end)
        return count

    def _ends(self) -> bool:
        """Return whether the last frame ends with its end mark."""
        size, at = os.fstat(self._file.fileno()).st_size, self.frame_start
        while at < size and (frame := self._frame_at(at)) is not None:
            at = frame.end
            if self._read_at(at, len(_MAGIC)) != _MAGIC:  # the end, or padding
                return True
        return at == size

    def _frame_at(self, at: int) -> _Extent | None:
        """Return what frame begins at the stored offset *at*; None if none does or it is cut off (LZ4 frame format 1.6)."""
        head = self._read_at(at, len(_MAGIC) + 1)
        if len(head) < len(_MAGIC) + 1 or not head.startswith(_MAGIC):
            return None
        flags = head[-1]
        at = first = at + 7 + 8 * (flags >> 3 & 1) + 4 * (flags & 1)
        while len(size := self._read_at(at, 4)) == 4:
            length = int.from_bytes(size, "little") & 0x7FFFFFFF
            if not length:
                return _Extent(at + 4 + 4 * (flags >> 2 & 1), empty=at == first)
            at += 4 + length + 4 * (flags >> 4 & 1)
        return None

    def _read_at(self, at: int, size: int) -> bytes:
        """Return stored bytes without moving the file, which the decoder reads on from where it is."""
        return os.pread(self._file.fileno(), size, at)
