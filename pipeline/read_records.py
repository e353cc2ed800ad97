"""What readers hand on: rows of documents, quarantine entries, and records that are no documents."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from corpusmill.compression import FrameError
from corpusmill.limits import in_worker
from corpusmill.schemas import RetryableError
from corpusmill.schemas.inputs import InputFile

__all__ = [
    "DocumentRow",
    "Quarantined",
    "RecordReader",
    "RecordedDamageError",
    "SkippedRecord",
    "Watch",
    "as_metadata",
    "error_words",
    "raise_if_passing",
    "scrubbed",
    "scrubbed_all",
]

# The file may be whole: putting it into quarantine would lose it for good.
_PASSING = frozenset({errno.EACCES, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EPERM, errno.ESTALE, errno.ETIMEDOUT})

_ENCODER = msgspec.json.Encoder(enc_hook=str, order="sorted")
_SURROGATES = re.compile("[\ud800-\udfff]")


Watch = Callable[[int], "str | None"]
"""Told of each record's number before the record is decoded; what it returns is why the record must not be touched."""


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
    """Raise RetryableError where an error says nothing about the file itself, and let a worker end that has no memory left."""
    if isinstance(error, MemoryError) and in_worker():
        raise error
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
        return _ENCODER.encode(fields).decode()
    except UnicodeEncodeError:  # lone surrogates somewhere inside
        return _ENCODER.encode(scrubbed_all(fields)).decode()


class RecordReader:
    """Makes documents of the records of one JSON Lines or Parquet file; what its columns do not take becomes metadata."""

    def __init__(self, file: InputFile) -> None:
        keys = file.keys
        self.source = file.name
        self._id, self._html, self._text, self._url = keys.id, keys.html, keys.text, keys.url
        self._taken = tuple(name for name in dict.fromkeys((keys.id, keys.html, keys.text, keys.url)) if name)

    def row(self, record: Any, number: int) -> DocumentRow | Quarantined:
        """Return record *number* as a document. Its strings must be free of lone surrogates; it is used up."""
        if type(record) is not dict:
            return Quarantined(None, self.source, number, f"the record is {_kind(record)}, not an object")
        get = record.get
        own, html, text, url = get(self._id), get(self._html), get(self._text), get(self._url)
        if isinstance(own, str):
            id_ = own or f"{self.source}#{number}"
        else:
            named = isinstance(own, int) and not isinstance(own, bool)
            id_ = str(own) if named else f"{self.source}#{number}"
        if not isinstance(text, str) or html is not None:
            for name, value in ((self._html, html), (self._text, text)):
                if value is not None and not isinstance(value, str | bytes):
                    why = f"the field {name!r} is {_kind(value)}, not text"
                    return Quarantined(id_, self.source, number, why)
            if html is None and text is None:
                fields = " nor ".join(repr(name) for name in (self._html, self._text) if name) or "text or html"
                return Quarantined(id_, self.source, number, f"the record has no {fields}")
            if isinstance(html, str):
                # A decoded page is marked as UTF-8: the charset that it declares was true of bytes that are gone.
                html = b"\xef\xbb\xbf" + html.encode()
            if isinstance(text, bytes):
                text = text.decode("utf-8", "replace")
        for name in self._taken:
            record.pop(name, None)
        metadata = as_metadata(record) if record else "{}"
        return DocumentRow(id_, url if isinstance(url, str) else None, self.source, html, text, metadata)


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


def scrubbed_all(value: Any) -> Any:
    """Return a JSON value with the lone surrogates of all its strings replaced."""
    if isinstance(value, str):
        return scrubbed(value)
    if isinstance(value, dict):
        return {scrubbed(str(key)): scrubbed_all(item) for key, item in value.items()}
    return [scrubbed_all(item) for item in value] if isinstance(value, list) else value
