"""Write the files of the sample corpus that cannot be edited by hand, and the table in its README.

Everything binary (compressed files, Parquet, WARC, pages in old encodings) comes from the plain text in `sources/`, so
that a reader of the repository can see what is in it and a change shows up as a change of text. Nothing here depends on
the clock, on a random seed or on the order of a directory.

    python sample_corpus/build.py            write the files and the table
    python sample_corpus/build.py --check    compare instead; exit 1 and name what differs

The check compares contents after decompression, because other versions of zlib, zstd and Parquet give other bytes.
"""

from __future__ import annotations

import base64
import bz2
import hashlib
import io
import json
import lzma
import re
import struct
import sys
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
DATE = "2024-02-29T12:00:00Z"
NESTING = 5_000
PROJECT_FILES = {"README.md", "build.py", "expectations.json"}

Record = dict[str, Any]


def gzip_member(data: bytes, level: int = 9) -> bytes:
    """Return *data* as one gzip member without a time stamp."""
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def load(name: str) -> list[Record]:
    """Return the entries of a file of `sources/`."""
    (entries,) = tomllib.loads((ROOT / "sources" / name).read_text(encoding="utf-8")).values()
    return list(entries)


# --- pages in other encodings ---------------------------------------------------------------------------------------


def encoded_pages() -> Iterator[tuple[str, bytes]]:
    """Yield pages in other encodings than clean UTF-8."""
    for page in load("encodings.toml"):
        codec = page["encoding"]
        data = page["html"].encode("utf-16-le" if codec == "utf-16" else codec)
        if codec == "utf-16":
            data = b"\xff\xfe" + data  # the codec itself would write the byte order of this machine
        for character in page.get("broken", ""):
            data = data.replace(character.encode(), character.encode("latin-1"))
        yield page["path"], data


# --- lines and tables -----------------------------------------------------------------------------------------------


def paragraphs(page: str) -> str:
    """Return the heading and the paragraphs of the `<article>` of a plain page, one blank line between them."""
    html = (ROOT / page).read_text(encoding="utf-8")
    article = html[html.index("<article>") : html.index("</article>")]
    return "\n\n".join(re.findall(r"<(?:h1|p)>(.*?)</", article))


def row(record: Record) -> Record:
    """Return the fields of *record* as they stand in a file."""
    fields: Record = {name: record[name] for name in ("id", "url", "title") if name in record}
    text = paragraphs(record["same_as"]) if "same_as" in record else record.get("text")
    if text is not None:
        text = text.strip()
        fields["text"] = text.encode().decode(record["mojibake"]) if "mojibake" in record else text
    return fields


def json_lines(records: list[Record]) -> list[bytes]:
    """Return one line per record; a raw record is written as it is."""
    return [(r["raw"] if "raw" in r else json.dumps(row(r), ensure_ascii=False)).encode() + b"\n" for r in records]


def cut_gzip(records: list[Record]) -> bytes:
    """Return a gzip file that ends in the middle of its last record, as when a disk filled up."""
    *whole, last = json_lines(records)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = packer.compress(b"".join(whole)) + packer.flush(zlib.Z_SYNC_FLUSH)
    return data + (packer.compress(last[: len(last) // 2]) + packer.flush(zlib.Z_SYNC_FLUSH))


def parquet_file(records: list[Record]) -> bytes:
    """Return a Parquet file with the columns id, url and text."""
    schema = pa.schema([("id", pa.string()), ("url", pa.string()), ("text", pa.string())])
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row(r) for r in records], schema), sink, compression="zstd")
    return sink.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip_member,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: zstandard.ZstdCompressor(level=9).compress(data),
}


def record_files() -> Iterator[tuple[str, bytes]]:
    """Yield the JSONL files, plain and compressed, and the Parquet file."""
    for file in load("records.toml"):
        path, records = file["path"], file["record"]
        if path.endswith(".parquet"):
            yield path, parquet_file(records)
        elif file.get("truncated"):
            yield path, cut_gzip(records)
        else:
            yield path, PACKERS.get(Path(path).suffix, bytes)(b"".join(json_lines(records)))


# --- WARC -----------------------------------------------------------------------------------------------------------

WARC_TYPES = {
    "warcinfo": "application/warc-fields",
    "metadata": "application/warc-fields",
    "request": "application/http; msgtype=request",
    "response": "application/http; msgtype=response",
    "conversion": "text/plain",
}


def head(*lines: str) -> bytes:
    """Return header lines followed by the empty line that ends them."""
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def http_response(record: Record) -> bytes:
    """Return the HTTP message of a response: status line, headers and the body as it went over the wire."""
    body = png() if record.get("png") else record["body"].encode(record.get("encoding", "utf-8"))
    headers = [f"HTTP/1.1 {record.get('status', '200 OK')}", f"Content-Type: {record['content_type']}"]
    if record.get("content_encoding") == "gzip":
        body = gzip_member(body, level=0)  # stored, so that every zlib gives the same length
        headers.append("Content-Encoding: gzip")
    if record.get("chunked"):
        parts = [body[at : at + 500] for at in range(0, len(body), 500)] + [b""]
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        return head(*headers, "Transfer-Encoding: chunked") + body
    return head(*headers, f"Content-Length: {len(body)}") + body


def warc_record(path: str, number: int, record: Record) -> bytes:
    """Return one WARC 1.1 record."""
    kind = record["kind"]
    block = http_response(record) if kind == "response" else record["body"].encode()
    headers = [
        "WARC/1.1",
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: <{uuid.uuid5(uuid.NAMESPACE_URL, f'{path}#{number}').urn}>",
        f"WARC-Date: {DATE}",
    ]
    if "url" in record:
        headers.append(f"WARC-Target-URI: {record['url']}")
    headers += [f"Content-Type: {WARC_TYPES[kind]}", f"Content-Length: {len(block)}"]
    return head(*headers) + block + b"\r\n\r\n"


