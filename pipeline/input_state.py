"""Whether an input is still the file that was planned: by size and time of change first, by its bytes where those differ."""

from __future__ import annotations

from pathlib import Path

import xxhash

from corpusmill.schemas.inputs import InputFile, Part

__all__ = ["CHANGED", "InputChangedError", "content_hash", "is_changed"]

CHANGED = (
    "the file changed after this run was planned, so none of this range was read; "
    "when it is complete, run with --accept-new-versions to read it as it is now"
)
_BLOCK = 1 << 20


class InputChangedError(Exception):
    """An input changed while it was read: what came out of it may be half old, half new, and must not be used."""


def is_changed(file: InputFile) -> bool:
    """Return whether the file at the path has another size or time of change than planned; False if it is gone."""
    try:
        status = Path(file.path).stat()
    except OSError:
        return False  # the reader says why
    return (status.st_size, status.st_mtime_ns) != (file.size, file.mtime_ns)


def content_hash(part: Part) -> str | None:
    """Return the XXH3 hash (128 bits, hexadecimal) of the stored bytes of a part, or None if they cannot be read."""
    digest = xxhash.xxh3_128()
    left = part.stored
    try:
        with Path(part.file.path).open("rb") as file:
            file.seek(part.offset)
            while left > 0 and (block := file.read(min(left, _BLOCK))):
                digest.update(block)
                left -= len(block)
    except OSError:
        return None
    return digest.hexdigest()
