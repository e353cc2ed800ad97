"""The files of an index of LSH bands: one flat array a band, and a head that describes them.

Opening maps the arrays into memory copy-on-write, so that an index of 10 GB is there at once, is read where it is looked at, and
is never changed on disk by what is added. Rejected: one file for all bands, because bands are to be owned apart some day.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from corpusmill.schemas import OutputMismatchError

__all__ = ["FORMAT", "read_arrays", "read_head", "write_arrays"]

FORMAT = 1
"""Raised when older versions cannot read what this one writes."""

_HEAD = "bands.json"
_BLOCK = 1 << 24


def write_arrays(folder: Path, head: dict[str, Any], arrays: Sequence[npt.NDArray[np.uint64]]) -> None:
    """Write *arrays* and *head* (numbers and lists of them) into the new directory *folder*; all is on disk when it returns."""
    folder.mkdir(parents=True)
    files = []
    for number, array in enumerate(arrays):
        path = folder / f"band-{number:03d}.u64"
        data = array.astype("<u8", copy=False).view(np.uint8).data
        digest = xxhash.xxh3_64()
        with path.open("wb") as file:
            for start in range(0, len(data), _BLOCK):
                digest.update(data[start : start + _BLOCK])
                file.write(data[start : start + _BLOCK])
            file.flush()
            os.fsync(file.fileno())
        files.append({"name": path.name, "bytes": len(data), "xxh3": digest.hexdigest()})
    with (folder / _HEAD).open("w") as file:
        json.dump({"format": FORMAT, **head, "files": files}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def read_head(folder: Path) -> dict[str, Any]:
    """Return the head of the index in *folder*.

    Raises:
        OutputMismatchError: it is missing, damaged, or of another format.

    """
    try:
        head: dict[str, Any] = json.loads((folder / _HEAD).read_text())
        format_ = head["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputMismatchError(f"{folder / _HEAD} is missing or damaged: {error}") from error
    if format_ != FORMAT:
        raise OutputMismatchError(f"{folder} is an index of format {format_}; this version reads format {FORMAT}")
    return head


def read_arrays(folder: Path, head: dict[str, Any], *, verify: bool = False) -> list[npt.NDArray[np.uint64]]:
    """Return the arrays of an index, mapped copy-on-write; with *verify* their checksums are computed, which reads them all.

    Raises:
        OutputMismatchError: an array is missing, or not what was written.

    """
    arrays = []
    for file in head["files"]:
        path = folder / Path(file["name"]).name
        try:
            size = path.stat().st_size
            array = np.memmap(path, "<u8", "c") if size else np.zeros(0, np.uint64)
        except (OSError, ValueError) as error:
            raise OutputMismatchError(f"{path} is missing or damaged: {error}") from error
        if size != file["bytes"]:
            raise OutputMismatchError(f"{path} has {size:,} bytes and should have {file['bytes']:,}")
        if verify and xxhash.xxh3_64_hexdigest(array.data) != file["xxh3"]:
            raise OutputMismatchError(f"{path} was changed: its checksum is not the one in {_HEAD}")
        arrays.append(array)
    return arrays
