"""What readers hand on: rows of documents, quarantine entries, and records that are no documents."""

from __future__ import annotations

import errno
import re
from typing import Any, NamedTuple

import msgspec

from corpusmill.compression import FrameError
from corpusmill.schemas import RetryableError
from corpusmill.schemas.inputs import InputFile

__all__ = [
    "DocumentRow",
    "Quarantined",
    "RecordedDamageError",
    "SkippedRecord",
    "as_metadata",
    "error_words",
    "raise_if_passing",
    "record_row",
    "scrubbed",
]

# The file may be whole: putting it into quarantine would lose it for good.
_PASSING = frozenset({errno.EACCES, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EPERM, errno.ESTALE, errno.ETIMEDOUT})

_SURROGATES = re.compile("[\ud800-\udfff]")


class DocumentRow(NamedTuple):
    """One document, in the order of the columns of `DOCUMENTS`."""

    id: str
    url: str | None
    source: str
    html: bytes | None
    text: str | None
    metadata: str


class Quarantined(NamedTuple):
    """An input that could not be read: which record (*offset*, from 0) of which *source*, and why."""

    id: str | None
    source: str
    offset: int
    error: str


class SkippedRecord(NamedTuple):
    """A record that is no document, such as the response that holds an image."""

    source: str
    kind: str


class RecordedDamageError(Exception):
    """What was wrong with a file when it was cut, in the words of `error_words`."""


def error_words(error: Exception) -> str:
    """Return what an error says, without the path that some of them repeat."""
    if isinstance(error, FrameError | RecordedDamageError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}"


def raise_if_passing(error: Exception, file: InputFile) -> None:
    """Raise RetryableError where an error says nothing about the file itself."""
    if isinstance(error, OSError) and error.errno in _PASSING:
        raise RetryableError(
            f"{file.name} cannot be read now ({error.strerror}); run the same command again"
        ) from error


def scrubbed(text: str) -> str:
    r"""Return *text* with lone surrogates, which no UTF-8 can hold, replaced by U+FFFD.

    >>> scrubbed("a\ud800b")
    'a\ufffdb'
    """
    return _SURROGATES.sub("\ufffd", text)


def as_metadata(fields: dict[str, Any]) -> str:
    """Return *fields* as a JSON object with sorted keys."""
    try:
        return msgspec.json.encode(fields, order="sorted", enc_hook=str).decode()
    except UnicodeEncodeError:  # lone surrogates somewhere inside
        return msgspec.json.encode(_scrubbed_all(fields), order="sorted", enc_hook=str).decode()


def record_row(record: Any, file: InputFile, number: int) -> DocumentRow | Quarantined:
    """Return record *number* of a JSON Lines or Parquet file as a document; its other fields become metadata."""
    if not isinstance(record, dict):
        return Quarantined(None, file.name, number, f"the record is {_kind(record)}, not an object")
    keys = file.keys
    own = record.get(keys.id) if keys.id else None
    named = isinstance(own, str | int) and not isinstance(own, bool) and own != ""
    id_ = scrubbed(str(own)) if named else f"{file.name}#{number}"
    html = record.get(keys.html) if keys.html else None
    text = record.get(keys.text) if keys.text else None
    for name, value in ((keys.html, html), (keys.text, text)):
        if value is not None and not isinstance(value, str | bytes):
            return Quarantined(id_, file.name, number, f"the field {name!r} is {_kind(value)}, not text")
    if html is None and text is None:
        fields = " nor ".join(repr(name) for name in (keys.html, keys.text) if name) or "text or html"
        return Quarantined(id_, file.name, number, f"the record has no {fields}")
    url = record.get(keys.url) if keys.url else None
    taken = {keys.id, keys.html, keys.text, keys.url}
    return DocumentRow(
        id_,
        scrubbed(url) if isinstance(url, str) else None,
        file.name,
        # A decoded page is marked as UTF-8: the charset that it declares was true of bytes that are gone.
        b"\xef\xbb\xbf" + scrubbed(html).encode() if isinstance(html, str) else html,
        scrubbed(text.decode("utf-8", "replace") if isinstance(text, bytes) else text) if text is not None else None,
        as_metadata({name: value for name, value in record.items() if name not in taken}),
    )


def _kind(value: Any) -> str:
    names = {
        type(None): "null",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "an array",
    }
    return names.get(type(value), "an object")


def _scrubbed_all(value: Any) -> Any:
    if isinstance(value, str):
        return scrubbed(value)
    if isinstance(value, dict):
        return {scrubbed(str(key)): _scrubbed_all(item) for key, item in value.items()}
    return [_scrubbed_all(item) for item in value] if isinstance(value, list) else value
