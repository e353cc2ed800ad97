"""Arrow IPC files that workers leave for the next segment or for an index: spilled documents and sketches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from corpusmill.journal import sync, temporary_name

__all__ = ["IpcFile"]


class IpcFile:
    """An Arrow IPC stream that exists only if a batch was written, and only once it is whole.

    Spilled documents are gone again in seconds: they are neither compressed (LZ4 took 0.72 s for 191 MB, writing them plainly
    0.09 s) nor synced, so most of them never reach the disk. See `output.distrust_spills` for what that asks of a restart.
    """

    def __init__(self, root: Path, name: str, *, lasting: bool = False) -> None:
        self._path = root / name
        self._name = name
        self._lasting = lasting
        self._temporary = temporary_name(self._path)
        self._writer: Any = None
        self.rows = 0
        self.name: str | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch; the first one sets the schema."""
        if self._writer is None:
            self._temporary.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pa.ipc.new_stream(str(self._temporary), batch.schema)
        self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def __enter__(self) -> IpcFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._writer is None:
            return
        self._writer.close()
        if error is None:
            if self._lasting:
                sync(self._temporary)
            self._temporary.replace(self._path)
            self.name = self._name
        else:
            self._temporary.unlink(missing_ok=True)
