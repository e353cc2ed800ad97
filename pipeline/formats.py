"""What a file is: by its content first, and by its name where content cannot tell.

Names lie: crawls are full of PDFs called .html and of gzip files without .gz. A few kilobytes, decompressed, settle it.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from corpusmill.compression import open_stream
from corpusmill.stages.encoding import decode_text

__all__ = ["Recognised", "recognise"]

PEEK = 1 << 16
"""Bytes of decompressed content that are looked at."""

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x04\x22\x4d\x18", "lz4"),
)
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF file"),
    (b"PK\x03\x04", "a ZIP archive or office document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"RIFF", "an image, sound or video"),
    (b"\x00\x00\x00\x18ftyp", "a video"),
    (b"\x00\x00\x00\x20ftyp", "a video"),
    (b"ID3", "a sound file"),
    (b"OggS", "a sound or video file"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"SQLite format 3", "an SQLite database"),
    (b"ARROW1", "an Arrow file: convert it to Parquet"),
    (b"\x7fELF", "a program"),
    (b"{\\rtf", "an RTF document"),
)
_NAMES = {
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".txt": "text",
    ".md": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
_ARCHIVES = ((".warc", "warc"), (".wet", "warc"))
_TELLING = 64  # fewer bytes of content than this say nothing about what a damaged file was
_COMPRESSED_NAMES = {".gz", ".gzip", ".zst", ".zstd", ".bz2", ".xz", ".lz4"}
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# A page begins with its document type or outermost element, after white space, comments and processing instructions.
_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_SKIPPED = ((b"<!--", b"-->"), (b"<?", b">"))


class Recognised(NamedTuple):
    """A format and compression to read, or the reason not to."""

    format: Any = None
    compression: Any = "none"
    why: str = ""


def recognise(path: Path) -> Recognised:
    """Return what the file at *path* is. Raises OSError if it cannot be opened."""
    with path.open("rb") as file:
        head = file.read(PEEK)
    compression = next((name for magic, name in _MAGIC if head.startswith(magic)), "none")
    named = _named(path)
    if compression == "lz4":  # only WARC files come this way
        return (
            Recognised("warc", "lz4")
            if ".warc" in path.name.lower() or ".wet" in path.name.lower()
            else Recognised(why="an LZ4 file that is no WARC")
        )
    damage = ""
    if compression != "none":
        head, damage = _peek_compressed(path, compression)
    found = _by_content(head, named, path)
    if damage and found.format is None and len(head) < _TELLING:
        expected = named or next((format_ for part, format_ in _ARCHIVES if part in path.name.lower()), None)
        # Where the name says what is lost, the reader says what is wrong and where.
        found = Recognised(expected) if expected else Recognised(why=f"a damaged {compression} file: {damage}")
    return found._replace(compression=compression)


def _named(path: Path) -> str | None:
    """Return the format that the name promises, compression suffixes aside."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while suffixes and suffixes[-1] in _COMPRESSED_NAMES:
        suffixes.pop()
    return _NAMES.get(suffixes[-1]) if suffixes else None


def _peek_compressed(path: Path, compression: str) -> tuple[bytes, str]:
    """Return the first bytes of content, and what is wrong where they end early."""
    head = b""
    with open_stream(str(path), compression) as stream:
        try:
            while len(head) < PEEK and (data := stream.read1(PEEK - len(head))):
                head += data
        except OSError as error:
            return head, str(error)
    return head, ""


def _by_content(head: bytes, named: str | None, path: Path) -> Recognised:
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            return Recognised(why=f"{what}{', not what its name says' if named else ''}")
    if head.startswith(b"WARC/"):
        return Recognised("warc")
    if head.startswith(b"PAR1"):
        return Recognised("parquet")
    if head[257:262] == b"ustar":
        return Recognised(why="a tar archive: unpack it")
    text = _as_ascii(head)
    if text is None:
        return Recognised(why=f"binary data{', not what its name says' if named else ''}")
    if _is_html(text):
        return Recognised("html")
    stripped = text.lstrip()
    if stripped.startswith(b"[") and named == "jsonl" and path.suffix.lower() == ".json":
        return Recognised(why="a JSON array; convert it to JSON Lines, one object a line")
    if stripped.startswith(b"{") and _first_line_is_object(stripped):
        if text is head or head.startswith(codecs.BOM_UTF8):
            return Recognised("jsonl")
        return Recognised(why="JSON Lines in UTF-16; convert it to UTF-8")
    if named == "jsonl" and path.suffix.lower() == ".json":
        return Recognised(why="JSON that is not one object a line; convert it to JSON Lines")
    if named is not None:
        return Recognised(named)
    if not head:
        return Recognised(why="an empty file")
    return Recognised(why=f"no known format: {path.suffix or 'a name without suffix'}")


def _is_html(text: bytes) -> bool:
    at = 0
    while True:
        at += len(text) - at - len(text[at:].lstrip()) if text[at : at + 1].isspace() else 0
        end = next((end for start, end in _SKIPPED if text.startswith(start, at)), None)
        if end is None:
            return _HTML.match(text, at) is not None
        found = text.find(end, at)
        if found < 0:
            return False
        at = found + len(end)


def _as_ascii(head: bytes) -> bytes | None:
    """Return the head with a byte-order mark and wide characters taken away, or None where it is not text."""
    for mark, codec in _BOMS:
        if head.startswith(mark):
            return head[len(mark) :].decode(codec, "ignore").encode("utf-8", "ignore")
    if 0 in head:  # UTF-16 without a mark, binary data, or text with a few bytes that do not belong there
        text, encoding = decode_text(head[: len(head) & ~1])
        if encoding.startswith("utf-16"):
            return text.encode("utf-8", "ignore")
    # Control characters other than white space, escape and form feed do not occur in text of any 8-bit encoding.
    odd = sum(head.count(bytes([byte])) for byte in (*range(8), 14, 15, 16, 17, 18))
    return None if odd > max(2, len(head) // 256) else head


def _first_line_is_object(text: bytes) -> bool:
    line, newline, _ = text.partition(b"\n")
    if not newline and len(line) >= PEEK - 64:
        return True  # a first record longer than the peek: only JSON Lines begins like this and goes on so
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors, and so is text that is not UTF-8
        return False
