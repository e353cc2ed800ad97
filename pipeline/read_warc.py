"""Documents out of WARC and WET files: which records are documents, and what their bodies hold.

Responses and resources that are HTML or plain text are documents, and so are conversions (WET). Crawlers differ in what they
store: some keep the bytes as they came over the wire, some decode them and leave the header as it was.

What of a response's header matters later travels as the document's metadata: its type, status, and what it asks of machines.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any, NamedTuple

import zstandard

from corpusmill.read_records import DocumentRow, Quarantined, SkippedRecord, Watch, as_metadata, scrubbed
from corpusmill.schemas.inputs import InputFile, InputSettings, Part
from corpusmill.stages.encoding import decode_text
from corpusmill.warc_records import Broken, Record, all_fields, warc_records

__all__ = ["decode_body", "read_warc"]

_HTML = frozenset({"text/html", "application/xhtml+xml", "application/xhtml", "application/vnd.wap.xhtml+xml"})
_DOCUMENTS = frozenset({"response", "resource", "conversion"})
_HTTP_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"HTTP/\S+[ \t]+([0-9]{3})")
_CHUNK = re.compile(rb"[ \t\r\n]{0,4}([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\n]{0,256})?\r?\n")
_END_OF_TYPE = re.compile("[;,]")  # fields that came twice are joined by commas
_ZSTD_STEP = 1 << 10  # expands to 32 MiB at worst
_GZIP_NAMES = frozenset({"gzip", "x-gzip"})


class _Http(NamedTuple):
    """A parsed HTTP response: its status (None where the line is odd), header fields and body."""

    status: int | None
    fields: dict[str, str]
    """By lower-case name; of repeated ones the first."""
    robots: list[str]
    """Each `X-Robots-Tag`: the name of a crawler in one binds nothing in the next."""
    body: bytes


def read_warc(
    part: Part, settings: InputSettings, limit: int, watch: Watch
) -> Iterator[DocumentRow | Quarantined | SkippedRecord]:
    """Yield the documents of a WARC or WET file, or of a range of it.

    Records are numbered from 0, requests and the like included, so an id says where in the file its record is.
    """
    file = part.file
    records = warc_records(file.path, file.compression, limit, _DOCUMENTS, part.start or 0, part.stop)
    for number, item in enumerate(records, part.first):
        id_ = f"{file.name}#{number}"
        if isinstance(item, Broken):
            yield Quarantined(id_, file.name, number, item.error)
        elif (why := watch(number)) is not None:
            yield Quarantined(id_, file.name, number, why)
        elif item.block is not None:
            yield _row(item, item.block, file, number, settings, limit)


def _row(
    record: Record, block: bytes, file: InputFile, number: int, settings: InputSettings, limit: int
) -> DocumentRow | Quarantined | SkippedRecord:
    """Return the document that a response, resource or conversion record holds, or why it holds none."""
    id_ = f"{file.name}#{number}"
    http = _http(record, block)
    if http is not None and not settings.http_errors and not 200 <= (http.status or 200) < 300:
        return SkippedRecord(file.name, f"http {http.status}")
    content_type = _content_type(record, http)
    media = _END_OF_TYPE.split(content_type, maxsplit=1)[0].strip().lower()
    if media not in _HTML and media != "text/plain":
        return SkippedRecord(file.name, media or "no content type")
    try:
        body = block if http is None else decode_body(http.body, http.fields, limit)
    except (ValueError, OSError, zlib.error) as error:
        return Quarantined(id_, file.name, number, f"the body cannot be decoded: {error}")
    url = record.fields.get("warc-target-uri", "").removeprefix("<").removesuffix(">")
    metadata: dict[str, Any] = {
        "content_type": content_type,
        "date": record.fields.get("warc-date"),
        "record_id": record.fields.get("warc-record-id"),
    }
    if http is not None:
        metadata["http_status"] = http.status
        if http.robots:
            metadata["x_robots_tag"] = http.robots
        if "tdm-reservation" in http.fields:
            metadata["tdm_reservation"] = http.fields["tdm-reservation"]
    if "warc-truncated" in record.fields:
        metadata["truncated"] = record.fields["warc-truncated"]
    html, text = (body, None) if media in _HTML else (None, scrubbed(decode_text(body)[0]))
    return DocumentRow(id_, url or None, file.name, html, text, as_metadata(metadata))


def _http(record: Record, block: bytes) -> _Http | None:
    """Return the HTTP response in a record's block, or None where there is none."""
    if record.fields.get("warc-type", "").lower() != "response" or not block.startswith(b"HTTP/"):
        return None
    end = _HTTP_END.search(block)
    head, body = (block[: end.start()], block[end.end() :]) if end else (block, b"")
    status = _STATUS.match(head)
    fields = all_fields(head, "latin-1")
    robots = [value for name, value in fields if name == "x-robots-tag"]
    return _Http(int(status[1]) if status else None, dict(reversed(fields)), robots, body)


