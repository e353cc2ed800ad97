"""HTML to text: the main content of a page, and never nothing where a reader would see text.

Four engines besides our own (`main_content.py`) are here because pipelines ask for them: resiliparse, trafilatura, BeautifulSoup
and all visible text. benchmarks/results/html.md has how well and how fast they read the same pages. Whatever the engine, a page
on which it finds nothing is read again: with what stands in for scripts, then ignoring the rules of HTML; which reading gave the
text is a signal.

The page title is no part of the text: it repeats the headline with the site's name, and no reader sees it on the page.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
import pyarrow as pa
from msgspec import Meta

from corpusmill.schemas import Document, Drop
from corpusmill.stages.base import Apply, DocumentStage
from corpusmill.stages.encoding import decode_html, utf8_length
from corpusmill.stages.html_engines import any_text, engine_of
from corpusmill.stages.html_page import HtmlPage, no_class_words, read_page
from corpusmill.stages.page_metadata import UsageSignals, header_signals, page_metadata

__all__ = ["StripHtml", "transport_charset"]


class StripHtml(DocumentStage, frozen=True, kw_only=True):
    """Set `text` to the text of `html`, and `html` to None. Documents without `html` keep their text.

    Bytes are decoded by `decode_html`; the transport's label is read from `content_type` in the document's metadata (JSON).
    Signals: `html_bytes`; `encoding` (null where `html` came as a string); `text_share`, characters of text per character
    of markup; `html_engine`, the engine that really gave the text: the one that was asked for, or `text_fallback` (it found
    nothing, so all visible text was taken, with what stands in for scripts), `depth_fallback` (too deep for resiliparse) or
    `salvage_fallback` (only a reading that ignores the rules of HTML found text: framesets, pages cut inside a script).

    With `metadata` also what the page declares of itself: `title`, `declared_language`, `canonical_url`, `published`, and what
    its owner asks of machines: `noindex`, `noai`, `tdm_reservation`. Nothing is dropped by them; a filter may use them.
    `canonical_url` is absolute: a relative address counts from the document's `url`, and is null where there is none.
    What the response's header asked (`x_robots_tag`, a string or a list of them, and `tdm_reservation` in the metadata, where the
    WARC reader puts them) counts too, also for documents without `html`: robots rules add up, and a page's own TDM reservation
    prevails. A rule for a named crawler (`googlebot: noindex`) is none for others and sets no signal.
    """

    reads: ClassVar[tuple[str, ...]] = ("html", "metadata", "url")
    rewrites: ClassVar[tuple[str, ...]] = ("text", "html")
    reasons: ClassVar[frozenset[str]] = frozenset({"empty", "too_large"})
    version: ClassVar[int] = 3
    signals: ClassVar[dict[str, pa.DataType]] = {
        "html_bytes": pa.int64(),
        "encoding": pa.string(),
        "html_engine": pa.string(),
        "text_share": pa.float64(),
        "title": pa.string(),
        "declared_language": pa.string(),
        "canonical_url": pa.string(),
        "published": pa.string(),
        "noindex": pa.bool_(),
        "noai": pa.bool_(),
        "tdm_reservation": pa.bool_(),
    }

    engine: Literal["fast", "resiliparse", "trafilatura", "bs4", "text"] = "fast"
    """`fast`: main content by a model of its own. `resiliparse`, `trafilatura` (an extra): main content by theirs. `bs4`: all
    visible text by BeautifulSoup and html.parser. `text`: all visible text; about half of a news page is boilerplate."""
    favor: Literal["precision", "balanced", "recall"] = "balanced"
    """What `fast` and `trafilatura` do in doubt: `precision` leaves it out, `recall` takes it in."""
    comments: bool = True
    """Keep what readers wrote below an article, where the engine takes it for content; without it, never (`fast`)."""
    tables: bool = True
    """Keep the text of tables (`fast`, `text`, `trafilatura`): a line for each row and a tab between cells, also between those
    without text (`fast`, `text`), so that columns stay columns."""
    lists: bool = False
    """A dash before list items (`fast`, `text`)."""
    links: Literal["drop", "text", "markdown"] = "text"
    """`text`: links are plain text. `drop`: without the text of links. `markdown`: with their targets (`fast`, `text`)."""
    output: Literal["text", "markdown"] = "text"
    """`markdown`: headings, lists, quotations, tables and code with their marks (`fast`, `text`)."""
    metadata: bool = True
    """Read what the page declares of itself into signals."""
    maximum_bytes: Annotated[int, Meta(ge=1)] = 20_000_000
    """Pages with more bytes are dropped as `too_large`; a tree takes up to 30 times the page's size in memory."""
    maximum_depth: Annotated[int, Meta(ge=8, le=10_000)] = 512
    """Elements nested deeper than this (browsers' own limit), or than a billion divided by the page's characters, are not
    searched for main content by `resiliparse`: the page gives all its visible text. Of 150 mixed pages the deepest had 63."""
    minimum_share: Annotated[float, Meta(ge=0, le=1)] = 0.05
    """Main content by `resiliparse` of under 1,000 characters and under this share of the visible text counts as not found.
    Higher values bring menus into short news; 0 asks for nothing at all."""
    fallback: bool = True
    """Give all visible text where the engine finds none or too little; without it such pages are dropped as `empty`."""

    @property
    def kernels(self) -> tuple[str, ...]:
        """Those that read pages, find main content and what is declared, and write text."""
        names = ["html_read", "html_write" if self.output == "text" else "html_write_markdown"]
        names += ["html_find"] if self.engine == "fast" else []
        names += ["html_declare"] if self.engine == "fast" or self.metadata else []
        return tuple(names)

    def build(self) -> Apply:
        """Load the engine and return the function that is applied to each document."""
        from corpusmill.stages.compile_ahead import compile_ahead

        compile_ahead(*self.kernels)
        extract = self._engine()

        def apply(document: Document) -> Document | Drop:
            html = document.html
            sent = _transport(document.metadata)
            headers = sent.usage() if self.metadata else None
            if html is None:
                if headers is not None:
                    document.signals |= _asked(headers)
                return document
            size = len(html) if isinstance(html, bytes) or html.isascii() else len(html.encode("utf-8", "replace"))
            document.signals["html_bytes"] = size
            document.html = None
            document.text = ""
            if size > self.maximum_bytes:
                return Drop("too_large", value=size, limit=self.maximum_bytes)
            if isinstance(html, str):
                source = html.encode("utf-8", "replace")
                characters = len(html)
            elif (length := utf8_length(html, sent.charset())) is not None:
                source, document.signals["encoding"], characters = html, "utf-8", length
            else:
                page, document.signals["encoding"] = decode_html(html, sent.charset())
                source = html if document.signals["encoding"] == "utf-8" else page.encode("utf-8", "replace")
                characters = len(page)
            document.text, document.signals["html_engine"], read = extract(source)
            document.signals["text_share"] = len(document.text) / max(1, characters)
            if self.metadata and read is not None:
                document.signals |= _declared(read, document.url, headers)
            return document if document.text else Drop("empty", value=0.0, limit=1.0)

        return apply

    def _engine(self) -> Callable[[bytes], tuple[str, str, HtmlPage | None]]:
        """Return what gives the text of a page (UTF-8), the name of the reading it is from, and the page if that was read."""
        find = engine_of(self)
        nothing = no_class_words()

        def extract(source: bytes) -> tuple[str, str, HtmlPage | None]:
            text, name, page = find(source)
            if not text.strip() and self.fallback:
                text, name = any_text(self, source)
            if page is None and self.metadata:
                page = read_page(source, nothing)
            return text.strip("\n") if text.strip() else "", name, page

        return extract


