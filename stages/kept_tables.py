"""Tables that take long to make, kept on disk beside the machine code of the kernel that reads them.

What is kept can neither fail nor go stale, like that code (kernels/compile_cache.py): the sources that make the tables and the
files that they are made from are part of the name, and where a file cannot be read or written, tables are made again.
"""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corpusmill.stages.kernels.compile_cache import source_stamp

__all__ = ["Tables", "kept_tables"]

Tables = dict[str, npt.NDArray[Any]]


def kept_tables(name: str, make: Callable[[], Tables], kernel: Any, files: Sequence[str | os.PathLike[str]]) -> Tables:
    """Return what *make* returns, from disk if an earlier process kept it there.

    Args:
        name: what the file is called, with a hash behind it.
        make: makes the tables, of numbers or of strings, from nothing but *files* and the sources of its module and its imports.
        kernel: the tables are kept where its machine code is; where that is nowhere, they are made in every process.
        files: read by *make*.

    """
    folder = getattr(getattr(kernel, "_cache", None), "cache_path", None)
    if folder is None:
        return make()
    stamp = hashlib.sha256(source_stamp(Path(inspect.getfile(make))))
    for file in files:
        stamp.update(hashlib.sha256(Path(file).read_bytes()).digest())
    path = Path(folder, f"{name}-{stamp.hexdigest()[:16]}.npz")
    # A damaged file raises whatever it happens to raise: each table has its own checksum in it.
    with suppress(Exception), path.open("rb") as opened, np.load(opened, allow_pickle=False) as kept:
        return dict(kept)
    tables = make()
    with suppress(OSError):
        _keep(path, tables)
        for other in path.parent.glob(f"{name}-*.npz"):
            if other != path:  # of other sources: its readers have read it
                other.unlink()
    return tables


def _keep(path: Path, tables: Tables) -> None:
    """Write *tables* so that nobody ever sees a part of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            np.savez(file, **tables)  # type: ignore[arg-type]  # the stubs take each for an option
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