def _content_type(record: Record, http: _Http | None) -> str:
    """Return the type of what the record holds: HTTP's, or what the crawler found it to be; the record's own without HTTP."""
    if http is not None:
        return http.fields.get("content-type", "") or record.fields.get("warc-identified-payload-type", "")
    own = record.fields.get("content-type", "")
    return own or ("text/plain" if record.fields["warc-type"].lower() == "conversion" else "")


def decode_body(data: bytes, fields: dict[str, str], limit: int) -> bytes:
    r"""Return an HTTP body without its transfer and content encodings.

    An encoding that the header names but that is plainly not there is taken as done already.

    Raises:
        ValueError: the body is larger than *limit*, or its encoding is unknown or broken.

    >>> decode_body(b"3\r\nabc\r\n0\r\n\r\n", {"transfer-encoding": "chunked"}, 100)
    b'abc'
    """
    if "chunked" in fields.get("transfer-encoding", "").lower():
        data = _unchunked(data)
    names = [name.strip().lower() for name in fields.get("content-encoding", "").split(",")]
    for name in reversed(names):
        data = _decoded(data, name, limit)
    return data


def _unchunked(data: bytes) -> bytes:
    """Return a chunked body in one piece; what does not begin like chunks is returned as it is."""
    at = 0
    parts: list[bytes] = []
    while match := _CHUNK.match(data, at):
        size = int(match[1], 16)
        if not size:
            return b"".join(parts)
        part = data[match.end() : match.end() + size]
        at = match.end() + size
        if len(part) < size or data[at : at + 1] not in (b"\r", b"\n"):
            break
        parts.append(part)
    if not parts:
        return data
    raise ValueError("the chunked body ends in the middle of a chunk, or is broken")


def _decoded(data: bytes, name: str, limit: int) -> bytes:
    """Return *data* without the content encoding *name*."""
    if name in _GZIP_NAMES:
        return _inflated(data, zlib.MAX_WBITS | 16, limit) if data.startswith(b"\x1f\x8b") else data
    if name in {"", "identity", "none", "utf-8"} or _is_markup(data):
        return data  # servers put charsets, media types and worse there
    if name == "br":
        return _brotli(data, limit)
    if name == "zstd":
        return _zstd(data, limit)
    if name == "deflate":
        try:  # the standard says zlib, but many servers send the bare stream
            return _inflated(data, zlib.MAX_WBITS, limit)
        except zlib.error:
            return _inflated(data, -zlib.MAX_WBITS, limit)
    raise ValueError(f"unknown content encoding {name!r}")


def _is_markup(data: bytes) -> bool:
    """Return whether *data* begins as a page does."""
    return data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def _inflated(data: bytes, bits: int, limit: int) -> bytes:
    """Return *data* decompressed: all members of gzip, and nothing of what follows them."""
    out = bytearray()
    while data:
        stream = zlib.decompressobj(bits)
        out += stream.decompress(data, limit + 1 - len(out))
        if len(out) > limit:
            raise ValueError(f"too_large: the decoded body has more than {limit:,} bytes")
        if not stream.eof:
            raise ValueError("the compressed body is cut off")
        data = stream.unused_data if stream.unused_data.startswith(b"\x1f\x8b\x08") else b""
    return bytes(out)


def _zstd(data: bytes, limit: int) -> bytes:
    """Return the first zstd frame in *data* decompressed: a body is one frame (RFC 8878)."""
    if not data:
        return data
    stream = zstandard.ZstdDecompressor().decompressobj()
    out = bytearray()
    for start in range(0, len(data), _ZSTD_STEP):
        try:
            out += stream.decompress(data[start : start + _ZSTD_STEP])
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from None
        if len(out) > limit:
            raise ValueError(f"too_large: the decoded body has more than {limit:,} bytes")
        if stream.eof:
            return bytes(out)
    raise ValueError("the compressed body is cut off")


def _brotli(data: bytes, limit: int) -> bytes:
    from fastwarc.stream_io import BrotliReader

    if not data:
        return data
    reader = BrotliReader(BytesIO(data))
    out = bytearray()
    while len(out) <= limit and (chunk := reader.read(1 << 20)):
        out += chunk
    if len(out) > limit:
        raise ValueError(f"too_large: the decoded body has more than {limit:,} bytes")
    return bytes(out)