def _declared(page: HtmlPage, url: str | None, headers: UsageSignals | None) -> dict[str, Any]:
    """Return what a page that was fetched from *url* declares, as signals."""
    base = url if isinstance(url, str) else None  # the column may hold anything
    found = page_metadata(page.source, page.marks, base_url=base, structured=page.structured, headers=headers)
    return {
        "title": found.title,
        "declared_language": found.language,
        "canonical_url": found.canonical,
        "published": found.published,
        **_asked(found),
    }


def _asked(usage: UsageSignals) -> dict[str, Any]:
    """Return what is asked of machines, as signals."""
    return {"noindex": usage.noindex, "noai": usage.noai, "tdm_reservation": usage.tdm_reservation}


def transport_charset(metadata: str | None) -> str | None:
    """Return the charset of `content_type` in a document's metadata (a JSON object), or None.

    >>> transport_charset('{"content_type": "text/html; Charset=EUC-KR"}')
    'EUC-KR'
    """
    return _transport(metadata).charset()


class _Transport(msgspec.Struct, frozen=True):
    """The fields of the metadata that tell how a document came: they may hold anything."""

    content_type: Any = None
    x_robots_tag: Any = None
    tdm_reservation: Any = None

    def charset(self) -> str | None:
        """Return the charset of the content type."""
        found = _CHARSET.search(self.content_type[:500]) if isinstance(self.content_type, str) else None
        return found[1] if found else None

    def usage(self) -> UsageSignals | None:
        """Return what the header asked of machines, or None if it had no such field."""
        robots = self.x_robots_tag if isinstance(self.x_robots_tag, str | list) else None
        reservation = self.tdm_reservation if isinstance(self.tdm_reservation, str) else None
        return None if robots is None and reservation is None else header_signals(robots, reservation)


def _transport(metadata: str | None) -> _Transport:
    """Return what a document's metadata (a JSON object, or not) says of how it came."""
    if not isinstance(metadata, str) or not any(name in metadata for name in _Transport.__struct_fields__):
        return _NOTHING
    try:
        return _METADATA.decode(metadata)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return _NOTHING


_NOTHING: Final = _Transport()
_METADATA: Final = msgspec.json.Decoder(_Transport)
_CHARSET: Final = re.compile(r"""charset\s{0,8}=\s{0,8}["']?([^\s"';,]+)""", re.IGNORECASE)
