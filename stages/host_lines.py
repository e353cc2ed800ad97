"""Lines that many documents of one host say: the corpus-wide half of `RemoveRepeatedLines`.

The first documents that hold a line keep it, and it is removed from those after them. The alternative, two passes, would
remove it from all: CCNet (Wenzek et al. 2020) and C4 first count the corpus and then write it. Here, that would mean to
spill the whole corpus before the first shard, and to rewrite the shards of earlier runs whenever new documents come. A line
that is left in six documents of a site of thousands costs nothing.

Counted is by host, not across all, because what two sites share (a quotation, a proverb, a licence) is no boilerplate of
either, and because a host's furniture is found within a few of its pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import xxhash

from corpusmill.schemas import Drop, RecipeError, signal_column, verdict_array
from corpusmill.schemas.sizes import parse_size
from corpusmill.stages.base import CorpusStage, Index, Settle, SketchReader, with_columns
from corpusmill.stages.filter_url import split_url
from corpusmill.stages.line_units import characters_of, folded, remove_units, units_of
from corpusmill.stages.memory_limit import usable_memory

__all__ = ["HostLines", "host_of"]

_SKETCH = pa.schema(
    [
        pa.field("host", pa.string()),
        pa.field("lines", pa.list_(pa.uint64())),
        pa.field("numbers", pa.list_(pa.uint32())),
        pa.field("characters", pa.list_(pa.uint32())),
    ]
)
_STAGE = "remove_repeated_lines"  # under which recipes know this stage
_LEAST_MEMORY = 1_000
_LINE = 15  # bytes: a slot of 12, in a table of which four fifths are taken at most
_LONGEST_HOST = 253  # what DNS allows
_WEB = re.compile(r"(?:https?|ftp):[/\\]*", re.IGNORECASE)
_NO_WEB = re.compile(r"[a-z][a-z0-9+.-]*:(?!\d+(?:[/\\?#]|$))|(?![/\\]{2})[^/\\?#]*@", re.IGNORECASE)
"""Another scheme (the colon in `example.org:80/` is that of a port), or an address of mail."""
_NO_NAME = re.compile(r"[^a-z0-9._\-\x80-\U0010ffff]|\s|\.\.")
_NAMES_OF_SCHEMES = {"http", "https", "ftp"}  # what is left of `http://https://example.org`
_LAST_LABEL = re.compile(r"[^\W\d_][^\x00-`{-\x7f]+")
_ENDINGS_OF_FILES = """
arrow asp aspx bin bmp cfm cgi csv dat doc docx epub exe feather gif gz htm html ini ipynb jpeg jpg js json jsonl jsp log ndjson
odt parquet pdf php png ppt pptx rar rst rtf shtml svg tar tex text tgz tmp toml tsv txt wacz warc wat webp wet xhtml xls xlsx
xml xz yaml yml zst
"""
_FILES = frozenset(_ENDINGS_OF_FILES.split())  # none of them is a top-level domain


def host_of(url: str | None) -> str | None:
    """Return the host under which the lines of a document are counted: folded, without port and `www.`; None without one.

    Only http, https and ftp have hosts whose pages are a site's. An address without a scheme may as well be a path or an
    identifier: its host must end like a domain name does, and not like the name of a file.

    >>> host_of("https://WWW.Example.org:8080/a"), host_of("example.org/b"), host_of("http://localhost/c")
    ('example.org', 'example.org', 'localhost')
    >>> host_of("urn:isbn:9780141439518"), host_of("data/3.html"), host_of("page1.html"), host_of(None)
    (None, None, None, None)
    """
    url = (url or "").strip()
    web = _WEB.match(url)
    if web is None and _NO_WEB.match(url):
        return None
    host = split_url(f"//{url[web.end() :]}" if web else url)[0]
    if host.startswith("["):
        return _address(host)
    if not host or len(host) > _LONGEST_HOST or _NO_NAME.search(host) or host in _NAMES_OF_SCHEMES:
        return None
    if web is None and not _ends_like_a_host(host):
        return None
    short = host.removeprefix("www.")
    return short if "." in short else host  # `www.com` is a host of its own


def _ends_like_a_host(host: str) -> bool:
    """Return whether *host* is a domain name or an address by its looks: nothing else says that it is one."""
    rest, _, last = host.rpartition(".")
    if not rest:
        return False
    if last.isdigit():
        try:
            return bool(IPv4Address(host))
        except AddressValueError:
            return False
    return _LAST_LABEL.fullmatch(last) is not None and last not in _FILES


def _address(host: str) -> str | None:
    """Return an IPv6 address in brackets in its one short form; None if it is none, or of this machine's network alone."""
    try:
        address = IPv6Address(host[1:-1])
    except AddressValueError:
        return None
    return f"[{address}]" if host.endswith("]") and address.scope_id is None else None


