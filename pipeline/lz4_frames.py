"""LZ4 files, in which some crawlers keep WARC, read through fastwarc.

Its decoder neither says where a file is cut off nor hands over what it decoded before damage, so both is made up for here.
Nothing else that the project depends on decodes LZ4 as a stream.
"""

from __future__ import annotations

import os

from fastwarc.stream_io import Lz4Reader

from corpusmill.compression import FrameError, FrameStream

__all__ = ["Lz4Stream"]

_CHUNK = 1 << 16


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
            while byte := self._reader.read(1):
                out += byte
        except OSError:
            pass
        return bytes(out)

    def _ends(self) -> bool:
        """Return whether the last frame ends with its end mark (source: LZ4 frame format 1.6)."""
        size = os.fstat(self._file.fileno()).st_size
        self._file.seek(self.frame_start)
        head = self._file.read(5)
        flags = head[4] if len(head) == 5 else 0
        at = self.frame_start + 7 + 8 * (flags >> 3 & 1) + 4 * (flags & 1)
        while at + 4 <= size:
            self._file.seek(at)
            length = int.from_bytes(self._file.read(4), "little") & 0x7FFFFFFF
            at += 4 + length + 4 * (flags >> 4 & 1)
            if not length:
                return True
        return self.frame_start == size
