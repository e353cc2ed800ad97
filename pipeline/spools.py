"""The decoded lines of one range of a compressed file, in an LZ4 file of the run's own.

A compressed file cannot be entered in the middle: it is decoded once, where it is cut, and the workers read these files. They
are not synced to disk, because a run that goes on after a crash makes them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpusmill.journal import temporary_name
from corpusmill.schemas import RetryableError

__all__ = ["SpoolWriter", "read_spool"]

_CHUNK = 1 << 20


class SpoolWriter:
    """Writes lines to a file that appears under its name when it is finished; with no path, nowhere."""

    def __init__(self, path: Path | None, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._sink: Any = None
        self._thread = ThreadPoolExecutor(1)  # compressing takes as long as decoding: it is done beside it
        self._writing: Future[Any] | None = None
        self._waiting: list[memoryview] = []
        self._size = 0

    def keep(self, data: bytes | None, begin: int, end: int) -> None:
        """Add lines; for a line that is too long to be held (None), one that is too long as well."""
        if self._path is None:
            return
        if data is None:
            left = self._limit + 1
            while left > 0:
                self.keep(b"-" * min(left, _CHUNK), 0, min(left, _CHUNK))
                left -= _CHUNK
            data, begin, end = b"\n", 0, 1
        self._waiting.append(memoryview(data)[begin:end])
        self._size += end - begin
        if self._size >= _CHUNK:
            self._write()

    def finish(self) -> str | None:
        """Give the file its name and return it."""
        if self._path is None:
            return None
        self._write()
        self._written()
        self._sink.close()
        self._sink = None
        self._thread.shutdown()
        temporary_name(self._path).replace(self._path)
        return str(self._path)

    def discard(self) -> None:
        """Remove what was written, unless it is finished."""
        if self._sink is not None and self._path is not None:
            with suppress(OSError):
                self._written()
                self._sink.close()
            self._thread.shutdown()
            temporary_name(self._path).unlink(missing_ok=True)

    def _write(self) -> None:
        assert self._path is not None
        if self._sink is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._sink = pa.CompressedOutputStream(str(temporary_name(self._path)), "lz4")
        self._written()
        self._writing = self._thread.submit(self._sink.write, b"".join(self._waiting))
        self._waiting, self._size = [], 0

    def _written(self) -> None:
        """Wait until what was handed over last is written; raise what went wrong with it."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()


@contextmanager
def read_spool(path: str) -> Iterator[Callable[[], bytes]]:
    """Yield what reads the lines of a spool a chunk at a time. Raises RetryableError where it cannot be read."""
    with _retryable(path):
        stream = pa.CompressedInputStream(path, "lz4")

    def read() -> bytes:
        with _retryable(path):
            return bytes(stream.read(_CHUNK))

    with stream:
        yield read


@contextmanager
def _retryable(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise RetryableError(f"{path} cannot be read ({error}); run the same command again") from error