class HostLines(CorpusStage, frozen=True, kw_only=True):
    """`RemoveRepeatedLines` with the scope `host`, which see; recipes do not know it by this name."""

    rewrites: ClassVar[tuple[str, ...]] = ("text",)
    keeps_one: ClassVar[bool] = False
    reasons: ClassVar[frozenset[str]] = frozenset({"boilerplate"})
    signals: ClassVar[dict[str, pa.DataType]] = {
        "boilerplate_lines": pa.int32(),
        "boilerplate_line_share": pa.float32(),
    }

    unit: Literal["line", "paragraph"]
    minimum_characters: int
    maximum_share: float | None
    maximum_documents: int
    max_index_memory: str

    @staticmethod
    def check_memory(kind: str, memory: str) -> None:
        """Refuse a setting that is no size, or too small to count anything."""
        try:
            enough = parse_size(memory) >= _LEAST_MEMORY
        except RecipeError as error:
            raise RecipeError(f"{kind}.max_index_memory: {error}") from None
        if not enough:
            raise RecipeError(f"{kind}.max_index_memory: {memory!r} holds no lines; give 1MB or more")

    def check(self) -> None:
        """Refuse more memory than there is.

        Raises:
            RecipeError: the machine, or the control group of the process, has less than `max_index_memory`.

        """
        most = usable_memory()
        if parse_size(self.max_index_memory) > most:
            raise RecipeError(
                f"{_STAGE}.max_index_memory: {self.max_index_memory!r} is more than the {most // 10**6:,} MB of memory that this "
                "machine lets a run have; give it less"
            )

    def capacity(self) -> str:
        """Return about how many lines the index holds, in words.

        >>> settings = {"unit": "line", "minimum_characters": 30, "maximum_share": 0.5, "maximum_documents": 6}
        >>> HostLines(**settings, max_index_memory="1GB").capacity()
        'holds about 66 million lines of hosts in 1GB of memory, then forgets the rarest'
        """
        lines = parse_size(self.max_index_memory) // _LINE
        units = ((10**9, " billion"), (10**6, " million"), (10**3, " thousand"), (1, ""))
        spoken = next(f"{lines // unit:,}{name}" for unit, name in units if lines >= unit)
        return f"holds about {spoken} lines of hosts in {self.max_index_memory} of memory, then forgets the rarest"

    def sketch(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        """Build the function from a batch (`text`, `url`) to the host and the lines of each document.

        A line is a 64-bit hash of the host and the folded line, its number in the document, and its characters. They are
        sorted by hash, so that equal ones are neighbours. Documents without a host have none.

        Raises:
            RecipeError: there is no column `text` (by the function, when it gets the batch).

        """
        paragraphs, minimum = self.unit == "paragraph", self.minimum_characters

        def run(batch: pa.RecordBatch) -> pa.RecordBatch:
            rows, names = batch.num_rows, batch.schema.names
            if "text" not in names:
                raise RecipeError(f"{_STAGE}: the table has no column 'text' (it has: {', '.join(names)})")
            urls = batch.column("url").to_pylist() if "url" in names else [None] * rows
            hosts = [host_of(url) for url in urls]
            offsets, hashes, numbers, characters = [0], list[int](), list[int](), list[int]()
            for host, text in zip(hosts, batch.column("text").to_pylist(), strict=True):
                if host is not None and text:
                    seed = xxhash.xxh3_64_intdigest(host.encode())
                    for at, unit in enumerate(units_of(text, paragraphs=paragraphs)[0]):
                        # Case folding adds up to two characters to one, and folding white space only takes away.
                        if 3 * len(unit) < minimum or len(key := folded(unit)) < minimum:
                            continue
                        hashes.append(xxhash.xxh3_64_intdigest(key.encode(), seed))
                        numbers.append(at)
                        characters.append(characters_of(unit))
                offsets.append(len(hashes))
            lines = np.maximum(np.array(hashes, np.uint64), np.uint64(1))  # 0 is a free slot of the table
            columns = [lines, np.array(numbers, np.uint32), np.array(characters, np.uint32)]
            documents = np.repeat(np.arange(rows), np.diff(offsets))
            order = np.lexsort((columns[1], columns[0], documents))
            lists = [pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(c[order])) for c in columns]
            return pa.record_batch([pa.array(hosts, pa.string()), *lists], schema=_SKETCH)

        return run

    def open_index(self, reader: SketchReader | None = None) -> Index:  # noqa: ARG002  what it saw it need not see again
        """Return an empty index.

        Raises:
            RecipeError: there is less memory than `max_index_memory`.

        """
        from corpusmill.stages.line_index import LineIndex, LineTable

        self.check()
        return LineIndex(self.maximum_documents, LineTable(parse_size(self.max_index_memory)))

    def load_index(self, folder: Path) -> Index:
        """Return the index that was saved in *folder*.

        Raises:
            RecipeError: there is less memory than `max_index_memory`.

        """
        from corpusmill.stages.line_index import LineIndex

        self.check()
        return LineIndex.load(folder, self.maximum_documents, parse_size(self.max_index_memory))

    def settle(self) -> Settle:
        """Build the function that removes the lines that were found to be boilerplate."""
        paragraphs = self.unit == "paragraph"

        def run(batch: pa.RecordBatch, resolved: pa.Array) -> tuple[pa.RecordBatch, pa.StructArray]:
            found: list[list[int] | None] = resolved.to_pylist()
            lines = [None if numbers is None else len(numbers) for numbers in found]
            shares = [None if numbers is None else 0.0 for numbers in found]
            drops: list[Drop | None] = [None] * len(found)
            columns: dict[str, pa.Array] = {}
            if any(lines):
                texts = batch.column("text").to_pylist()
                for row, numbers in enumerate(found):
                    if numbers:
                        left, share = self._without(texts[row], set(numbers), paragraphs=paragraphs)
                        texts[row], shares[row], drops[row] = left, share, self._judge(left, share)
                columns["text"] = pa.array(texts, batch.schema.field("text").type)
            measured: dict[str, Any] = {"boilerplate_lines": lines, "boilerplate_line_share": shares}
            columns |= {signal_column(name): pa.array(measured[name], type_) for name, type_ in self.signals.items()}
            return with_columns(batch, columns), verdict_array(drops)

        return run

    def _without(self, text: str, numbers: set[int], *, paragraphs: bool) -> tuple[str, float]:
        """Return *text* without the lines of these *numbers*, and the share of its characters that they had."""
        left, characters = remove_units(text, *units_of(text, paragraphs=paragraphs), numbers)
        return left, characters / max(characters_of(text), 1)

    def _judge(self, left: str, share: float) -> Drop | None:
        if self.maximum_share is not None and share > self.maximum_share:
            return Drop("boilerplate", share, self.maximum_share)
        # Whatever share is allowed, a text of which nothing is left is no document.
        return None if left.strip() else Drop("boilerplate", share)
