"""Compressed files as streams that give every readable byte before they raise, and never end quietly.

The library readers lose data without a word: `bz2.open` and `lzma.open` take whatever follows the first stream for padding
if it does not begin like another one, and zstandard's stream reader takes a truncated file for a short one. So the
decoders are driven here, one frame (gzip member, bz2 or xz stream) after the other. Memory is bounded whatever a few
hostile bytes expand to: at most 64 KiB come out of a step (of zstd, whose decoder has no such limit, what 1 KiB expands to,
32 MiB at worst).
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from pathlib import Path
from typing import IO, Any, Protocol

import zstandard

__all__ = ["open_stream"]

_READ = 1 << 16
_STEP = 1 << 16
_ZSTD_STEP = 1 << 10
_XZ_MEMORY = 1 << 29  # an xz header may ask for 4 GiB; the largest preset of the tools needs 65 MiB
_ERRORS = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


class _Frame(Protocol):
    """The decoder of one frame."""

    def step(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what comes out and what is left to go in."""

    @property
    def complete(self) -> bool:
        """Whether the frame has come to its end."""


class _GzipMember:
    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def step(self, data: bytes) -> tuple[bytes, bytes]:
        before = self._decoder.copy()
        try:
            out = self._decoder.decompress(data, _STEP)
        except zlib.error as error:
            why = "its CRC does not match" if "incorrect data check" in str(error) else str(error)
            raise _DamageError(why, _salvaged(before, data)) from None
        return out, self._decoder.unused_data if self.complete else self._decoder.unconsumed_tail

    @property
    def complete(self) -> bool:
        return self._decoder.eof


class _Stream:
    """A bz2 or xz stream: both decoders keep the input that they have not used yet."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder

    def step(self, data: bytes) -> tuple[bytes, bytes]:
        hungry = self._decoder.needs_input
        out = self._decoder.decompress(data if hungry else b"", _STEP)
        while not out and not self._decoder.eof and not self._decoder.needs_input:
            out = self._decoder.decompress(b"", _STEP)
        unused = self._decoder.unused_data if self.complete else b""
        return out, unused + (b"" if hungry else data)

    @property
    def complete(self) -> bool:
        return bool(self._decoder.eof)


class _ZstdFrame:
    def __init__(self) -> None:
        self._decoder = zstandard.ZstdDecompressor().decompressobj()

    def step(self, data: bytes) -> tuple[bytes, bytes]:
        out = self._decoder.decompress(data[:_ZSTD_STEP])
        unused = self._decoder.unused_data if self.complete else b""
        return out, unused + data[_ZSTD_STEP:]

    @property
    def complete(self) -> bool:
        return bool(self._decoder.eof)


class _DamageError(Exception):
    """Data that does not decode, and what did before it."""

    def __init__(self, why: str, out: bytes = b"") -> None:
        super().__init__(why)
        self.out = out


def _salvaged(decoder: Any, data: bytes) -> bytes:
    """Return what *data* gives before it stops to decode, a byte at a time."""
    out = bytearray()
    try:
        for at in range(len(data)):
            out += decoder.decompress(data[at : at + 1])
    except zlib.error:
        pass
    return bytes(out)


_FRAMES: dict[str, Any] = {
    "gzip": _GzipMember,
    "bz2": lambda: _Stream(bz2.BZ2Decompressor()),
    "xz": lambda: _Stream(lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)),
    "zstd": _ZstdFrame,
}


class _Decompressed(io.RawIOBase):
    """The contents of a compressed file, frame after frame."""

    def __init__(self, path: str, compression: str) -> None:
        super().__init__()
        self._what = compression
        self._new = _FRAMES[compression]
        self._file: IO[bytes] = Path(path).open("rb")  # noqa: SIM115  closed with the stream
        self._frame: _Frame | None = None
        self._waiting = b""  # input that has not gone in
        self._ready = memoryview(b"")  # output that has not been taken
        self._frames = 0
        self._error: OSError | None = None

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        while not self._ready and self._advance():
            pass
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _advance(self) -> bool:
        """Take one step; return False at the end of the file."""
        if self._error is not None:
            raise self._error
        if self._frame is None and self._frames:
            # Zero bytes between and behind frames are padding, which tapes, block devices and xz itself add.
            self._waiting = self._waiting.lstrip(b"\0")
            while not self._waiting and (data := self._file.read(_READ)):
                self._waiting = data.lstrip(b"\0")
            if not self._waiting:
                return False
        data, self._waiting = self._waiting or self._file.read(_READ), b""
        self._frame = self._frame or self._new()
        if not self._step(data) and not data:  # nothing goes in any more, and nothing comes out
            self._error = self._error or OSError(f"the {self._what} data is cut off: its last frame has no end")
            raise self._error
        return True

    def _step(self, data: bytes) -> bool:
        """Put *data* in; return whether anything came out."""
        assert self._frame is not None
        out = b""
        try:
            out, self._waiting = self._frame.step(data)
            if self._frame.complete:
                self._frame = None
                self._frames += 1
        except _DamageError as damage:
            out, self._error = damage.out, OSError(f"the {self._what} data is damaged: {damage}")
        except _ERRORS as error:
            self._error = OSError(f"the {self._what} data is damaged: {error}")
        self._ready = memoryview(out)
        return bool(out)


def open_stream(path: str, compression: str) -> io.BufferedReader:
    """Return the decompressed contents of a file, all members, frames or streams of it.

    Reading raises OSError behind the last byte that can be had; read with `readline` or `read1`, because `read` waits for
    all that was asked for and loses it when it raises. LZ4 is not among the compressions: only WARC files use it.
    """
    if compression == "none":
        return Path(path).open("rb")
    return io.BufferedReader(_Decompressed(path, compression), _READ)