def warc_files() -> Iterator[tuple[str, bytes]]:
    """Yield the WARC and WET files; in the compressed ones each record is a member (a frame) of its own."""
    for file in load("crawl.toml"):
        path = file["path"]
        pack = PACKERS.get(Path(path).suffix, bytes)
        yield path, b"".join(pack(warc_record(path, n, record)) for n, record in enumerate(file["record"]))


# --- broken and generated files -------------------------------------------------------------------------------------

DEEP_TEXT = (
    "This paragraph lies at the bottom of five thousand boxes. Pages like it are not common, but a crawl of some size "
    "will meet a few of them, because a template that forgets to close its elements nests one deeper with every entry "
    "of a list. A parser that walks the tree by calling itself runs out of stack here, and one that looks back at all "
    "the parents of each node takes time that grows with the square of the depth. Neither is a reason to lose text "
    "which is quite ordinary once somebody has climbed down to read it. It says that the tea is in the tin, that the "
    "key hangs behind the door, and that whoever leaves last should turn off the lamp over the stairs."
)


def png() -> bytes:
    """Return a picture of one grey pixel."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0\x80", 0)),
        (b"IEND", b""),
    ]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def generated_files() -> Iterator[tuple[str, bytes]]:
    """Yield the files that are made by rule."""
    deep = "<div>" * NESTING + f"\n<p>{DEEP_TEXT}</p>\n" + "</div>" * NESTING
    opening = '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Deep</title></head><body>\n'
    yield "broken/deep-nesting.html", f"{opening}{deep}\n</body></html>\n".encode()
    yield "broken/photo.png", png()
    noise = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(80))
    yield "broken/base64-dump.txt", base64.encodebytes(noise)
    pdf = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
    yield "broken/renamed-pdf.html", pdf + noise[:600] + b"\n%%EOF\n"


def build() -> dict[str, bytes]:
    """Return the contents of every generated file by its path."""
    return {p: d for part in (encoded_pages, record_files, warc_files, generated_files) for p, d in part()}


# --- the table and the check ----------------------------------------------------------------------------------------


def expectations() -> list[Record]:
    """Return the entries of `expectations.json`."""
    entries: list[Record] = json.loads((ROOT / "expectations.json").read_text(encoding="utf-8"))
    return entries


def verdict(entry: Record) -> str:
    """Return what an entry expects, as one table cell."""
    if entry["expect"] != "dropped":
        return str(entry["expect"])
    reasons = entry.get("reason", [])
    names = [reasons] if isinstance(reasons, str) else reasons
    return f"dropped by `{entry['stage']}`" + (": " + " or ".join(f"`{n}`" for n in names) if names else "")


def table() -> str:
    """Return `expectations.json` as a Markdown table."""
    lines = ["| document | expected | language | why |", "|---|---|---|---|"]
    for entry in expectations():
        where = f" in `{entry['source']}`" if entry.get("source") else ""
        lines.append(f"| `{entry['id']}`{where} | {verdict(entry)} | {entry.get('language', '')} | {entry['why']} |")
    return "\n".join(lines)


def readme() -> bytes:
    """Return the README with the table of today's expectations between its markers."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}".encode()


def content(path: str, data: bytes) -> Any:
    """Return what a file holds, whatever version of a compressor wrote it."""
    if path.endswith(".parquet"):
        return pq.read_table(io.BytesIO(data)).to_pylist()
    if path.endswith(".gz"):
        out, rest = b"", data
        while rest:
            unpacker = zlib.decompressobj(31)
            out += unpacker.decompress(rest)
            rest = unpacker.unused_data
        return out
    if path.endswith(".zst"):
        return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()
    unpack: dict[str, Callable[[bytes], bytes]] = {".bz2": bz2.decompress, ".xz": lzma.decompress}
    return unpack.get(Path(path).suffix, bytes)(data)


def corpus_files() -> set[str]:
    """Return the path of every file that is part of the corpus."""
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    # What tools leave behind is no part of it: hidden directories and __pycache__.
    names = {path.as_posix() for path in found if not any(part.startswith((".", "__")) for part in path.parts)}
    return {name for name in names if name not in PROJECT_FILES and not name.startswith("sources/")}


def complaints(files: dict[str, bytes]) -> Iterator[str]:
    """Yield what is wrong: files that differ from their sources, and documents without an expectation."""
    for path, data in files.items():
        here = ROOT / path
        if not here.exists() or content(path, here.read_bytes()) != content(path, data):
            yield f"{path} differs from its source: run sample_corpus/build.py"
    if readme() != (ROOT / "README.md").read_bytes():
        yield "README.md: the table is not that of expectations.json: run sample_corpus/build.py"
    covered = {e.get("source") or e["id"] for e in expectations()}
    named = {path for path in covered if path not in PROJECT_FILES and not path.startswith("sources/")}
    yield from (f"{path} has no entry in expectations.json" for path in sorted(corpus_files() - named))
    yield from (f"{path} is in expectations.json and not in the corpus" for path in sorted(named - corpus_files()))
    ids = [e["id"] for e in expectations()]
    yield from (f"{i} is in expectations.json twice" for i in sorted({i for i in ids if ids.count(i) > 1}))


def main() -> int:
    """Build, or check with `--check`; return the exit code."""
    files = build()
    if "--check" not in sys.argv[1:]:
        for path, data in files.items():
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_bytes(data)
        (ROOT / "README.md").write_bytes(readme())
    found = list(complaints(files))
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
